import { asError } from '../../actor/errors.ts'
import type { ActorContext, Behaviour, Envelope, Message, Question } from '../../actor/types.ts'
import type { Documents, Registers } from '../../document/documents.ts'
import type { Clock } from '../../ports/clock.ts'
import { OutOfStep, QueryTooBroad, type SearchIndex, SearchIndexFailed } from '../../ports/search-index.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { type MailboxName, mailboxDocument } from '../names.ts'
import { isLiving, userOf, type Vector, vectorOf } from '../records.ts'
import { refusals } from '../refusals.ts'
import { covers, decodePosition, encodePosition, type Position } from './position.ts'
import { nextStep, objectsIn } from './step.ts'

/** What is to be done with an index that is in step, at the position where it stands. */
export interface Asked extends Message, Question<Answer<unknown>> {
  readonly type: 'ask'
  readonly run: (position: string) => Promise<unknown>
  /** Wait for so long until the index has what was there when this came. */
  readonly patienceMs: number
}
export interface Answer<T> {
  readonly value: T
  /** Whether this server itself is behind what the mailbox says. */
  readonly isLagging: boolean
}

export type IndexerMessage =
  | Asked
  /** Something of the mailbox has changed here. */
  | { readonly type: 'changed' }
  /** From itself: go on. */
  | { readonly type: 'step' }

export interface IndexerOptions {
  readonly documents: Pick<Documents, 'read'>
  readonly index: SearchIndex
  readonly clock: Pick<Clock, 'now' | 'elapsed'>
  readonly telemetry: Telemetry
  /** After so long it is not remembered any more what was removed. */
  readonly memoryMs: number
  /** Called when the mailbox has an index from now on, or has none. */
  readonly isIndexed: (name: MailboxName, isIndexed: boolean) => void
}

interface Waiting {
  readonly envelope: Envelope<IndexerMessage>
  readonly asked: Asked
  /** What was there when it came. */
  readonly wanted: Vector
  readonly untilMs: number
}

/** Damage that comes back at once is no accident: then it is told, not tried for ever. */
const maxAttempts = 3

/**
 * Keeps the index of one mailbox in step with its documents: a step at a time, so that whoever asks is never held up by more
 * than that. The first one who asks has the index built. An index that is lost is built anew; one that cannot be written is told to
 * those who wait, and tried again with the next one: the mailbox itself goes on.
 */
export class Indexer implements Behaviour<IndexerMessage> {
  readonly #name: MailboxName
  readonly #options: IndexerOptions
  /** Where the index stands, as it stores it; read when it is first needed, and after it was lost. */
  #stored: { readonly text: string | undefined } | undefined
  #waiting: Waiting[] = []
  /** Whether a step is to come: it takes up whatever comes before it. */
  #isStepping = false
  /** Whether something has changed since the round began that is under way. */
  #hasChanged = false
  /** Whether the last round found that this server did not hold all that it was to hold. */
  #isLagging = false
  #attempts = 0

  constructor(name: MailboxName, options: IndexerOptions) {
    this.#name = name
    this.#options = options
  }

  async receive(envelope: Envelope<IndexerMessage>, context: ActorContext<IndexerMessage>): Promise<void> {
    const { message } = envelope
    switch (message.type) {
      case 'ask':
        await this.#admit(envelope, message)
        break
      case 'changed':
        this.#hasChanged = true
        break
      case 'step':
        this.#isStepping = false
        break
    }
    if (this.#isStepping) return
    try {
      const isDone = await this.#advance()
      this.#attempts = 0
      if (!isDone) this.#stepLater(context)
    } catch (error) {
      if (this.#mayRepair(error)) this.#stepLater(context)
      else this.#refuseAll(error)
    }
  }

  mayPassivate(): boolean {
    return this.#waiting.length === 0 && !this.#isStepping
  }

  #read(): Promise<Registers> {
    return this.#options.documents.read(mailboxDocument(this.#name))
  }

  async #admit(envelope: Envelope<IndexerMessage>, asked: Asked): Promise<void> {
    const untilMs = this.#options.clock.elapsed() + asked.patienceMs
    this.#waiting.push({ envelope, asked, wanted: vectorOf(await this.#read()), untilMs })
  }

