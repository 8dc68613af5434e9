import type { Documents, Registers, RegisterWrite, Room } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { countsOf, together } from './counting.ts'
import { indexDocument } from './index-parts.ts'
import { isFolder, type MailboxName, mailboxDocument, partDocument } from './names.ts'
import { reachedWord, sumWords } from './naming.ts'
import type { Owed, OwedIndex, OwedRecords } from './owed.ts'
import { type Place, Placing } from './placing.ts'
import type { StoragePolicy } from './policy.ts'
import {
  additionsOf,
  changeIn,
  completeTo,
  containerOf,
  goneIn,
  idsIn,
  keys,
  noCounts,
  objectIn,
  type PartCounts,
  type Run,
  written,
} from './records.ts'

/*
 * What an interrupted writer has left unnamed is named: in index parts what stands in conversations, in the mailbox document
 * what stands in index parts, and at last that those commits are whole.
 */

export interface Interrupted {
  readonly name: MailboxName
  readonly server: ServerId
  readonly mailbox: Registers
  readonly room: Room
  readonly now: number
  readonly documents: Pick<Documents, 'read' | 'write' | 'room'>
  readonly owed: OwedRecords
  readonly policy: Pick<StoragePolicy, 'mailboxReserveBytes' | 'tokenMs' | 'offlineMs'>
  readonly parts: readonly Owed[]
  readonly indexes: readonly OwedIndex[]
}

/** @throws {WriteFailed} */
export async function nameInterrupted(interrupted: Interrupted): Promise<void> {
  const { name, documents, owed, parts, indexes, policy } = interrupted
  const document = mailboxDocument(name)
  const placing = new Placing({ ...interrupted, run: '', reserveBytes: policy.mailboxReserveBytes })
  const reached = new Map<Run, number>()
  const reachedInIndex = new Map<number, Map<Run, number>>()
  const reach = (index: number, run: Run, number: number): void => {
    const runs = reachedInIndex.get(index) ?? new Map<Run, number>()
    reachedInIndex.set(index, runs.set(run, Math.max(number, runs.get(run) ?? 0)))
  }
  for (const { run, number } of [...parts, ...indexes]) reached.set(run, Math.max(number, reached.get(run) ?? 0))
  for (const part of parts)
    for (const place of await namePart(interrupted, placing, part))
      if (place !== 'mailbox') reach(place, part.run, part.number)
  for (const { index, run, number } of indexes) reach(index, run, number)
  for (const [index, runs] of reachedInIndex) {
    const content = await documents.read(indexDocument(name, index))
    await documents.write(document, mailbox => ({
      writes: [reachedWord({ ...interrupted, mailbox }, index, runs), ...sumWords(mailbox, index, content)],
      isOwed: true,
      answer: undefined,
    }))
  }
  await documents.write(document, mailbox => ({
    writes: [...reached].map(([run, number]) => written(keys.run(run), Math.max(number, numberIn(mailbox, run)))),
    local: [
      ...parts.map(part => owed.settled(name, part)),
      ...[...reachedInIndex.keys()].map(index => owed.settledIndex(name, index)),
    ],
    isOwed: true,
    answer: undefined,
  }))
}

/** Says of a part what the interrupted writer would have said. Answers where. */
async function namePart(
  { name, documents, owed }: Interrupted,
  placing: Placing,
  { container, part, run, number }: Owed,
): Promise<Place[]> {
  const said = await placing.open(container)
  const content = await documents.read(partDocument(name, container, part))
  const words = [
    written(keys.change(container, part, run), Math.max(number, changeIn(said, container, part, run) ?? 0)),
    written(keys.count(container, part, run), recounted(said, content, { container, part, run })),
    // What was to be expunged when is not known any more: the next sweep looks.
    written(keys.due(container, part), 0),
    ...unnamed(said, content, { container, run, number }),
  ]
  const places = new Map<Place, RegisterWrite[]>()
  for (const word of words)
    for (const place of placing.places(word)) places.set(place, [...(places.get(place) ?? []), word])
  for (const [place, writes] of places) {
    const document = place === 'mailbox' ? mailboxDocument(name) : indexDocument(name, place)
    await documents.write(document, registers => ({
      writes:
        place === 'mailbox' ? writes : [...writes, written(keys.at(run), Math.max(number, completeTo(registers, run)))],
      local: place === 'mailbox' ? [] : [owed.recordIndex(name, { index: place, run, number })],
      isOwed: true,
      answer: undefined,
    }))
  }
  return [...places.keys()]
}

export const numberIn = (mailbox: Registers, run: Run): number => {
  const value = mailbox.get(keys.run(run))?.value
  return typeof value === 'number' ? value : 0
}

/** The name of a conversation that an interrupted writer has begun: its objects say it. */
function unnamed(
  mailbox: Registers,
  content: Registers,
  { container, run, number }: { container: string; run: Run; number: number },
): RegisterWrite[] {
  if (isFolder(container) || containerOf(mailbox, container)) return []
  for (const id of idsIn(content)) {
    const object = goneIn(content, id) ? undefined : objectIn(content, id)
    if (object) return [written(keys.container(container), { name: object.conversationId, o: [run, number] })]
  }
  return []
}

/**
 * What an interrupted writer would have said of a part: what is there, less what the others say of it. The counts of all
 * writers together are right then.
 */
function recounted(
  mailbox: Registers,
  content: Registers,
  { container, part, run }: { container: string; part: number; run: Run },
): PartCounts {
  const found = { ...[...countsOf(content).values()].reduce(together, noCounts) }
  for (const change of additionsOf(mailbox, container)) {
    if (change.part !== part || change.run === run) continue
    found.objects -= change.objects
    found.bytes -= change.bytes
    found.chars -= change.chars
  }
  return found
}
