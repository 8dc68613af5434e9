import { refusedBy } from '../../commands/foreign-refusal.ts'
import type { ProofCheck } from '../../commands/proofs.ts'
import { CommandRefused, type MethodSpec, type Principal } from '../../federation/command.ts'
import type { CommandAnswer, Federation } from '../../federation/federation.ts'
import { backoffMs } from '../../federation/limits.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { refusals } from '../refusals.ts'
import { digestOfCommand, type Kept, type KeptCommands, type ProvedCommand, type Settled } from './kept-commands.ts'
import type { CommandOutcome } from './methods.ts'

/*
 * Commands whose operator cannot be reached: kept durably, with the client's proof, and sent when it can be reached again,
 * without the client asking. A command carries its id, so one that was sent twice, because its answer or this server was
 * lost, has happened once; the proof says how long it may be sent.
 *
 * Commands of one subscriber to one operator are sent in the order in which they were given.
 */

export interface Waiting {
  /**
   * Keeps a command. Answers what became of it if that is known already.
   * @throws {CommandRefused} 202 when it is kept, durably; 409 when the id is another command's; 429 when too many wait;
   * 503 when it cannot be stored; what it was refused with, if it has been
   */
  keep(principal: Principal, command: ProvedCommand): Promise<Extract<Settled, { readonly state: 'done' }>>
  /** @throws {CommandRefused} 404 for a command that is not kept here for this subscriber. */
  outcome(principal: Principal, commandId: string): Promise<CommandOutcome>
  /** Goes on with what was kept before. */
  start(): Promise<void>
  stop(): void
  /** A server of the operator can be reached. */
  linked(operator: OperatorId): void
  sweep(): Promise<void>
}

export interface WaitingLimits {
  /** Commands that wait, of one subscriber and in all. */
  readonly maxWaitingEach: number
  readonly maxWaiting: number
}

/** More than any command is; with the limits above it bounds what a disk has to hold. */
const maxCommandBytes = 64 * 1024
/** What whoever has too many waiting is told: operators are away for minutes, not for milliseconds. */
const retryAfterMs = 60_000
/** Between attempts. Links tell when an operator is back; these are for what no link tells. */
const backoff = { minMs: 1_000, maxMs: 60_000 }
/** When an operator is back, all whom it has kept waiting know it at once; they do not come at once. */
const spreadMs = 500

/** What waits for one operator. */
interface Queue {
  readonly executor: OperatorId
  failures: number
  isSending: boolean
  cancel: Cancel
}

