import type { Registers } from '../document/documents.ts'
import type { Derivation } from '../document/facts.ts'
import type { OperatorId } from '../ports/names.ts'
import { whoIsNamedIn } from './belongings.ts'
import { keys, readRecords } from './records.ts'
import { endedGrants } from './revocation/ending.ts'

/** What a server knows of every `pn/…` and `visit/…` document that it holds. */
export type NetworkFact = {
  /** Of a `pn/…` document: operator, id, end and root fingerprint of each grant of its current epoch. */
  readonly given: readonly (readonly [operator: OperatorId, id: string, expires: number, fingerprint: string])[]
  /** Of a `pn/…` document: whether it says something of a grant of this operator, be it that there is none any more. */
  readonly isOwnSaid: boolean
  /** Of this operator's own `visit/…` document: whether a grant of it was revoked. */
  readonly hasEnded: boolean
  /** Owner, roster and admissions, as `operator/identity`. */
  readonly named: readonly string[]
}

/** What is read here of home documents and of visits: most writes are registrations. */
const readPrefixes = ['grant/', 'revoked/', 'roster/', 'admission/', 'ended/']

export const networkFacts = (self: OperatorId): Derivation<NetworkFact> => ({
  name: 'networks',
  version: 2,
  // Visits say which grants have ended: that is known before a home document that was shared under one is.
  prefixes: ['visit/', 'pn/'],
  isOf: (_, written) =>
    written.some(key => key === keys.network || readPrefixes.some(prefix => key.startsWith(prefix))),
  derive(document, content) {
    const named = [...new Set(whoIsNamedIn(document, content))]
    if (document.startsWith('pn/'))
      return { given: givenIn(content), isOwnSaid: content.get(keys.grant(self)) !== undefined, hasEnded: false, named }
    const hasEnded = document.startsWith(`visit/${self}/`) && endedGrants(content).size > 0
    return { given: [], isOwnSaid: false, hasEnded, named }
  },
})

/** Grants of the current epoch: who was granted something in an earlier one has no business with this one. */
export function givenIn(home: Registers): NetworkFact['given'] {
  const { network, grants } = readRecords(onlyGrants(home), 'pn')
  return [...grants].flatMap(([operator, { epoch, id, expires, fingerprint }]) =>
    epoch === network?.epoch ? [[operator, id, expires, fingerprint] as const] : [],
  )
}

/** Read at every change of the document, so nothing else of it is. */
const onlyGrants = (home: Registers): Registers => ({
  get: key => home.get(key),
  *entries() {
    const network = home.get(keys.network)
    if (network) yield [keys.network, network]
    yield* home.entries('grant/')
    yield* home.entries('revoked/')
  },
})
