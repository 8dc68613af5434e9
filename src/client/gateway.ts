import { toBase64url } from '../commands/framing.ts'
import type { Pne } from '../inventory/fields.ts'
import {
  gatewayAttach,
  type Inventory,
  pneChallenge,
  pneConfirm,
  pneDeregister,
  pneRefresh,
  pneRegister,
  pnInventory,
  pnUpdate,
  secureOpen,
  secureSend,
} from '../inventory/methods.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { ClientListener } from '../ports/client-sockets.ts'
import type { GatewayStore } from '../ports/gateway-store.ts'
import { answerCapabilities } from './capabilities.ts'
import { createCatchUp } from './catch-up.ts'
import { createDeregistrationRelay } from './deregistration-relay.ts'
import { RequestRefused } from './errors.ts'
import type { GatewayEvent } from './gateway-events.ts'
import { createGatewayPresence } from './gateway-presence.ts'
import { gatewayPath, gatewayReady, gatewaySubprotocol } from './gateway-protocol.ts'
import { openGatewayQueue, type QueuedCommand, type Sent } from './gateway-queue.ts'
import { createTakeover } from './gateway-takeover.ts'
import { forgetful } from './keeper.ts'
import { type LocalInventory, networkKey, openLocalInventories } from './local-inventories.ts'
import { type LocalConnection, type LocalServer, localMethod, serveLocally } from './local-server.ts'
import { localServiceMethods } from './local-service.ts'
import { openPairings } from './pairings.ts'
import { isForGood, isOpen } from './patience.ts'
import { createRegistrationRelay, refusal } from './registration-relay.ts'
import { createSecureRelay } from './secure-relay.ts'
import type { ClientPorts, Session } from './session.ts'
import { createUplink } from './uplink.ts'

export interface GatewayOptions {
  /** Its name in the Personal Networks that it attaches to. */
  readonly gatewayId: string
  /** Where it attaches at the start; besides, it goes on wherever it was attached when it last ran on its store. */
  readonly networks: readonly NetworkName[]
  /** Whether it is itself an element of its networks, besides. Default: `PN_GW`. */
  readonly mode?: 'PN_GW' | 'BOTH'
  /**
   * The owner's policy, and the consent of who is beside the gateway: whether a PNE may pair with it, and whether one that is no
   * member may become one. Default: every one may.
   */
  readonly admits?: (pne: Pne, network: NetworkName) => boolean | Promise<boolean>
  readonly onEvent?: (event: GatewayEvent) => void
  /** Of several gateways the one with the greatest is the active one. Default: as it was, 0 at first. */
  readonly priority?: number
  /** The place that it serves, by name. Default: as it was; `null`: none. */
  readonly zone?: string | null
  /** PNEs that may be paired at once. Default: 256. */
  readonly maxPairings?: number
}

/**
 * A PN gateway: attached to Personal Networks as a subscriber of its operator, it lets the PNEs beside it register. It
 * relays what they seal to their own operators, and can neither read nor change it. While its server is out of reach it
 * goes on with what it knows; see `README.md`.
 */
export interface PnGateway {
  readonly gatewayId: string
  /** `connected`: it has its server and has caught up. `local`: it serves alone. */
  readonly state: 'connected' | 'local'
  /** Base URL for PNEs. */
  url(): string
  /** Attaches to one more Personal Network; to one that it is attached to, it does nothing. @throws {RequestRefused} */
  attach(network: NetworkName): Promise<Inventory>
  /** The local inventory: as the server last gave it, with what this gateway has changed since. */
  inventory(network: NetworkName): Promise<Inventory>
  /** The same without asking anybody, and of when it is. */
  known(network: NetworkName): LocalInventory | undefined
  /** What waits for the server. */
  waiting(): readonly QueuedCommand[]
  /** Stops listening and closes its session. */
  stop(): Promise<void>
}

/** What a gateway needs of the world around it, its session and its listener apart. */
export interface GatewayPorts extends Pick<ClientPorts, 'crypto' | 'clock'> {
  /** Without one it forgets, when it ends, what it knew and what waited. */
  readonly store?: GatewayStore
}

/** The commands that may wait for the server: those that say the same whenever they are executed. */
const queueable = [pnUpdate, pneDeregister]

