import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import { type Grown, refreshed } from './forest.ts'
import { type Answer, type Query, saltBytes } from './parts.ts'
import { Seeing } from './seeing.ts'
import { answerTo, maxOpenQueries, OutOfTurn, Walk } from './walk.ts'

export interface ReconcilerOptions {
  /** Whether this side goes through the trees; the other answers. */
  readonly drives: boolean
  /** The documents held here that may be given to the peer. */
  readonly grown: Grown
  /** Sees to a document that differs, or that the peer does not have at all; resolves when that is done. */
  readonly see: (document: DocumentId, isAlone: boolean) => Promise<void>
  /** Documents that are seen to at once. */
  readonly maxSeen: number
  /** From the beginning of one round to that of the next, at least. */
  readonly minRoundMs: number
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly random: Random
  readonly send: (message: Query | Answer | { readonly type: 'behind' }) => void
  /** Resolves when an answer with so many bytes of hashes may be sent, and the peer has taken most of those before. */
  readonly spend: (hashBytes: number) => Promise<void>
  /** Something differs, and is seen to. @param theirs documents in the peer's tree */
  readonly differed: (theirs: number) => void
  /** Everything was compared once more, and all that differed was seen to. */
  readonly reconciled: () => void
  readonly failed: (error: unknown) => void
}

/**
 * Reconciliation with one peer: the effects of {@link Walk} on the side that drives, and the answering on the other. What comes
 * is worked on one after another, when the tree is ready and its hashes are made.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions
  readonly #walk: Walk
  readonly #seeing: Seeing
  readonly #inbox: (Query | Answer)[] = []
  #isBeginning = false
  /** A round that becomes due while another is under way follows it. */
  #isDueAgain = false
  #isWorking = false
  /** When the next round may begin, by the clock's elapsed milliseconds. */
  #nextRoundMs = 0
  #isOver = false

  constructor(options: ReconcilerOptions) {
    const { grown, crypto, see, maxSeen, failed } = options
    this.#options = options
    this.#walk = new Walk(grown.tree, crypto)
    this.#seeing = new Seeing({ tree: grown.tree, see, most: maxSeen, failed })
  }

  /** Everything is to be compared, once what is under way is through. */
  due(): void {
    const { drives, send, failed } = this.#options
    if (!drives) send({ type: 'behind' })
    else if (this.#isBeginning || !this.#walk.isResting) this.#isDueAgain = true
    else this.#begin().catch(failed)
  }

  /** The peer has asked for that. */
  behind(): void {
    if (this.#options.drives) this.due()
  }

  /** The peer compares. @throws {OutOfTurn} */
  query(query: Query): void {
    if (this.#options.drives) throw new OutOfTurn('A query came from the side that answers.')
    if (this.#inbox.length >= maxOpenQueries) throw new OutOfTurn('More queries came than may be open.')
    this.#take(query)
  }

  /** The peer answers. */
  answer(answer: Answer): void {
    if (!this.#options.drives) throw new OutOfTurn('An answer came from the side that asks.')
    if (this.#inbox.length >= maxOpenQueries) throw new OutOfTurn('More answers came than queries are open.')
    this.#take(answer)
  }

  /** Nothing is sent any more. */
  end(): void {
    this.#isOver = true
    this.#seeing.end()
  }

  /** Waits until the next round may begin, and the tree is whole. */
  async #begin(): Promise<void> {
    const { clock, minRoundMs, random, grown } = this.#options
    this.#isBeginning = true
    const waitMs = this.#nextRoundMs - clock.elapsed()
    if (waitMs > 0) await new Promise<void>(resolve => clock.after(waitMs, resolve))
    this.#nextRoundMs = clock.elapsed() + minRoundMs
    await this.#fresh()
    this.#isBeginning = false
    if (this.#isOver) return
    this.#walk.begin(random.bytes(saltBytes))
    this.#goOn(grown.tree.size)
  }

  async #fresh(): Promise<void> {
    const { grown, clock } = this.#options
    await grown.ready
    await refreshed(grown.tree, clock)
  }

  /** Sends what is due; at the end, the last query, or nothing more. */
  #goOn(theirs: number): void {
    const { send, reconciled, differed } = this.#options
    if (this.#isOver) return
    while (this.#seeing.hasRoom) {
      const query = this.#walk.next()
      if (!query) break
      send(query)
    }
    if (!this.#walk.isThrough && this.#seeing.hasRoom) return
    const isOver = this.#walk.isThrough && this.#seeing.isIdle
    if (!isOver) {
      differed(theirs)
      const until = this.#walk.isThrough ? this.#seeing.idle() : this.#seeing.room()
      until.then(() => this.#goOn(theirs)).catch(this.#options.failed)
      return
    }
    const last = this.#walk.finish()
    if (last) send(last)
    else {
      reconciled()
      this.#followUp()
    }
  }

  #followUp(): void {
    if (!this.#isDueAgain) return
    this.#isDueAgain = false
    this.due()
  }

  #take(message: Query | Answer): void {
    this.#inbox.push(message)
    if (!this.#isWorking) this.#work().catch(this.#options.failed)
  }

  async #work(): Promise<void> {
    this.#isWorking = true
    for (let next = this.#inbox.shift(); next; next = this.#inbox.shift()) {
      await this.#fresh()
      if (this.#isOver) return
      if (next.type === 'query') await this.#reply(next)
      else this.#answered(next)
    }
    this.#isWorking = false
  }

  #answered(answer: Answer): void {
    this.#seeing.take(this.#walk.answered(answer))
    if (this.#walk.isResting) {
      this.#options.reconciled()
      this.#followUp()
    } else this.#goOn(answer.documents)
  }

  async #reply(query: Query): Promise<void> {
    const { grown, crypto, send, spend, reconciled, differed } = this.#options
    const { tree } = grown
    const isLast = query.parts.length === 0
    const { parts, ...found } = answerTo(query, tree, crypto)
    this.#seeing.take(found)
    const isEqual = parts.length === 0 && this.#seeing.isIdle
    if (!isEqual) differed(query.documents)
    await (isLast ? this.#seeing.idle() : this.#seeing.room())
    await spend(parts.reduce((sum, { hashes }) => sum + hashes.length, 0))
    if (this.#isOver) return
    const isBusy = !this.#seeing.isIdle
    send({ type: 'answer', id: query.id, documents: tree.size, parts, isBusy })
    // Equal at the root, or all seen to: the peer may still have something to see to, and tells of it as it does.
    if (isLast || (isEqual && query.parts.some(({ place }) => place.depth === 0))) reconciled()
  }
}
