import { toBase64url } from '../inventory/framing.ts'
import {
  gatewayAttach,
  type Inventory,
  pneChallenge,
  pneConfirm,
  pneDeregister,
  pneRefresh,
  pneRegister,
} from '../inventory/methods.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { ClientListener } from '../ports/client-sockets.ts'
import { gatewayDiscover, gatewayPath, gatewaySubprotocol } from './gateway-protocol.ts'
import { localMethod, serveLocally } from './local-server.ts'
import { createRegistrationRelay, type RegistrationRelayOptions, refusal } from './registration-relay.ts'
import type { ClientPorts, Session } from './session.ts'

export interface GatewayOptions extends Pick<RegistrationRelayOptions, 'admits' | 'onEvent'> {
  /** Its name in the Personal Networks that it attaches to. */
  readonly gatewayId: string
  /** Where it attaches at the start. */
  readonly networks: readonly NetworkName[]
}

/**
 * A PN gateway: attached to Personal Networks as a subscriber of its operator, it lets the PNEs beside it register. It
 * relays what they seal to their own operators, and can neither read nor change it.
 */
export interface PnGateway {
  readonly gatewayId: string
  /** Base URL for PNEs. */
  url(): string
  /** Attaches to one more Personal Network; to one that it is attached to, it does nothing. @throws {RequestRefused} */
  attach(network: NetworkName): Promise<Inventory>
  /** The local inventory: as the server last gave it, with what this gateway has changed since. */
  inventory(network: NetworkName): Promise<Inventory>
  /** Stops listening and closes its session. */
  stop(): Promise<void>
}

/** Attaches, and only then listens. The session is the gateway's from now on. */
export async function startGateway(
  { crypto, clock }: Pick<ClientPorts, 'crypto' | 'clock'>,
  session: Session,
  listener: ClientListener,
  options: GatewayOptions,
): Promise<PnGateway> {
  const { gatewayId } = options
  const relay = createRegistrationRelay({ ...options, session, crypto, clock })

  async function attach({ home, pnId }: NetworkName): Promise<Inventory> {
    const commandId = toBase64url(crypto.randomBytes(16))
    const { inventory } = await session.call(gatewayAttach, { commandId, home, pnId, gatewayId })
    relay.learn(inventory)
    return inventory
  }

  /** A PNE that means another gateway is at the wrong door. */
  function forUs<P extends { readonly gatewayId: string }, R>(relayed: (params: P) => Promise<R>) {
    return async (params: P): Promise<R> => {
      if (params.gatewayId === gatewayId) return relayed(params)
      throw refusal(404, 'GATEWAY_UNKNOWN', `This is gateway ${gatewayId}, not ${params.gatewayId}.`)
    }
  }

  const methods = [
    localMethod(gatewayDiscover, async () => ({
      gatewayId,
      operator: session.identity.operator,
      networks: relay.known().map(({ home, pnId, alias }) => ({ home, pnId, alias })),
    })),
    localMethod(
      pneChallenge,
      forUs(async params => {
        await relay.inventory(params)
        return session.call(pneChallenge, params)
      }),
    ),
    localMethod(pneRegister, forUs(relay.register)),
    localMethod(
      pneConfirm,
      forUs(params => session.call(pneConfirm, params)),
    ),
    localMethod(
      pneRefresh,
      forUs(params => session.call(pneRefresh, params)),
    ),
    localMethod(
      pneDeregister,
      forUs(params => session.call(pneDeregister, params)),
    ),
  ]

  for (const network of options.networks) await attach(network)
  const server = await serveLocally(listener, { path: gatewayPath, subprotocol: gatewaySubprotocol, methods })
  return {
    gatewayId,
    url: server.url,
    attach,
    inventory: relay.inventory,
    async stop() {
      await server.stop()
      session.close()
    },
  }
}
