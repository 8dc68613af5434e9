import type { Authorship, Documents } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { manifestFaults } from './conduct.ts'
import type { Entitlement, Vouch } from './federation.ts'
import {
  encodeManifest,
  InvalidManifest,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  verifyManifest,
} from './manifest.ts'
import { contradicts, verifySuccession } from './manifest-chain.ts'
import { lengthened } from './manifest-memory.ts'
import { Mentions } from './mentions.ts'
import { rolesIn } from './roles.ts'
import type { Trust } from './trust.ts'
import { bytesOf, keyOf, recalled, remember } from './vouched-memory.ts'

/** Vouches of one home of which manifests are kept, and bytes of those. */
const maxOfHome = 256
const maxBytesOfHome = 8 * 1024 * 1024
/** Manifests between a root and the newest: each more is a change of root keys. */
const maxPath = 32
/** How often it is looked for manifests that nobody vouches for any more. */
const sweepMs = 3_600_000

export interface AuthorsOptions {
  readonly trust: Trust
  readonly vouching: () => Pick<Entitlement, 'vouched' | 'vouchesFor'>
  readonly documents: () => Pick<Documents, 'list' | 'forget'>
  readonly store: Pick<LogStore, 'localScan' | 'commit'>
  readonly crypto: Crypto
  readonly clock: Clock
  readonly telemetry: Telemetry
}

/** Manifests that lead from the root that is vouched for to the newest known. */
interface Kept {
  readonly vouch: Vouch
  readonly path: readonly SignedManifest[]
  readonly bytes: number
}

/**
 * Who may have written what, beyond the operators that this one federates with: in documents of a home that has granted something to
 * an operator, that operator's servers, as its manifests say that lead from the root keys which the grant names. So its entries can
 * be taken through the home. This opens no link and gives no right but that.
 *
 * - Where this operator federates with the author itself, the pinned root alone counts, whatever homes say.
 * - Each home is heard on its own documents only. What one makes up harms no other's.
 * - Kept are manifests as long as some grant vouches for their root; so many of each home.
 */
