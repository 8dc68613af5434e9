import type { ProofCheck } from '../../commands/proofs.ts'
import type { Command, MethodSpec } from '../../federation/command.ts'
import type { Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { LogStore } from '../../ports/log-store.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Notices } from '../notices/notices.ts'
import { createKeptCommands, type KeptLimits } from './kept-commands.ts'
import { commandCompleted } from './methods.ts'
import { createOutcomes, outcomeMethod } from './outcomes.ts'
import { createWaiting, type Waiting, type WaitingLimits } from './waiting.ts'

export type ForwardingLimits = WaitingLimits & KeptLimits

export const defaultForwardingLimits: ForwardingLimits = {
  maxWaitingEach: 32,
  maxWaiting: 4_096,
  outcomeMs: 7 * 86_400_000,
  maxOutcomesEach: 128,
  maxOutcomes: 16_384,
}

/** Commands that wait for their operator, put together. */
export interface Forwarding {
  readonly waiting: Waiting
  /** `command.outcome`. */
  readonly command: Command
  join(federation: Federation): void
  stop(): void
}

export function createForwarding(options: {
  readonly self: OperatorId
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly proofs: ProofCheck
  readonly federation: () => Federation
  /** Of the methods that can wait. */
  readonly specOf: (method: string) => MethodSpec | undefined
  readonly notices: () => Notices
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  readonly limits: ForwardingLimits
}): Forwarding {
  const { notices } = options
  const waiting = createWaiting({
    ...options,
    kept: createKeptCommands(options),
    completed: (to, command) => notices().tell(to, commandCompleted, command),
  })
  const outcomes = createOutcomes({ ...options, waiting })
  let stopListening = () => {}

  return {
    waiting,
    command: outcomes.command as Command,
    join(federation) {
      federation.handle(outcomeMethod, outcomes.answer)
      stopListening = federation.subscribe(({ type, operator }) => {
        if (type === 'up') waiting.linked(operator)
      })
    },
    stop() {
      stopListening()
      waiting.stop()
    },
  }
}
