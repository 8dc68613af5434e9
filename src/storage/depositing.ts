import type { Registers, RegisterWrite } from '../document/documents.ts'
import { DocumentFull } from '../document/limits.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { Edit, PartRef, PartSummary } from './commit.ts'
import type { Flag, ObjectName } from './fields.ts'
import { conversationContainer, isFolder } from './names.ts'
import { type NewObject, sizeOf } from './objects.ts'
import type { StoragePolicy } from './policy.ts'
import { containerOf, type GoneRecord, goneIn, keys, objectIn, objectText, written } from './records.ts'
import { refusals } from './refusals.ts'

/*
 * How objects come into a mailbox.
 */

export interface Deposit {
  readonly object: NewObject
  /** A user folder; else the history of its conversation. */
  readonly folder?: string | undefined
  /** Flags that it brings along, each with the time of its last word if that is known. */
  readonly flags?: readonly Flagging[] | undefined
  /** Its name, derived from what it is. */
  readonly id: string
  readonly copyOf?: string
  /** Whether it may come back to where it was moved away from. */
  readonly mayReturn?: boolean
}

export interface Flagging {
  readonly flag: Flag
  readonly on: boolean
  readonly at?: number | undefined
}

export interface Deposited extends ObjectName {
  readonly created: boolean
}

/**
 * Stores an object, unless it is there or was. A conversation that begins with it is named once it is stored.
 * @throws {CommandRefused} QUOTA_EXCEEDED, MAILBOX_FULL, FOLDER_UNKNOWN, GONE
 */
export async function deposit(
  edit: Edit,
  deposit: Deposit,
  policy: StoragePolicy,
  crypto: Pick<Crypto, 'sha256'>,
): Promise<Deposited> {
  const { object, folder } = deposit
  const container = folder ?? conversationContainer(object.conversationId, crypto)
  const naming = await namingOf(edit, container, object.conversationId)
  edit.setAside(...naming)
  const deposited = await place(edit, container, deposit, policy)
  edit.say(...naming)
  return deposited
}

async function place(edit: Edit, container: string, deposit: Deposit, policy: StoragePolicy): Promise<Deposited> {
  const { object } = deposit
  const parts = await edit.parts(container)
  const latest = parts.at(-1)
  for (const part of lookedThrough(parts.slice(0, -1), object.date)) {
    const found = await existing(edit, part, deposit)
    if (found) return found
  }
  const part = latest === undefined ? 0 : isFull(latest, policy) ? latest.part + 1 : latest.part
  if (latest !== undefined && part !== latest.part && mayHold(latest, object.date)) {
    const found = await existing(edit, latest, deposit)
    if (found) return found
  }
  try {
    return await store(edit, { container, part }, deposit, policy)
  } catch (error) {
    // Larger than was thought: others have written there.
    if (!(error instanceof DocumentFull) || !error.message.includes('conversation/')) throw error
    return store(edit, { container, part: part + 1 }, deposit, policy)
  }
}

/** What names a conversation that is new here. @throws {CommandRefused} FOLDER_UNKNOWN */
async function namingOf(edit: Edit, container: string, conversationId: string): Promise<RegisterWrite[]> {
  const known = containerOf(await edit.said(container), container)
  if (isFolder(container)) {
    if (!known || known.gone) throw refusals.folderUnknown(container)
    return []
  }
  return known ? [] : [written(keys.container(container), { name: conversationId, o: edit.origin })]
}

function requireRoom(edit: Edit, sizeBytes: number, { quotaBytes }: StoragePolicy): void {
  const { bytes } = edit.total()
  if (bytes + sizeBytes > quotaBytes) throw refusals.quota(bytes, quotaBytes)
}

/** Who repeats a deposit may take another time for that of the message: as far as clocks and delays explain it. */
const dateToleranceMs = 86_400_000
/** Ten full parts: what comes again after more than that many others in a day, in one conversation, is taken for another message. */
const maxLookedThrough = 20_000

const mayHold = ({ from, to }: PartSummary, date: number): boolean =>
  from - dateToleranceMs <= date && date <= to + dateToleranceMs

/** The latest of the parts that may hold an object of this date, in order; of no more objects together than a day is likely to bring. */
function lookedThrough(parts: readonly PartSummary[], date: number): PartSummary[] {
  const looked: PartSummary[] = []
  let objects = 0
  for (const part of parts.toReversed()) {
    if (!mayHold(part, date)) continue
    objects += part.objects
    if (objects > maxLookedThrough) break
    looked.unshift(part)
  }
  return looked
}
const isFull = ({ objects, chars }: PartSummary, { partObjects, partChars }: StoragePolicy): boolean =>
  objects >= partObjects || chars >= partChars

/** What is there under this name already. @throws {CommandRefused} GONE: it was, and was removed. */
async function existing(edit: Edit, { container, part }: PartRef, deposit: Deposit): Promise<Deposited | undefined> {
  const { id } = deposit
  const registers = await edit.read({ container, part })
  const gone = mayBeGone(registers, { container, part }, deposit)
  return !gone && objectIn(registers, id) ? { container, part, id, created: false } : undefined
}

/** That it was there, if it may come back. @throws {CommandRefused} GONE: it may not */
function mayBeGone(
  registers: Registers,
  { container, part }: PartRef,
  { id, mayReturn }: Deposit,
): GoneRecord | undefined {
  const gone = goneIn(registers, id)
  if (gone && !(mayReturn && gone.why === 'moved')) throw refusals.gone(`${container}/${part}/${id}`)
  return gone
}

function store(edit: Edit, at: PartRef, deposit: Deposit, policy: StoragePolicy): Promise<Deposited> {
  const { object, id, flags = [], copyOf } = deposit
  const name = { container: at.container, part: at.part, id }
  return edit.write<Deposited>(at, (part, now) => {
    const gone = mayBeGone(part, at, deposit)
    if (!gone && objectIn(part, id)) return { writes: [], answer: { ...name, created: false } }
    const size = sizeOf(object)
    requireRoom(edit, size, policy)
    const set = flags.filter(({ on }) => on).map(({ flag }) => flag)
    const record = { ...object, size, stored: now, ...(copyOf === undefined ? {} : { copyOf }), o: edit.origin }
    const text = objectText(record)
    return {
      writes: [
        { key: keys.object(id), value: text },
        ...(gone ? [written(keys.gone(id), null)] : []),
        ...flags.map(({ flag, on, at }) => {
          const key = keys.flag(id, flag)
          return written(key, { on, o: edit.origin }, at === undefined ? undefined : afterRemoval(part, key, at))
        }),
      ],
      added: {
        objects: 1,
        bytes: size,
        chars: text.length,
        date: object.date,
        due: dueOf(object.date, set, now, policy),
      },
      answer: { ...name, created: true },
    }
  })
}

/** What comes back comes after what was said when it was taken away. */
function afterRemoval(part: Registers, key: string, at: number): number {
  const before = part.get(key)
  return before?.value === null ? Math.max(at, before.stamp + 1) : at
}

/** From when on an object is to be expunged, by what is known of it. */
export function dueOf(
  date: number,
  flags: readonly Flag[],
  deletedAt: number,
  { deletedMs, maxAgeMs }: StoragePolicy,
): number | undefined {
  const deleted = flags.includes('\\Deleted') ? deletedAt + deletedMs : undefined
  const aged = maxAgeMs === undefined || flags.includes('\\Flagged') ? undefined : date + maxAgeMs
  return deleted === undefined || (aged !== undefined && aged < deleted) ? aged : deleted
}