export class Authors implements Authorship {
  readonly #options: AuthorsOptions
  readonly #kept = new Map<string, Kept>()
  readonly #listeners = new Set<(operator: OperatorId) => void>()
  readonly #ends: Cancel[] = []
  readonly #mentions = new Map<OperatorId, Mentions>()
  #cancelSweep: Cancel = () => {}
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: AuthorsOptions) {
    this.#options = options
  }

  mayHaveWritten(owner: OperatorId, server: ServerId, document: DocumentId): boolean {
    const vouch = this.#vouchOf(document)
    if (!vouch) return this.#options.trust.mayHaveWritten(owner, server)
    const newest = this.#kept.get(keyOf(vouch))?.path.at(-1)
    const role = newest && rolesIn(newest.manifest).roles.get(server)
    return role === 'current' || role === 'retired'
  }

  servers(owner: OperatorId): readonly ServerId[] {
    return this.#options.trust.servers(owner)
  }

  /** Recalls what is vouched for still. To be called when it is known who may hold what. @throws what the store throws */
  async start(): Promise<void> {
    const { trust, store, clock } = this.#options
    for await (const { key, path } of recalled(store)) {
      const [first] = path
      const vouch = first && this.#vouchesFor(first.manifest.operator).find(each => keyOf(each) === key)
      if (vouch) this.#kept.set(key, { vouch, path, bytes: bytesOf(path) })
      else await remember(store, key, undefined)
    }
    this.#ends.push(
      trust.subscribe(change => {
        if (change.type === 'manifest') void this.#inTurn(() => this.#trusted(change.operator))
      }),
    )
    for (const operator of trust.operators()) void this.#inTurn(() => this.#trusted(operator))
    const sweepLater = (): void => {
      this.#cancelSweep = clock.after(sweepMs, () => {
        sweepLater()
        void this.#inTurn(() => this.#sweep())
      })
    }
    sweepLater()
  }

  stop(): void {
    this.#cancelSweep()
    for (const end of this.#ends) end()
  }

  /** Hears of operators of which a newer manifest was accepted without having been asked for. */
  subscribe(listener: (operator: OperatorId) => void): Cancel {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** The number of the newest manifest known of who owns the document, 0 for none; `undefined` if nobody vouches for it, or need not. */
  knownOf(document: DocumentId): number | undefined {
    const vouch = this.#vouchOf(document)
    return vouch && (this.#kept.get(keyOf(vouch))?.path.at(-1)?.manifest.seq ?? 0)
  }

  /** The manifests after that number that lead to the newest of the document's owner, as they are known here. */
  path(owner: OperatorId, document: DocumentId, after: number): readonly Uint8Array[] {
    const vouch = this.#vouchOf(document)
    if (!vouch) return this.#options.trust.path(owner).filter(bytes => parseManifest(bytes).manifest.seq > after)
    const path = this.#kept.get(keyOf(vouch))?.path ?? []
    return path.filter(({ manifest }) => manifest.seq > after).map(encodeManifest)
  }

  /** The newest manifests of an operator that others vouch for. */
  newest(operator: OperatorId): readonly Uint8Array[] {
    const newest = [...this.#kept.values()].flatMap(({ vouch, path }) =>
      vouch.operator === operator ? (path.at(-1) ?? []) : [],
    )
    return newest.map(encodeManifest)
  }

  /** Operators whose documents are taken at a home's word. */
  vouchedBy(home: OperatorId): readonly OperatorId[] {
    const operators = [...this.#kept.values()].flatMap(({ vouch }) => (vouch.home === home ? vouch.operator : []))
    return [...new Set(operators)]
  }

  /** Who answers for the room that the document takes: its owner, or the home that vouches for that one. */
  accountOf(owner: OperatorId, document: DocumentId): OperatorId {
    return this.#vouchOf(document)?.home ?? owner
  }

  /**
   * Takes manifests of one operator, if some home vouches for it, which nobody was asked for: peers pass on what they know.
   * @throws what the store throws
   */
  async heard(path: readonly SignedManifest[], from: string): Promise<void> {
    const [first] = path
    const operator = first?.manifest.operator
    if (!operator || this.#options.trust.isPinned(operator)) return
    const vouches = this.#vouchesFor(operator)
    if (vouches.length === 0) return
    const { isNews } = await this.#inTurn(() => this.#judge(vouches, path, from))
    if (isNews) for (const listener of this.#listeners) listener(operator)
  }

  /**
   * Takes the manifests of the document's owner that a peer was asked for. Returns what its conduct is charged with.
   * @throws what the store throws
   */
  async take(document: DocumentId, manifests: readonly Uint8Array[], from: string): Promise<number> {
    const vouch = this.#vouchOf(document)
    if (!vouch) return 0
    const path: SignedManifest[] = []
    for (const bytes of manifests) {
      const signed = this.#read(bytes, from)
      if (signed?.manifest.operator !== vouch.operator) return manifestFaults.malformed
      path.push(signed)
    }
    const { fault } = await this.#inTurn(() => this.#judge([vouch], path, from))
    return fault
  }

  // --- whom somebody vouches for

  /** Who vouches for the document's owner, if this operator does not federate with it. */
  #vouchOf(document: DocumentId): Vouch | undefined {
    const vouch = this.#options.vouching().vouched?.(document)
    return vouch && !this.#options.trust.isPinned(vouch.operator) ? vouch : undefined
  }

  #vouchesFor(operator: OperatorId): readonly Vouch[] {
    return this.#options.vouching().vouchesFor?.(operator) ?? []
  }

  // --- what is accepted

  async #judge(
    vouches: readonly Vouch[],
    path: readonly SignedManifest[],
    from: string,
  ): Promise<{ readonly isNews: boolean; readonly fault: number }> {
    const { store, telemetry } = this.#options
    const inOrder = [...path].sort((a, b) => a.manifest.seq - b.manifest.seq)
    let isNews = false
    let fault = 0
    for (const vouch of vouches) {
      const key = keyOf(vouch)
      const before = this.#kept.get(key)?.path ?? []
      const { path: after, refused } = this.#followed(vouch, before, inOrder)
      if (refused) {
        this.#refused(refused, vouch, from)
        fault += manifestFaults[refused.reason]
      }
      const newest = after.at(-1)
      if (!newest || after === before || !this.#hasRoom(vouch, after)) continue
      await remember(store, key, after)
      this.#kept.set(key, { vouch, path: after, bytes: bytesOf(after) })
      isNews = true
      const { operator, home } = vouch
      telemetry.log('info', 'authors.manifest', { operator, home, seq: newest.manifest.seq, from })
    }
    return { isNews, fault }
  }

  /** The path with what of the others follows on it, up to the first that does not hold. */
  #followed(
    { fingerprint }: Vouch,
    known: readonly SignedManifest[],
    others: readonly SignedManifest[],
  ): { readonly path: readonly SignedManifest[]; readonly refused?: InvalidManifest } {
    const { crypto } = this.#options
    let path = known
    for (const signed of others) {
      const last = path.at(-1)
      try {
        if (last && this.#isPast(path, signed)) continue
        if (!last && rootFingerprint(signed.manifest, crypto) !== fingerprint) continue
        verifyManifest(signed, crypto)
        if (last) verifySuccession(last, signed, crypto)
        if (last?.manifest.seq !== signed.manifest.seq) path = last ? lengthened(path, signed, crypto) : [signed]
      } catch (error) {
        if (!(error instanceof InvalidManifest)) throw error
        return { path, refused: error }
      }
    }
    return { path }
  }

  /** Whether it is older than what is known, as those are that lead there. @throws {InvalidManifest} when it contradicts that */
  #isPast(path: readonly SignedManifest[], signed: SignedManifest): boolean {
    const { operator, seq } = signed.manifest
    if (contradicts(path, signed, this.#options.crypto))
      throw new InvalidManifest('equivocation', `Manifest ${seq} of ${operator} contradicts what is known.`)
    return seq < (path.at(-1)?.manifest.seq ?? 0)
  }

  #hasRoom({ home, operator, fingerprint }: Vouch, path: readonly SignedManifest[]): boolean {
    let [count, bytes] = [1, bytesOf(path)]
    for (const { vouch, bytes: others } of this.#kept.values()) {
      if (vouch.home !== home || (vouch.operator === operator && vouch.fingerprint === fingerprint)) continue
      count++
      bytes += others
    }
    if (count <= maxOfHome && bytes <= maxBytesOfHome && path.length <= maxPath) return true
    this.#options.telemetry.count('cpns_manifests_refused_total', { reason: 'full' })
    this.#mentionsOf(home).log('warn', 'authors.full', {
      home,
      operator,
      manifests: path.length,
      vouches: count,
      bytes,
    })
    return false
  }

  #read(bytes: Uint8Array, from: string): SignedManifest | undefined {
    try {
      return parseManifest(bytes)
    } catch (error) {
      if (!(error instanceof InvalidManifest)) throw error
      const { reason, message: detail } = error
      this.#options.telemetry.count('cpns_manifests_refused_total', { reason })
      this.#options.telemetry.log('warn', 'manifest.refused', { reason, detail, from })
      return undefined
    }
  }

  #refused({ reason, message: detail }: InvalidManifest, { operator, home }: Vouch, from: string): void {
    const { telemetry } = this.#options
    telemetry.count('cpns_manifests_refused_total', { reason })
    this.#mentionsOf(home).log('warn', 'manifest.refused', { operator, home, reason, detail, from })
  }

  /** A home has whatever it vouches for told within the same bounds. */
  #mentionsOf(home: OperatorId): Mentions {
    const { telemetry, clock } = this.#options
    const mentions = this.#mentions.get(home) ?? new Mentions(telemetry, clock)
    this.#mentions.set(home, mentions)
    return mentions
  }

  // --- what is given up

  /**
   * This operator federates with the other one itself now: its pinned root says who has written. What a home's word let in and that root
   * does not know goes, to be fetched again from who has the true documents.
   */
  async #trusted(operator: OperatorId): Promise<void> {
    const { trust, store, documents, telemetry } = this.#options
    if (!trust.manifestOf(operator)) return
    for (const [key, { vouch }] of [...this.#kept]) {
      if (vouch.operator !== operator) continue
      const { home, fingerprint } = vouch
      for await (const { document, heads } of documents().list(`visit/${operator}/${home}/`)) {
        if (heads.every(({ server }) => trust.mayHaveWritten(operator, server))) continue
        telemetry.log('error', 'authors.contradicted', { operator, home, document, fingerprint })
        await documents().forget(document)
      }
      this.#kept.delete(key)
      await remember(store, key, undefined)
    }
  }

  async #sweep(): Promise<void> {
    for (const [key, { vouch }] of [...this.#kept]) {
      if (this.#vouchesFor(vouch.operator).some(each => keyOf(each) === key)) continue
      this.#kept.delete(key)
      await remember(this.#options.store, key, undefined)
    }
  }

  /** One after another; who asks hears of a failure, the next does not. */
  #inTurn<T>(task: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(task)
    this.#turn = done.catch(error => {
      this.#options.telemetry.log('error', 'authors.failed', { message: String(error) })
    })
    return done
  }
}
