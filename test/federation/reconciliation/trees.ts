import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { HashTree } from '../../../src/federation/reconciliation/hash-tree.ts'
import { keyOf, Leaves } from '../../../src/federation/reconciliation/leaves.ts'
import { below, fanOut, type Place, root } from '../../../src/federation/reconciliation/place.ts'
import { answerTo, Walk } from '../../../src/federation/reconciliation/walk.ts'
import { decodeSync, encodeSync, type SyncMessage } from '../../../src/federation/wire-sync.ts'
import type { DocumentId } from '../../../src/ports/names.ts'

export const crypto = nodeCrypto()

/** What somebody holds: document → a number that stands for its digest. */
export type Holding = ReadonlyMap<string, number>

export const digestOf = (version: number): Uint8Array =>
  crypto.sha256(Uint8Array.of(version, version >>> 8, version >>> 16))

/** A tree with its documents by name, changed as a server would change it. */
export class NamedTree {
  readonly leaves = new Leaves()
  readonly tree = new HashTree(this.leaves, crypto)

  constructor(holding: Holding = new Map()) {
    for (const [document, version] of holding) this.put(document, version)
  }

  put(name: string, version: number): void {
    const document = name as DocumentId
    const key = keyOf(document, crypto)
    const held = this.tree.find(document, key)
    if (held === undefined) this.tree.add(this.leaves.add(document, key, digestOf(version)))
    else if (this.leaves.setDigest(held, digestOf(version))) this.tree.touch(held)
  }

  drop(name: string): void {
    const document = name as DocumentId
    const slot = this.tree.find(document, keyOf(document, crypto))
    if (slot === undefined) return
    this.tree.remove(slot)
    this.leaves.remove(slot)
  }

  /** The hash of the whole, in hexadecimal. */
  rootHash(): string {
    this.tree.refresh(Number.POSITIVE_INFINITY)
    const bytes = new DataView(new ArrayBuffer(16))
    this.tree.writeHash(0, bytes, 0)
    return Buffer.from(bytes.buffer).toString('hex')
  }

  /** Documents below a place, in order of key. */
  documents(place: Place = root): string[] {
    if (this.tree.dividedAt(place) === undefined)
      return this.tree.leavesAt(place).map(slot => this.leaves.document(slot))
    return Array.from({ length: fanOut }, (_, digit) => this.documents(below(place, digit))).flat()
  }
}

/** What a walk found, and what it took. */
export interface Found {
  /** By the one who drives: documents that it holds and the other does not, or otherwise. */
  readonly driver: ReadonlySet<string>
  readonly other: ReadonlySet<string>
  readonly roundTrips: number
  /** Bytes of all frames, either way. */
  readonly bytes: number
  readonly frames: number
  /** What either side took, frames included, by the meter that was given. */
  readonly driverCost: number
  readonly otherCost: number
}

/**
 * Walks from one tree to the other as two servers would, frames included: all queries of a round trip are answered at once.
 * @param meter what was spent until now, in whatever unit
 */
export function walked(drives: NamedTree, answers: NamedTree, salt: Uint8Array, meter = () => 0): Found {
  const walk = new Walk(drives.tree, crypto)
  const driver = new Set<string>()
  const other = new Set<string>()
  let [roundTrips, bytes, frames] = [0, 0, 0]
  const costs = { driver: 0, other: 0 }
  function by<T>(side: keyof typeof costs, work: () => T): T {
    const before = meter()
    const result = work()
    costs[side] += meter() - before
    return result
  }
  const sent = (message: SyncMessage): Uint8Array => {
    const frame = encodeSync(message)
    bytes += frame.length
    frames++
    return frame
  }
  const answered = (frame: Uint8Array): Uint8Array => {
    const query = decodeSync(frame)
    if (query.type !== 'query') throw new Error('It was a query.')
    const { parts, ...found } = answerTo(query, answers.tree, crypto)
    note(found, answers, other)
    return sent({ type: 'answer', id: query.id, documents: answers.tree.size, parts, isBusy: other.size > 0 })
  }
  const heard = (frame: Uint8Array): void => {
    const answer = decodeSync(frame)
    if (answer.type === 'answer') note(walk.answered(answer), drives, driver)
  }
  const queries = (): Uint8Array[] => {
    const due: Uint8Array[] = []
    for (let query = walk.next(); query; query = walk.next()) due.push(sent(query))
    return due
  }
  by('driver', () => {
    drives.tree.refresh(Number.POSITIVE_INFINITY)
    walk.begin(salt)
  })
  while (!walk.isThrough) {
    const due = by('driver', queries)
    if (due.length === 0) throw new Error('The walk has come to a halt.')
    roundTrips++
    for (const frame of due) {
      const answer = by('other', () => answered(frame))
      by('driver', () => heard(answer))
    }
  }
  return { driver, other, roundTrips, bytes, frames, driverCost: costs.driver, otherCost: costs.other }
}

function note(
  { differing, alone }: { readonly differing: readonly string[]; readonly alone: readonly Place[] },
  holder: NamedTree,
  into: Set<string>,
): void {
  for (const document of [...differing, ...alone.flatMap(place => holder.documents(place))]) {
    if (into.has(document)) throw new Error(`${document} was found twice.`)
    into.add(document)
  }
}

/** Documents that `mine` holds and `theirs` does not, or otherwise. */
export const ahead = (mine: Holding, theirs: Holding): string[] =>
  [...mine].filter(([document, version]) => theirs.get(document) !== version).map(([document]) => document)
