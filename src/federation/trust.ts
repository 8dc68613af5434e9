import type { Authorship } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { LogLevel, Telemetry } from '../ports/telemetry.ts'
import type { EvidenceArchive } from './evidence-archive.ts'
import { ExpiryWatch } from './expiry-watch.ts'
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
import { lengthened, type Memory, recalled, remember } from './manifest-memory.ts'
import { type Role, rolesIn } from './roles.ts'

/** Why a server may not connect: a fixed set, fit for a metric's label. */
export type ServerRefusal = 'unknown-server' | 'manifest-expired' | 'revoked' | 'retired' | 'quarantined'

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
  /** It is not among the trusted operators any more. */
  | { readonly type: 'distrusted'; readonly operator: OperatorId }
  /** It was put into quarantine, or released. */
  | { readonly type: 'quarantine'; readonly operator: OperatorId }

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
  /** Whether the newest manifest of `owner` names the server as a current one or a retired one. */
  mayHaveWritten(owner: OperatorId, server: ServerId): boolean
  /** Pinned operators, this one included. */
  operators(): readonly OperatorId[]
  /** Operators in whose newest manifest the server stands as current, valid or not. */
  operatorsOf(server: ServerId): readonly OperatorId[]
  /**
   * `undefined` if a valid manifest names the server, of an operator that is not in quarantine.
   * @param as whose server it has proved to be: what others say of it does not count then
   */
  refuse(server: ServerId, as?: OperatorId): ServerRefusal | undefined
  /** The newest manifest known, expired or not. */
  manifestOf(operator: OperatorId): Manifest | undefined
  /** Whether the newest manifest is valid now. */
  isValid(operator: OperatorId): boolean
  /** Whether this operator works with it now: its manifest is valid, and it is not in quarantine. */
  isOpen(operator: OperatorId): boolean
  isQuarantined(operator: OperatorId): boolean
  /** Whether it is among the operators that this one federates with. */
  isPinned(operator: OperatorId): boolean
  /** Says which operators are in quarantine: with those this one has nothing to do until they are released. */
  quarantine(operators: ReadonlySet<OperatorId>): void
  /**
   * Says which operators are trusted from now on, and by which roots; the own one stays. Of those that are not any more what is known
   * is kept, for the case that they are again. In force when it resolves. @throws what the store throws
   */
  pin(pins: ReadonlyMap<OperatorId, string>): Promise<void>
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

