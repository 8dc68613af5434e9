import { z } from 'zod'
import { asDocumentId } from '../document/names.ts'
import type { CommandOptions } from '../federation/command.ts'
import { durabilityWish } from '../federation/durability.ts'
import type { CommandProof } from '../federation/federation.ts'
import type { DocumentId } from '../ports/names.ts'
import { operator, time } from './fields.ts'

/* What every command takes beside its own parameters, on whatever way it comes: a connection, or a secure session. */

const document = z.string().transform((text, context): DocumentId => {
  try {
    return asDocumentId(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'expected the id of a document, such as pn/a.example/home' })
    return z.NEVER
  }
})

/** The client's own signature over the command, with which a server passes it on to the operator that executes it. */
export const commandProof: z.ZodType<CommandProof> = z.strictObject({
  operator,
  identity: z.string().min(1).max(128),
  executor: operator,
  document,
  commandId: z.string().min(1).max(64),
  expires: time,
  signature: z.string().regex(/^[A-Za-z0-9_-]{43,86}$/, {
    error: 'expected an HMAC-SHA-256 (43 characters) or an Ed25519 signature (86 characters) in base64url',
  }),
})

/**
 * `wait` has the server keep a command with a proof whose executing operator cannot be reached, and send it when that can be
 * reached again. Answered with 202, its outcome is asked for with `command.outcome`.
 */
export const ifUnreachable = z
  .enum(['refuse', 'wait'])
  .meta({ description: 'What becomes of the command when its executing operator cannot be reached' })

const common = z
  .object({
    commandProof: commandProof.optional(),
    ifUnreachable: ifUnreachable.optional(),
    durability: durabilityWish.optional(),
  })
  .refine(({ ifUnreachable: how, durability }) => how !== 'wait' || typeof durability !== 'object', {
    path: ['durability'],
    error: 'a command that may be kept for later is not waited for: repeat it when its outcome is there',
  })

/** What a caller says of a command beside its parameters. */
export interface Said {
  readonly proof?: CommandProof
  readonly options?: CommandOptions
}

/** The command's own parameters, and what is said beside them; `error` when that is not what it should be. */
export function splitParameters(
  params: unknown,
): { readonly own: unknown; readonly said: Said } | { readonly error: z.ZodError } {
  if (typeof params !== 'object' || params === null || Array.isArray(params)) return { own: params, said: {} }
  const { commandProof: proof, ifUnreachable: how, durability, ...own } = params as Readonly<Record<string, unknown>>
  const checked = common.safeParse({ commandProof: proof, ifUnreachable: how, durability })
  if (!checked.success) return { error: checked.error }
  const { data } = checked
  const options = {
    ...(data.ifUnreachable === 'wait' && { ifUnreachable: data.ifUnreachable }),
    ...(typeof data.durability === 'object' && { durability: data.durability }),
  }
  return {
    own,
    said: {
      ...(data.commandProof && { proof: data.commandProof }),
      ...(Object.keys(options).length > 0 && { options }),
    },
  }
}
