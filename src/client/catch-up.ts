import type { Cancel, Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import { ProtocolViolation, RequestRefused } from './errors.ts'
import type { GatewayEvent } from './gateway-events.ts'
import type { GatewayQueue, QueuedCommand, Sent } from './gateway-queue.ts'
import { backoffMs, isForGood, isOpen } from './patience.ts'
import type { Session } from './session.ts'

/*
 * What a gateway does when its server is back, in this order: it attaches again where it belongs, which also gives it the
 * inventories; gives the server what waited for it; reads again what that has changed; and only then says that it is
 * ready. Whatever fails for the moment is tried again after a while; as long as the first round has not ended, the gateway
 * serves as if it had no server, so that nothing newer overtakes what waited.
 */

export interface CatchUp {
  /** Whether the first round since the session came back has ended. */
  readonly isDone: boolean
  /** Begins a round, if there is a server, unless one runs. Resolves when none runs any more. */
  begin(): Promise<void>
  stop(): void
}

export interface CatchUpOptions {
  readonly session: Session
  readonly clock: Clock
  readonly crypto: Pick<ClientCrypto, 'randomBytes'>
  readonly queue: GatewayQueue
  /** Attaches wherever the gateway belongs and is not yet. Answers whether it is, everywhere. @throws what leaves it open. */
  readonly attach: () => Promise<boolean>
  /** Sends a command as it is. */
  readonly send: (command: QueuedCommand) => Promise<unknown>
  /** The server has decided. Done before the command is forgotten, so it may happen twice. */
  readonly decided: (command: QueuedCommand, sent: Sent) => Promise<void>
  /** Reads again what the commands that were sent have changed. @throws what leaves it open. */
  readonly refresh: (sent: readonly QueuedCommand[]) => Promise<void>
  /** The gateway has caught up. */
  readonly ready: () => void
  readonly onEvent: (event: GatewayEvent) => void
}

const backoff = { firstMs: 500, longestMs: 30_000 }

export function createCatchUp(options: CatchUpOptions): CatchUp {
  const { session, clock, crypto, queue, onEvent } = options
  /** Rises with every connection: a round that was begun on an earlier one decides nothing. */
  let life = 0
  let isDone = false
  let running: Promise<void> | undefined
  let isWanted = false
  let failures = 0
  let cancelRetry: Cancel = () => {}

  const stopListening = session.listen({
    state(state) {
      life += 1
      cancelRetry()
      failures = 0
      const wasDone = isDone
      isDone = false
      if (state.kind === 'connected') void begin()
      else if (wasDone) onEvent({ type: 'local', why: state.why })
    },
  })

  function begin(): Promise<void> {
    cancelRetry()
    isWanted = true
    running ??= rounds().finally(() => {
      running = undefined
    })
    return running
  }

  async function rounds(): Promise<void> {
    while (isWanted && session.state.kind === 'connected') {
      isWanted = false
      await round(life)
    }
  }

  async function round(begun: number): Promise<void> {
    const isCurrent = () => begun === life && session.state.kind === 'connected'
    try {
      const isAttached = await options.attach()
      const sent = await drain(isCurrent)
      if (sent.length > 0) await options.refresh(sent)
      if (!isCurrent()) return
      failures = isAttached && queue.waiting.length === 0 ? 0 : failures + 1
      finish()
    } catch (error) {
      if (!isOpen(error)) onEvent({ type: 'failed', what: 'catching up', error })
      if (!isCurrent()) return
      failures += 1
    }
    if (failures > 0) cancelRetry = clock.after(backoffMs(failures, crypto, backoff), () => void begin())
  }

  function finish(): void {
    if (isDone) return
    isDone = true
    onEvent({ type: 'connected' })
    options.ready()
  }

  async function drain(isCurrent: () => boolean): Promise<QueuedCommand[]> {
    const sent: QueuedCommand[] = []
    await queue.drain(
      async command => {
        if (!isCurrent()) return { kind: 'later' }
        return options.send(command).then(
          (): Sent => ({ kind: 'done' }),
          (error: unknown): Sent => {
            if (error instanceof RequestRefused && isForGood(error)) return { kind: 'refused', error }
            if (error instanceof RequestRefused || isOpen(error)) return { kind: 'later' }
            // What was answered was executed, whatever the answer looks like.
            if (error instanceof ProtocolViolation) return { kind: 'done' }
            throw error
          },
        )
      },
      async (command, outcome) => {
        await options.decided(command, outcome)
        sent.push(command)
        if (outcome.kind === 'done') onEvent({ type: 'executed', command })
        if (outcome.kind === 'refused') onEvent({ type: 'refused', command, error: outcome.error })
      },
    )
    return sent
  }

  return {
    get isDone() {
      return isDone
    },
    begin,
    stop() {
      life += 1
      isWanted = false
      cancelRetry()
      stopListening()
    },
  }
}
