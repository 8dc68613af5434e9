import type { z } from 'zod'
import { framed, toBase64url } from '../commands/framing.ts'
import type { Pne } from '../inventory/fields.ts'
import { type Inventory, type InventoryMember, pnUpdate } from '../inventory/methods.ts'
import { pneKey } from '../inventory/records.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { OperatorId } from '../ports/names.ts'
import type { GatewayEvent } from './gateway-events.ts'
import type { GatewayPresence } from './gateway-presence.ts'
import { gatewayDiscover, gatewayLookup, gatewayPair, gatewayPresent, maxFound } from './gateway-protocol.ts'
import { type GatewayQueue, QueueFull } from './gateway-queue.ts'
import { type LocalInventories, networkKey } from './local-inventories.ts'
import { type LocalConnection, type LocalMethod, localMethod } from './local-server.ts'
import { type Pairing, type Pairings, PairingsFull } from './pairings.ts'
import { isOpen } from './patience.ts'
import { isMember, type RegistrationRelay, refusal, unknownNetwork } from './registration-relay.ts'
import { ServerUnreachable, type Uplink } from './uplink.ts'

/*
 * What a gateway does for the devices beside it by itself, with its server or without: it is discovered, it pairs, it tells
 * paired devices who is in their Personal Network.
 *
 * Nothing of this decides anything. What is told without the server is marked as stale. Who was paired without it is
 * proposed to it as a member, by a command that waits: the PNE is one when the server says so, and not before.
 */

export interface LocalServiceOptions {
  readonly gatewayId: string
  readonly operator: OperatorId
  readonly mode: 'PN_GW' | 'BOTH'
  readonly uplink: Uplink
  readonly relay: Pick<RegistrationRelay, 'refresh'>
  readonly inventories: LocalInventories
  readonly pairings: Pairings
  readonly queue: GatewayQueue
  readonly presence: Pick<GatewayPresence, 'heard'>
  /** Whether the gateway belongs to this Personal Network, as far as it knows. */
  readonly serves: (network: NetworkName) => boolean
  readonly admits: (pne: Pne, network: NetworkName) => boolean | Promise<boolean>
  readonly crypto: Pick<ClientCrypto, 'sha256'>
  readonly onEvent: (event: GatewayEvent) => void
}

/** PNEs that one connection may pair: a device, and those that it speaks for. */
const maxPairedHere = 8
const tryAgainMs = 5_000

