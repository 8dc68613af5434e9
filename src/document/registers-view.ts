import type { Doc } from 'yjs'
import { isLogId, type ServerId } from '../ports/names.ts'
import type { Json, Register, Registers } from './documents.ts'

/*
 * Reading a document's registers out of its Y.Doc, for servers and clients alike: this file runs in browsers.
 *
 * Every log owns one root map, named by the log's id: key → [stamp, server, value]. The register of a key is the greatest
 * of them all. A replica may come from an operator that one does not trust, so whatever is not such a triple is as if it
 * were not there, and the result is never an object whose keys somebody else has chosen.
 */

/** The last millisecond of JavaScript's calendar: a stamp above it is no time. */
export const maxStamp = 8.64e15
/** A value nests at most so deep: `[[]]` is 2 deep. */
export const maxJsonDepth = 16

/** The content of a document as it is now; later changes of `doc` do not show. */
export function readRegisters(doc: Doc): Registers {
  const winners = new Map<string, Register>()
  for (const name of [...doc.share.keys()]) {
    if (!isLogId(name)) continue
    for (const [key, content] of doc.getMap<unknown>(name).entries()) {
      const register = asRegister(content)
      const winner = winners.get(key)
      if (register && (!winner || isLater(register, winner))) winners.set(key, register)
    }
  }
  return registersOf(winners)
}

/**
 * Whether `a` wins over `b`. A total order over contents: what counts is the time, then the server, then (only a command
 * given twice at the same time with different contents comes to that) the value's text. Where it is stored never counts.
 */
export function isLater(a: Register, b: Register): boolean {
  if (a.stamp !== b.stamp) return a.stamp > b.stamp
  if (a.server !== b.server) return a.server > b.server
  return a.value !== b.value && JSON.stringify(a.value) > JSON.stringify(b.value)
}

/** The register that a root map holds for a key, or `undefined` if what it holds is none. */
export function asRegister(content: unknown): Register | undefined {
  if (!Array.isArray(content) || content.length !== 3) return undefined
  const [stamp, server, value]: unknown[] = content
  if (!isStamp(stamp) || typeof server !== 'string' || !isJson(value, maxJsonDepth)) return undefined
  return { stamp, server: server as ServerId, value }
}

const isStamp = (stamp: unknown): stamp is number =>
  Number.isSafeInteger(stamp) && (stamp as number) >= 0 && (stamp as number) <= maxStamp

/** Whether `value` is JSON and nests at most `depth` deep. An object with a prototype of its own making is none. */
export function isJson(value: unknown, depth: number): value is Json {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return true
    case 'number':
      return Number.isFinite(value)
    case 'object':
      return value === null || (depth > 0 && isJsonContainer(value, depth - 1))
    default:
      return false
  }
}

function isJsonContainer(value: object, depth: number): boolean {
  if (Array.isArray(value)) return value.every(item => isJson(item, depth))
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) return false
  return Object.keys(value).every(key => key !== '__proto__' && isJson((value as Record<string, unknown>)[key], depth))
}

/** Winners, as readers see them. */
export function registersOf(winners: ReadonlyMap<string, Register>): Registers {
  let sorted: readonly string[] | undefined
  return {
    get: key => winners.get(key),
    *entries(prefix = '', from = prefix) {
      sorted ??= [...winners.keys()].sort()
      for (let at = firstAtOrAfter(sorted, later(prefix, from)); at < sorted.length; at++) {
        const key = sorted[at] as string
        if (!key.startsWith(prefix)) return
        yield [key, winners.get(key) as Register] as const
      }
    },
  }
}

/** Of two texts the one that comes later. */
export const later = (a: string, b: string): string => (a < b ? b : a)

function firstAtOrAfter(sorted: readonly string[], key: string): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}
