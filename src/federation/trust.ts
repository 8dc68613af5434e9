import { z } from 'zod'
import type { Authorship } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { LogLevel, Telemetry } from '../ports/telemetry.ts'
import type { EvidenceArchive } from './evidence-archive.ts'
import {
  encodeManifest,
  InvalidManifest,
  type Manifest,
  type ManifestRefusal,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  verifyManifest,
} from './manifest.ts'
import { contradicts, verifySuccession } from './manifest-chain.ts'

/** Why a server may not connect: a fixed set, fit for a metric's label. */
export type ServerRefusal = 'unknown-server' | 'manifest-expired' | 'revoked' | 'retired'

/** What became of a manifest that somebody offered. */
export type Offer =
  /** It is the newest known of its operator now; `news` when it was not before. */
  | { readonly accepted: true; readonly operator: OperatorId; readonly seq: number; readonly news: boolean }
  | {
      readonly accepted: false
      /** Unknown when the manifest could not be read. */
      readonly operator: OperatorId | undefined
      readonly seq: number | undefined
      readonly reason: ManifestRefusal
      readonly detail: string
    }

export type TrustChange =
  /** A newer manifest was accepted, and is remembered. */
  | { readonly type: 'manifest'; readonly operator: OperatorId }
  /** The newest known manifest has run out. */
  | { readonly type: 'expired'; readonly operator: OperatorId }

/**
 * Who belongs to whom: a closed list of operators, each pinned to its root, with the newest manifest of each.
 *
 * - Accepted is what the pinned root signed, or what known manifests lead to from it, each satisfying the keys of the one
 *   before. An older one than known is refused for ever, restarts included; a contradiction is kept as evidence.
 * - A manifest is remembered durably before anything follows from it.
 * - Two operators may name the same server. It is whichever of them it says in `hello`; what the other says of it is void.
 */
export interface Trust extends Authorship {
  readonly operator: OperatorId
  /** Pinned operators, this one included. */
  operators(): readonly OperatorId[]
  /** Operators in whose newest manifest the server stands as current, valid or not. */
  operatorsOf(server: ServerId): readonly OperatorId[]
  /** `undefined` if a valid manifest names the server. */
  refuse(server: ServerId): ServerRefusal | undefined
  /** The newest manifest known, expired or not. */
  manifestOf(operator: OperatorId): Manifest | undefined
  /** Whether the newest manifest is valid now. */
  isValid(operator: OperatorId): boolean
  /** The root fingerprint of the newest manifest, if that is valid. */
  fingerprintOf(operator: OperatorId): string | undefined
  /** Signed manifests that lead from the pinned root to the newest: what somebody who knows the pin alone has to be sent. */
  path(operator: OperatorId): readonly Uint8Array[]
  /**
   * Offers signed manifests; several of one operator count as a path, judged by its end. One answer per operator.
   * @throws when what was accepted could not be stored; then it is not accepted.
   */
  offer(manifests: readonly (Uint8Array | string)[], from: string): Promise<readonly Offer[]>
  /** Hears of changes after they are in force. */
  subscribe(listener: (change: TrustChange) => void): () => void
  /** Stops watching the clock. */
  stop(): void
}

/** How often expiry is looked at, at least: the wall clock may be set while a timer runs. */
const maxWatchMs = 60 * 60 * 1000
const dayMs = 24 * 60 * 60 * 1000
/** How long before it runs out a manifest is warned of, once a day: time to fetch root keys from where they are kept. */
const soonMs = 30 * dayMs

const recordSchema = z.strictObject({
  pin: z.string(),
  path: z.array(z.unknown()).transform(items => items.map(signedFrom)),
  /** Written by earlier versions; what can be proved of them stands in the archive of evidence. */
  contradictions: z.array(z.unknown()).optional(),
})

/** What is remembered of one operator. `path` ends with the newest manifest; those before it each brought new roots. */
type Memory = Omit<z.infer<typeof recordSchema>, 'contradictions'>

