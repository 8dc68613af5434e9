import { webCrypto } from '../adapters/browser/crypto.ts'
import { systemClock } from '../adapters/clock.ts'
import { type WebsocketClientOptions, websocketClient } from '../adapters/websocket-client.ts'
import { type WebsocketListenerOptions, websocketListener } from '../adapters/websocket-listener.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type GatewayOptions, type PnGateway, startGateway } from './gateway.ts'
import { createPne, type PersonalNetworkElement, type PneOptions } from './pne.ts'
import { type ClientPorts, openSession, type Session, type SessionOptions } from './session.ts'

/*
 * The SDK in Node: all of `./index.ts`, refusals told with their reasons, certificate authorities of one's own, and the
 * PN gateway.
 */

export type { WebsocketClientOptions } from '../adapters/websocket-client.ts'
export type { GatewayOptions, PnGateway } from './gateway.ts'
export * from './index.ts'
export type { RelayEvent } from './registration-relay.ts'

export const nodePorts = (sockets: WebsocketClientOptions = {}): ClientPorts => ({
  sockets: websocketClient(sockets),
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

/** As in `./index.ts`. */
export const connect = (options: SessionOptions, ports: ClientPorts = nodePorts()): Promise<Session> =>
  openSession(ports, options)

/** As in `./index.ts`. */
export const personalNetworkElement = (options: PneOptions, ports: ClientPorts = nodePorts()): PersonalNetworkElement =>
  createPne(ports, options)

export interface PnGatewayOptions extends GatewayOptions {
  /** The gateway as a subscriber of its operator. */
  readonly session: SessionOptions
  /**
   * Where PNEs find it. Default: a free port of loopback. Beyond loopback it needs a certificate: what PNEs say is
   * sealed, but who they are is not.
   */
  readonly listen?: Partial<Omit<WebsocketListenerOptions, 'telemetry'>>
  /** Hears of the listener: refused connections, certificates that cannot be used. */
  readonly telemetry?: Telemetry
}

/**
 * Connects a PN gateway to its operator, attaches it, and opens its door to PNEs.
 * @throws {RequestRefused} {@link ListenRefused} and whatever {@link connect} throws; nothing is left open then.
 */
export async function openGateway(options: PnGatewayOptions, ports: ClientPorts = nodePorts()): Promise<PnGateway> {
  const session = await openSession(ports, options.session)
  const listener = websocketListener({
    host: '127.0.0.1',
    port: 0,
    maxPayloadBytes: 32 * 1024,
    maxConnections: 512,
    ...options.listen,
    telemetry: options.telemetry ?? silent,
  })
  try {
    return await startGateway(ports, session, listener, options)
  } catch (error) {
    session.close()
    await listener.stop()
    throw error
  }
}

/** An application that asks for no telemetry gets none. */
const silent: Telemetry = { log: () => {}, count: () => {} }
