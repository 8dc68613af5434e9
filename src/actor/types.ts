import type { Cancel } from '../ports/clock.ts'

declare const answered: unique symbol

/** A message that expects an answer of type `A`; message types extend it so that `ask` knows what comes back. */
export interface Question<A> {
  readonly [answered]?: A
}

/** Messages are told apart by `type`; the trace names them by it. */
export interface Message {
  readonly type: string
}

/** A message on its way through an actor, with the means to answer whoever asked. */
export interface Envelope<M extends Message> {
  readonly message: M
  /** Answers the asker. The first answer counts; without an asker it does nothing. */
  answer(value: unknown): void
  /** Refuses: the asker's promise rejects with `error`. The actor goes on; this is not a failure of the actor. */
  refuse(error: Error): void
  /** What led here: messages sent on behalf of this one pass it on. */
  readonly cause: Cause
}

/** The chain of actors that wait for one another, and the number of the message that all began with. */
export interface Cause {
  readonly origin: number
  readonly waiting: readonly string[]
}

export type Overflow = 'reject' | 'dropOldest' | 'dropNewest'

export interface AskOptions {
  /** Mandatory: nothing waits for ever. The asker gives up then or less than 50 ms later, never earlier. */
  readonly timeoutMs: number
  /** The envelope being handled, when an actor asks another: by it cycles are found. */
  readonly cause?: Cause
}

/** The address of an actor. Stays good over restarts, passivation and reactivation. */
export interface ActorRef<M extends Message> {
  readonly path: string
  /** Sends and forgets. @throws {MailboxFull} with overflow `reject`; {@link ActorStopped} */
  tell(message: M, cause?: Cause): void
  /**
   * Sends and waits for the answer.
   * @throws {MailboxFull} {@link AskTimeout} {@link ActorStopped} {@link AskCycle}, or whatever the actor refused with.
   */
  ask<A>(message: M & Question<A>, options: AskOptions): Promise<A>
}

/** What an actor may do while it lives; never to be used outside of its own `receive`, `started` and `stopped`. */
export interface ActorContext<M extends Message> {
  readonly self: ActorRef<M>
  readonly key: string
  /** Takes up to `max` further queued messages, oldest first, as long as `accepts` holds: for those who commit in batches. */
  take(max: number, accepts: (message: M) => boolean): Envelope<M>[]
  /**
   * Tells itself `message` later, ahead of what waits and even if the mailbox is full; cancelled when the actor stops or
   * restarts. No use in the sense of passivation.
   */
  after(delayMs: number, message: M): Cancel
  /** Asks to be stopped once the current message is done. */
  stop(): void
}

/**
 * One actor: state, and what it does with one message at a time. A `receive` that returns a promise holds the mailbox
 * until it settles. What it throws fails the message's asker and restarts the actor under its supervision; the message
 * is not replayed.
 */
export interface Behaviour<M extends Message> {
  /** Called before the first message of every life: after activation and after each restart. */
  started?(context: ActorContext<M>): void | Promise<void>
  receive(envelope: Envelope<M>, context: ActorContext<M>): void | Promise<void>
  /** Whether there is nothing that only memory holds; asked with an empty mailbox, before passivation. Default: yes. */
  mayPassivate?(): boolean
  /** How much memory it takes, in whatever {@link ActorKind.passivation} counts; asked when its mailbox is empty. Default: none. */
  weight?(): number
  /** Called at the end of every life, whatever ended it. */
  stopped?(reason: StopReason): void | Promise<void>
}

export type StopReason = 'stopped' | 'killed' | 'passivated' | 'failed' | 'drained'

/** A kind of actor: one instance per key, created at the first message. To be made once: the system knows it by identity. */
export interface ActorKind<M extends Message> {
  /** Unique in the system; without `/`. */
  readonly name: string
  create(key: string): Behaviour<M>
  readonly mailbox?: {
    /** Default 1,024 messages. */
    readonly capacity?: number
    /** Default `reject`. */
    readonly overflow?: Overflow
  }
  /** When an actor leaves memory by itself; by default never. Only messages from others count as use. */
  readonly passivation?: {
    readonly idleMs?: number
    /** Beyond it the least recently used leave, as soon as they may. */
    readonly maxActive?: number
    /** Beyond it, all weights of the kind together, the same: but for the one that was used last. */
    readonly maxWeight?: number
  }
  /**
   * More than `maxRestarts` (default 3) failures `withinMs` (5,000) and the actor is given up: what is queued becomes dead
   * letters, and for another `withinMs` it refuses messages with {@link ActorStopped}; the first one after that activates
   * it anew. Up to then it is restarted after a delay that doubles from `minBackoffMs` (100) to `maxBackoffMs` (2,000), the
   * upper half of it random; its mailbox is kept meanwhile.
   */
  readonly supervision?: {
    readonly maxRestarts?: number
    readonly withinMs?: number
    readonly minBackoffMs?: number
    readonly maxBackoffMs?: number
  }
}

/** One line of the trace. Times are the clock's elapsed milliseconds. */
export interface TraceEvent {
  readonly time: number
  /** The number of the message concerned, from 1; 0 where there is none. */
  readonly seq: number
  /** The number of the message that all began with; 0 where there is none. */
  readonly cause: number
  readonly actor: string
  readonly kind: 'sent' | 'handled' | 'failed' | 'restarted' | 'stopped' | 'activated' | 'passivated' | 'dead-letter'
  /** The message's type; empty where there is none. */
  readonly type: string
  /** Why, for `dead-letter`, `stopped` and `passivated`. */
  readonly reason?: DeadLetterReason | StopReason
}

/**
 * What follows from something a behaviour threw. `stopped`: given up, or about to stop anyway. `ignored`: thrown where
 * nothing depends on it, as in `stopped`.
 */
export type FailureOutcome = 'restarted' | 'stopped' | 'ignored'

export interface ActorSystem {
  /** The actor of this kind with this key, alive or not: it is activated by its first message. */
  actor<M extends Message>(kind: ActorKind<M>, key: string): ActorRef<M>
  /** Whether the actor is in memory now. */
  isActive(kind: { readonly name: string }, key: string): boolean
  /** Actors in memory, all kinds or one. */
  activeCount(kind?: { readonly name: string }): number
  /** Messages that reached nobody, by reason. */
  deadLetters(): Readonly<Record<DeadLetterReason, number>>
  /** Finishes the current message, then stops; what is queued becomes dead letters. */
  stop(kind: { readonly name: string }, key: string): Promise<void>
  /** Stops at once: the current message's asker is failed, whatever `receive` still does is ignored. */
  kill(kind: { readonly name: string }, key: string): void
  /**
   * Closes admission, lets every mailbox empty, then stops all. Messages that pass on a cause belong to what was begun
   * and are admitted until the end; asks that are yet to be answered are waited for.
   */
  drain(): Promise<void>
}

export type DeadLetterReason = 'overflow' | 'stopped' | 'late-answer' | 'failed'
