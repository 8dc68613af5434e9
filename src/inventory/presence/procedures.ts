import type { Principal } from '../../federation/command.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Caller, isMember, live, requireGateway } from '../authority.ts'
import type { Networks } from '../networks.ts'
import type { Query } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { NetworkView } from '../view.ts'
import type { PresenceLimits } from './limits.ts'
import {
  type Presence,
  type PresenceReportParams,
  type PresenceReportResult,
  presenceQuery,
  presenceReport,
  presenceUnwatch,
  presenceWatch,
} from './methods.ts'
import type { PresenceService } from './presence.ts'
import type { Report } from './reports.ts'

/*
 * What clients say and ask of presence. All of it is between a client and the server that it is attached to: nothing here is
 * forwarded, so nobody else says in a subscriber's name that it is there.
 */

export interface PresenceProcedures {
  readonly self: OperatorId
  readonly networks: Pick<Networks, 'view'>
  readonly presence: PresenceService
  readonly limits: PresenceLimits
}

type Named = { readonly home: OperatorId; readonly pnId: string }

/** @throws {CommandRefused} 403; 429 */
function attachedHere({ self, presence }: PresenceProcedures, caller: Caller): Principal {
  if (caller.kind !== 'subscriber' || caller.principal.operator !== self) {
    throw refusals.notAuthorised('Presence is told and asked at a server of one’s own operator.')
  }
  presence.admit(caller.principal)
  return caller.principal
}

const here = ({ self }: PresenceProcedures) => ({
  network: ({ home, pnId }: Named) => ({ home, pnId }),
  executor: () => self,
})

export const reporting = (options: PresenceProcedures): Query<PresenceReportParams, PresenceReportResult> => ({
  ...here(options),
  spec: presenceReport,
  async perform(params, caller) {
    const reporter = attachedHere(options, caller)
    const name = { home: params.home, pnId: params.pnId }
    const view = live(name, await options.networks.view(name))
    const reports =
      params.gatewayId === undefined
        ? [ofElement(params, reporter, view)]
        : ofGateway({ ...params, gatewayId: params.gatewayId }, caller, reporter, view)
    options.presence.hear(name, reporter, reports)
    const heard = new Set(reports.map(({ operator, id }) => `${operator}/${id}`))
    const passedOver = (params.pnes ?? []).filter(pne => !heard.has(pneKey(pne)))
    return {
      holdsMs: options.limits.holdsMs,
      passedOver: passedOver.map(({ operator, pneId }) => ({ operator, pneId })),
    }
  },
})

/** @throws {CommandRefused} 400, 403 */
function ofElement(
  { state, pnes }: PresenceReportParams,
  { operator, identity }: Principal,
  view: NetworkView,
): Report {
  if (pnes !== undefined) throw refusals.malformed('Only a gateway speaks of PNEs beside it: name it in gatewayId.')
  if (!isMember(view, { operator, pneId: identity })) {
    throw refusals.notAuthorised('Who is not in the roster is not there. A gateway names its gatewayId.')
  }
  return { of: 'pne', operator, id: identity, state }
}

/** @throws {CommandRefused} 403 */
function ofGateway(
  { gatewayId, state, pnes = [] }: PresenceReportParams & { readonly gatewayId: string },
  caller: Caller,
  { operator }: Principal,
  view: NetworkView,
): Report[] {
  requireGateway(view, caller, gatewayId)
  const beside = new Set(view.inventory.members.filter(member => member.gatewayId === gatewayId).map(pneKey))
  const ofPnes = pnes
    .filter(pne => beside.has(pneKey(pne)))
    .map((pne): Report => ({ of: 'pne', operator: pne.operator, id: pne.pneId, state: pne.state }))
  return [{ of: 'gateway', operator, id: gatewayId, state }, ...ofPnes]
}

export const querying = (options: PresenceProcedures): Query<Named, Presence> => ({
  ...here(options),
  spec: presenceQuery,
  async perform({ home, pnId }, caller) {
    attachedHere(options, caller)
    return options.presence.query({ home, pnId }, caller)
  },
})

export const watching = (options: PresenceProcedures): Query<Named, Presence> => ({
  ...here(options),
  spec: presenceWatch,
  perform: async ({ home, pnId }, caller) => options.presence.watch({ home, pnId }, attachedHere(options, caller)),
})

export const unwatching = (options: PresenceProcedures): Query<Named, Record<string, never>> => ({
  ...here(options),
  spec: presenceUnwatch,
  async perform({ home, pnId }, caller) {
    options.presence.unwatch({ home, pnId }, attachedHere(options, caller))
    return {}
  },
})
