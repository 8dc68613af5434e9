import type { Documents, Registers, RegisterWrite } from '../document/documents.ts'
import type { LocalRecord } from '../ports/log-store.ts'
import type { DocumentId, ServerId } from '../ports/names.ts'
import type { PartRef } from './commit.ts'
import { corrected, together } from './counting.ts'
import { indexDocument, indexKeys, reachedIn, type Sum, sumIn, summedIn, sumsOf } from './index-parts.ts'
import { type MailboxName, mailboxDocument } from './names.ts'
import type { OwedRecords } from './owed.ts'
import type { Place, Placing } from './placing.ts'
import type { StoragePolicy } from './policy.ts'
import { countIn, keys, noCounts, type PartCounts, type Run, runsOf, userOf, written } from './records.ts'

/*
 * How a commit is named, when all that it says in conversations is durable: first in the index parts that speak of those, then in
 * the mailbox document. What does not fit into one entry comes before, and is not counted until the commit's number is there.
 */

/** A part that the commit has changed. */
export interface Touched extends PartRef {
  readonly sums: PartCounts
  readonly due: number | undefined
}

/** What there is in a part of each writer, counted anew. */
export interface Correction {
  readonly at: PartRef
  readonly counts: ReadonlyMap<Run, PartCounts>
}

export interface Naming {
  readonly name: MailboxName
  readonly server: ServerId
  readonly run: Run
  readonly number: number
  /** As it was when the commit began. */
  readonly mailbox: Registers
  readonly now: number
  readonly placing: Placing
  readonly touched: readonly Touched[]
  /** What it says besides, by key. */
  readonly words: ReadonlyMap<string, RegisterWrite>
  readonly corrections: readonly Correction[]
  readonly documents: Pick<Documents, 'read' | 'write'>
  readonly owed: OwedRecords
  readonly policy: Pick<StoragePolicy, 'tokenMs' | 'offlineMs'>
}

/** Registers, and parts with two of them each, that fit into an entry: a key has up to 300 characters, a change 200. */
const namedAtOnce = 128
/** What the mailbox document says of an index part is longer: how far which runs have come. */
const indexWeight = 2
/** What is counted anew of a part is a register of each of its writers. */
const correctionWeight = 16

/** What goes into one document. */
interface Share {
  readonly words: RegisterWrite[]
  readonly touched: Touched[]
  readonly corrections: Correction[]
}

/** @throws {WriteFailed} */
export async function nameCommit(naming: Naming): Promise<void> {
  const shares = sharesOf(naming)
  const indexes = [...shares].flatMap(([place, share]) => (place === 'mailbox' ? [] : [[place, share] as const]))
  await Promise.all(indexes.map(([part, share]) => nameInIndex(naming, part, share)))
  const inMailbox = shares.get('mailbox') ?? emptyShare()
  const ofIndexes = await Promise.all(indexes.map(([part, share]) => wordsOfIndex(naming, part, share)))
  await nameInMailbox(
    naming,
    inMailbox,
    indexes.map(([part]) => part),
    ofIndexes.flat(),
  )
}

const emptyShare = (): Share => ({ words: [], touched: [], corrections: [] })

/** What goes where. */
function sharesOf({ mailbox, placing, touched, words, corrections, run }: Naming): Map<Place, Share> {
  const shares = new Map<Place, Share>()
  const shareOf = (place: Place): Share => {
    const share = shares.get(place) ?? emptyShare()
    shares.set(place, share)
    return share
  }
  const put = (word: RegisterWrite): void => {
    for (const place of placing.places(word)) shareOf(place).words.push(word)
  }
  for (const word of words.values()) put(word)
  for (const { at, counts } of corrections)
    for (const place of placing.placesOf(at.container))
      if (corrected(placing.content(place), at, counts).length > 0) shareOf(place).corrections.push({ at, counts })
  // Of a mailbox that was erased nobody synchronises anything.
  for (const part of userOf(mailbox)?.erased ? [] : touched) {
    const { container, part: number, due } = part
    for (const place of placing.places(written(keys.change(container, number, run), 0)))
      shareOf(place).touched.push(part)
    const dueKey = keys.due(container, number)
    const before = (words.get(dueKey) ?? placing.said(container).get(dueKey))?.value
    if (due !== undefined && !(typeof before === 'number' && before <= due)) put(written(dueKey, due))
  }
  return shares
}

async function nameInIndex(naming: Naming, part: number, share: Share): Promise<void> {
  const { name, owed, run, number } = naming
  const local = [owed.recordIndex(name, { index: part, run, number })]
  const entries = [...correcting(share), ...saying(naming, share)]
  const last = entries.pop() ?? []
  const document = indexDocument(name, part)
  for (const entry of entries) await write(naming, document, entry, local)
  await write(naming, document, [...last, said(written(keys.at(run), number))], local)
}

