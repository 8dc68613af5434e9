import { ActorStopped, AskTimeout, MailboxFull } from '../actor/errors.ts'
import { DocumentDamaged, WriteFailed } from '../document/documents.ts'
import { CommandRefused } from '../federation/command.ts'
import type { OperatorId } from '../ports/names.ts'

/*
 * The ways in which any command can be refused, whatever it is about: status, cause (stable, for programs) and message
 * (what is wrong and what to do, for people).
 */

export const commandRefusals = {
  malformed: (message: string) => new CommandRefused(400, message, 'MALFORMED'),
  proofRefused: (why: string) => new CommandRefused(401, `The proof of the command ${why}.`, 'PROOF_REFUSED'),
  notAuthorised: (what: string) => new CommandRefused(403, what),
  nothingToReplicate: (method: string) =>
    new CommandRefused(
      400,
      `${method} changes no documents: there is nothing to replicate. Leave out "durability".`,
      'MALFORMED',
    ),
  elsewhere: (operator: OperatorId) =>
    new CommandRefused(
      403,
      `Only servers of ${operator} execute this; give a proof to have it forwarded.`,
      'ELSEWHERE',
      undefined,
      { executor: operator },
    ),
  commandReused: () =>
    new CommandRefused(409, 'Another command was given under this command id. Use a new one.', 'COMMAND_REUSED'),
  badAnswer: (operator: OperatorId) =>
    new CommandRefused(500, `${operator} answered with something that is no answer to this command.`, 'BAD_ANSWER'),
  overloaded: (retryAfterMs: number) =>
    new CommandRefused(503, 'The server has too much to do. Try again later.', 'OVERLOADED', retryAfterMs),
  starting: () =>
    new CommandRefused(
      503,
      'The server has just started, and does not know all of its documents yet. Try again.',
      'STARTING',
      1_000,
    ),
  notStored: () =>
    new CommandRefused(
      503,
      'What the command says could not be stored; nothing was changed. Try again.',
      'NOT_STORED',
      1_000,
    ),
  damaged: () =>
    new CommandRefused(
      503,
      'The disk of this server has damaged what the command is about; others are bringing it. Try again, or at another server.',
      'DOCUMENT_DAMAGED',
      5_000,
    ),
  keySource: () =>
    new CommandRefused(
      503,
      'The source of subscribers’ keys cannot be reached. Try again.',
      'KEY_SOURCE_UNAVAILABLE',
      1_000,
    ),
  timeout: () =>
    new CommandRefused(504, 'No answer in time; it may still be done. Repeat it with the same id.', 'TIMEOUT'),
} as const

/** @throws what it was, or the refusal that says it to a client. */
export function asCommandRefusal(error: unknown): never {
  if (error instanceof WriteFailed) throw commandRefusals.notStored()
  if (error instanceof DocumentDamaged) throw commandRefusals.damaged()
  if (error instanceof AskTimeout) throw commandRefusals.timeout()
  if (error instanceof MailboxFull || error instanceof ActorStopped) throw commandRefusals.overloaded(1_000)
  throw error
}
