import { commandRefusals } from '../commands/refusals.ts'
import { CommandRefused } from '../federation/command.ts'
import type { OperatorId } from '../ports/names.ts'
import type { ConnectionMode, Pne, Right } from './fields.ts'
import { commandOutcome, pnEstablish } from './methods.ts'
import { pneKey } from './records.ts'
import type { NetworkName } from './view.ts'

/*
 * Every way in which a command on a Personal Network is refused, beyond those of all commands: status, cause (stable, for programs) and message (what
 * is wrong and what to do, for people).
 */

const shown = ({ home, pnId }: NetworkName): string => `${pnId} of ${home}`

export const refusals = {
  ...commandRefusals,

  pending: (commandId: string, executor: OperatorId, expires: number) =>
    new CommandRefused(
      202,
      `${executor} cannot be reached; the command is kept and sent when it can. Ask "${commandOutcome.method}" what became of it.`,
      'PENDING',
      undefined,
      { commandId, executor, expires },
    ),

  authFailed: () =>
    new CommandRefused(401, 'The sealed request or the proof was not made with this PNE’s key.', 'AUTH_FAILED'),
  challengeForged: () =>
    new CommandRefused(
      401,
      'The challenge is not one of this operator for this way. Ask for one.',
      'CHALLENGE_UNKNOWN',
    ),
  challengeExpired: () => new CommandRefused(401, 'The challenge has expired. Ask for a new one.', 'CHALLENGE_EXPIRED'),
  pseudonymUnknown: () =>
    new CommandRefused(
      401,
      'The name of the pre-shared key is none that this operator gave, or an outdated one. Seal the identity anew.',
      'PSEUDONYM_UNKNOWN',
    ),
  certificateName: () =>
    new CommandRefused(
      401,
      'The certificate is not for this PNE: it needs the URI cpns:<operator>:<PNE ID> in its subjectAltName.',
      'CERTIFICATE_NAME',
    ),
  certificateUntrusted: () =>
    new CommandRefused(
      401,
      'The certificate does not lead to an authority that the operator trusts, or was not made for this. Get another.',
      'CERTIFICATE_UNTRUSTED',
    ),
  certificateExpired: () =>
    new CommandRefused(
      401,
      'The certificate, or that of an authority above it, is not valid now. Renew it.',
      'CERTIFICATE_EXPIRED',
    ),
  certificateRevoked: () => new CommandRefused(401, 'The certificate was revoked. Get another.', 'CERTIFICATE_REVOKED'),
  ticketUnknown: () =>
    new CommandRefused(
      401,
      'The ticket is none of this operator for this registration, or an outdated one. Register again.',
      'TICKET_UNKNOWN',
    ),

  notTheOwner: (name: NetworkName) =>
    new CommandRefused(403, `Only the owner of ${shown(name)} may do this, itself or by a proof of its own.`),
  gatewayUnknown: (gatewayId: string, name: NetworkName) =>
    new CommandRefused(
      403,
      `The caller is not attached to ${shown(name)} as gateway ${gatewayId}. Attach it first.`,
      'GATEWAY_UNKNOWN',
    ),
  joinedByInvitation: ({ pnId, home, connectionMode }: NetworkName & { readonly connectionMode: ConnectionMode }) =>
    new CommandRefused(
      403,
      `${pnId} of ${home} is ${connectionMode}: its owner or administrator adds PNEs, no gateway does.`,
      'PN_NOT_OPEN',
    ),
  noGrant: (operator: OperatorId, right: Right, name: NetworkName) =>
    new CommandRefused(
      403,
      `${operator} has no grant with the right "${right}" in ${shown(name)}, or none that this server knows of yet.`,
      'NO_GRANT',
    ),
  grantEnded: (operator: OperatorId, name: NetworkName) =>
    new CommandRefused(
      403,
      `The grant of ${operator} in ${shown(name)} has ended; its servers say nothing of it any more.`,
      'GRANT_ENDED',
    ),

  pnUnknown: (name: NetworkName) =>
    new CommandRefused(404, `This server knows of no Personal Network ${shown(name)}.`, 'PN_UNKNOWN'),
  pneUnknown: (pne: Pne) =>
    new CommandRefused(404, `${pne.operator} has no subscriber for the PNE ${pne.pneId}.`, 'PNE_UNKNOWN'),
  elementUnknown: (pneId: string, name: NetworkName) =>
    new CommandRefused(404, `No gateway and no roster of ${shown(name)} knows of an element ${pneId}.`, 'PNE_UNKNOWN'),
  questionUnknown: () =>
    new CommandRefused(404, 'No such question is open: it was answered, or waits no longer.', 'QUESTION_UNKNOWN'),
  gatewayMissing: (gatewayId: string, name: NetworkName) =>
    new CommandRefused(404, `No gateway ${gatewayId} is attached to ${shown(name)} here.`, 'GATEWAY_MISSING'),
  commandUnknown: (commandId: string) =>
    new CommandRefused(
      404,
      `This server keeps no command ${commandId} of yours, or no longer. Repeat the command with its id.`,
      'COMMAND_UNKNOWN',
    ),
  transactionUnknown: () =>
    new CommandRefused(
      404,
      'This server knows of no registration with this transaction. Send its request again, or register.',
      'TRANSACTION_UNKNOWN',
    ),

  established: (name: NetworkName) =>
    new CommandRefused(
      409,
      `${shown(name)} exists. Choose another id, or leave it to "${pnEstablish.method}".`,
      'PN_EXISTS',
    ),
  version: (expected: string, actual: string) =>
    new CommandRefused(409, `The inventory has version ${actual}, not ${expected}. Read it again.`, 'VERSION_CONFLICT'),
  overtaken: (keys: readonly string[]) =>
    new CommandRefused(409, `A later command has decided about ${keys.join(', ')} already.`, 'OVERTAKEN'),
  tooMany: (what: 'PNEs' | 'gateways' | 'grants', limit: number) =>
    new CommandRefused(
      409,
      `The Personal Network has ${limit} ${what}, as many as it may. Remove some first.`,
      'LIMIT',
    ),
  full: () =>
    new CommandRefused(409, 'The documents of this Personal Network have no more room. Remove something.', 'PN_FULL'),
  fingerprint: (operator: OperatorId) =>
    new CommandRefused(
      409,
      `The root keys of ${operator} have another fingerprint. Compare it with its operator before granting anything.`,
      'FINGERPRINT_MISMATCH',
    ),
  gatewayTaken: (gatewayId: string) =>
    new CommandRefused(409, `Gateway ${gatewayId} is another subscriber’s. Choose another id.`, 'GATEWAY_EXISTS'),
  gatewayActive: ({ operator, gatewayId }: { readonly operator: OperatorId; readonly gatewayId: string }) =>
    new CommandRefused(
      409,
      `Gateway ${gatewayId} of ${operator} is active and can be reached, with a priority no lower. Stand by.`,
      'GATEWAY_ACTIVE',
    ),
  adminExists: ({ operator, pneId }: Pne) =>
    new CommandRefused(
      409,
      `${operator}/${pneId} is the administrator. Have it handed over with "transfer", or remove it first.`,
      'ADMIN_EXISTS',
    ),
  notMember: (pne: Pne) =>
    new CommandRefused(409, `${pneKey(pne)} is not in the roster. Add it with pn.update first.`, 'NOT_MEMBER'),
  transactionReused: () =>
    new CommandRefused(409, 'Another request was made under this transaction. Use a new one.', 'TRANSACTION_REUSED'),
  keyEpoch: (epoch: number) =>
    new CommandRefused(409, `Registration key ${epoch} is not in use. Ask for a new challenge.`, 'KEY_EPOCH_UNKNOWN'),
  superseded: () =>
    new CommandRefused(409, 'A later registration has taken the place of this one. Register again.', 'SUPERSEDED'),
  deregistered: () => new CommandRefused(409, 'The registration was ended by its PNE. Register again.', 'DEREGISTERED'),
  notConfirmed: () =>
    new CommandRefused(409, 'The registration was not confirmed in time, or has ended. Register again.', 'EXPIRED'),

  released: (name: NetworkName) => new CommandRefused(410, `${shown(name)} was released.`, 'PN_RELEASED'),
  expired: (name: NetworkName) => new CommandRefused(410, `${shown(name)} has expired.`, 'PN_EXPIRED'),

  gatewayUnreachable: (pne: Pne) =>
    new CommandRefused(
      423,
      `No gateway that ${pneKey(pne)} could be beside is reached now. Ask again when one is.`,
      'GATEWAY_UNREACHABLE',
    ),
  askerUnreachable: () =>
    new CommandRefused(423, 'The server that asked cannot be reached, or has no part in this Personal Network.'),
  tooManyAttempts: (retryAfterMs: number) =>
    new CommandRefused(429, 'Too many requests of this PNE failed. Wait.', 'RATE_LIMITED', retryAfterMs),
  tooManyOfOperator: (retryAfterMs: number) =>
    new CommandRefused(429, 'Too many requests from this operator. Wait.', 'RATE_LIMITED', retryAfterMs),
  tooManyCalls: (retryAfterMs: number) =>
    new CommandRefused(429, 'Too many calls about presence. Wait.', 'RATE_LIMITED', retryAfterMs),
  tooManyWatched: (limit: number) =>
    new CommandRefused(429, `You watch ${limit} Personal Networks, as many as you may. End some.`, 'LIMIT'),
  tooManyRequests: (retryAfterMs: number) =>
    new CommandRefused(429, 'This PNE, or its gateway, asks too often. Wait.', 'RATE_LIMITED', retryAfterMs),
  tooManyPending: (retryAfterMs: number) =>
    new CommandRefused(
      429,
      'Too many commands are kept until their operator can be reached. Wait for some, or give this one later.',
      'TOO_MANY_PENDING',
      retryAfterMs,
    ),
  notYet: (missing: string) =>
    new CommandRefused(
      503,
      `What the command rests on has not arrived here yet (${missing}). Send it again.`,
      'NOT_YET',
      1_000,
    ),
  revocationUnknown: () =>
    new CommandRefused(
      503,
      'The operator cannot tell whether the certificate was revoked: its list is out of date. Try again when it has a new one.',
      'REVOCATION_UNKNOWN',
      60_000,
    ),
  gatewaySilent: () => new CommandRefused(504, 'No gateway that was asked has answered in time. Ask again.', 'TIMEOUT'),
  pendingExpired: (executor: OperatorId) =>
    new CommandRefused(
      504,
      `${executor} gave no answer before the proof of the command expired. Give the command anew if it is still wanted.`,
      'PENDING_EXPIRED',
    ),
} as const
