import { z } from 'zod'
import { commandId, operator, spec, time } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'

/*
 * Commands that another operator executes and that could not be sent to it at once: what became of them.
 */

const outcomeRefusal = z.strictObject({
  status: z.int(),
  /** The stable cause, as a refusal of the command itself would have had. */
  reason: z.string(),
  message: z.string(),
})

export const commandOutcome = spec({
  method: 'command.outcome',
  summary: 'What became of a command of the caller that was answered with 202: pending, done or refused.',
  params: z.strictObject({ commandId }),
  result: z.discriminatedUnion('state', [
    z.strictObject({ state: z.literal('pending'), method: z.string(), executor: operator, expires: time }),
    /** `result` is what the command itself would have answered. */
    z.strictObject({ state: z.literal('done'), method: z.string(), executor: operator, result: z.unknown() }),
    z.strictObject({ state: z.literal('refused'), method: z.string(), executor: operator, refusal: outcomeRefusal }),
  ]),
  refusals: [404],
  example: {
    params: { commandId: 'mJ3cQ5rT9yV1xB7n' },
    result: { state: 'pending', method: 'pn.update', executor: 'a.example', expires: 1_790_000_000_000 },
  },
})

/** Tells the subscriber, and nobody else, that {@link commandOutcome} has something new to say. */
export const commandCompleted = {
  method: 'command.completed',
  summary: 'A command that was answered with 202 has been executed, or refused for good: ask for its outcome.',
  params: z.strictObject({ commandId, method: z.string() }),
  audience: 'own',
  example: { commandId: 'mJ3cQ5rT9yV1xB7n', method: 'pn.update' },
} as const satisfies NotificationSpec<unknown>

export type CommandOutcomeParams = z.infer<typeof commandOutcome.params>
export type CommandOutcome = z.infer<typeof commandOutcome.result>

export const forwardingMethods = [commandOutcome] as const
