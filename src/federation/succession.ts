import type { Documents } from '../document/documents.ts'
import { ownerOf } from '../document/names.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'

export interface SuccessionOptions {
  readonly operator: OperatorId
  readonly self: ServerId
  /** The servers of the operator's newest manifest. */
  readonly servers: () => readonly ServerId[]
  readonly documents: Pick<Documents, 'list' | 'compact'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}

/** From a change of the manifest until it is looked what servers have left behind: what they still give is to come first. */
const beginAfterMs = 30_000
/** Index records that are read in one go, and the pause after them, and after each document that was copied. */
const recordsAtOnce = 500
const pauseMs = 5

/**
 * What servers that have left the operator wrote, and nobody else would ever copy: documents that are still written are
 * compacted with what comes, the others by this, one after another. Of the servers that are left one does it, that with the
 * smallest id, as with what comes.
 */
export class Succession {
  readonly #options: SuccessionOptions
  #cancel: Cancel = () => {}
  /** Another one whenever it begins anew, and when it ends. */
  #life = 0

  constructor(options: SuccessionOptions) {
    this.#options = options
  }

  /** The operator has another manifest, or this server has just begun. */
  due(): void {
    const { clock } = this.#options
    const life = ++this.#life
    this.#cancel()
    this.#cancel = clock.after(beginAfterMs, () => void this.#succeed(life))
  }

  stop(): void {
    this.#life++
    this.#cancel()
  }

  async #succeed(life: number): Promise<void> {
    const { self, servers, telemetry } = this.#options
    const isOver = () => life !== this.#life
    if (!servers().includes(self) || servers().some(server => server < self)) return
    let copied = 0
    try {
      for await (const document of this.#orphaned(isOver)) if (await this.#copy(document)) copied++
    } catch (error) {
      telemetry.log('error', 'succession.broken', { message: messageOf(error) })
    }
    if (copied > 0) telemetry.log('info', 'succession.done', { documents: copied })
  }

  /** One that cannot be copied is left to what comes; the others are not to suffer. */
  async #copy(document: DocumentId): Promise<boolean> {
    const { documents, telemetry } = this.#options
    try {
      await documents.compact(document)
      return true
    } catch (error) {
      telemetry.log('warn', 'succession.failed', { document, message: messageOf(error) })
      return false
    } finally {
      await this.#pause()
    }
  }

  /** Page by page: nothing is held open while documents are copied. */
  async *#orphaned(isOver: () => boolean): AsyncGenerator<DocumentId> {
    const { operator, servers, documents } = this.#options
    let from = ''
    for (;;) {
      const orphaned: DocumentId[] = []
      let read = 0
      const isLeft = ({ heads }: IndexRecord) => heads.some(({ server }) => !servers().includes(server))
      for await (const index of documents.list('', from)) {
        if (ownerOf(index.document) === operator && isLeft(index)) orphaned.push(index.document)
        // What comes right after it in the order of ids.
        from = `${index.document}\0`
        if (++read === recordsAtOnce) break
      }
      for (const document of orphaned) {
        if (isOver()) return
        yield document
      }
      if (read < recordsAtOnce || isOver()) return
      await this.#pause()
    }
  }

  #pause(): Promise<void> {
    return new Promise(resolve => {
      this.#options.clock.after(pauseMs, resolve)
    })
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
