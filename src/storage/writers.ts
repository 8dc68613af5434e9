import type { ActorContext, ActorKind, ActorSystem, Behaviour, Envelope, Message, Question } from '../actor/types.ts'
import { toBase64url } from '../commands/framing.ts'
import type { Documents } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import { Commit, type Edit } from './commit.ts'
import { nameInterrupted, numberIn } from './interrupted.ts'
import { type MailboxName, mailboxDocument } from './names.ts'
import type { OwedRecords } from './owed.ts'
import type { StoragePolicy } from './policy.ts'
import type { Run } from './records.ts'

/*
 * One actor for each mailbox that is being changed here. Tasks that came while a commit was being named go into the next one
 * together, with those that come while their parts are being stored: two entries in each part at the most, and one in the
 * mailbox document, however many they are.
 */

export interface Writers {
  /**
   * Has a task executed as part of a commit. Resolves when what it wrote is durable, and named in the mailbox document.
   * @throws what the task throws, with nothing written by it that it did not write before; {@link WriteFailed};
   *   {@link MailboxFull} when too many wait; {@link AskTimeout}
   */
  change<T>(name: MailboxName, what: string, task: (edit: Edit) => Promise<T>, device?: string): Promise<T>
  /** Names what was interrupted when the server ended, if nobody has written in that mailbox since. Breaks off when the signal says so. */
  recover(signal?: AbortSignal): Promise<void>
}

interface Change extends Message, Question<unknown> {
  readonly task: (edit: Edit) => Promise<unknown>
  readonly device: string | undefined
}

/** Tasks of one commit: as many as make good use of an entry, few enough to keep others waiting only briefly. */
const maxBatch = 256
/** How often a commit takes in who waits: more would have the first wait for very many others. */
const callsForMore = 2
const capacity = 1_024
const idleMs = 60_000
const taskTimeoutMs = 15_000
const runBytes = 6

export interface WritersOptions {
  readonly self: OperatorId
  readonly server: ServerId
  readonly actors: ActorSystem
  readonly documents: Pick<Documents, 'read' | 'write' | 'room' | 'damaged'>
  readonly owed: OwedRecords
  readonly clock: Pick<Clock, 'now'>
  readonly random: Random
  readonly policy: StoragePolicy
}

export function createWriters(options: WritersOptions): Writers {
  const { self, actors, owed, documents } = options
  const runs = new Runs(options.random)
  const kind: ActorKind<Change> = {
    name: 'mailbox',
    mailbox: { capacity },
    passivation: { idleMs, maxActive: 10_000 },
    create: user => new Writer({ operator: self, user }, runs, options),
  }
  const change: Writers['change'] = <T>(
    { user }: MailboxName,
    what: string,
    task: (edit: Edit) => Promise<T>,
    device?: string,
  ) => actors.actor(kind, user).ask<T>({ type: what, task, device }, { timeoutMs: taskTimeoutMs })

  return {
    change,
    async recover(signal) {
      for await (const name of owed.mailboxes()) {
        if (signal?.aborted) return
        try {
          await change(name, 'recover', async () => {})
        } catch (error) {
          // What the disk has damaged is not to keep the others from being served: it is recovered when it is first written again.
          if (documents.damaged().length === 0) throw error
        }
      }
    },
  }
}

/**
 * Under which run the mailboxes of this server are written. One for as long as the process lives, as every run has its
 * place in every token; another one after a write that failed: what comes then may reach others before what came first.
 */
class Runs {
  readonly #random: Random
  now: Run

  constructor(random: Random) {
    this.#random = random
    this.now = this.#drawn()
  }

  renew(): void {
    this.now = this.#drawn()
  }

  #drawn(): Run {
    return toBase64url(this.#random.bytes(runBytes))
  }
}

class Writer implements Behaviour<Change> {
  readonly #name: MailboxName
  readonly #runs: Runs
  readonly #options: WritersOptions
  #run: Run
  #number = 0
  /** A write has failed. */
  #isInterrupted = false

  constructor(name: MailboxName, runs: Runs, options: WritersOptions) {
    this.#name = name
    this.#runs = runs
    this.#run = runs.now
    this.#options = options
  }

  async started(): Promise<void> {
    await this.#recover()
    this.#run = this.#runs.now
    this.#number = numberIn(await this.#options.documents.read(mailboxDocument(this.#name)), this.#run)
  }

  /** Names what lies in parts and is not named. */
  async #recover(): Promise<void> {
    const name = this.#name
    const { documents, owed, server, clock, policy } = this.#options
    const [parts, indexes] = [await Array.fromAsync(owed.of(name)), await Array.fromAsync(owed.indexesOf(name))]
    if (parts.length === 0 && indexes.length === 0) return
    const document = mailboxDocument(name)
    await nameInterrupted({
      ...{ name, server, documents, owed, policy, parts, indexes },
      now: clock.now(),
      mailbox: await documents.read(document),
      room: await documents.room(document),
    })
  }

  async receive(first: Envelope<Change>, context: ActorContext<Change>): Promise<void> {
    const { documents, owed, clock, policy } = this.#options
    const envelopes = [first]
    const outcomes: PromiseSettledResult<unknown>[] = []
    try {
      if (this.#isInterrupted) await this.started()
      this.#isInterrupted = false
      const commit = new Commit({
        name: this.#name,
        server: this.#options.server,
        run: this.#run,
        number: this.#number + 1,
        mailbox: await documents.read(mailboxDocument(this.#name)),
        room: await documents.room(mailboxDocument(this.#name)),
        documents,
        owed,
        now: clock.now(),
        policy,
      })
      // Who comes while the others' parts are being stored comes along: the commit is to be named once for all of them.
      for (let call = 0; call < callsForMore; call++) {
        envelopes.push(...context.take(maxBatch - envelopes.length, () => true))
        const more = envelopes.slice(outcomes.length).map(({ message }) => this.#perform(message, commit))
        outcomes.push(...(await Promise.allSettled(more)))
      }
      if (!commit.isEmpty) {
        this.#number += 1
        await commit.name()
      }
      if (commit.hasFailed) this.#interrupt()
      settle(envelopes, outcomes)
    } catch (error) {
      this.#interrupt()
      for (const envelope of envelopes) envelope.refuse(asError(error))
    }
  }

  /** Before anything else is written, what is there is to be named, and the next run begins. */
  #interrupt(): void {
    this.#isInterrupted = true
    this.#runs.renew()
  }

  async #perform({ task, device }: Change, commit: Commit): Promise<unknown> {
    return task(commit.edit(this.#options.clock.now(), device))
  }
}

const asError = (reason: unknown): Error => (reason instanceof Error ? reason : new Error(String(reason)))

function settle(envelopes: readonly Envelope<Change>[], outcomes: readonly PromiseSettledResult<unknown>[]): void {
  for (const [at, outcome] of outcomes.entries()) {
    if (outcome.status === 'fulfilled') envelopes[at]?.answer(outcome.value)
    else envelopes[at]?.refuse(asError(outcome.reason))
  }
}
