import { ActorStopped, AskTimeout, MailboxFull } from '../../actor/errors.ts'
import { splitParameters } from '../../commands/common-parameters.ts'
import { executeDurably } from '../../commands/durably.ts'
import { DocumentDamaged, WriteFailed } from '../../document/documents.ts'
import { type Command, CommandRefused, type Principal } from '../../federation/command.ts'
import type { Federation } from '../../federation/federation.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { refusals } from '../refusals.ts'
import type { InnerCall, InnerOutcome } from './messages.ts'

/**
 * Executes what a PNE asks inside its secure session: the ordinary commands, as the subscriber that it is. Opening and
 * carrying sessions is for gateways; it makes no sense in one.
 */
export const executing =
  (commands: () => readonly Command[], federation: () => Pick<Federation, 'replicated'>, telemetry: Telemetry) =>
  async ({ method, params }: InnerCall, principal: Principal): Promise<InnerOutcome> => {
    const command = commands().find(({ spec }) => spec.method === method)
    if (!command || method.startsWith('secure.')) {
      return failed(-32601, 404, 'METHOD_UNKNOWN', `There is no method "${method}" in a secure session.`)
    }
    const malformed = ({ message }: Error) =>
      failed(-32602, 400, 'MALFORMED', `The parameters of ${method}: ${message}`)
    const split = splitParameters(params ?? {})
    if ('error' in split) return malformed(split.error)
    const parsed = command.spec.params.safeParse(split.own)
    if (!parsed.success) return malformed(parsed.error)
    try {
      return {
        result: (await executeDurably(command, parsed.data, { principal, ...split.said }, federation())) ?? null,
      }
    } catch (error) {
      const refused = refusalOf(error)
      if (refused) return refusedWith(refused)
      const message = error instanceof Error ? (error.stack ?? error.message) : String(error)
      telemetry.log('error', 'secure.method-failed', { method, message })
      return failed(-32603, 500, 'INTERNAL', 'The server failed; its log says why.')
    }
  }

/** What a caller can do something about. */
function refusalOf(error: unknown): CommandRefused | undefined {
  if (error instanceof CommandRefused) return error
  if (error instanceof WriteFailed) return refusals.notStored()
  if (error instanceof DocumentDamaged) return refusals.damaged()
  if (error instanceof AskTimeout) return refusals.timeout()
  return error instanceof MailboxFull || error instanceof ActorStopped ? refusals.overloaded(1_000) : undefined
}

const failed = (code: number, status: number, reason: string, message: string): InnerOutcome => ({
  error: { code, message, data: { status, reason } },
})

const refusedWith = ({ status, reason, message, retryAfterMs, details }: CommandRefused): InnerOutcome => ({
  error: {
    code: status,
    message,
    data: { status, reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...details },
  },
})