export interface TrustOptions {
  /** This operator's signed manifest. */
  readonly own: string | Uint8Array
  /** Root fingerprints of the operators that this one federates with; its own too, if its file is to be held to it. */
  readonly pins: ReadonlyMap<OperatorId, string>
  readonly store: Pick<LogStore, 'local' | 'commit'>
  readonly evidence: Pick<EvidenceArchive, 'keepManifests'>
  /** Hears of manifests of operators that are not pinned, a path at a time: they are refused all the same. */
  readonly unpinned?: (path: readonly SignedManifest[], from: string) => Promise<void>
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
  unpinned,
  crypto,
  clock,
  telemetry,
}: TrustOptions): Promise<Trust> {
  const ownSigned = parseManifest(own)
  const operator = ownSigned.manifest.operator
  const roots = new Map([[operator, rootFingerprint(ownSigned.manifest, crypto)], ...pins])
  const memories = new Map<OperatorId, Memory>()
  const listeners = new Set<(change: TrustChange) => void>()
  const watch = new ExpiryWatch({
    clock,
    telemetry,
    manifests: () => [...memories.keys()].flatMap(of => newest(of)?.manifest ?? []),
    ended: of => tell({ type: 'expired', operator: of }),
  })
  let quarantined: ReadonlySet<OperatorId> = new Set()
  let turn: Promise<unknown> = Promise.resolve()

  const leadsFrom = (memory: Memory, pin: string): boolean =>
    memory.pin === pin || memory.path.some(({ manifest }) => rootFingerprint(manifest, crypto) === pin)

  for (const [pinned, pin] of roots) memories.set(pinned, await memoryOf(pinned, pin))

  /** What is remembered of an operator, if it leads on from the pin. */
  async function memoryOf(of: OperatorId, pin: string): Promise<Memory> {
    const memory = await recalled(store, of)
    if (!memory) return { pin, path: [] }
    // This operator's own file is judged below, by the keys remembered unless others are pinned.
    const isPinned = of !== operator || pins.has(of)
    if (!isPinned || leadsFrom(memory, pin)) return memory
    telemetry.log('warn', 'trust.repinned', { operator: of, fingerprint: pin })
    return { pin, path: [] }
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
    const next = { ...memory, path: lengthened(memory.path, signed, crypto) }
    await remember(store, manifest.operator, next)
    memories.set(manifest.operator, next)
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
      if (judged?.accepted === false && judged.reason === 'unpinned') await unpinned?.(path, from)
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
    if (change.type === 'manifest') watch.renewed(change.operator)
    tell(change)
    watch.look()
  }

  function tell(change: TrustChange): void {
    for (const listener of listeners) listener(change)
  }

  /** What can fail comes first: whoever pins has either all of it or what was before. */
  async function pin(to: ReadonlyMap<OperatorId, string>): Promise<void> {
    const isKnown = (of: OperatorId, fingerprint: string): boolean => {
      const memory = memories.get(of)
      return memory !== undefined && leadsFrom(memory, fingerprint)
    }
    const others = [...to].filter(([of, fingerprint]) => of !== operator && !isKnown(of, fingerprint))
    const fresh = await Promise.all(
      others.map(async ([of, fingerprint]) => ({ of, fingerprint, memory: await memoryOf(of, fingerprint) })),
    )
    for (const of of [...memories.keys()]) {
      if (of === operator || to.has(of)) continue
      memories.delete(of)
      telemetry.log('warn', 'trust.distrusted', { operator: of })
      announce({ type: 'distrusted', operator: of })
    }
    for (const { of, fingerprint, memory } of fresh) {
      memories.set(of, memory)
      telemetry.log('info', 'trust.pinned', { operator: of, fingerprint })
      announce({ type: 'manifest', operator: of })
    }
  }

  function roleOf(of: OperatorId, server: ServerId): Role | undefined {
    const manifest = newest(of)?.manifest
    return manifest && rolesIn(manifest).roles.get(server)
  }

  const trust: Trust = {
    operator,
    operators: () => [...memories.keys()],
    operatorsOf: server => [...memories.keys()].filter(of => roleOf(of, server) === 'current'),
    refuse(server, as) {
      const naming = trust.operatorsOf(server).filter(of => as === undefined || of === as)
      if (naming.some(trust.isOpen)) return undefined
      if (naming.some(of => quarantined.has(of))) return 'quarantined'
      if (naming.length > 0) return 'manifest-expired'
      const past = [...memories.keys()].map(of => roleOf(of, server))
      if (past.includes('revoked')) return 'revoked'
      return past.includes('retired') ? 'retired' : 'unknown-server'
    },
    manifestOf: of => newest(of)?.manifest,
    isValid,
    isOpen: of => isValid(of) && !quarantined.has(of),
    isQuarantined: of => quarantined.has(of),
    isPinned: of => memories.has(of),
    quarantine(operators) {
      const next = new Set([...operators].filter(of => of !== operator))
      const changed = [...new Set([...quarantined, ...next])].filter(of => quarantined.has(of) !== next.has(of))
      quarantined = next
      for (const of of changed) tell({ type: 'quarantine', operator: of })
    },
    pin(to) {
      const pinned = turn.then(() => pin(to))
      turn = pinned.catch(() => {}) // who pins hears of the failure
      return pinned
    },
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
    stop: () => watch.stop(),
    mayHaveWritten: (owner, server) => ['current', 'retired'].includes(roleOf(owner, server) ?? 'unknown'),
    servers(owner) {
      const manifest = newest(owner)?.manifest
      return manifest ? rolesIn(manifest).servers : []
    },
  }

  const [offered] = await trust.offer([own], 'own file')
  if (offered && !offered.accepted && offered.reason !== 'rollback') {
    throw new InvalidManifest(offered.reason, offered.detail)
  }
  watch.look()
  return trust
}

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
