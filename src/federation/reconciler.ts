import type { Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import { advance, differing, pageAfter, resting, type Source, type Walk, type WalkEvent } from './reconcile.ts'
import type { Page, SyncMessage } from './wire.ts'

export interface ReconcilerOptions {
  /** Whether this side goes through the documents; the other compares. */
  readonly drives: boolean
  /** Documents held here that may be given. */
  readonly source: Source
  /** Whether the document may pass in either direction. */
  readonly mayPass: (document: DocumentId) => boolean
  /** Sees to a document that differs; resolves when that is done. */
  readonly ask: (document: DocumentId) => Promise<void>
  /** Documents that are seen to at once. */
  readonly maxAsks: number
  /** From the beginning of one round to that of the next, at least. */
  readonly minRoundMs: number
  readonly clock: Clock
  readonly send: (message: SyncMessage) => void
  /** Everything was compared once more. */
  readonly reconciled: () => void
  readonly failed: (error: unknown) => void
}

/** A message that does not belong there at this time. */
export class OutOfTurn extends Error {
  override readonly name = 'OutOfTurn'
}

/** Reconciliation with one peer: the effects of {@link advance} on the side that drives, and the comparing on the other. */
export class Reconciler {
  readonly #options: ReconcilerOptions
  #walk: Walk = resting
  #isComparing = false
  /** When the next round may begin, by the clock's elapsed milliseconds. */
  #nextRoundMs = 0
  /** What the peer's next page has to follow: the last document of the one before, or nothing. */
  #end: { readonly round: number; readonly document: string } | undefined
  #isOver = false

  constructor(options: ReconcilerOptions) {
    this.#options = options
  }

  /** Everything is to be compared, once what is under way is through. */
  due(): void {
    if (this.#options.drives) this.#step({ type: 'due' })
    else this.#options.send({ type: 'behind' })
  }

  /** The peer has asked for that. */
  behind(): void {
    if (this.#options.drives) this.due()
  }

  /** The peer has compared a page. */
  paged(round: number): void {
    this.#step({ type: 'paged', round })
  }

  /** The peer has sent a page. @throws {OutOfTurn} */
  page(page: Page): void {
    const isNext = page.after === '' || (this.#end?.round === page.round && this.#end.document === page.after)
    if (this.#options.drives || this.#isComparing || !isNext) throw new OutOfTurn('A page came out of turn.')
    const end = page.last ? undefined : page.leaves.at(-1)?.document
    this.#end = end === undefined ? undefined : { round: page.round, document: end }
    this.#isComparing = true
    this.#compare(page).catch(this.#options.failed)
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#isOver = true
  }

  #step(event: WalkEvent): void {
    const before = this.#walk
    this.#walk = advance(before, event)
    if (this.#walk === before) return
    if (this.#walk.state === 'reading') {
      this.#sendPage(this.#walk.round, this.#walk.after).catch(this.#options.failed)
    }
    if (this.#walk.state === 'resting') this.#options.reconciled()
  }

  async #sendPage(round: number, after: string): Promise<void> {
    if (after === '') await this.#roundBegins()
    if (this.#isOver) return
    const page = await pageAfter(this.#options.source, round, after)
    if (this.#isOver) return
    this.#options.send(page)
    this.#step({ type: 'sent', page })
  }

  /** Waits until the next round may begin: a small frame of the peer's makes this side read its whole index. */
  async #roundBegins(): Promise<void> {
    const { clock, minRoundMs } = this.#options
    const waitMs = this.#nextRoundMs - clock.elapsed()
    if (waitMs > 0) await new Promise<void>(resolve => clock.after(waitMs, resolve))
    this.#nextRoundMs = clock.elapsed() + minRoundMs
  }

  async #compare(page: Page): Promise<void> {
    const { source, mayPass, ask, maxAsks, send, reconciled } = this.#options
    if (page.after === '') await this.#roundBegins()
    const open = new Set<Promise<void>>()
    for await (const document of differing(page, source)) {
      if (this.#isOver) return
      if (!mayPass(document)) continue
      const done = ask(document).then(() => void open.delete(done))
      open.add(done)
      if (open.size >= maxAsks) await Promise.race(open)
    }
    await Promise.all(open)
    if (this.#isOver) return
    this.#isComparing = false
    send({ type: 'paged', round: page.round })
    if (page.last) reconciled()
  }
}
