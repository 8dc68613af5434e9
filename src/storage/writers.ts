import type { ActorContext, ActorKind, ActorSystem, Behaviour, Envelope, Message, Question } from '../actor/types.ts'
import { toBase64url } from '../commands/framing.ts'
import type { Documents, Registers } from '../document/documents.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import { Commit, type Edit, type Touched } from './commit.ts'
import { type MailboxName, mailboxDocument, partDocument } from './names.ts'
import type { OwedRecords } from './owed.ts'
import {
  type ChangeRecord,
  changeIn,
  changesOf,
  charsOf,
  goneIn,
  idsIn,
  keys,
  objectIn,
  type Run,
  written,
} from './records.ts'

/*
 * One actor for each mailbox that is being changed here. Tasks that came while a commit was being stored go into the next one
 * together: one entry in each part, and one in the mailbox document, however many they are.
 */

export interface Writers {
  /**
   * Has a task executed as part of a commit. Resolves when what it wrote is durable, and named in the mailbox document.
   * @throws what the task throws, with nothing written by it that it did not write before; {@link WriteFailed};
   *   {@link MailboxFull} when too many wait; {@link AskTimeout}
   */
  change<T>(name: MailboxName, what: string, task: (edit: Edit) => Promise<T>, device?: string): Promise<T>
  /** Names what was interrupted when the server ended: to be awaited before anything is served. */
  recover(): Promise<void>
}

interface Change extends Message, Question<unknown> {
  readonly task: (edit: Edit) => Promise<unknown>
  readonly device: string | undefined
}

/** Tasks of one commit: as many as make good use of an entry, few enough to keep others waiting only briefly. */
const maxBatch = 256
const capacity = 1_024
const idleMs = 60_000
const taskTimeoutMs = 15_000
const runBytes = 6

export interface WritersOptions {
  readonly self: OperatorId
  readonly actors: ActorSystem
  readonly documents: Pick<Documents, 'read' | 'write'>
  readonly owed: OwedRecords
  readonly clock: Pick<Clock, 'now'>
  readonly random: Random
}

export function createWriters(options: WritersOptions): Writers {
  const { self, actors, owed } = options
  const kind: ActorKind<Change> = {
    name: 'mailbox',
    mailbox: { capacity },
    passivation: { idleMs, maxActive: 10_000 },
    create: user => new Writer({ operator: self, user }, options),
  }
  const change: Writers['change'] = <T>(
    { user }: MailboxName,
    what: string,
    task: (edit: Edit) => Promise<T>,
    device?: string,
  ) => actors.actor(kind, user).ask<T>({ type: what, task, device }, { timeoutMs: taskTimeoutMs })

  return {
    change,
    async recover() {
      for await (const name of owed.mailboxes()) await change(name, 'recover', async () => {})
    },
  }
}

class Writer implements Behaviour<Change> {
  readonly #name: MailboxName
  readonly #options: WritersOptions
  /** New at every life: whoever comes back with less than it had writes under another name. */
  readonly #run: Run
  #number = 0
  /** What is in the parts, but could not be named yet. */
  #unnamed: readonly Touched[] = []

  constructor(name: MailboxName, options: WritersOptions) {
    this.#name = name
    this.#options = options
    this.#run = toBase64url(options.random.bytes(runBytes))
  }

  async started(): Promise<void> {
    const { documents, owed } = this.#options
    for await (const { container, part, run, number } of owed.of(this.#name)) {
      const content = await documents.read(partDocument(this.#name, container, part))
      await documents.write(mailboxDocument(this.#name), mailbox => ({
        writes: [
          written(keys.change(container, part, run), recounted(mailbox, content, { container, part, run, number })),
          written(keys.run(run), Math.max(number, numberIn(mailbox, run))),
          // What was to be expunged when is not known any more: the next sweep looks.
          written(keys.due(container, part), 0),
        ],
        local: [owed.settled(this.#name, { container, part })],
        answer: undefined,
      }))
    }
  }

  mayPassivate(): boolean {
    return this.#unnamed.length === 0
  }

  async receive(first: Envelope<Change>, context: ActorContext<Change>): Promise<void> {
    const { documents, owed } = this.#options
    const envelopes = [first, ...context.take(maxBatch - 1, () => true)]
    const commit = new Commit({
      name: this.#name,
      run: this.#run,
      number: this.#number + 1,
      mailbox: await documents.read(mailboxDocument(this.#name)),
      documents,
      owed,
      unnamed: this.#unnamed,
    })
    const outcomes = await Promise.allSettled(envelopes.map(({ message }) => this.#perform(message, commit)))
    if (commit.isEmpty) return settle(envelopes, outcomes)
    this.#number += 1
    try {
      await commit.name()
      this.#unnamed = []
    } catch (error) {
      this.#unnamed = [...commit.touched]
      for (const envelope of envelopes) envelope.refuse(asError(error))
      return
    }
    settle(envelopes, outcomes)
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

/**
 * What an interrupted writer would have said of a part: what is there, less what the others say of it. The counts of all
 * writers together are right then.
 */
function recounted(
  mailbox: Registers,
  content: Registers,
  { container, part, run, number }: { container: string; part: number; run: Run; number: number },
): ChangeRecord {
  const before = changeIn(mailbox, container, part, run)
  const found = { objects: 0, bytes: 0, chars: 0, from: Number.MAX_SAFE_INTEGER, to: 0 }
  for (const id of idsIn(content)) {
    const object = objectIn(content, id)
    if (!object || goneIn(content, id)) continue
    found.objects += 1
    found.bytes += object.size
    found.chars += charsOf(content, id)
    found.from = Math.min(found.from, object.date)
    found.to = Math.max(found.to, object.date)
  }
  for (const change of changesOf(mailbox, container)) {
    if (change.part !== part || change.run === run) continue
    found.objects -= change.objects
    found.bytes -= change.bytes
    found.chars -= change.chars
  }
  return { n: Math.max(number, before?.n ?? 0), ...found }
}
