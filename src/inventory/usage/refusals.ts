import { CommandRefused } from '../../federation/command.ts'
import type { Pne } from '../fields.ts'
import { pneKey } from '../records.ts'

/* Every way in which usage is not taken or told, beyond those of `../refusals.ts`. */

export const usageRefusals = {
  notItsGateway: (pne: Pne, gatewayId: string) =>
    new CommandRefused(
      403,
      `${pneKey(pne)} is not registered through ${gatewayId}: only the PNE itself or its gateway reports what it uses.`,
      'NOT_ITS_GATEWAY',
    ),
  notYours: () =>
    new CommandRefused(
      403,
      'Usage is told to the owner and the administrator of the Personal Network, and to each PNE its own.',
    ),
  notRegistered: (pne: Pne) =>
    new CommandRefused(
      404,
      `There is no such registration of ${pneKey(pne)}, or a later one has taken its place. Report before registering again.`,
      'REGISTRATION_UNKNOWN',
    ),
  serviceNotOpen: (serviceId: string) =>
    new CommandRefused(
      409,
      `The registration has not opened ${serviceId}. Register with it in services.`,
      'SERVICE_NOT_OPEN',
    ),
  outside: () =>
    new CommandRefused(
      409,
      'The registration was not active in all of this time. Report the part in which it was.',
      'OUTSIDE_REGISTRATION',
    ),
  closed: (day: string) =>
    new CommandRefused(
      409,
      `${day} takes no more reports. What was reported of it in time is counted.`,
      'USAGE_CLOSED',
    ),
  reused: () =>
    new CommandRefused(409, 'Something else was reported under this report id. Use a new one.', 'REPORT_REUSED'),
  tooMany: (limit: number, what: string) =>
    new CommandRefused(
      409,
      `There are ${limit} reports ${what}, as many as there may be. Report longer times.`,
      'LIMIT',
    ),
} as const
