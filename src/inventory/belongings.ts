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

/** Where somebody is named: of a million most are in one document, and a set for that took most of the memory. */
interface Somebody {
  readonly who: string
  places: DocumentId | Set<DocumentId>
}

export function createBelongings(): Belongings {
  const named = new Map<DocumentId, readonly Somebody[]>()
  const known = new Map<string, Somebody>()

  function add(who: string, document: DocumentId): Somebody {
    const somebody = known.get(who)
    if (!somebody) {
      const first: Somebody = { who, places: document }
      known.set(who, first)
      return first
    }
    if (typeof somebody.places !== 'string') somebody.places.add(document)
    else if (somebody.places !== document) somebody.places = new Set([somebody.places, document])
    return somebody
  }

  function remove(somebody: Somebody, document: DocumentId): void {
    if (typeof somebody.places === 'string') {
      known.delete(somebody.who)
      return
    }
    somebody.places.delete(document)
    const [last] = somebody.places
    if (somebody.places.size === 1 && last !== undefined) somebody.places = last
  }

  function learn(document: DocumentId, whoIsNamed: readonly string[]): void {
    const now = new Set(whoIsNamed)
    for (const somebody of named.get(document) ?? []) if (!now.has(somebody.who)) remove(somebody, document)
    if (now.size > 0)
      named.set(
        document,
        Array.from(now, who => add(who, document)),
      )
    else named.delete(document)
  }

  return {
    learn,

    of({ operator, identity }) {
      const places = known.get(`${operator}/${identity}`)?.places ?? []
      const found = (typeof places === 'string' ? [places] : [...places]).flatMap(document => networkOf(document) ?? [])
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
