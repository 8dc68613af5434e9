/** The actor has as many messages waiting as its mailbox may hold. The message was not taken: slow down, or try later. */
export class MailboxFull extends Error {
  override readonly name = 'MailboxFull'
  readonly actor: string
  constructor(actor: string, capacity: number) {
    super(`${actor} has ${capacity} messages waiting and takes no more; send less, or try again later.`)
    this.actor = actor
  }
}

/** No answer came in time. The message may have been, or may yet be, handled all the same. */
export class AskTimeout extends Error {
  override readonly name = 'AskTimeout'
  readonly actor: string
  constructor(actor: string, type: string, timeoutMs: number) {
    super(`${actor} did not answer "${type}" within ${timeoutMs} ms; it may still handle it.`)
    this.actor = actor
  }
}

/** The actor stopped before it answered, or the system takes no more messages. */
export class ActorStopped extends Error {
  override readonly name = 'ActorStopped'
  readonly actor: string
  constructor(actor: string, why: string, cause?: Error) {
    super(`${actor} ${why}.`, cause && { cause })
    this.actor = actor
  }
}

/** The asked actor itself waits, through others, for the one that asks: the answer could never come. */
export class AskCycle extends Error {
  override readonly name = 'AskCycle'
  /** The actors that wait, each for the next; the last is the first. */
  readonly cycle: readonly string[]
  constructor(cycle: readonly string[]) {
    super(`Actors would wait for one another for ever: ${cycle.join(' -> ')}. Tell one of them instead of asking it.`)
    this.cycle = cycle
  }
}

/** What was thrown, if it is an error; else an error that says so. */
export const asError = (thrown: unknown): Error =>
  thrown instanceof Error
    ? thrown
    : new Error(`Not an error was thrown but ${typeof thrown === 'string' ? `"${thrown}"` : `a ${typeof thrown}`}.`, {
        cause: thrown,
      })
