import type { Registers } from '../../document/documents.ts'
import type { StoragePolicy } from '../policy.ts'
import { runsOf, type Vector } from '../records.ts'
import type { Reached } from './token.ts'

/*
 * What tokens and cursors need not say: how far writers had come that have written nothing for longer than any server is
 * away. Whoever holds the mailbox knows that from the time of their last commit.
 */

/** Writers that a token names at the most: so it stays a token, whatever the owner of a mailbox has written there. */
const maxNamed = 512

/** A vector, with those left out who are behind the horizon of this moment. */
export function reachedAt(mailbox: Registers, vector: Vector, now: number, policy: StoragePolicy): Reached {
  const horizon = horizonOf(mailbox, now, policy)
  const named = new Map(vector)
  for (const { run, number, stamp } of runsOf(mailbox))
    if (stamp <= horizon && vector.get(run) === number) named.delete(run)
  return { horizon, vector: named }
}

/** The vector again, at any server that holds the mailbox. */
export function vectorFrom(mailbox: Registers, { horizon, vector }: Reached): Vector {
  const whole = new Map(vector)
  for (const { run, number, stamp } of runsOf(mailbox)) if (stamp <= horizon && !whole.has(run)) whole.set(run, number)
  return whole
}

function horizonOf(mailbox: Registers, now: number, { tokenMs, offlineMs }: StoragePolicy): number {
  const stamps = [...runsOf(mailbox)].map(({ stamp }) => stamp).sort((a, b) => b - a)
  return Math.max(0, now - tokenMs - offlineMs, stamps[maxNamed] ?? 0)
}
