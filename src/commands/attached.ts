import type { Principal } from '../federation/command.ts'

/** How a notification reaches a client on one of its connections. Never throws, and never waits. */
export type Deliver = (method: string, params: unknown) => void

/**
 * The subscribers that are attached to this server now, each on as many connections as it has: websocket sessions, and
 * whatever else ends at one subscriber. Only who has proved who it is enters.
 */
export interface Attached {
  /** Returns what says that the connection has ended; saying it again does nothing. */
  enter(principal: Principal, deliver: Deliver): () => void
  has(principal: Principal): boolean
  /** Tells the subscriber on all of its connections here. Answers whether there was one. */
  deliver(principal: Principal, method: string, params: unknown): boolean
  /** Hears of the first connection of a subscriber, and of the end of its last. */
  subscribe(listener: (principal: Principal, isAttached: boolean) => void): () => void
}

export function createAttached(): Attached {
  /** Of each subscriber its one connection, as most have, or all of them. */
  const connections = new Map<string, Deliver | Set<Deliver>>()
  const listeners = new Set<(principal: Principal, isAttached: boolean) => void>()
  const announce = (principal: Principal, isAttached: boolean) => {
    for (const listener of listeners) listener(principal, isAttached)
  }

  return {
    enter(principal, deliver) {
      const key = keyOf(principal)
      // One function may serve two connections: each is its own member.
      const connection: Deliver = (method, params) => deliver(method, params)
      const present = connections.get(key)
      if (present instanceof Set) present.add(connection)
      else connections.set(key, present ? new Set([present, connection]) : connection)
      if (!present) announce(principal, true)
      return () => {
        const left = connections.get(key)
        const isLast = left instanceof Set ? left.delete(connection) && left.size === 0 : left === connection
        if (!isLast) return
        connections.delete(key)
        announce(principal, false)
      }
    },

    has: principal => connections.has(keyOf(principal)),

    deliver(principal, method, params) {
      const present = connections.get(keyOf(principal))
      if (present instanceof Set) for (const deliver of present) deliver(method, params)
      else present?.(method, params)
      return present !== undefined
    },

    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/** No operator's name has a space in it. */
const keyOf = ({ operator, identity }: Principal): string => `${operator} ${identity}`
