import type { Version } from '../document/documents.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { LogId } from '../ports/names.ts'
import type { Head } from './wire-sync.ts'

/** What this server holds of a document, as it tells peers. */
export const headsOf = (index: IndexRecord | undefined): readonly Head[] =>
  index?.heads.map(({ log, length, hash, forked }) => ({ log, length, hash, ...(forked && { forked }) })) ?? []

export const versionOf = (heads: readonly Head[]): Version => new Map(heads.map(({ log, length }) => [log, length]))

export const hashesOf = (heads: readonly Head[]): ReadonlyMap<LogId, Uint8Array> =>
  new Map(heads.map(({ log, hash }) => [log, hash]))

/** Whether somebody with `theirs` holds something of a document that is lacking with `mine`. */
export function lacks(mine: IndexRecord | undefined, theirs: readonly Head[]): boolean {
  const held = new Map(mine?.heads.map(head => [head.log, head]))
  const dead = new Map(mine?.superseded.map(({ log, seq }) => [log, seq]))
  return theirs.some(their => {
    const my = held.get(their.log)
    if (!my) return their.length - 1 > (dead.get(their.log) ?? -1)
    // A log is cut at its lowest fork, and what proves it is asked for until both know the same one.
    if (my.forked) return their.forked === true && their.length < my.length
    if (their.forked || their.length > my.length) return true
    return their.length === my.length && !same(their.hash, my.hash)
  })
}

/** Whether somebody with `theirs` has all that is held with `mine`, and no fork is to be proved. */
export function hasAll(theirs: readonly Head[], mine: IndexRecord): boolean {
  const held = new Map(theirs.map(head => [head.log, head]))
  return mine.heads.every(my => {
    const their = held.get(my.log)
    return their !== undefined && !my.forked && their.length === my.length && same(their.hash, my.hash)
  })
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at])
}