/** What the mailbox document says of an index part that the commit has changed. */
async function wordsOfIndex(naming: Naming, part: number, share: Share): Promise<RegisterWrite[]> {
  const { name, server, mailbox, documents, run, number } = naming
  const reached = reachedWord(naming, part, new Map([[run, number]]))
  const isCountedAnew = share.corrections.length > 0 || share.words.some(({ key }) => key.startsWith('count/'))
  if (isCountedAnew) {
    const content = await documents.read(indexDocument(name, part))
    return [reached, ...sumWords(mailbox, part, content)]
  }
  const { objects, bytes } = share.touched.reduce((all, { sums }) => together(all, sums), noCounts)
  const before = sumIn(mailbox, part, server) ?? nothing
  const sum = { objects: before.objects + objects, bytes: before.bytes + bytes }
  const isSame = objects === 0 && bytes === 0
  return [reached, ...(isSame ? [] : [written(indexKeys.sum(part, server), sum)])]
}

const nothing: Sum = { objects: 0, bytes: 0 }

/** How far runs of this server have come in an index part; those that everybody knows whole by now are left out. */
export function reachedWord(
  { mailbox, server, now, policy }: Pick<Naming, 'mailbox' | 'server' | 'now' | 'policy'>,
  part: number,
  reached: ReadonlyMap<Run, number>,
): RegisterWrite {
  const known = now - policy.tokenMs - policy.offlineMs
  const old = new Set([...runsOf(mailbox)].flatMap(({ run, stamp }) => (stamp <= known ? [run] : [])))
  const before = reachedIn(mailbox, part, server)
  const at = Object.entries(before).filter(([run]) => !old.has(run))
  const news = [...reached].map(([run, number]) => [run, Math.max(number, before[run] ?? 0)] as const)
  return written(indexKeys.reached(part, server), { at: { ...Object.fromEntries(at), ...Object.fromEntries(news) } })
}

/** What servers have counted in an index part, where the mailbox document says something else. */
export function sumWords(mailbox: Registers, part: number, content: Registers): RegisterWrite[] {
  const sums = sumsOf(content)
  const servers = new Set([...sums.keys(), ...summedIn(mailbox, part)])
  return [...servers].flatMap(server => {
    const { objects, bytes } = sums.get(server) ?? nothing
    const said = sumIn(mailbox, part, server) ?? nothing
    const isSame = said.objects === objects && said.bytes === bytes
    return isSame ? [] : [written(indexKeys.sum(part, server), { objects, bytes })]
  })
}

async function nameInMailbox(
  naming: Naming,
  share: Share,
  indexes: readonly number[],
  ofIndexes: readonly RegisterWrite[],
): Promise<void> {
  const { name, owed, run, number, touched } = naming
  const document = mailboxDocument(name)
  for (const entry of correcting(share)) await write(naming, document, entry)
  if (share.words.length === 0 && ofIndexes.length === 0 && touched.length === 0) return
  const entries = [...saying(naming, share, ofIndexes)]
  const last = entries.pop() ?? []
  for (const entry of entries) await write(naming, document, entry)
  const settled = [...touched.map(at => owed.settled(name, at)), ...indexes.map(part => owed.settledIndex(name, part))]
  await write(naming, document, [...last, said(written(keys.run(run), number))], settled)
}

/** Something that an entry is to say, and how much of the entry it takes. */
interface Saying {
  readonly weight: number
  readonly of: (registers: Registers) => RegisterWrite[]
}

const said = (word: RegisterWrite, weight = 1): Saying => ({ weight, of: () => [word] })

/** Entries that count anew. Nothing else is in them: what the commit adds is added to what they say. */
const correcting = ({ corrections }: Share): Generator<Saying[]> =>
  portions(
    corrections.map(({ at, counts }) => ({
      weight: correctionWeight,
      of: registers => corrected(registers, at, counts),
    })),
  )

/** Entries that say all the rest. */
const saying = (
  { run, number }: Naming,
  { words, touched }: Share,
  ofIndexes: readonly RegisterWrite[] = [],
): Generator<Saying[]> =>
  portions([
    ...words.map(word => said(word)),
    ...touched.map(at => ({ weight: 1, of: (registers: Registers) => changeOf(registers, at, run, number) })),
    ...ofIndexes.map(word => said(word, indexWeight)),
  ])

/** In order, as many together as fit into an entry. */
function* portions(all: readonly Saying[]): Generator<Saying[]> {
  let portion: Saying[] = []
  let weight = 0
  for (const each of all) {
    if (portion.length > 0 && weight + each.weight > namedAtOnce) {
      yield portion
      portion = []
      weight = 0
    }
    portion.push(each)
    weight += each.weight
  }
  if (portion.length > 0) yield portion
}

const write = (
  { documents }: Naming,
  document: DocumentId,
  entry: readonly Saying[],
  local: readonly LocalRecord[] = [],
): Promise<void> =>
  documents.write(document, registers => ({
    writes: entry.flatMap(({ of }) => of(registers)),
    local,
    isOwed: true,
    answer: undefined,
  }))

/** What this writer says of a part, once the commit is named. */
function changeOf(said: Registers, { container, part, sums }: Touched, run: Run, number: number): RegisterWrite[] {
  return [
    written(keys.change(container, part, run), number),
    written(keys.count(container, part, run), together(countIn(said, container, part, run) ?? noCounts, sums)),
  ]
}
