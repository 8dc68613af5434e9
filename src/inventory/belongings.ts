import { HashChains, none, textHasher } from '../dense/hash-chains.ts'
import { IdTexts } from '../dense/id-texts.ts'
import { Numbers } from '../dense/numbers.ts'
import { SortedPairs } from '../dense/sorted-pairs.ts'
import type { Registers } from '../document/documents.ts'
import { isSegment } from '../document/names.ts'
import type { Principal } from '../federation/command.ts'
import { type DocumentId, isOperatorId } from '../ports/names.ts'
import { networkOf } from './networks.ts'
import { keys } from './records.ts'
import type { NetworkName } from './view.ts'

/*
 * Which PNs name a subscriber as their owner or an element: kept in memory as documents change, so that nobody who asks for
 * its own has the documents of all others read. It says where to look. What a PN's documents mean, its view says: so
 * somebody who is named but was never entitled, or is so no more, is found here and left out there.
 */

export interface Belongings {
  /** In order of home and id. */
  of(subscriber: Principal): NetworkName[]
  /** Learns whom a `pn/…` or `visit/…` document names now, as {@link whoIsNamedIn} says it. */
  learn(document: DocumentId, whoIsNamed: readonly string[]): void
}

/** How often what a document names may change until what it named then counts again, where nothing has been cleared away meanwhile. */
const generations = 16

/**
 * In flat arrays, and of names a hash alone: as objects a million of them took 600 MB, which the garbage collector looked through again and
 * again. Were two names to have one hash, a PN would be looked at that does not name the one of them, and left out.
 *
 * What a document names is of a generation: once it names something else, what is of the generations before counts no more, wherever it is.
 * @param seed 8 random bytes: so nobody can choose names that have one
 */
export function createBelongings(seed: Uint8Array): Belongings {
  const hashOf = textHasher(seed)
  /** The documents that name somebody: each has its place there for its number. */
  const documents = new HashChains()
  const ids = new IdTexts(
    document => documents.value(document),
    (document, at) => documents.set(document, at),
  )
  /** Of each document how many it names, and its generation. */
  const states = new Numbers()
  const generationOf = (number: number) => states.get(number) % generations
  const countOf = (number: number) => Math.floor(states.get(number) / generations)
  let alive = 0
  const stamped = (number: number) => number * generations + generationOf(number)
  const documentOf = (stamp: number) => Math.floor(stamp / generations)
  /** Whom they name: the documents' numbers and generations by the names' hashes. */
  const namings = new SortedPairs({ isAlive: stamp => stamped(documentOf(stamp)) === stamp, alive: () => alive })

  function keep(document: DocumentId, hash: number): number {
    const number = documents.add(hash, none)
    documents.set(number, ids.keep(number, document))
    return number
  }

  function letGo(number: number): void {
    const at = documents.value(number)
    documents.remove(number)
    ids.letGo(at)
  }

  function forgetNamings(number: number): void {
    alive -= countOf(number)
    states.set(number, (generationOf(number) + 1) % generations)
  }

  return {
    learn(document, whoIsNamed) {
      const hash = hashOf(document)
      const known = documents.places(hash).find(number => ids.isSame(documents.value(number), document))
      if (known !== undefined) forgetNamings(known)
      if (whoIsNamed.length > 0) {
        const number = known ?? keep(document, hash)
        alive += whoIsNamed.length
        states.set(number, whoIsNamed.length * generations + generationOf(number))
        for (const who of whoIsNamed) namings.add(hashOf(who), stamped(number))
      } else if (known !== undefined) letGo(known)
    },

    of({ operator, identity }) {
      const found = namings.values(hashOf(`${operator}/${identity}`)).flatMap(stamp => {
        const at = documents.value(documentOf(stamp))
        return at === none ? [] : (networkOf(ids.read(at) as DocumentId) ?? [])
      })
      const networks = new Map(found.map(name => [placeOf(name), name]))
      return [...networks].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, name]) => name)
    },
  }
}

/** By it a list of PNs is ordered, and continued. */
export const placeOf = ({ home, pnId }: NetworkName): string => `${home}/${pnId}`

/** Owner and roster of a `pn/…` document, the admissions of a `visit/…` one, as `operator/identity`. */
export function* whoIsNamedIn(document: DocumentId, content: Registers): Generator<string> {
  const name = networkOf(document)
  if (!name) return
  const network = content.get(keys.network)?.value
  if (document.startsWith('pn/') && typeof network === 'object' && network !== null && 'owner' in network) {
    if (typeof network.owner === 'string') yield `${name.home}/${network.owner}`
  }
  for (const prefix of ['roster/', 'admission/']) {
    for (const [key, { value }] of content.entries(prefix)) {
      const [operator = '', pneId = '', ...more] = key.slice(prefix.length).split('/')
      if (value !== null && more.length === 0 && isOperatorId(operator) && isSegment(pneId))
        yield `${operator}/${pneId}`
    }
  }
}
