import { commandRefusals } from '../commands/refusals.ts'
import { CommandRefused } from '../federation/command.ts'

/** The ways in which clients and application servers are refused: status, cause (stable), and what to do. */
export const refusals = {
  ...commandRefusals,

  tooManyChannels: (limit: number) =>
    new CommandRefused(409, `There are ${limit} channels, as many as there may be. Close some.`, 'LIMIT'),
  channelUnknown: () => new CommandRefused(404, 'You have no such channel open. Open it first.', 'CHANNEL_UNKNOWN'),

  noCredential: () =>
    new CommandRefused(
      401,
      'Show the credential that came with the channel: Authorization: Bearer …',
      'CREDENTIAL_INVALID',
    ),
  otherChannel: () => new CommandRefused(403, 'The credential is for another channel.', 'CREDENTIAL_OF_OTHER'),
  renewed: () =>
    new CommandRefused(
      401,
      'The client has replaced this credential. Ask the application for the new one.',
      'CREDENTIAL_RENEWED',
    ),
  closed: () =>
    new CommandRefused(
      410,
      'The client has closed this channel, or is no subscriber any more. Forget it.',
      'CHANNEL_CLOSED',
    ),
  unheard: () =>
    new CommandRefused(
      404,
      'This server does not know the channel, or not yet. Try another server, or later.',
      'CHANNEL_UNKNOWN',
    ),

  messageUnknown: () => new CommandRefused(404, 'There is no such message, or it has ended.', 'MESSAGE_UNKNOWN'),
  acknowledged: () => new CommandRefused(409, 'The client has acknowledged this message already.', 'ACKNOWLEDGED'),
  keyReused: () =>
    new CommandRefused(409, 'Another message was sent with this idempotency key. Use a new one.', 'KEY_REUSED'),
  tooLarge: (limit: number) => new CommandRefused(413, `A message may have ${limit} bytes.`, 'TOO_LARGE'),
  channelFull: (limit: number) =>
    new CommandRefused(
      507,
      `${limit} messages wait in this channel, as many as may. Wait until the client comes, or use topics.`,
      'CHANNEL_FULL',
      retryFullMs,
    ),
  subscriberFull: () =>
    new CommandRefused(
      507,
      'No more can wait for this subscriber. Wait until it comes.',
      'SUBSCRIBER_FULL',
      retryFullMs,
    ),
  tooFastToChannel: (waitMs: number) =>
    new CommandRefused(429, 'Too many messages for this channel. Slow down.', 'CHANNEL_RATE', waitMs),
  tooFast: (waitMs: number) =>
    new CommandRefused(429, 'Too many messages of this application. Slow down.', 'APPLICATION_RATE', waitMs),
} as const

const retryFullMs = 60_000
