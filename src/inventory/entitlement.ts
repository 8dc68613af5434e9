import { createEnds } from '../commands/ends.ts'
import type { Documents, Registers } from '../document/documents.ts'
import type { Known } from '../document/facts.ts'
import { type DocumentName, ownerOf, parseDocumentId } from '../document/names.ts'
import type { Entitlement, Vouch } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { givenIn, type NetworkFact } from './network-facts.ts'
import { homeDocument, visitDocument } from './networks.ts'
import { endedGrants, noticeOf, replicasOf } from './revocation/ending.ts'
import type { Statement } from './revocation/statement.ts'
import { createVouches } from './vouches.ts'

/*
 * Which operators may hold a document.
 *
 * - `pn/…`: its home, and who has an unexpired grant in it: also when the PN was released, or nobody granted would learn.
 * - `visit/…`: its owner; and, as long as the owner has a grant itself, the home and the others granted. So nobody has to
 *   store what an operator without a grant calls a visit.
 * - All other documents: their owner.
 *
 * An operator whose grant was revoked, and that knows it, or whose grant ended so long ago that nobody waits for its renewal,
 * drops what it holds of the PN but for its own documents.
 *
 * It is asked for every push, so the answer comes from memory: the grants of each PN, read again whenever its home
 * document changes (network-facts.ts). What is not known yet, or could not be read, is refused.
 */

export interface Grants extends Entitlement {
  /** Learns what is known of a document of a PN, or that it is not held any more: to be told of all that are held, and of every change. */
  learned(document: DocumentId, known: Known<NetworkFact> | undefined): Promise<void>
  stop(): void
  /** Drops the replicas of PNs in which this operator's grant ended longer ago than anybody stays away. */
  sweep(): void
  /** Home and operators with a grant that counts now: those whose servers may know of the PN. */
  sharers(home: DocumentId): OperatorId[]
}

/** What a home document grants: until when, and to whom the root keys with which fingerprint belong, by operator. */
type Granted = ReadonlyMap<OperatorId, { readonly until: number; readonly vouch: Vouch }>

const namesRemembered = 10_000

/** After a replica could not be dropped it is tried again. */
const retryDropMs = 30_000

