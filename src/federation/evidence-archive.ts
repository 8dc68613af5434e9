import { base64url } from 'multiformats/bases/base64'
import { openEntry } from '../document/entry.ts'
import { decodeEquivocation, type Equivocation } from '../document/equivocation-record.ts'
import { evidencePrefix } from '../document/local-records.ts'
import { ownerOf } from '../document/names.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type Evidence, formatEvidence, type Proven, parseEvidence, verifyEvidence } from './evidence.ts'
import { parseManifest, type SignedManifest } from './manifest.ts'

/*
 * The evidence that a server has against operators: `proof/<operator>/<what>`, one record for each log and each number of a
 * manifest that was signed twice. It outlives the document and the trust. Of one operator a bounded part is kept, what came
 * first: a few prove the point, and nobody fills a disk by accusing itself.
 */

const maxPerOperator = 32
const maxBytesPerOperator = 8 * 1024 * 1024
const prefix = 'proof/'

/** Evidence with what it proves. */
export interface KeptEvidence {
  readonly evidence: Evidence
  readonly proven: Proven
}

export interface EvidenceArchiveOptions {
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly crypto: Crypto
  readonly telemetry: Telemetry
}

/** Manifests of an operator that lead from its root to its newest; none, if it is unknown. */
type PathOf = (operator: OperatorId) => readonly Uint8Array[]

export class EvidenceArchive {
  readonly #options: EvidenceArchiveOptions
  /** Bytes by key, of each operator that was looked at. */
  readonly #kept = new Map<OperatorId, Map<string, number>>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: EvidenceArchiveOptions) {
    this.#options = options
  }

  /** Keeps evidence, if it is some and there is room; durable when it resolves. @throws what the store throws */
  keep(evidence: Evidence): Promise<void> {
    const kept = this.#turn.then(() => this.#keep(evidence))
    this.#turn = kept.catch(() => {}) // who brought it hears of the failure; the next one is kept all the same
    return kept
  }

  /** Keeps two manifests that contradict each other. @param known those that led to the one that `other` denies */
  keepManifests(known: readonly SignedManifest[], other: SignedManifest): Promise<void> {
    return this.keep({ kind: 'manifests', manifests: known, other })
  }

  /**
   * Keeps two entries of one log, with the manifests that make their server one of the owner's.
   * @throws what the store throws
   */
  async keepEntries({ first, second }: Equivocation, pathOf: PathOf): Promise<void> {
    const owner = ownerOf(openEntry(first, this.#options.crypto).entry.document)
    const manifests = pathOf(owner).map(bytes => parseManifest(bytes))
    if (manifests.length > 0) await this.keep({ kind: 'entries', first, second, manifests })
  }

  /** {@link keepEntries} for who cannot wait: what could not be kept is in the log, and recovered at the next start. */
  notice(found: Equivocation, pathOf: PathOf): void {
    this.keepEntries(found, pathOf).catch(error => this.#troubled(error))
  }

  /** Takes in what was found when the server ended before it could be kept here. Nothing of it is urgent. */
  async recover(pathOf: PathOf): Promise<void> {
    const { store } = this.#options
    try {
      for await (const { value } of store.localScan(evidencePrefix)) {
        await this.keepEntries(decodeEquivocation(value), pathOf)
      }
    } catch (error) {
      this.#troubled(error)
    }
  }

  /** All of it, or that against one operator. */
  async *list(operator?: OperatorId): AsyncIterable<KeptEvidence> {
    const { store, crypto } = this.#options
    for await (const { value } of store.localScan(operator === undefined ? prefix : prefixOf(operator))) {
      const evidence = parseEvidence(new TextDecoder().decode(value))
      yield { evidence, proven: verifyEvidence(evidence, crypto) }
    }
  }

  async #keep(evidence: Evidence): Promise<void> {
    const { store, crypto, telemetry } = this.#options
    const proven = verifyEvidence(evidence, crypto)
    const { operator, kind } = proven
    const kept = await this.#keptOf(operator)
    const key = this.#keyOf(proven)
    if (kept.has(key)) return
    const value = new TextEncoder().encode(formatEvidence(evidence))
    const bytes = [...kept.values()].reduce((sum, each) => sum + each, value.length)
    if (kept.size >= maxPerOperator || bytes > maxBytesPerOperator) {
      telemetry.count('cpns_evidence_not_kept_total')
      telemetry.log('warn', 'evidence.not-kept', { operator, kind, kept: kept.size })
      return
    }
    await store.commit({ documents: [], local: [{ key, value }] })
    kept.set(key, value.length)
    telemetry.log('warn', 'evidence.kept', { operator, kind })
  }

  #troubled(error: unknown): void {
    const message = error instanceof Error ? error.message : String(error)
    this.#options.telemetry.log('error', 'evidence.failed', { message })
  }

  /** One for each log, and for each number of a manifest. */
  #keyOf(proven: Proven): string {
    const what = proven.kind === 'entries' ? `${proven.document} ${proven.log}` : `${proven.seq}`
    const name = this.#options.crypto.sha256(new TextEncoder().encode(`${proven.kind} ${what}`))
    return prefixOf(proven.operator) + base64url.baseEncode(name)
  }

  async #keptOf(operator: OperatorId): Promise<Map<string, number>> {
    const known = this.#kept.get(operator)
    if (known) return known
    const found = new Map<string, number>()
    for await (const { key, value } of this.#options.store.localScan(prefixOf(operator))) found.set(key, value.length)
    this.#kept.set(operator, found)
    return found
  }
}

const prefixOf = (operator: OperatorId): string => `${prefix}${operator}/`
