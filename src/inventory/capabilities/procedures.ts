import type { Federation } from '../../federation/federation.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Caller, live, mayReadNetwork, requireGateway } from '../authority.ts'
import type { InventoryMember } from '../methods.ts'
import type { Networks } from '../networks.ts'
import type { PresenceService } from '../presence/presence.ts'
import type { Query } from '../procedure.ts'
import { refusals } from '../refusals.ts'
import type { NetworkView } from '../view.ts'
import {
  type CapabilitiesAnswerParams,
  type CapabilitiesQueryParams,
  type CapabilitiesQueryResult,
  capabilitiesAnswer,
  capabilitiesQuery,
} from './methods.ts'
import type { InventoryGateway, Questions } from './questions.ts'

/*
 * `capabilities.query`: from the inventory, when the target's registration names capabilities; else from the gateway that it
 * registered through, or, while it has not registered, from whichever gateway has it beside it.
 */

export interface CapabilitiesOptions {
  readonly self: OperatorId
  readonly networks: Pick<Networks, 'view'>
  readonly presence: Pick<PresenceService, 'admit' | 'gather' | 'reachable'>
  readonly questions: Questions
  readonly federation: () => Federation
}

/** Gateways that are asked about one target at once. */
const maxAsked = 8

export const capabilitiesQuerying = (
  options: CapabilitiesOptions,
): Query<CapabilitiesQueryParams, CapabilitiesQueryResult> => ({
  spec: capabilitiesQuery,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: () => options.self,

  async perform({ home, pnId, targetId, operator }, caller) {
    const name = { home, pnId }
    admit(options, caller)
    const view = live(name, await options.networks.view(name))
    if (!mayReadNetwork(view, caller)) {
      throw refusals.notAuthorised(`Only the owner, gateways and elements of ${pnId} of ${home} may ask this.`)
    }
    const target = targetOf(view, targetId, operator)
    if (target.capabilities && Object.keys(target.capabilities).length > 0) return { capabilities: target.capabilities }

    const gateways = await reachableGateways(options, view, target)
    if (gateways.length === 0) throw refusals.gatewayUnreachable(target)
    const asked = await options.questions.ask(name, { operator: target.operator, targetId }, gateways)
    switch (asked.is) {
      case 'known':
        return { capabilities: asked.capabilities, gatewayId: asked.gatewayId }
      case 'unknown':
        throw refusals.elementUnknown(targetId, name)
      case 'late':
        throw refusals.gatewaySilent()
    }
  },
})

/** @throws {CommandRefused} 403, 429 */
function admit({ self, presence }: CapabilitiesOptions, caller: Caller): void {
  if (caller.kind !== 'subscriber' || caller.principal.operator !== self) {
    throw refusals.notAuthorised('Capabilities are asked at a server of one’s own operator.')
  }
  presence.admit(caller.principal)
}

/** @throws {CommandRefused} 400 when there are several, 404 when there is none. */
function targetOf({ inventory }: NetworkView, targetId: string, operator: OperatorId | undefined): InventoryMember {
  const found = inventory.members.filter(
    member => member.pneId === targetId && (operator === undefined || member.operator === operator),
  )
  const [target] = found
  if (!target) throw refusals.elementUnknown(targetId, inventory)
  if (found.length > 1) throw refusals.malformed(`${found.length} elements are named ${targetId}: say whose is meant.`)
  return target
}

/** The gateways that may know, without those of which it is known that nothing reaches them. */
async function reachableGateways(
  { self, presence, federation }: CapabilitiesOptions,
  { inventory }: NetworkView,
  target: InventoryMember,
): Promise<InventoryGateway[]> {
  await presence.gather(inventory)
  return inventory.gateways
    .filter(({ gatewayId }) => target.gatewayId === undefined || gatewayId === target.gatewayId)
    .filter(({ operator }) => operator === self || federation().linked(operator).length > 0)
    .filter(gateway => presence.reachable(inventory, gateway) !== false)
    .slice(0, maxAsked)
}

export const capabilitiesAnswering = (
  options: CapabilitiesOptions,
): Query<CapabilitiesAnswerParams, Record<string, never>> => ({
  spec: capabilitiesAnswer,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: () => options.self,

  async perform(params, caller) {
    const name = { home: params.home, pnId: params.pnId }
    admit(options, caller)
    requireGateway(live(name, await options.networks.view(name)), caller, params.gatewayId)
    await options.questions.answer(params)
    return {}
  },
})