export function localServiceMethods(options: LocalServiceOptions): LocalMethod[] {
  const { gatewayId, operator, mode, uplink, relay, inventories, pairings, queue, serves, crypto, onEvent } = options
  /** By connection: which PNEs have paired on it, by {@link pneKey}, in which Personal Networks. */
  const pairedOn = new WeakMap<LocalConnection, Map<string, string>>()
  /** One question to the server per Personal Network, however many wait for its answer. */
  const asking = new Map<string, Promise<Inventory>>()

  const state = () => (uplink.isOpen ? ('connected' as const) : ('local' as const))

  async function pair(params: PairParams, connection: LocalConnection) {
    const { home, pnId, operator, pneId, ...rest } = params
    const network = { home, pnId }
    const pne = { operator, pneId }
    if (!serves(network)) throw unknownNetwork(network)
    const here = pairedOn.get(connection) ?? new Map<string, string>()
    const key = `${networkKey(network)}/${pneKey(pne)}`
    if (here.size >= maxPairedHere && !here.has(key)) throw tooMany(`One connection pairs ${maxPairedHere} PNEs.`)

    const before = pairings.get(network, pne)
    const pairing = await pairings
      .pair({ network, pne, ...rest }, async () => options.admits(pne, network))
      .catch(notNow)
    if (!pairing) throw refusal(403, 'NOT_ADMITTED', `The gateway does not let ${pneKey(pne)} in.`, gatewayPair.method)
    pairedOn.set(connection, here.set(key, networkKey(network)))
    if (before?.secretHash !== pairing.secretHash) onEvent({ type: 'paired', network, pne })
    return { state: 'paired' as const, gateway: state(), membership: await membershipOf(pairing) }
  }

  async function membershipOf(pairing: Pairing): Promise<'member' | 'queued' | 'none' | 'refused'> {
    const { network, pne } = pairing
    const known = inventories.get(network)?.inventory
    if (known && isMember(known, pne)) return 'member'
    if (pairing.refused) return 'refused'
    if (queue.waiting.some(command => command.method === pnUpdate.method && isAbout(command, pairing))) return 'queued'
    if (uplink.isOpen) return 'none'
    await propose(pairing)
    return 'queued'
  }

  /** The command follows from the pairing: however often it is proposed, also over a crash in between, it is one. */
  async function propose({ network, pne, secretHash, since }: Pairing): Promise<void> {
    const digest = await crypto.sha256(
      framed('cpns-pairing-v1', networkKey(network), pneKey(pne), secretHash, `${since}`),
    )
    const id = toBase64url(digest.slice(0, 16))
    const params = { commandId: id, time: since, ...network, operation: 'add' as const, pnes: [pne] }
    const command = { id, method: pnUpdate.method, params, network, pne }
    await queue.add(command).catch(notNow)
    onEvent({ type: 'queued', command })
  }

  async function lookup(params: LookupParams, connection: LocalConnection) {
    const network = { home: params.home, pnId: params.pnId }
    const here = new Set(pairedOn.get(connection)?.values())
    if (!here.has(networkKey(network))) {
      throw refusal(403, 'NOT_PAIRED', 'Pair on this connection first.', gatewayLookup.method)
    }
    const isFresh = await refreshed(network)
    const known = inventories.get(network)
    if (!known) throw new ServerUnreachable(gatewayLookup.method)
    const { members, gateways } = known.inventory
    const found = members.filter(member => fits(member, params) && isAt(gatewayOf(member, gateways), params))
    const ours = gateways.find(each => each.gatewayId === gatewayId && each.operator === operator)
    const paired = pairings
      .of(network)
      .filter(({ pne }) => !isMember(known.inventory, pne))
      .map(({ pne, mode, capabilities }) => ({ ...pne, mode, capabilities }))
      .filter(pairing => fits(pairing, params) && isAt(ours, params))
    return {
      asOf: known.asOf,
      stale: !isFresh,
      members: found.slice(0, maxFound),
      left: Math.max(0, found.length - maxFound),
      gateways,
      paired: paired.slice(0, maxFound),
    }
  }

  /** Whether the server could be asked. @throws {RequestRefused} when it answered that this is none of the gateway's business. */
  async function refreshed(network: NetworkName): Promise<boolean> {
    if (!uplink.isOpen) return false
    const key = networkKey(network)
    const asked = asking.get(key) ?? relay.refresh(network).finally(() => asking.delete(key))
    asking.set(key, asked)
    try {
      await asked
      return true
    } catch (error) {
      if (error instanceof ServerUnreachable || isOpen(error)) return false
      throw error
    }
  }

  async function present({ home, pnId, operator, pneId, state }: PresentParams, connection: LocalConnection) {
    const network = { home, pnId }
    const pne = { operator, pneId }
    if (!pairedOn.get(connection)?.has(`${networkKey(network)}/${pneKey(pne)}`)) {
      throw refusal(403, 'NOT_PAIRED', 'Pair on this connection first.', gatewayPresent.method)
    }
    return options.presence.heard(network, pne, state)
  }

  return [
    localMethod(gatewayDiscover, async () => ({
      gatewayId,
      operator,
      mode,
      state: state(),
      networks: inventories
        .all()
        .map(({ inventory: { home, pnId, alias } }) => ({ home, pnId, alias }))
        .filter(serves),
    })),
    localMethod(gatewayPair, pair),
    localMethod(gatewayLookup, lookup),
    localMethod(gatewayPresent, present),
  ]
}

type PairParams = z.infer<typeof gatewayPair.params>
type PresentParams = z.infer<typeof gatewayPresent.params>
type LookupParams = z.infer<typeof gatewayLookup.params>

interface Shown extends Pne {
  readonly capabilities?: Readonly<Record<string, string>> | undefined
}

const fits = (shown: Shown, { pneId, operator, capability }: LookupParams): boolean =>
  (pneId === undefined || shown.pneId === pneId) &&
  (operator === undefined || shown.operator === operator) &&
  (capability === undefined || (shown.capabilities !== undefined && Object.hasOwn(shown.capabilities, capability)))

type InventoryGateway = Inventory['gateways'][number]

/** Where a member has registered. Two operators may have named their gateways the same: then it is told by the first. */
const gatewayOf = (member: InventoryMember, gateways: readonly InventoryGateway[]): InventoryGateway | undefined =>
  gateways.find(gateway => gateway.gatewayId === member.gatewayId)

const isAt = (gateway: InventoryGateway | undefined, { gatewayId, zone }: LookupParams): boolean =>
  (gatewayId === undefined || gateway?.gatewayId === gatewayId) && (zone === undefined || gateway?.zone === zone)

const isAbout = (
  command: { readonly network: NetworkName; readonly pne?: Pne | undefined },
  { network, pne }: Pairing,
): boolean =>
  command.pne !== undefined &&
  pneKey(command.pne) === pneKey(pne) &&
  networkKey(command.network) === networkKey(network)

const tooMany = (message: string) => refusal(429, 'TOO_MANY_PAIRINGS', message, gatewayPair.method, tryAgainMs)

/** What could not be kept was not promised. */
function notNow(error: unknown): never {
  if (error instanceof PairingsFull || error instanceof QueueFull) throw tooMany(`${error.message} Try again later.`)
  throw refusal(
    503,
    'NOT_STORED',
    'The gateway could not keep this; nothing was changed. Try again.',
    gatewayPair.method,
    tryAgainMs,
  )
}