export function createGrants(options: {
  readonly self: OperatorId
  readonly documents: Documents
  /** Has a home document told anew. */
  readonly refresh: (home: DocumentId) => Promise<void>
  /** Hears what each home document of this operator grants: the ids of the grants. */
  readonly granted: (home: DocumentId, grants: ReadonlyMap<OperatorId, string>) => void
  /** Hears of a grant of this operator that its home still gives, though it has given notice of its end. */
  readonly contradicted: (notice: Statement) => void
  /** After so long nobody who was away comes back. */
  readonly offlineMs: number
  /** What belongs together may arrive so much apart. */
  readonly arrivalMs: number
  readonly clock: Clock
  readonly telemetry: Telemetry
}): Grants {
  const { self, documents, clock, telemetry } = options
  const known = new Map<DocumentId, Granted>()
  const listeners = new Set<(document: DocumentId) => void>()
  /** Home documents without a grant for us, which are dropped soon. */
  const leaving = new Set<DocumentId>()
  /** Home documents that were dropped for want of a grant, as they were then. */
  const refused = new Map<DocumentId, Uint8Array>()
  /** Home documents of which our own visit says that a grant has ended. */
  const withEnded = new Set<DocumentId>()
  /** Of each operator one string for all grants. */
  const operators = new Map<OperatorId, OperatorId>()
  const vouches = createVouches()
  const ends = createEnds<DocumentId>(clock, haveEnded)
  let isStopped = false

  /** What ids say, since they are asked about again and again; forgotten all at once when there are too many. */
  const names = new Map<DocumentId, { readonly name: DocumentName; readonly home: DocumentId | undefined }>()
  function nameOf(document: DocumentId) {
    const known = names.get(document)
    if (known) return known
    const name = parseDocumentId(document)
    const home = name.kind === 'visit' ? homeDocument({ home: name.home, pnId: name.pnId }) : undefined
    if (names.size >= namesRemembered) names.clear()
    names.set(document, { name, home })
    return { name, home }
  }

  const isGranted = (home: DocumentId, operator: OperatorId): boolean => {
    const grant = known.get(home)?.get(operator)
    return grant !== undefined && clock.now() < grant.until
  }

  async function learnedOfHome(home: DocumentId, said: Known<NetworkFact> | undefined): Promise<void> {
    if (!said) return learn(home, new Map())
    const { given, isOwnSaid } = said.fact
    const granted: Granted = new Map(
      given.map(([operator, , expires, fingerprint]) => [
        interned(operator),
        { until: expires, vouch: vouches.of(interned(ownerOf(home)), interned(operator), fingerprint) },
      ]),
    )
    if (ownerOf(home) === self) {
      options.granted(home, new Map(given.map(([operator, id]) => [operator, id])))
      return learn(home, granted)
    }
    const mine = given.find(([operator]) => operator === self)?.[1]
    // As it was kept, it is known already whether our own visit says more.
    const own = said.content || withEnded.has(home) ? await ownOf(home) : undefined
    const ended = own ? endedGrants(own) : new Set<string>()
    // A grant whose revocation this operator was told of grants nothing, whoever still offers the document that gives it.
    const isRevoked = mine !== undefined && ended.has(mine)
    // Another server of this operator may hold it still, and have given it back: each that drops it would get it from the others.
    const isRefused = mine === undefined && isSame(refused.get(home), said.digest)
    learn(home, isRevoked || isRefused ? new Map() : granted)
    if (isRefused) await drop(home, said.digest)
    else if (isRevoked) {
      const notice = own && noticeOf(own, { document: home, grantee: self, grant: mine })
      if (notice) options.contradicted(notice)
      await drop(home, said.digest)
    } else if (mine === undefined && (ended.size > 0 || isOwnSaid)) dropUnlessGiven(home)
  }

  /** Our own document of a PN of others: it may say that our grant has ended. */
  async function learnedOfVisit(home: DocumentId, said: Known<NetworkFact> | undefined): Promise<void> {
    const had = withEnded.delete(home)
    if (said?.fact.hasEnded) withEnded.add(home)
    if ((had || said?.fact.hasEnded) && said?.content && (await documents.index(home))) await options.refresh(home)
  }

  function interned(operator: OperatorId): OperatorId {
    const one = operators.get(operator) ?? operator
    operators.set(one, one)
    return one
  }

  /** This operator's own document of the PN, if there is one. */
  async function ownOf(home: DocumentId): Promise<Registers | undefined> {
    const name = parseDocumentId(home)
    if (name.kind !== 'pn') return undefined
    const own = visitDocument({ home: name.owner, pnId: name.pnId }, self)
    return (await documents.index(own)) && documents.read(own)
  }

  /**
   * The document itself says that we have no grant any more: the revocation was on its way when it was made. Or the one that
   * was given after it has not arrived yet, which is waited for.
   */
  function dropUnlessGiven(home: DocumentId): void {
    if (leaving.has(home)) return
    leaving.add(home)
    clock.after(options.arrivalMs, () => {
      if (!isStopped) void dropIfNotGiven(home).finally(() => leaving.delete(home))
    })
  }

  async function dropEnded(home: DocumentId): Promise<void> {
    try {
      const index = await documents.index(home)
      await drop(home, index?.digest)
    } catch (error) {
      telemetry.log('error', 'inventory.grants.unreadable', { document: home, message: String(error) })
    }
  }

  async function dropIfNotGiven(home: DocumentId): Promise<void> {
    try {
      const index = await documents.index(home)
      const isGiven = index && givenIn(await documents.read(home)).some(([operator]) => operator === self)
      if (!index || isGiven) return
      if (refused.size >= namesRemembered) refused.clear()
      refused.set(home, index.digest)
      await drop(home, index.digest)
    } catch (error) {
      telemetry.log('error', 'inventory.grants.unreadable', { document: home, message: String(error) })
    }
  }

  /**
   * What is held of the PN beside this operator's own documents; the home document last, since by it the rest is found. If
   * that has changed meanwhile it stays, and is read again.
   */
  async function drop(home: DocumentId, digest: Uint8Array | undefined): Promise<void> {
    try {
      for (const document of await Array.fromAsync(replicasOf(documents, home, self))) {
        await (document === home ? documents.forget(document, digest) : documents.forget(document))
        telemetry.count('cpns_replicas_dropped_total')
      }
      telemetry.log('info', 'inventory.replica.dropped', { document: home })
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'inventory.replica.not-dropped', { document: home, message })
      clock.after(retryDropMs, () => {
        if (!isStopped) void options.refresh(home)
      })
    }
  }

  function learn(home: DocumentId, granted: Granted): void {
    if (isStopped) return
    const before = known.get(home)
    if (granted.size === 0) known.delete(home)
    else known.set(home, granted)
    for (const { vouch } of granted.values()) vouches.given(vouch)
    for (const { vouch } of before?.values() ?? []) vouches.withdrawn(vouch)
    const end = nextEnd(granted)
    if (end !== undefined && end !== (before && nextEnd(before))) ends.at(home, end)
    if (!isEqual(before ?? new Map(), granted)) announce(home, new Set([...(before?.keys() ?? []), ...granted.keys()]))
  }

  function nextEnd(granted: Granted): number | undefined {
    const now = clock.now()
    let next: number | undefined
    for (const { until } of granted.values()) if (until > now && (next === undefined || until < next)) next = until
    return next
  }

  function haveEnded(home: DocumentId, end: number): void {
    const granted: Granted = known.get(home) ?? new Map()
    const ended = [...granted].filter(([, { until }]) => until === end).map(([operator]) => operator)
    const next = nextEnd(granted)
    if (next !== undefined && ended.length > 0) ends.at(home, next)
    if (ended.length > 0) announce(home, new Set(ended))
  }

  /** The home document, and all visits: whether the home and the others may hold a visit depends on the visitor's grant. */
  function announce(home: DocumentId, changed: ReadonlySet<OperatorId>): void {
    if (listeners.size === 0) return
    const name = parseDocumentId(home)
    if (name.kind !== 'pn') return
    const network = { home: name.owner, pnId: name.pnId }
    const visitors = new Set([...changed, ...(known.get(home)?.keys() ?? [])])
    const concerned = [home, ...[...visitors].map(visitor => visitDocument(network, visitor))]
    for (const document of concerned) for (const listener of listeners) listener(document)
  }

  return {
    mayHold(document, operator) {
      const { name, home } = nameOf(document)
      if (name.owner === operator) return true
      if (name.kind === 'pn') return isGranted(document, operator)
      if (name.kind !== 'visit' || !home) return false
      return isGranted(home, name.owner) && (name.home === operator || isGranted(home, operator))
    },

    vouched(document) {
      const { name, home } = nameOf(document)
      const grant = home && known.get(home)?.get(name.owner)
      return grant && clock.now() < grant.until ? grant.vouch : undefined
    },

    vouchesFor: operator => vouches.for(operator),

    sharers(home) {
      const granted = [...(known.get(home)?.keys() ?? [])].filter(operator => isGranted(home, operator))
      return [...new Set([nameOf(home).name.owner, ...granted])]
    },

    sweep() {
      for (const [home, granted] of known) {
        const until = granted.get(self)?.until
        if (until === undefined || clock.now() < until + options.offlineMs || ownerOf(home) === self) continue
        void dropEnded(home)
      }
    },

    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async learned(document, said) {
      if (document.startsWith('pn/')) return learnedOfHome(document, said)
      const { home } = nameOf(document)
      if (home && ownerOf(document) === self) await learnedOfVisit(home, said)
    },

    stop() {
      isStopped = true
      ends.stop()
      known.clear()
    },
  }
}

const isSame = (a: Uint8Array | undefined, b: Uint8Array | undefined): boolean =>
  a !== undefined && a.length === b?.length && a.every((byte, at) => byte === b[at])

const isEqual = (a: Granted, b: Granted): boolean =>
  a.size === b.size &&
  [...a].every(([operator, { until, vouch }]) => {
    const other = b.get(operator)
    return other?.until === until && other.vouch.fingerprint === vouch.fingerprint
  })