  #stepLater(context: ActorContext<IndexerMessage>): void {
    this.#isStepping = true
    context.after(0, { type: 'step' })
  }

  /** Takes a step if there is one to take, and answers whom it can. Answers whether that was all. */
  async #advance(): Promise<boolean> {
    const mailbox = await this.#read()
    if (!isLiving(mailbox)) {
      await this.#drop()
      throw refusals.userUnknown(this.#name)
    }
    const before = await this.#position(mailbox)
    if (!before?.round) this.#hasChanged = false
    const position = before && isInStep(before, mailbox) ? before : await this.#step(mailbox, before)
    await this.#answer(position, mailbox)
    return !position.round && !this.#hasChanged && this.#waiting.length === 0
  }

  async #step(mailbox: Registers, before: Position | undefined): Promise<Position> {
    const { documents, index, clock, isIndexed } = this.#options
    const { changes, position, isLagging } = await nextStep(this.#name, mailbox, before, {
      documents,
      now: clock.now(),
    })
    const text = encodePosition(position)
    await index.apply(this.#name, { after: this.#stored?.text, changes, position: text })
    this.#stored = { text }
    this.#isLagging = isLagging
    isIndexed(this.#name, true)
    return position
  }

  /** Where the index stands, if it can go on from there; one that cannot is dropped. */
  async #position(mailbox: Registers): Promise<Position | undefined> {
    const { index, clock, memoryMs } = this.#options
    this.#stored ??= { text: await index.position(this.#name) }
    if (this.#stored.text === undefined) return undefined
    const position = decodePosition(this.#stored.text)
    const isOfThisLife = position !== undefined && position.born === userOf(mailbox)?.born
    if (isOfThisLife && (isInStep(position, mailbox) || position.at + memoryMs > clock.now())) return position
    await this.#drop()
    return undefined
  }

  async #drop(): Promise<void> {
    const { index, isIndexed } = this.#options
    await index.drop(this.#name)
    this.#stored = { text: undefined }
    isIndexed(this.#name, false)
  }

  /** Answers those who waited for no more than there is now, and those who have waited long enough. */
  async #answer(position: Position, mailbox: Registers): Promise<void> {
    for (const each of [...this.#waiting]) {
      const isReady = !position.round && (this.#isLagging || covers(position.from, each.wanted))
      if (isReady) await this.#run(each)
      else if (this.#options.clock.elapsed() < each.untilMs) continue
      else each.envelope.refuse(refusals.searchBehind(position.round?.done ?? 0, objectsIn(mailbox)))
      this.#waiting.splice(this.#waiting.indexOf(each), 1)
    }
  }

  /** @throws {OutOfStep} {@link SearchIndexFailed}, which concern all who wait. */
  async #run({ envelope, asked }: Waiting): Promise<void> {
    try {
      const value = await asked.run(this.#stored?.text ?? '')
      envelope.answer({ value, isLagging: this.#isLagging } satisfies Answer<unknown>)
    } catch (error) {
      if (error instanceof OutOfStep || error instanceof SearchIndexFailed) throw error
      envelope.refuse(error instanceof QueryTooBroad ? refusals.searchTooBroad() : asError(error))
    }
  }

  /** Whether the index was lost, and is to be built anew. Damage that comes back at once is no accident. */
  #mayRepair(error: unknown): boolean {
    this.#stored = undefined
    if (!(error instanceof OutOfStep)) return false
    this.#attempts += 1
    this.#options.telemetry.log('warn', 'search.index-lost', {
      mailbox: mailboxDocument(this.#name),
      error: error.message,
    })
    return this.#attempts < maxAttempts
  }

  #refuseAll(error: unknown): void {
    const { telemetry } = this.#options
    const isOfIndex = error instanceof OutOfStep || error instanceof SearchIndexFailed
    if (isOfIndex) {
      telemetry.count('cpns_search_failures_total')
      telemetry.log('error', 'search.index-failed', { mailbox: mailboxDocument(this.#name), error: error.message })
    }
    const refusal = isOfIndex ? refusals.searchUnavailable() : asError(error)
    for (const { envelope } of this.#waiting.splice(0)) envelope.refuse(refusal)
  }
}

const isInStep = (position: Position, mailbox: Registers): boolean =>
  !position.round && covers(position.from, vectorOf(mailbox))
