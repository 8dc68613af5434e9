import type { RegisterWrite, Room } from '../document/documents.ts'
import { registerBytes } from '../document/draft.ts'
import { refusals } from './refusals.ts'

/*
 * Room in the mailbox document for what a commit will say there. Its parts are written first, and then it must be able to
 * name them: so room is set aside before anything is written, and whoever finds none is refused with nothing done.
 */

/**
 * `new` adds to what the mailbox holds, `change` says something else of it. `removal` makes room once it is forgotten, and
 * `forgetting` at once: so there is room for it when there is for nothing else.
 */
export type Purpose = 'new' | 'change' | 'removal' | 'forgetting'

export class RoomAside {
  readonly #room: Room
  readonly #keys = new Set<string>()
  #bytes = 0

  constructor(room: Room) {
    this.#room = room
  }

  /** Sets room aside for registers, for each key once. @throws {CommandRefused} MAILBOX_FULL: for none of them */
  set(purpose: Purpose, writes: readonly RegisterWrite[]): void {
    const fresh = writes.filter(({ key }) => !this.#keys.has(key))
    if (fresh.length === 0) return
    const bytes = fresh.reduce((sum, { key, value }) => sum + entryShareBytes + registerBytes(key, value), this.#bytes)
    if (bytes > roomFor(purpose, this.#room)) throw refusals.mailboxFull()
    for (const { key } of fresh) this.#keys.add(key)
    this.#bytes = bytes
  }
}

/** A register's share in what an entry has besides registers, where a commit is named in several. */
const entryShareBytes = 8

function roomFor(purpose: Purpose, { bytes, changeBytes, lastBytes }: Room): number {
  switch (purpose) {
    case 'new':
      return bytes
    case 'change':
      return changeBytes
    case 'removal':
      return (changeBytes + lastBytes) / 2
    case 'forgetting':
      return lastBytes
  }
}
