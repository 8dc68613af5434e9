import { createActorSystem } from '../../src/actor/system.ts'
import type {
  ActorContext,
  ActorKind,
  ActorSystem,
  Behaviour,
  Envelope,
  FailureOutcome,
  Question,
  TraceEvent,
} from '../../src/actor/types.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

/** The one message of these tests: what it means is up to the receiver. */
export interface Say extends Question<unknown> {
  readonly type: string
  readonly n?: number
}

export type Receive = (envelope: Envelope<Say>, context: ActorContext<Say>) => void | Promise<void>

export interface Rig {
  readonly system: ActorSystem
  readonly clock: ManualClock
  readonly trace: TraceEvent[]
  readonly failures: { readonly actor: string; readonly message: string; readonly outcome: FailureOutcome }[]
}

/** A system on a clock that stands still, and all that it tells. */
export function rig(seed = 'rig'): Rig {
  const clock = new ManualClock()
  const trace: TraceEvent[] = []
  const failures: Rig['failures'] = []
  const system = createActorSystem({
    clock,
    random: seededRandom(seed),
    trace: event => trace.push(event),
    onError: (actor, { message }, outcome) => failures.push({ actor, message, outcome }),
  })
  return { system, clock, trace, failures }
}

/** A kind of actor that needs no more than a `receive`, and maybe some options and further methods. */
export function kindOf(
  receive: Receive,
  options: Partial<Omit<ActorKind<Say>, 'create'>> & Omit<Behaviour<Say>, 'receive'> = {},
): ActorKind<Say> {
  const { started, stopped, mayPassivate, ...definition } = options
  const behaviour = {
    receive,
    ...(started && { started }),
    ...(stopped && { stopped }),
    ...(mayPassivate && { mayPassivate }),
  }
  return { name: 'test', ...definition, create: () => behaviour }
}

/** A promise, and the way to settle it from outside. */
export function gate(): { readonly promise: Promise<void>; open(): void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { promise, open: resolve }
}

/** What became of a promise: never rejects, so that it may be looked at whenever. */
export function outcomeOf(promise: Promise<unknown>): { value?: unknown; error?: Error } {
  const outcome: { value?: unknown; error?: Error } = {}
  promise.then(
    value => Object.assign(outcome, { value }),
    error => Object.assign(outcome, { error }),
  )
  return outcome
}

/** Waits for real time: the system's own timers keep no process alive. */
export async function awake<T>(promise: Promise<T>): Promise<T> {
  const watch = setInterval(() => {}, 1_000)
  try {
    return await promise
  } finally {
    clearInterval(watch)
  }
}
