import { asError } from '../actor/errors.ts'
import type { ActorKind, ActorSystem, Envelope, Message, Question } from '../actor/types.ts'
import type { Clock } from '../ports/clock.ts'
import { Attempts } from './registration/attempts.ts'
import type { NetworkName } from './view.ts'

/*
 * One actor per Personal Network: flows that write take turns in it. A registration looks whether it was answered,
 * opens the request, and writes, with waiting in between; without turns, two copies of one request would get two answers.
 * What is decided in the document's turn needs none: so much of it as waits is done together, and goes into one entry.
 * The actor's own state is the count of failed attempts, which no document has a place for.
 */

export interface Turns {
  /**
   * Runs `flow` when it is its turn, and answers with what it answers.
   * @throws what the flow throws; {@link MailboxFull} when too many wait, {@link AskTimeout} when it takes too long.
   */
  take<T>(name: NetworkName, method: string, flow: (attempts: Attempts) => Promise<T>): Promise<T>
  /**
   * The same for what is decided in the document's turn, and may be done together with others of its kind: all of them `prepare`, then
   * what came of that is called in the order in which they came.
   * @param id of two with the same id the second begins when the first has ended
   */
  share<T>(name: NetworkName, method: string, id: string, prepare: () => Promise<() => Promise<T>>): Promise<T>
}

interface TurnAlone extends Message, Question<unknown> {
  readonly flow: (attempts: Attempts) => Promise<unknown>
}
interface SharedTurn extends Message, Question<unknown> {
  readonly id: string
  readonly prepare: () => Promise<() => Promise<unknown>>
}
type Turn = TurnAlone | SharedTurn

const isShared = (turn: Turn): turn is SharedTurn => 'id' in turn

/** Longer than a busy disk takes; shorter than a client waits. */
const turnTimeoutMs = 10_000
const idleMs = 120_000
/** Turns that may wait in one PN: more than its PNEs have under way at once. */
const capacity = 256
/** As many as go into one entry. */
const maxTogether = 256

export function createTurns(actors: ActorSystem, clock: Clock): Turns {
  const kind: ActorKind<Turn> = {
    name: 'pn',
    mailbox: { capacity },
    passivation: { idleMs, maxActive: 10_000 },
    create() {
      const attempts = new Attempts(clock)
      return {
        receive(envelope, context) {
          const { message } = envelope
          if (!isShared(message)) return settle(envelope, () => message.flow(attempts))
          return runTogether([envelope, ...context.take(maxTogether - 1, isShared)])
        },
        mayPassivate: () => attempts.isClear(),
      }
    },
  }

  const patience = { timeoutMs: turnTimeoutMs }
  const actorOf = ({ home, pnId }: NetworkName) => actors.actor(kind, `${home}/${pnId}`)

  return {
    take: <T>(name: NetworkName, method: string, flow: (attempts: Attempts) => Promise<T>): Promise<T> =>
      actorOf(name).ask<T>({ type: method, flow }, patience),
    share: <T>(name: NetworkName, method: string, id: string, prepare: () => Promise<() => Promise<T>>): Promise<T> =>
      actorOf(name).ask<T>({ type: method, id, prepare }, patience),
  }
}

/** Never fails: the flow's failure is not the actor's, whose counts stay good. */
async function settle(envelope: Envelope<Turn>, flow: () => Promise<unknown>): Promise<void> {
  try {
    envelope.answer(await flow())
  } catch (error) {
    envelope.refuse(asError(error))
  }
}

async function runTogether(envelopes: readonly Envelope<Turn>[]): Promise<void> {
  let waiting = envelopes
  while (waiting.length > 0) {
    const ids = new Set<string>()
    const later: Envelope<Turn>[] = []
    const steps: Promise<Step>[] = []
    for (const envelope of waiting) {
      const { message } = envelope
      if (!isShared(message)) continue
      if (ids.has(message.id)) later.push(envelope)
      else steps.push(prepared(envelope, message))
      ids.add(message.id)
    }
    // Called one after another, without waiting in between: so their order is that of the document.
    await Promise.all((await Promise.all(steps)).map(({ envelope, flow }) => settle(envelope, flow)))
    waiting = later
  }
}

interface Step {
  readonly envelope: Envelope<Turn>
  readonly flow: () => Promise<unknown>
}

async function prepared(envelope: Envelope<Turn>, { prepare }: SharedTurn): Promise<Step> {
  try {
    return { envelope, flow: await prepare() }
  } catch (error) {
    return { envelope, flow: () => Promise.reject(error) }
  }
}