/**
 * Attaches, and only then listens. With its server out of reach it listens at once, with what its store holds. The session
 * is the gateway's from now on.
 * @throws {RequestRefused} when the server will not have it; {@link StoreDamaged}; {@link ListenRefused}
 */
export async function startGateway(
  { crypto, clock, store = forgetful }: GatewayPorts,
  session: Session,
  listener: ClientListener,
  options: GatewayOptions,
): Promise<PnGateway> {
  const { gatewayId, priority, zone, mode = 'PN_GW', admits = () => true, onEvent = () => {} } = options
  const { operator } = session.identity
  const notKept = (error: unknown) => onEvent({ type: 'failed', what: 'keeping', error })
  const inventories = await openLocalInventories({ store, clock, notKept })
  const pairings = await openPairings({ store, clock, crypto, maxPairings: options.maxPairings })
  const queue = await openGatewayQueue({
    store,
    methods: queueable,
    dropped: command => onEvent({ type: 'not-understood', command }),
  })
  const places = new Map<string, Place>()
  const belong = (network: NetworkName) => places.set(networkKey(network), { network, attached: 'not yet' })
  for (const { inventory } of inventories.all()) belong({ home: inventory.home, pnId: inventory.pnId })
  for (const { home, pnId } of options.networks) belong({ home, pnId })

  const presence = createGatewayPresence(session, clock, gatewayId)
  const stopAnswering = answerCapabilities(session, {
    gatewayId,
    knows: (pne, network) => pairings.get(network, pne)?.capabilities,
    failed: error => onEvent({ type: 'failed', what: 'answering', error }),
  })
  const uplink = createUplink(session, () => catchUp.isDone)
  const secure = createSecureRelay(session, uplink)
  const relay = createRegistrationRelay({
    uplink,
    inventories,
    crypto,
    clock,
    gatewayId,
    operator,
    onEvent,
    async admits(pne, network) {
      const pairing = pairings.get(network, pne)
      if (!pairing) return admits(pne, network)
      // What somebody has decided since holds against a pairing that is older; other refusals may have passed.
      return pairing.refused?.reason !== 'OVERTAKEN'
    },
  })

  const takeover = createTakeover({
    uplink,
    clock,
    crypto,
    gatewayId,
    operator,
    networks: () => [...places.values()].filter(({ attached }) => attached === 'yes').map(({ network }) => network),
    refresh: relay.refresh,
    activated: network => onEvent({ type: 'activated', network }),
    failed: error => onEvent({ type: 'failed', what: 'taking over', error }),
  })

  function stopLive(): void {
    takeover.stop()
    stopAnswering()
    presence.stop()
  }

  async function attach(network: NetworkName): Promise<Inventory> {
    const { home, pnId } = network
    const commandId = toBase64url(crypto.randomBytes(16))
    const { inventory } = await session.call(gatewayAttach, { commandId, home, pnId, gatewayId, priority, zone })
    places.set(networkKey(network), { network: { home, pnId }, attached: 'yes' })
    inventories.learn(inventory)
    presence.attached({ home, pnId })
    return inventory
  }

  /** Where the server says that the gateway does not belong, it belongs no longer; where it does not know yet, it is asked again. */
  async function attachAgain(): Promise<boolean> {
    for (const { network, attached } of [...places.values()]) {
      if (attached !== 'not yet') continue
      await attach(network).catch(error => {
        if (!(error instanceof RequestRefused)) throw error
        if (error.status !== 403 && error.status !== 410) return
        places.set(networkKey(network), { network, attached: 'refused' })
        inventories.forget(network)
        onEvent({ type: 'detached', network, error })
      })
    }
    return [...places.values()].every(({ attached }) => attached !== 'not yet')
  }

  async function send({ method, params }: QueuedCommand): Promise<unknown> {
    if (method === pneDeregister.method) return session.call(pneDeregister, pneDeregister.params.parse(params))
    return session.call(pnUpdate, pnUpdate.params.parse(params))
  }

  async function decided({ method, network, pne }: QueuedCommand, sent: Sent): Promise<void> {
    if (sent.kind !== 'refused' || method !== pnUpdate.method || !pne) return
    const { reason, message } = sent.error
    await pairings.refuse(network, pne, { reason, message })
  }

  /** Where it belongs as far as it knows; also where another program has attached it, once the server has said so. */
  function serves(network: NetworkName): boolean {
    const attached = places.get(networkKey(network))?.attached
    return attached === 'yes' || attached === 'not yet' || inventories.get(network) !== undefined
  }

  /** A PNE that means another gateway is at the wrong door. */
  function forUs<P extends { readonly gatewayId: string }, R>(
    relayed: (params: P, connection: LocalConnection) => Promise<R>,
  ) {
    return async (params: P, connection: LocalConnection): Promise<R> => {
      if (params.gatewayId === gatewayId) return relayed(params, connection)
      throw refusal(404, 'GATEWAY_UNKNOWN', `This is gateway ${gatewayId}, not ${params.gatewayId}.`)
    }
  }

  const methods = [
    ...localServiceMethods({
      gatewayId,
      operator,
      mode,
      uplink,
      relay,
      inventories,
      pairings,
      queue,
      presence,
      serves,
      admits,
      crypto,
      onEvent,
    }),
    localMethod(
      pneChallenge,
      forUs(async params => {
        await relay.inventory(params)
        return uplink.call(pneChallenge, params)
      }),
    ),
    localMethod(pneRegister, forUs(relay.register)),
    localMethod(pneConfirm, forUs(relay.confirm)),
    localMethod(
      pneRefresh,
      forUs(params => uplink.call(pneRefresh, params)),
    ),
    localMethod(pneDeregister, forUs(createDeregistrationRelay({ uplink, queue, onEvent }))),
    localMethod(secureOpen, forUs(secure.open)),
    localMethod(secureSend, forUs(secure.send)),
  ]

  async function refresh(sent: readonly QueuedCommand[]): Promise<void> {
    const changed = new Map(sent.map(({ network }) => [networkKey(network), network]))
    for (const { home, pnId } of changed.values()) {
      const inventory = await session.call(pnInventory, { home, pnId }).catch((error: unknown) => {
        // What may no longer be read is said where the gateway attaches again.
        if (error instanceof RequestRefused) return undefined
        throw error
      })
      if (inventory) inventories.learn(inventory)
    }
  }

  // Before the catch-up hears of it: on a new connection nothing is attached yet.
  const stopForgetting = session.listen({
    state() {
      for (const { network } of [...places.values()]) belong(network)
    },
  })
  let server: LocalServer | undefined
  const catchUp = createCatchUp({
    session,
    clock,
    crypto,
    queue,
    attach: attachAgain,
    send,
    decided,
    refresh,
    ready() {
      server?.tellAll(gatewayReady, {})
      takeover.begin()
    },
    onEvent,
  })
  async function firstRound(): Promise<void> {
    for (const network of options.networks) {
      if (session.state.kind !== 'connected') return
      await attach(network).catch(error => {
        if (error instanceof RequestRefused ? isForGood(error) : !isOpen(error)) throw error
      })
    }
    const caughtUp = catchUp.begin()
    // Devices need not wait for what waits itself.
    if (queue.waiting.length === 0) await caughtUp
  }

  try {
    await firstRound()
    server = await serveLocally(listener, clock, { path: gatewayPath, subprotocol: gatewaySubprotocol, methods })
  } catch (error) {
    catchUp.stop()
    stopLive()
    stopForgetting()
    throw error
  }
  const { url, stop } = server
  return {
    gatewayId,
    get state() {
      return uplink.isOpen ? 'connected' : 'local'
    },
    url,
    async attach(network) {
      const isAttached = places.get(networkKey(network))?.attached === 'yes'
      const known = isAttached || session.state.kind !== 'connected' ? inventories.get(network) : undefined
      return known ? known.inventory : attach(network)
    },
    inventory: relay.inventory,
    known: network => inventories.get(network),
    waiting: () => queue.waiting,
    async stop() {
      catchUp.stop()
      stopLive()
      stopForgetting()
      await stop()
      secure.stop()
      session.close()
    },
  }
}

/** A Personal Network that the gateway is to be attached to, and whether it is, on this connection. */
interface Place {
  readonly network: NetworkName
  readonly attached: 'not yet' | 'yes' | 'refused'
}
