import { CommandRefused } from '../../federation/command.ts'

/* Every way in which secure sessions refuse, beyond those of `../refusals.ts`. */

export const secureRefusals = {
  frameRefused: () =>
    new CommandRefused(
      401,
      'The frame was not sealed for this session with its keys, or was changed on the way.',
      'FRAME_REFUSED',
    ),
  secretResult: () =>
    new CommandRefused(
      403,
      'What this answers is secret. Ask for it yourself, in a secure session with your operator or on a connection of your own, without a proof.',
      'SECURE_SESSION_ONLY',
    ),
  unknown: () =>
    new CommandRefused(
      404,
      'The server that was asked has no such secure session, or no more. Open another with the ticket.',
      'SESSION_UNKNOWN',
    ),
  notConfirmedYet: () =>
    new CommandRefused(
      409,
      'The registration is not confirmed, or this server does not know of it yet. Confirm it, or try again.',
      'NOT_CONFIRMED',
    ),
  frameReplayed: () =>
    new CommandRefused(409, 'The frame has been taken, or is too late; it is not executed again.', 'FRAME_REPLAYED'),
  rekeyNeeded: () =>
    new CommandRefused(409, 'These keys have been used enough. Go on with those of the next phase.', 'REKEY_NEEDED'),
  tooMany: (limit: number) =>
    new CommandRefused(429, `A secure session may have ${limit} requests open. Wait for answers.`, 'RATE_LIMITED', 100),
} as const
