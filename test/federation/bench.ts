import { serverIdentity } from '../../src/adapters/identity.ts'
import type { PeerNetwork, PeerStream } from '../../src/ports/peer-network.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { MemoryHub } from '../fixtures/memory-network.ts'
import type { TestOperator, TestServer } from '../fixtures/operators.ts'
import { crypto, World, type WorldOptions, type WorldServer } from './world.ts'

/** A world on a network in memory and a clock that the test moves: every run is the same. */
export class Bench {
  readonly clock = new ManualClock()
  readonly hub = new MemoryHub()
  readonly world: World

  constructor(operators: readonly TestOperator[], federation: WorldOptions['federation'] = {}) {
    this.world = new World(operators, {
      clock: this.clock,
      network: server => this.hub.network(server.id),
      address: server => `/memory/${server}`,
      federation,
    })
  }

  readonly run = (ms: number): Promise<void> => this.clock.run(ms)

  /** Starts servers and lets them link. */
  readonly start = async (...which: readonly (readonly [TestOperator, number])[]): Promise<WorldServers> => {
    const servers = []
    for (const [operator, number] of which) servers.push(await this.world.start(operator, number))
    await this.run(2_000)
    return servers as WorldServer[] as WorldServers
  }
}

/** For destructuring: as many as were asked for are there. */
export type WorldServers = [WorldServer, WorldServer, WorldServer, WorldServer]

/** A server that a test plays itself, frame by frame: nothing that it sends has passed any check on its side. */
export class FakePeer {
  readonly server: TestServer
  readonly network: PeerNetwork
  /** Streams that the other opened. */
  readonly streams: PeerStream[] = []
  readonly events: string[] = []
  readonly #readers = new WeakMap<PeerStream, AsyncIterator<Uint8Array>>()

  constructor(hub: MemoryHub, server: TestServer) {
    this.server = server
    this.network = hub.network(server.id)
  }

  async start(): Promise<void> {
    await this.network.start({
      protocols: [],
      maxFrameBytes: 64 * 1024 * 1024,
      gate: { refuse: () => undefined },
      events: {
        connected: () => this.events.push('connected'),
        disconnected: () => this.events.push('disconnected'),
        refused: () => {},
        stream: stream => this.streams.push(stream),
      },
    })
  }

  /** The next frame, or `undefined` at the end or a reset. */
  async next(stream: PeerStream): Promise<Uint8Array | undefined> {
    const reader = this.#readers.get(stream) ?? stream.frames[Symbol.asyncIterator]()
    this.#readers.set(stream, reader)
    const { value, done } = await reader.next().catch(() => ({ value: undefined, done: true }))
    return done ? undefined : value
  }
}

/** A server of the operator whose id is greater, or smaller, than all of `than`: then it does not, or does, speak first. */
export function serverAmong(operator: TestOperator, order: 'first' | 'last', than: TestServer): TestServer {
  for (let seed = 0; ; seed++) {
    const privateKey = crypto.sha256(new TextEncoder().encode(`${operator.id} ${seed}`))
    const identity = serverIdentity(operator.id, privateKey, crypto)
    if (order === 'first' ? identity.server < than.id : identity.server > than.id) {
      return { privateKey, id: identity.server, identity }
    }
  }
}
