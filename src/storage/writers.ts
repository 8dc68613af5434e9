import type { ActorContext, ActorKind, ActorSystem, Behaviour, Envelope, Message, Question } from '../actor/types.ts'
import { toBase64url } from '../commands/framing.ts'
import type { Documents, Registers, RegisterWrite } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import { Commit, type Edit } from './commit.ts'
import { countsOf, together } from './counting.ts'
import { isFolder, type MailboxName, mailboxDocument, partDocument } from './names.ts'
import type { OwedRecords } from './owed.ts'
import {
  additionsOf,
  changeIn,
  containerOf,
  goneIn,
  idsIn,
  keys,
  noCounts,
  objectIn,
  type PartCounts,
  type Run,
  written,
} from './records.ts'

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

  /** Names what lies in parts and is not named: the parts first, and then that their commits are whole. */
  async #recover(): Promise<void> {
    const { documents, owed } = this.#options
    const reached = new Map<Run, number>()
    const parts = await Array.fromAsync(owed.of(this.#name))
    for (const { container, part, run, number } of parts) {
      reached.set(run, Math.max(number, reached.get(run) ?? 0))
      const content = await documents.read(partDocument(this.#name, container, part))
      await documents.write(mailboxDocument(this.#name), mailbox => ({
        writes: [
          written(keys.change(container, part, run), Math.max(number, changeIn(mailbox, container, part, run) ?? 0)),
          written(keys.count(container, part, run), recounted(mailbox, content, { container, part, run })),
          // What was to be expunged when is not known any more: the next sweep looks.
          written(keys.due(container, part), 0),
          ...unnamed(mailbox, content, { container, run, number }),
        ],
        isOwed: true,
        answer: undefined,
      }))
    }
    if (parts.length === 0) return
    await documents.write(mailboxDocument(this.#name), mailbox => ({
      writes: [...reached].map(([run, number]) => written(keys.run(run), Math.max(number, numberIn(mailbox, run)))),
      local: parts.map(part => owed.settled(this.#name, part)),
      isOwed: true,
      answer: undefined,
    }))
  }

  async receive(first: Envelope<Change>, context: ActorContext<Change>): Promise<void> {
    const { documents, owed } = this.#options
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

const numberIn = (mailbox: Registers, run: Run): number => {
  const value = mailbox.get(keys.run(run))?.value
  return typeof value === 'number' ? value : 0
}

/** The name of a conversation that an interrupted writer has begun: its objects say it. */
function unnamed(
  mailbox: Registers,
  content: Registers,
  { container, run, number }: { container: string; run: Run; number: number },
): RegisterWrite[] {
  if (isFolder(container) || containerOf(mailbox, container)) return []
  for (const id of idsIn(content)) {
    const object = goneIn(content, id) ? undefined : objectIn(content, id)
    if (object) return [written(keys.container(container), { name: object.conversationId, o: [run, number] })]
  }
  return []
}

/**
 * What an interrupted writer would have said of a part: what is there, less what the others say of it. The counts of all
 * writers together are right then.
 */
function recounted(
  mailbox: Registers,
  content: Registers,
  { container, part, run }: { container: string; part: number; run: Run },
): PartCounts {
  const found = { ...[...countsOf(content).values()].reduce(together, noCounts) }
  for (const change of additionsOf(mailbox, container)) {
    if (change.part !== part || change.run === run) continue
    found.objects -= change.objects
    found.bytes -= change.bytes
    found.chars -= change.chars
  }
  return found
}
