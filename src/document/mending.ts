import { CorruptRecord } from '../ports/log-store.ts'
import type { Ingested } from './ingest.ts'
import type { DocumentsContext, Replica } from './replica.ts'
import type { Revenants } from './revenants.ts'
import { endOfDamage, isWholeAgain, rejoin, takeApart } from './salvage.ts'

/** What the document in use does about it. */
export interface MendingEvents {
  /** The document is about to be taken apart: nobody may go on with what was shown of it, or with its log. */
  lost(): void
  /** The document is another one now. `isDamaged`: something is lacking that peers are to be asked for. */
  changed(isDamaged: boolean): void
}

/**
 * A document in use on a disk that changes what it holds. Whatever reads the disk is done through {@link reading}: if a record
 * turns out to be damaged, the document is taken apart and put together from what is whole (`salvage.ts`), and it is done again.
 */
export class Mending {
  readonly #replica: Replica
  readonly #revenants: Revenants
  readonly #context: DocumentsContext
  readonly #events: MendingEvents
  /** Whether it was looked for what an earlier life has put aside of it. */
  #isResumed = false

  constructor(replica: Replica, revenants: Revenants, context: DocumentsContext, events: MendingEvents) {
    this.#replica = replica
    this.#revenants = revenants
    this.#context = context
    this.#events = events
  }

  /** Does something that reads the disk. If that has changed a record, the document is mended as far as it can be, and it is done again. */
  async reading<T>(action: () => Promise<T>): Promise<T> {
    try {
      if (!this.#isResumed) await this.#resume()
      return await action()
    } catch (error) {
      if (!(error instanceof CorruptRecord)) throw error
      await this.#mend(error)
      return await action()
    }
  }

  /** Reads everything, content aside: the store tells what does not match. Resolves with the bytes of the entries. */
  examine(): Promise<number> {
    const { store } = this.#context
    return this.reading(async () => {
      let bytes = 0
      for await (const entry of store.entries(this.#replica.document)) bytes += entry.bytes.length
      await store.local(this.#replica.keys.claims)
      return bytes
    })
  }

  /** What lies aside may join on to what a peer has brought. */
  async rejoin(): Promise<Ingested | undefined> {
    const context = this.#context
    if (!(await context.damages.of(this.#replica.document))) return undefined
    const rejoined = await rejoin(this.#replica, this.#revenants, context)
    await isWholeAgain(this.#replica, context)
    return rejoined
  }

  /** Shows what is whole from now on, and erases what lies behind the damage. Resolves with whether there was any. */
  async giveUp(): Promise<boolean> {
    const { damages, store, telemetry } = this.#context
    const { document } = this.#replica
    if (!(await damages.of(document))) return false
    await this.#replica.loadLedger()
    await store.commit({ documents: [], local: await endOfDamage(this.#replica, this.#context) })
    damages.forget(document)
    telemetry.log('warn', 'document.given-up', { document })
    this.#events.changed(false)
    return true
  }

  /** Takes the document apart and puts it together from what is whole; peers are asked for the rest. */
  async #mend({ record }: CorruptRecord): Promise<void> {
    const { telemetry } = this.#context
    const { document } = this.#replica
    telemetry.count('cpns_documents_damaged_total')
    telemetry.log('error', 'document.damaged', { document, record })
    this.#events.lost()
    this.#replica.reset()
    this.#isResumed = true
    await takeApart(document, this.#context)
    this.#context.indexes.forget(document)
    await rejoin(this.#replica, this.#revenants, this.#context)
    const isWhole = await isWholeAgain(this.#replica, this.#context)
    this.#events.changed(!isWhole)
  }

  /** An earlier life may have ended, or a repair, when the document had been taken apart. */
  async #resume(): Promise<void> {
    this.#isResumed = true
    if (await this.rejoin()) this.#events.changed(false)
  }
}
