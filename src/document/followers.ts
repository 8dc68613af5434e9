import type { Telemetry } from '../ports/telemetry.ts'
import { type DocumentObserver, EpochPassed } from './documents.ts'
import type { Entry } from './entry.ts'
import type { Replica } from './replica.ts'

/** Updates that are kept for who comes to follow; after more the document is read again when somebody comes. */
const maxWaiting = 512

/**
 * Those who follow a document: each asks once for what it lacks, and is shown every update that counts from then on, until the
 * document is rebuilt. One that fails is dropped: what is durable is durable, whoever cannot hear of it.
 */
export class Followers {
  readonly #replica: Replica
  readonly #telemetry: Telemetry
  readonly #observers = new Set<DocumentObserver>()

  constructor(replica: Replica, telemetry: Telemetry) {
    this.#replica = replica
    this.#telemetry = telemetry
  }

  get size(): number {
    return this.#observers.size
  }

  /** Resolves with the epoch that it follows. @throws {DocumentDamaged} */
  async join(observer: DocumentObserver): Promise<number> {
    await this.#replica.loadState()
    this.#observers.add(observer)
    return this.#replica.index?.epoch ?? 0
  }

  leave(observer: DocumentObserver): void {
    this.#observers.delete(observer)
    if (this.size === 0) this.#replica.dropState()
  }

  /** What the document holds beyond a state vector. @throws {EpochPassed} to whom a new epoch was told; {DocumentDamaged} */
  async diff(observer: DocumentObserver, stateVector: Uint8Array | undefined): Promise<Uint8Array> {
    if (!this.#observers.has(observer))
      throw new EpochPassed(`${this.#replica.document} is no longer followed by this observation; observe it again.`)
    const state = await this.#replica.loadState()
    return state.diff(stateVector)
  }

  /** Shows an update that counts, and keeps it for who comes. @param own whether this server wrote it */
  show({ log, update }: Pick<Entry, 'log' | 'update'>, own: boolean): void {
    const { content, state } = this.#replica
    if (update.length === 0 || this.size === 0 || !content) return
    state?.add({ update, clientId: content.clientOf(log), own })
    if (state && state.waiting > maxWaiting) this.#replica.dropState()
    for (const observer of this.#observers) this.#tell(observer, () => observer.update(update))
  }

  /** Tells all that the document was rebuilt, and how to go on. */
  carryOver(update: Uint8Array, epoch: number): void {
    for (const observer of this.#observers) this.#tell(observer, () => observer.compacted(update, epoch))
  }

  /** Tells all that the document was rebuilt. They have to come again. */
  startAfresh(epoch: number): void {
    const observers = [...this.#observers]
    this.#observers.clear()
    for (const observer of observers) this.#tell(observer, () => observer.epoch(epoch))
  }

  #tell(observer: DocumentObserver, tell: () => void): void {
    try {
      tell()
    } catch (error) {
      this.#observers.delete(observer)
      const detail = error instanceof Error ? error.message : String(error)
      this.#telemetry.log('error', 'document.observer-failed', { document: this.#replica.document, detail })
    }
  }
}
