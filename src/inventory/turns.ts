import { asError } from '../actor/errors.ts'
import type { ActorKind, ActorSystem, Message, Question } from '../actor/types.ts'
import type { Clock } from '../ports/clock.ts'
import { Attempts } from './registration/attempts.ts'
import type { NetworkName } from './view.ts'

/*
 * One actor per Personal Network: flows that write take turns in it. A registration looks whether it was answered,
 * opens the request, and writes, with waiting in between; without turns, two copies of one request would get two answers.
 * The actor's own state is the count of failed attempts, which no document has a place for.
 */

export interface Turns {
  /**
   * Runs `flow` when it is its turn, and answers with what it answers.
   * @throws what the flow throws; {@link MailboxFull} when too many wait, {@link AskTimeout} when it takes too long.
   */
  take<T>(name: NetworkName, method: string, flow: (attempts: Attempts) => Promise<T>): Promise<T>
}

interface Turn extends Message, Question<unknown> {
  readonly flow: (attempts: Attempts) => Promise<unknown>
}

/** Longer than a busy disk takes; shorter than a client waits. */
const turnTimeoutMs = 10_000
const idleMs = 120_000
/** Turns that may wait in one PN: more than its PNEs have under way at once. */
const capacity = 256

export function createTurns(actors: ActorSystem, clock: Clock): Turns {
  const kind: ActorKind<Turn> = {
    name: 'pn',
    mailbox: { capacity },
    passivation: { idleMs, maxActive: 10_000 },
    create() {
      const attempts = new Attempts(clock)
      return {
        async receive(envelope) {
          try {
            envelope.answer(await envelope.message.flow(attempts))
          } catch (error) {
            envelope.refuse(asError(error)) // the flow's failure, not the actor's: its counts stay good
          }
        },
        mayPassivate: () => attempts.isClear(),
      }
    },
  }

  return {
    take: <T>(name: NetworkName, method: string, flow: (attempts: Attempts) => Promise<T>): Promise<T> =>
      actors.actor(kind, `${name.home}/${name.pnId}`).ask<T>({ type: method, flow }, { timeoutMs: turnTimeoutMs }),
  }
}
