import type { Cancel, Clock } from '../ports/clock.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Manifest } from './manifest.ts'

/** How often expiry is looked at, at least: the wall clock may be set while a timer runs. */
const maxWatchMs = 60 * 60 * 1000
const dayMs = 24 * 60 * 60 * 1000
/** How long before it runs out a manifest is warned of, once a day: time to fetch root keys from where they are kept. */
const soonMs = 30 * dayMs

/**
 * Whether a manifest is about to run out. One that never was good for much longer is renewed often anyway: the last third of
 * its time tells as much.
 */
export function isExpiringSoon({ issued, expires }: Pick<Manifest, 'issued' | 'expires'>, nowMs: number): boolean {
  return expires - nowMs <= Math.min(soonMs, (expires - issued) / 3)
}

/** Says when manifests are about to run out, each day, and when they have. */
export class ExpiryWatch {
  readonly #clock: Clock
  readonly #telemetry: Telemetry
  readonly #manifests: () => Iterable<Manifest>
  readonly #ended: (operator: OperatorId) => void
  /** Operators whose expiry has been announced. */
  readonly #expired = new Set<OperatorId>()
  /** Days that were left when a manifest was last warned of. */
  readonly #warned = new Map<OperatorId, number>()
  #cancel: Cancel = () => {}

  constructor(options: {
    readonly clock: Clock
    readonly telemetry: Telemetry
    /** The newest of each operator. */
    readonly manifests: () => Iterable<Manifest>
    /** Hears of each that has run out, once. */
    readonly ended: (operator: OperatorId) => void
  }) {
    this.#clock = options.clock
    this.#telemetry = options.telemetry
    this.#manifests = options.manifests
    this.#ended = options.ended
  }

  /** There is a newer manifest. */
  renewed(operator: OperatorId): void {
    this.#expired.delete(operator)
    this.#warned.delete(operator)
  }

  /** Says what is to be said now, and looks again when the next one will run out. */
  look(): void {
    this.#cancel()
    const nowMs = this.#clock.now()
    let nextMs = maxWatchMs
    for (const manifest of this.#manifests()) {
      const leftMs = manifest.expires - nowMs
      if (leftMs <= 0) this.#end(manifest.operator)
      else {
        this.#warn(manifest, leftMs, nowMs)
        nextMs = Math.min(nextMs, leftMs)
      }
    }
    this.#cancel = this.#clock.after(nextMs, () => this.look())
  }

  stop(): void {
    this.#cancel()
  }

  #end(operator: OperatorId): void {
    if (this.#expired.has(operator)) return
    this.#expired.add(operator)
    this.#telemetry.log('error', 'trust.expired', { operator })
    this.#ended(operator)
  }

  #warn(manifest: Manifest, leftMs: number, nowMs: number): void {
    const { operator } = manifest
    const days = Math.ceil(leftMs / dayMs)
    if (!isExpiringSoon(manifest, nowMs) || this.#warned.get(operator) === days) return
    this.#warned.set(operator, days)
    this.#telemetry.log('warn', 'trust.expires-soon', { operator, days })
  }
}
