import { webCrypto } from '../adapters/browser/crypto.ts'
import { systemClock } from '../adapters/clock.ts'
import { type NodeHttpOptions, nodeHttp } from '../adapters/node-http.ts'
import { nodeSha256 } from '../adapters/sha256.ts'
import { type WebsocketClientOptions, websocketClient } from '../adapters/websocket-client.ts'
import { type WebsocketListenerOptions, websocketListener } from '../adapters/websocket-listener.ts'
import type { GatewayStore } from '../ports/gateway-store.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type AlwaysOn, type AlwaysOnOptions, keepAlwaysOn } from './always-on/always-on.ts'
import { type GatewayOptions, type PnGateway, startGateway } from './gateway.ts'
import type { MediaPorts } from './media.ts'
import {
  openMessageStore as keepMessages,
  type MessageStore,
  type MessageStoreOptions,
} from './message-store/message-store.ts'
import { createPne, type PersonalNetworkElement, type PneOptions } from './pne.ts'
import { type ClientPorts, keepSession, openSession, type Session, type SessionOptions } from './session.ts'

/*
 * The SDK in Node: all of `./index.ts`, refusals told with their reasons, certificate authorities of one's own, and the
 * PN gateway.
 */

export { openFileReplicaStore as openFileReplica } from '../adapters/file-replica-store.ts'
export { gatewayFileStore } from '../adapters/gateway-file-store.ts'
export {
  openMemoryReplicaStore as openMemoryReplica,
  type ReplicaMemory,
  replicaMemory,
} from '../adapters/memory-replica-store.ts'
export { policyFileStore } from '../adapters/policy-file-store.ts'
export type { WebsocketClientOptions } from '../adapters/websocket-client.ts'
export type { GatewayStore, GatewayStoreKey } from '../ports/gateway-store.ts'
export type { GatewayOptions, PnGateway } from './gateway.ts'
export type { GatewayEvent } from './gateway-events.ts'
export type { QueuedCommand } from './gateway-queue.ts'
export * from './index.ts'
export { StoreDamaged } from './keeper.ts'
export type { LocalInventory } from './local-inventories.ts'
export type { RelayEvent } from './registration-relay.ts'

export const nodePorts = (sockets: WebsocketClientOptions = {}): ClientPorts => ({
  sockets: websocketClient(sockets),
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

/** For {@link uploadMedia} and {@link downloadMedia}: with certificate authorities of one's own, and a faster hash. */
export const nodeMediaPorts = (options: NodeHttpOptions = {}): MediaPorts => ({
  http: nodeHttp(options),
  sha256: nodeSha256,
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

/** As in `./index.ts`. */
export const connect = (options: SessionOptions, ports: ClientPorts = nodePorts()): Promise<Session> =>
  openSession(ports, options)

/** As in `./index.ts`. */
export const alwaysOn = (options: AlwaysOnOptions, ports: ClientPorts = nodePorts()): AlwaysOn =>
  keepAlwaysOn(ports, options)

/** As in `./index.ts`. */
export const personalNetworkElement = (options: PneOptions, ports: ClientPorts = nodePorts()): PersonalNetworkElement =>
  createPne(ports, options)

/** As in `./index.ts`. */
export const openMessageStore = (
  options: MessageStoreOptions,
  ports: ClientPorts = nodePorts(),
): Promise<MessageStore> => keepMessages(ports, options)

export interface PnGatewayOptions extends GatewayOptions {
  /** The gateway as a subscriber of its operator. */
  readonly session: SessionOptions
  /**
   * Where PNEs find it. Default: a free port of loopback. Beyond loopback it needs a certificate: what PNEs say is
   * sealed, but who they are is not.
   */
  readonly listen?: Partial<Omit<WebsocketListenerOptions, 'telemetry'>>
  /**
   * Where it keeps what it must know again when it comes back: {@link gatewayFileStore}. Without one it forgets, when it ends,
   * what it knew and what waited for its server.
   */
  readonly store?: GatewayStore
  /** Hears of the listener: refused connections, certificates that cannot be used. */
  readonly telemetry?: Telemetry
}

/**
 * Connects a PN gateway to its operator, attaches it, and opens its door to PNEs; with its operator's servers out of reach, it
 * opens the door with what its store holds, and goes on trying.
 * @throws {RequestRefused} {@link ServerNotTrusted} {@link ListenRefused} {@link StoreDamaged}; nothing is left open then.
 */
export async function openGateway(options: PnGatewayOptions, ports: ClientPorts = nodePorts()): Promise<PnGateway> {
  const session = await keepSession(ports, options.session)
  const listener = websocketListener({
    host: '127.0.0.1',
    port: 0,
    maxPayloadBytes: 32 * 1024,
    maxConnections: 512,
    ...options.listen,
    telemetry: options.telemetry ?? silent,
  })
  try {
    return await startGateway({ ...ports, ...kept(options.store) }, session, listener, options)
  } catch (error) {
    session.close()
    await listener.stop()
    throw error
  }
}

const kept = (store: GatewayStore | undefined) => (store ? { store } : {})

/** An application that asks for no telemetry gets none. */
const silent: Telemetry = { log: () => {}, count: () => {}, observe: () => {} }
