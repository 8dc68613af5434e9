import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { generateOperatorSecrets } from '../../src/adapters/operator-keys.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketClient } from '../../src/adapters/websocket-client.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import type { ClientIdentity } from '../../src/client/authenticate.ts'
import { type ClientPorts, openSession, type Session } from '../../src/client/session.ts'
import { formatManifest, rootFingerprint, type SignedManifest } from '../../src/federation/manifest.ts'
import type { NodeLimits, NodePorts } from '../../src/node/surroundings.ts'
import { type CpnsNode, createNode } from '../../src/node.ts'
import type { OperatorSecrets } from '../../src/ports/identity.ts'
import type { Credential } from '../../src/ports/key-source.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { SimulatedLoadProbe } from '../../src/simulation/load-probe.ts'
import { MemoryHub } from '../fixtures/memory-network.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

/*
 * Whole nodes of operators that trust each other, each with a real websocket for its clients; between them the network in
 * memory. Every identity is a subscriber, with a pre-shared key that follows from its name.
 */
export const crypto = nodeCrypto()

export const keyOf = (operator: string, identity: string): Uint8Array =>
  crypto.sha256(new TextEncoder().encode(`key of ${identity} at ${operator}`))

export interface TestNode {
  readonly node: CpnsNode
  readonly url: string
  /** Ends the server, and starts it again on the same disk at the same URL. */
  down(): Promise<void>
  /** @param until resolves when it serves clients, or when it has started altogether */
  up(until?: 'serving' | 'ready'): Promise<void>
  readonly telemetry: RecordingTelemetry
  readonly fingerprint: string
  readonly secrets: OperatorSecrets
  /** Of who has another than the pre-shared key that follows from its name. */
  readonly credentials: Map<string, Credential>
  identity(name: string, key?: Uint8Array): ClientIdentity
  session(name: string, ports?: ClientPorts): Promise<Session>
}

export interface ClientWorld {
  readonly nodes: readonly TestNode[]
  readonly hub: MemoryHub
  /** What is told to end with the world, last first. */
  readonly ends: (() => unknown)[]
  stop(): Promise<void>
}

export const clientPorts = (): ClientPorts => ({
  sockets: websocketClient(),
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

export const clientWorld = (...names: readonly string[]): Promise<ClientWorld> => clientWorldOn(() => ({}), ...names)

/** As {@link clientWorld}, on other ports than it has itself. */
export const clientWorldOn = (
  portsOf: (operator: string) => Partial<NodePorts> | Promise<Partial<NodePorts>>,
  ...names: readonly string[]
): Promise<ClientWorld> => clientWorldWithin({}, portsOf, ...names)

/** As {@link clientWorldOn}, within other limits than nodes have by themselves. */
export const clientWorldWithin = (
  limits: NodeLimits,
  portsOf: (operator: string) => Partial<NodePorts> | Promise<Partial<NodePorts>>,
  ...names: readonly string[]
): Promise<ClientWorld> => clientWorldOf({ limits, portsOf }, ...names)

export interface ClientWorldOptions {
  readonly limits?: NodeLimits
  readonly portsOf?: (operator: string) => Partial<NodePorts> | Promise<Partial<NodePorts>>
  /** Where servers find one; without it, in the network in memory. */
  readonly addressOf?: (server: ServerId) => string
  /** Operators that all trust besides, and whose servers the test plays itself. */
  readonly played?: readonly SignedManifest[]
}

/** As {@link clientWorld}, with a part of it put together by the test. */
export async function clientWorldOf(
  { limits = {}, portsOf = () => ({}), addressOf = id => `/memory/${id}`, played = [] }: ClientWorldOptions,
  ...names: readonly string[]
): Promise<ClientWorld> {
  const hub = new MemoryHub()
  const operators = names.map(name => testOperator(name))
  const addresses = new Map(operators.flatMap(({ servers }) => servers.map(({ id }) => [id, addressOf(id)])))
  const manifests = new Map(operators.map(operator => [operator, operator.manifest({ addresses })]))
  const ends: (() => unknown)[] = []
  const nodes: TestNode[] = []

  for (const [operator, manifest] of manifests) {
    const [server] = operator.servers
    if (!server) throw new Error('A test operator has a server.')
    const others = [...[...manifests].flatMap(([other, its]) => (other === operator ? [] : its)), ...played]
    const telemetry = new RecordingTelemetry()
    const disk = memoryDisk()
    const credentials = new Map<string, Credential>()
    const secrets = await generateOperatorSecrets(crypto, seededRandom(`secrets of ${operator.id}`))
    const boot = async (port: number, until: 'serving' | 'ready' = 'ready'): Promise<CpnsNode> => {
      const node = await createNode(
        {
          clock: systemClock(),
          random: systemRandom(),
          crypto,
          store: memoryLogStore({ disk }),
          network: hub.network(server.id),
          listener: websocketListener({ host: '127.0.0.1', port, telemetry }),
          keys: {
            find: async identity =>
              identity.startsWith('no')
                ? undefined
                : {
                    identity,
                    credential: credentials.get(identity) ?? { kind: 'psk', key: keyOf(operator.id, identity) },
                  },
          },
          probe: new SimulatedLoadProbe(),
          telemetry,
          ...(await portsOf(operator.id)),
        },
        {
          identity: server.identity,
          secrets,
          manifest: formatManifest(manifest),
          pins: new Map(others.map(other => [other.manifest.operator, rootFingerprint(other.manifest, crypto)])),
          peerManifests: others.map(formatManifest),
          limits,
        },
      )
      await node.start()
      if (until === 'ready') await node.ready
      return node
    }
    let node = await boot(0)
    const url = node.clientUrl()
    ends.push(() => node.stop())
    const identity = (name: string, key: Uint8Array = keyOf(operator.id, name)): ClientIdentity => ({
      operator: operator.id,
      identity: name,
      credential: { kind: 'psk', key },
      servers: [server.id],
    })
    nodes.push({
      get node() {
        return node
      },
      telemetry,
      url,
      down: () => node.stop(),
      async up(until) {
        node = await boot(Number(new URL(url).port), until)
      },
      fingerprint: rootFingerprint(manifest.manifest, crypto),
      secrets,
      credentials,
      identity,
      async session(name, ports = clientPorts()) {
        const session = await openSession(ports, { ...identity(name), urls: [url], timeoutMs: 60_000 })
        ends.push(() => session.close())
        return session
      },
    })
  }
  return {
    nodes,
    hub,
    ends,
    async stop() {
      for (const end of ends.splice(0).reverse()) await end()
    },
  }
}