export function createWaiting(options: {
  readonly kept: KeptCommands
  readonly proofs: ProofCheck
  readonly federation: () => Pick<Federation, 'request'>
  readonly specOf: (method: string) => MethodSpec | undefined
  readonly completed: (to: Principal, command: { readonly commandId: string; readonly method: string }) => void
  readonly clock: Clock
  readonly random: Pick<Random, 'fraction'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly telemetry: Telemetry
  readonly limits: WaitingLimits
}): Waiting {
  const { kept, proofs, federation, specOf, completed, clock, random, crypto, telemetry, limits } = options
  const queues = new Map<OperatorId, Queue>()
  /** Commands on their way to disk: a repetition is answered when the first is. */
  const storing = new Map<string, Promise<void>>()
  let isRunning = false

  // --- keeping

  async function store(principal: Principal, command: ProvedCommand, digest: string): Promise<void> {
    if (JSON.stringify(command).length > maxCommandBytes)
      throw refusals.malformed('The command is too long to be kept.')
    if (kept.count(principal) >= limits.maxWaitingEach || kept.count() >= limits.maxWaiting) {
      throw refusals.tooManyPending(retryAfterMs)
    }
    const { commandId, executor, expires } = command.proof
    const fields = { principal, commandId, method: command.method, executor, digest, since: clock.now(), expires }
    await kept.add(fields, command).catch(() => {
      throw refusals.notStored()
    })
    telemetry.count('cpns_commands_kept_total', { method: command.method })
    later(queueOf(executor), backoff.minMs * random.fraction())
  }

  async function keep(principal: Principal, command: ProvedCommand) {
    const { commandId, executor } = command.proof
    const digest = digestOfCommand(crypto, command)
    const name = `${principal.operator} ${principal.identity} ${commandId}`
    const before = kept.find(principal, commandId)
    if (before && before.digest !== digest) throw refusals.commandReused()
    if (!before) {
      const stored = store(principal, command, digest).finally(() => storing.delete(name))
      storing.set(name, stored)
    }
    await storing.get(name)
    const now = kept.find(principal, commandId)
    const outcome = now && now.state !== 'pending' ? await kept.outcome(now) : undefined
    if (outcome?.state === 'done') return outcome
    if (outcome) throw refusedAs(outcome.refusal)
    throw refusals.pending(commandId, executor, now?.expires ?? command.proof.expires)
  }

  // --- sending

  function queueOf(executor: OperatorId): Queue {
    const queue = queues.get(executor) ?? { executor, failures: 0, isSending: false, cancel: () => {} }
    queues.set(executor, queue)
    return queue
  }

  function later(queue: Queue, delayMs: number): void {
    queue.cancel()
    if (!isRunning) return
    queue.cancel = clock.after(delayMs, () => void send(queue))
  }

  async function send(queue: Queue): Promise<void> {
    if (queue.isSending) return
    queue.isSending = true
    let askedMs = 0
    try {
      askedMs = await sendAll(queue)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'inventory.waiting.failed', { executor: queue.executor, message })
    }
    queue.isSending = false
    if (kept.pendingAt(queue.executor).length === 0) {
      queue.cancel()
      queues.delete(queue.executor)
      return
    }
    queue.failures += 1
    later(queue, Math.max(askedMs, backoffMs(queue.failures, backoff, random.fraction())))
  }

  /** Sends what can be sent. Answers how long the operator asked to wait, if it did. */
  async function sendAll(queue: Queue): Promise<number> {
    let isUnreachable = false
    let askedMs = 0
    /** Subscribers of whom one command could not be done: what they gave after it waits for it. */
    const held = new Set<string>()
    for (const each of kept.pendingAt(queue.executor)) {
      if (!isRunning) return askedMs
      if (each.expires <= clock.now()) {
        await settle(each, refusalAs(refusals.pendingExpired(each.executor)))
        continue
      }
      const who = `${each.principal.operator} ${each.principal.identity}`
      if (isUnreachable || held.has(who)) continue
      const answer = await attempt(each)
      if (answer.type === 'settled') {
        await settle(each, answer.outcome)
        continue
      }
      if (answer.status === 423) isUnreachable = true
      held.add(who)
      askedMs = Math.max(askedMs, Math.min(answer.retryAfterMs ?? 0, backoff.maxMs))
    }
    return askedMs
  }

  type Attempt =
    | { readonly type: 'settled'; readonly outcome: Settled }
    | { readonly type: 'later'; readonly status: number; readonly retryAfterMs?: number | undefined }

  async function attempt(each: Kept): Promise<Attempt> {
    const command = await kept.command(each)
    if (!command) throw new Error(`The record of a kept ${each.method} is gone.`)
    try {
      // Since it was kept, its subscriber may have been removed or given another key.
      await proofs.checkOwn(command, command.proof)
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error
      return error.status === 503 ? { type: 'later', status: 503 } : { type: 'settled', outcome: refusalAs(error) }
    }
    return read(await federation().request(each.executor, command), each)
  }

  function read(answer: CommandAnswer, { method, executor }: Kept): Attempt {
    if (!answer.ok) {
      const { status, retryAfterMs } = answer
      if (passing.has(status)) return { type: 'later', status, retryAfterMs }
      return { type: 'settled', outcome: refusalAs(refusedBy(answer)) }
    }
    const result = specOf(method)?.result.safeParse(answer.value)
    if (!result?.success) return { type: 'settled', outcome: refusalAs(refusals.badAnswer(executor)) }
    return { type: 'settled', outcome: { state: 'done', result: result.data } }
  }

  async function settle(each: Kept, outcome: Settled): Promise<void> {
    await kept.settle(each, outcome, clock.now())
    telemetry.count('cpns_commands_completed_total', { method: each.method, state: outcome.state })
    queueOf(each.executor).failures = 0
    completed(each.principal, { commandId: each.commandId, method: each.method })
  }

  return {
    keep,

    async outcome(principal, commandId) {
      const found = kept.find(principal, commandId)
      if (!found) throw refusals.commandUnknown(commandId)
      const { method, executor, expires } = found
      if (found.state === 'pending') return { state: 'pending', method, executor, expires }
      const outcome = await kept.outcome(found)
      if (!outcome) throw refusals.commandUnknown(commandId)
      return { method, executor, ...outcome }
    },

    async start() {
      await kept.load()
      isRunning = true
      for (const executor of kept.executors()) later(queueOf(executor), backoff.minMs * random.fraction())
    },

    stop() {
      isRunning = false
      for (const { cancel } of queues.values()) cancel()
      queues.clear()
    },

    linked(operator) {
      const queue = queues.get(operator)
      if (!queue) return
      queue.failures = 0
      later(queue, spreadMs * random.fraction())
    },

    sweep: () => kept.sweep(clock.now()),
  }
}

/** Unreachable, too much to do, no answer in time: what another attempt may not meet. */
const passing: ReadonlySet<number> = new Set([423, 429, 503, 504])

const refusalAs = ({ status, reason, message }: CommandRefused): Settled => ({
  state: 'refused',
  refusal: { status, reason, message },
})

const refusedAs = ({ status, reason, message }: Extract<Settled, { readonly state: 'refused' }>['refusal']) =>
  refusedBy({ ok: false, status, cause: reason, message })
