import type { Crypto } from '../../ports/crypto.ts'
import { compare, type Findings, partAt } from './compare.ts'
import type { HashTree } from './hash-tree.ts'
import { type Answer, maxQueriedLists, maxQueriedNodes, type Part, type Query } from './parts.ts'
import { above, nameOf, type Place, root } from './place.ts'
import { Salted } from './salted.ts'

/** A message that does not belong there at this time, or speaks of what it was not asked about. */
export class OutOfTurn extends Error {
  override readonly name = 'OutOfTurn'
}

/** Queries that are open at once: as many as one round trip can use, and no more work than a peer lets wait. */
export const maxOpenQueries = 16
/** Above so many places that wait, one query at a time is asked: then the walk goes down before it goes on, and they get fewer. */
const manyPlaces = 4_096

/** - `resting`: no round. - `walking`: comparing places. - `finishing`: the peer is asked to say when it has seen to all. */
type State =
  | { readonly at: 'resting' }
  | { readonly at: 'walking'; readonly round: Round }
  | { readonly at: 'finishing'; readonly id: number }

interface Round {
  readonly salt: Uint8Array
  readonly salted: Salted
  /** Places that are to be compared; the last first. */
  readonly places: Place[]
  /** What the peer is to be told that it has alone. */
  readonly lacking: Part[]
  readonly open: Map<number, readonly Part[]>
  /** Whether anything differed. */
  hasDiffered: boolean
}

/**
 * The way of the one who drives through the two trees: from the root down to where they differ. Remembers what is to be
 * compared, not what was: so it is as small for a million documents as for a hundred, and as a hostile peer can make it.
 * Every answer must be about what was asked, and every place that follows lies below one that was: so a round ends, whatever
 * the peer says, after one query for each place of the own tree at the most.
 */
export class Walk {
  readonly #tree: HashTree
  readonly #crypto: Pick<Crypto, 'sha256'>
  #state: State = { at: 'resting' }
  #lastId = 0

  constructor(tree: HashTree, crypto: Pick<Crypto, 'sha256'>) {
    this.#tree = tree
    this.#crypto = crypto
  }

  get isResting(): boolean {
    return this.#state.at === 'resting'
  }

  /** Whether all places are compared, and the answer to the last query is here. */
  get isThrough(): boolean {
    if (this.#state.at !== 'walking') return false
    const { places, lacking, open } = this.#state.round
    return places.length + lacking.length + open.size === 0
  }

  /** Begins a round at the root. @param salt new for each round */
  begin(salt: Uint8Array): void {
    const salted = new Salted(this.#tree, this.#crypto, salt)
    const round = { salt, salted, places: [root], lacking: [], open: new Map(), hasDiffered: false }
    this.#state = { at: 'walking', round }
  }

  /** The next query, if one is due. */
  next(): Query | undefined {
    if (this.#state.at !== 'walking') return undefined
    const { round } = this.#state
    const { places, lacking, open } = round
    const most = places.length > manyPlaces ? 1 : maxOpenQueries
    if (open.size >= most || places.length + lacking.length === 0) return undefined
    this.#tree.refresh(Number.POSITIVE_INFINITY)
    const parts: Part[] = lacking.splice(0, maxQueriedLists)
    let nodes = 0
    let lists = parts.length
    // A place costs the peer what is here at most: it is looked at before it is said.
    while (lists < maxQueriedLists && nodes < maxQueriedNodes) {
      const place = places.pop()
      if (!place) break
      const part = partAt(place, this.#tree, round.salted)
      parts.push(part)
      if (part.kind === 'node') nodes++
      else lists++
    }
    const query = this.#query(round.salt, parts)
    open.set(query.id, parts)
    return query
  }

  /** Takes an answer; the places that follow are remembered. @throws {OutOfTurn} */
  answered(answer: Answer): Pick<Findings, 'differing' | 'alone'> {
    if (this.#state.at === 'finishing' && this.#state.id === answer.id && answer.parts.length === 0) {
      this.#state = { at: 'resting' }
      return { differing: [], alone: [] }
    }
    const round = this.#state.at === 'walking' ? this.#state.round : undefined
    const asked = round?.open.get(answer.id)
    if (!round || !asked) throw new OutOfTurn('An answer came that nobody waits for.')
    assertAbout(answer.parts, asked)
    round.open.delete(answer.id)
    const { deeper, lacking, differing, alone } = compare(answer.parts, this.#tree, round.salt, this.#crypto)
    round.places.push(...deeper.toReversed())
    round.lacking.push(...lacking)
    if (answer.parts.length > 0 || answer.isBusy) round.hasDiffered = true
    return { differing, alone }
  }

  /** All was compared and seen to here. Returns the last query of the round; `undefined`: nothing differed, the round is over. */
  finish(): Query | undefined {
    if (this.#state.at !== 'walking' || !this.isThrough) return undefined
    const { round } = this.#state
    if (!round.hasDiffered) {
      this.#state = { at: 'resting' }
      return undefined
    }
    const query = this.#query(round.salt, [])
    this.#state = { at: 'finishing', id: query.id }
    return query
  }

  #query(salt: Uint8Array, parts: readonly Part[]): Query {
    this.#lastId = (this.#lastId + 1) % 2 ** 32
    return { type: 'query', id: this.#lastId, salt, documents: this.#tree.size, parts }
  }
}

/** What the other side answers to a query, and what it is to see to. Its tree's hashes must be all but fresh. */
export function answerTo(
  query: Query,
  tree: HashTree,
  crypto: Pick<Crypto, 'sha256'>,
): { readonly parts: readonly Part[] } & Pick<Findings, 'differing' | 'alone'> {
  const { deeper, lacking, differing, alone } = compare(query.parts, tree, query.salt, crypto)
  const salted = new Salted(tree, crypto, query.salt)
  return { parts: [...deeper.map(place => partAt(place, tree, salted)), ...lacking], differing, alone }
}

/**
 * Whether every part is one that may follow from the query: places below one that was told to be divided; the divided place,
 * or what is lacking, of one that was told to be a bucket; each once.
 * @throws {OutOfTurn}
 */
function assertAbout(parts: readonly Part[], asked: readonly Part[]): void {
  const told = new Map(asked.map(part => [nameOf(part.place), part]))
  const seen = new Set<string>()
  for (const part of parts) {
    const name = nameOf(part.place)
    if (seen.has(name)) throw new OutOfTurn('An answer speaks twice of one place.')
    seen.add(name)
    const up = above(part.place)
    const isBelow = up !== undefined && told.get(nameOf(up))?.kind === 'node'
    const before = told.get(name)
    const isListed = before?.kind === 'bucket'
    const isWithin = part.kind !== 'lacking' || (before?.hashes.length ?? 0) >= part.hashes.length
    // To nothing here nobody answers with what is there: it is sent. So a round ends however much is claimed.
    const isDivided = isListed && before.hashes.length > 0 && part.kind === 'node'
    const fits = part.kind === 'lacking' ? isListed && isWithin : isBelow || isDivided
    if (!fits) throw new OutOfTurn('An answer speaks of a place that it was not asked about.')
  }
}
