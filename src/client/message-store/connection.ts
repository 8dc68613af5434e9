import { NotConnected, ServerNotTrusted } from '../errors.ts'
import { type ClientPorts, keepSession, type Session, type SessionOptions } from '../session.ts'
import type { ConnectionState } from './events.ts'

/*
 * The way of a message store to the servers: to one at a time, of the home operator or of another one that holds the mailbox,
 * while the application wants it.
 */

export interface Way {
  readonly session: Session
  /** By whom and at which operator. */
  readonly options: SessionOptions
}

export interface Connection {
  readonly state: ConnectionState
  /** @throws {NotConnected} when there is none, because the application or the servers wanted it so */
  way(): Promise<Way>
  goOnline(): void
  goOffline(): void
  /** Leaves this server for the next one, if there is another. */
  goElsewhere(): void
}

export interface ConnectionListener {
  changed(state: ConnectionState): void
  notification(method: string, params: unknown): void
}

/** After so many attempts in vain another operator's servers are tried, if there are any. */
const patientAttempts = 2

/** @param ways the home operator's first; at least one, each with at least one URL */
export function createConnection(
  ports: ClientPorts,
  ways: readonly SessionOptions[],
  listener: ConnectionListener,
): Connection {
  let state: ConnectionState = { kind: 'offline' }
  let opened: Promise<Way> | undefined
  /** Counts what is opened: what an earlier one tells is not heard any more. */
  let current = 0
  let close = () => {}
  /** Where to begin. */
  let operator = 0
  let server = 0

  function become(next: ConnectionState): void {
    state = next
    listener.changed(next)
  }

  function open(): void {
    leave()
    const mine = ++current
    const options = ways[operator]
    if (!options) throw new RangeError('A message store needs at least one operator to connect to.')
    const urls = [
      ...options.urls.slice(server % options.urls.length),
      ...options.urls.slice(0, server % options.urls.length),
    ]
    become({ kind: 'connecting', why: 'Not connected yet.' })
    const opening = keepSession(ports, { ...options, urls }).then(session => {
      if (mine !== current) {
        session.close()
        throw new NotConnected('The connection was given up.')
      }
      follow(session, mine)
      return { session, options }
    })
    opening.catch(error => {
      if (mine === current) refused(error)
    })
    opened = opening
  }

  function follow(session: Session, mine: number): void {
    const stop = session.listen({
      state: () => told(session, mine),
      notification: (method, params) => listener.notification(method, params),
    })
    close = () => {
      stop()
      session.close()
    }
    told(session, mine)
  }

  function told({ state: now }: Session, mine: number): void {
    if (mine !== current) return
    switch (now.kind) {
      case 'connected':
        become({ kind: 'online', server: now.server, url: now.url })
        return
      case 'connecting':
        if (now.attempt >= patientAttempts && ways.length > 1) nextOperator()
        else become({ kind: 'connecting', why: now.why })
        return
      case 'closed':
        refused(new NotConnected(now.why))
    }
  }

  function refused(error: unknown): void {
    leave()
    become({ kind: 'refused', error: error instanceof Error ? error : new ServerNotTrusted(String(error)) })
  }

  function nextOperator(): void {
    operator = (operator + 1) % ways.length
    server = 0
    open()
  }

  function leave(): void {
    current++
    opened = undefined
    close()
    close = () => {}
  }

  return {
    get state() {
      return state
    },
    way: () => opened ?? Promise.reject(new NotConnected(reasonOf(state))),
    goOnline() {
      if (state.kind === 'offline' || state.kind === 'refused') open()
    },
    goOffline() {
      leave()
      if (state.kind !== 'offline') become({ kind: 'offline' })
    },
    goElsewhere() {
      const urls = ways[operator]?.urls ?? []
      const known = state.kind === 'online' ? urls.indexOf(state.url) : server
      if (known + 1 < urls.length) {
        server = known + 1
        open()
      } else if (ways.length > 1) nextOperator()
      else if (urls.length > 1) {
        server = 0
        open()
      }
    },
  }
}

const reasonOf = (state: ConnectionState): string =>
  state.kind === 'refused' ? `The servers refuse: ${state.error.message}` : 'The message store is offline.'