export interface TrustOptions {
  /** This operator's signed manifest. */
  readonly own: string | Uint8Array
  /** Root fingerprints of the operators that this one federates with; its own too, if its file is to be held to it. */
  readonly pins: ReadonlyMap<OperatorId, string>
  readonly store: Pick<LogStore, 'local' | 'commit'>
  readonly evidence: Pick<EvidenceArchive, 'keepManifests'>
  readonly crypto: Crypto
  readonly clock: Clock
  readonly telemetry: Telemetry
}

/** @throws {InvalidManifest} when this operator's own manifest does not hold, or contradicts what is remembered. */
export async function createTrust({
  own,
  pins,
  store,
  evidence,
  crypto,
  clock,
  telemetry,
}: TrustOptions): Promise<Trust> {
  const ownSigned = parseManifest(own)
  const operator = ownSigned.manifest.operator
  const roots = new Map([[operator, rootFingerprint(ownSigned.manifest, crypto)], ...pins])
  const memories = new Map<OperatorId, Memory>()
  const listeners = new Set<(change: TrustChange) => void>()
  /** Operators whose expiry has been announced. */
  const expired = new Set<OperatorId>()
  /** Days that were left when a manifest was last warned of. */
  const warned = new Map<OperatorId, number>()
  let cancelWatch: Cancel = () => {}
  let turn: Promise<unknown> = Promise.resolve()

  for (const [pinned, pin] of roots) memories.set(pinned, await recalled(pinned, pin))

  async function recalled(of: OperatorId, pin: string): Promise<Memory> {
    const none = { pin, path: [] }
    const stored = await store.local(recordKey(of))
    if (!stored) return none
    const { contradictions: _, ...memory } = recordSchema.parse(JSON.parse(new TextDecoder().decode(stored)))
    const known = memory.path.map(({ manifest }) => rootFingerprint(manifest, crypto))
    // This operator's own file is judged below, by the keys remembered unless others are pinned.
    const isPinned = of !== operator || pins.has(of)
    if (!isPinned || memory.pin === pin || known.includes(pin)) return memory
    telemetry.log('warn', 'trust.repinned', { operator: of, fingerprint: pin })
    return none
  }

  const newest = (of: OperatorId): SignedManifest | undefined => memories.get(of)?.path.at(-1)
  const isValid = (of: OperatorId): boolean => (newest(of)?.manifest.expires ?? 0) > clock.now()

  /** Judges a manifest and, if it is newer, remembers it. @throws {InvalidManifest} */
  async function accept(signed: SignedManifest): Promise<boolean> {
    const { manifest } = signed
    const memory = memories.get(manifest.operator)
    if (!memory) {
      throw new InvalidManifest(
        'unpinned',
        `${manifest.operator} is not among the trusted operators; pin its root fingerprint ${rootFingerprint(manifest, crypto)} to trust it.`,
      )
    }
    verifyManifest(signed, crypto)
    const known = memory.path.at(-1)
    if (contradicts(memory.path, signed, crypto)) throw await contradiction(memory.path, signed)
    if (known) verifySuccession(known, signed, crypto)
    else verifyRoot(manifest, memory.pin)
    if (known?.manifest.seq === manifest.seq) return false
    await remember(manifest.operator, { ...memory, path: lengthened(memory.path, signed) })
    return true
  }

  function verifyRoot(manifest: Manifest, pin: string): void {
    const found = rootFingerprint(manifest, crypto)
    if (found === pin) return
    throw new InvalidManifest(
      'root',
      `The root keys of ${manifest.operator} have the fingerprint ${found}, pinned is ${pin}; ask the operator which holds.`,
    )
  }

  /** The path with `next` at its end; a manifest goes that stands between two of the same root. */
  function lengthened(path: readonly SignedManifest[], next: SignedManifest): SignedManifest[] {
    const [last, before] = path.slice(-2).reverse()
    const neededToFollow = before !== undefined && last !== undefined && rootOf(before) !== rootOf(last)
    const spare = last !== undefined && rootOf(last) === rootOf(next) && !neededToFollow
    return spare ? [...path.slice(0, -1), next] : [...path, next]
  }

  const rootOf = ({ manifest }: SignedManifest): string => rootFingerprint(manifest, crypto)

  async function remember(of: OperatorId, memory: Memory): Promise<void> {
    const value = new TextEncoder().encode(JSON.stringify(memory))
    await store.commit({ documents: [], local: [{ key: recordKey(of), value }] })
    memories.set(of, memory)
  }

  /** Keeps the proof that an operator, or a thief of its keys, has signed two manifests that exclude each other. */
  async function contradiction(path: readonly SignedManifest[], signed: SignedManifest): Promise<InvalidManifest> {
    const { operator: of, seq } = signed.manifest
    telemetry.log('error', 'trust.equivocation', { operator: of, seq })
    telemetry.count('cpns_manifest_equivocations_total')
    await evidence.keepManifests(path, signed)
    return new InvalidManifest(
      'equivocation',
      `Manifest ${seq} of ${of} contradicts what is known; ask the operator which holds. cpns peer evidence shows both.`,
    )
  }

  async function judge(signed: SignedManifest): Promise<Offer> {
    const { operator: of, seq } = signed.manifest
    try {
      const news = await accept(signed)
      if (news) announce({ type: 'manifest', operator: of })
      return { accepted: true, operator: of, seq, news }
    } catch (error) {
      if (!(error instanceof InvalidManifest)) throw error
      return { accepted: false, operator: of, seq, reason: error.reason, detail: error.message }
    }
  }

  async function judgePaths(manifests: readonly (Uint8Array | string)[], from: string): Promise<Offer[]> {
    const offers: Offer[] = []
    const paths = Map.groupBy(readable(manifests, offers), ({ manifest }) => manifest.operator)
    for (const path of paths.values()) {
      let judged: Offer | undefined
      for (const signed of path.sort((a, b) => a.manifest.seq - b.manifest.seq)) judged = await judge(signed)
      if (judged) offers.push(judged)
    }
    for (const offer of offers) report(offer, from)
    return offers
  }

  function report(offer: Offer, from: string): void {
    if (offer.accepted) {
      if (offer.news) telemetry.log('info', 'trust.manifest', { operator: offer.operator, seq: offer.seq, from })
      return
    }
    const { operator: of, seq, reason, detail } = offer
    telemetry.count('cpns_manifests_refused_total', { reason })
    telemetry.log(levels[reason], 'manifest.refused', { operator: of, seq, reason, detail, from })
  }

  function announce(change: TrustChange): void {
    if (change.type === 'manifest') {
      expired.delete(change.operator)
      warned.delete(change.operator)
    }
    for (const listener of listeners) listener(change)
    watch()
  }

  /** Says so when a manifest runs out, and looks again when the next one will. */
  function watch(): void {
    cancelWatch()
    for (const of of memories.keys()) {
      if (!newest(of) || isValid(of) || expired.has(of)) continue
      expired.add(of)
      telemetry.log('error', 'trust.expired', { operator: of })
      for (const listener of listeners) listener({ type: 'expired', operator: of })
    }
    warn()
    const left = [...memories.keys()]
      .filter(of => !expired.has(of))
      .map(of => (newest(of)?.manifest.expires ?? Number.POSITIVE_INFINITY) - clock.now())
    if (left.length > 0) cancelWatch = clock.after(Math.min(...left, maxWatchMs), watch)
  }

  /** Says each day that a manifest is about to run out, so that it is renewed before its links end. */
  function warn(): void {
    for (const of of memories.keys()) {
      const manifest = newest(of)?.manifest
      const leftMs = manifest ? manifest.expires - clock.now() : 0
      // One that never was good for much longer is renewed often anyway: the last third of its time tells as much.
      const isSoon = manifest && leftMs <= Math.min(soonMs, (manifest.expires - manifest.issued) / 3)
      const days = Math.ceil(leftMs / dayMs)
      if (!isSoon || leftMs <= 0 || warned.get(of) === days) continue
      warned.set(of, days)
      telemetry.log('warn', 'trust.expires-soon', { operator: of, days })
    }
  }

  /** Asked for every entry of a peer, so read from each manifest once. */
  const read = new WeakMap<Manifest, Facts>()
  function facts(manifest: Manifest): Facts {
    const known = read.get(manifest) ?? factsOf(manifest)
    read.set(manifest, known)
    return known
  }

  function roleOf(of: OperatorId, server: ServerId): Role | undefined {
    const manifest = newest(of)?.manifest
    return manifest && facts(manifest).roles.get(server)
  }

  const trust: Trust = {
    operator,
    operators: () => [...memories.keys()],
    operatorsOf: server => [...memories.keys()].filter(of => roleOf(of, server) === 'current'),
    refuse(server) {
      const naming = trust.operatorsOf(server)
      if (naming.some(isValid)) return undefined
      if (naming.length > 0) return 'manifest-expired'
      const past = [...memories.keys()].map(of => roleOf(of, server))
      if (past.includes('revoked')) return 'revoked'
      return past.includes('retired') ? 'retired' : 'unknown-server'
    },
    manifestOf: of => newest(of)?.manifest,
    isValid,
    fingerprintOf(of) {
      const manifest = newest(of)?.manifest
      return manifest && isValid(of) ? rootFingerprint(manifest, crypto) : undefined
    },
    path: of => memories.get(of)?.path.map(encodeManifest) ?? [],
    offer(manifests, from) {
      const judged = turn.then(() => judgePaths(manifests, from))
      turn = judged.catch(() => {}) // who offered hears of the failure; the next offer is judged all the same
      return judged
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop: () => cancelWatch(),
    mayHaveWritten: (owner, server) => ['current', 'retired'].includes(roleOf(owner, server) ?? 'unknown'),
    servers(owner) {
      const manifest = newest(owner)?.manifest
      return manifest ? facts(manifest).servers : []
    },
  }

  const [offered] = await trust.offer([own], 'own file')
  if (offered && !offered.accepted && offered.reason !== 'rollback') {
    throw new InvalidManifest(offered.reason, offered.detail)
  }
  watch()
  return trust
}

type Role = 'current' | 'retired' | 'revoked'

interface Facts {
  readonly roles: ReadonlyMap<ServerId, Role>
  readonly servers: readonly ServerId[]
}

/** A server that stands in several lists is what the first of current, revoked, retired says. */
const factsOf = ({ servers, revoked, retired }: Manifest): Facts => ({
  roles: new Map<ServerId, Role>([
    ...retired.map(server => [server, 'retired'] as const),
    ...revoked.map(server => [server, 'revoked'] as const),
    ...servers.map(({ peerId }) => [peerId, 'current'] as const),
  ]),
  servers: servers.map(({ peerId }) => peerId),
})

const recordKey = (operator: OperatorId): string => `manifest/${operator}`

/** How loud a refused manifest is: an older one, or one of a stranger, is what gossip brings every day. */
const levels: Readonly<Record<ManifestRefusal, LogLevel>> = {
  malformed: 'warn',
  signature: 'warn',
  root: 'warn',
  succession: 'warn',
  equivocation: 'error',
  unpinned: 'debug',
  rollback: 'info',
}

const signedFrom = (item: unknown): SignedManifest => parseManifest(JSON.stringify(item))

/** Those that can be read; the others go into `offers` as refused. */
function readable(manifests: readonly (Uint8Array | string)[], offers: Offer[]): SignedManifest[] {
  return manifests.flatMap(bytes => {
    try {
      return [parseManifest(bytes)]
    } catch (error) {
      if (!(error instanceof InvalidManifest)) throw error
      const { reason, message: detail } = error
      offers.push({ accepted: false, operator: undefined, seq: undefined, reason, detail })
      return []
    }
  })
}
