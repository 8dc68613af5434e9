import { z } from 'zod'
import { type ServerId, serverId } from '../ports/names.ts'

/*
 * How safe what a command writes is to be before it is answered, and how safe it is.
 *
 * `stored`, as always: fsynced at the server that executed the command. `replicated`: k other servers of its operator have
 * said, too, that they hold it durably. Servers of other operators do not count: they hold a copy as long as they may.
 */

/** That so many servers hold what was written, beside the one that answers. */
export interface DurabilityWish {
  readonly replicated: number
  /** How long that is waited for, milliseconds. Default: {@link defaultReplicationMs}; 0: how it is now. */
  readonly timeoutMs?: number | undefined
}

/** Who holds what was written, durably. It stands, whether or not that is enough. */
export interface Durability {
  /** The server that has executed the command. */
  readonly stored: ServerId
  /** Other servers of its operator. */
  readonly replicated: readonly ServerId[]
  /** Whether those are as many as were wanted. */
  readonly isReached: boolean
}

/** What a command answers, with who holds what it has written. */
export interface Durable<Result> {
  readonly result: Result
  readonly durability: Durability
}

/** More servers than an operator has that has not split into realms. */
export const maxReplicas = 16
export const defaultReplicationMs = 5_000
/** Each call that waits holds a place of its client, and memory. */
export const maxReplicationMs = 30_000

/** What a client may say of a command. */
export const durabilityWish = z
  .union([
    z.literal('stored'),
    z.strictObject({
      replicated: z
        .int()
        .min(1)
        .max(maxReplicas)
        .meta({ description: 'How many other servers of the executing operator are to hold what the command writes' }),
      timeoutMs: z
        .int()
        .min(0)
        .max(maxReplicationMs)
        .optional()
        .meta({ description: `How long that is waited for; ${defaultReplicationMs} if left out, 0: how it is now` }),
    }),
  ])
  .meta({
    description:
      'With "replicated" the result is {"result": …, "durability": …} as in #/components/schemas/durable: the servers that hold what was written, and whether those are as many as were wanted, when that was reached or the time was up',
  })

const server = z.string().transform((text, context): ServerId => {
  try {
    return serverId(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected the id of a server' })
    return z.NEVER
  }
})

/** What a command answers to whoever wants it replicated. */
export const durable = <Result>(result: z.ZodType<Result>): z.ZodType<Durable<Result>> =>
  z.object({
    result,
    durability: z.object({ stored: server, replicated: z.array(server), isReached: z.boolean() }),
  }) as z.ZodType<Durable<Result>>
