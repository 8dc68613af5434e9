import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Socket } from '../../src/ports/client-sockets.ts'
import { type ServerId, serverOfPublicKey } from '../../src/ports/names.ts'
import { type PeerNetwork, type PeerStream, PeerUnreachable, StreamClosed } from '../../src/ports/peer-network.ts'
import type { HostPorts, SimulatedHost } from '../../src/simulation/host.ts'
import type { LinkConditions } from '../../src/simulation/link.ts'
import type { Packet } from '../../src/simulation/packet.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * Connections over links at fault, as TCP has it: what is sent arrives in order or the stream breaks; nothing is lost in the
 * middle. A partition acts on what is under way, stalls it, and lets it go on at the next repeat; a clog lets go at once; a
 * process that dies is reported by its machine, a machine that dies is silent until it is back. A network that decides at
 * sending, or that tells the other side of a power cut, fails here.
 */

const latency = { dist: 'const', ms: 10 } as const

interface Server {
  readonly host: SimulatedHost
  readonly ports: HostPorts
  readonly network: PeerNetwork
  readonly id: ServerId
  readonly events: string[]
  readonly streams: PeerStream[]
  /** First byte and arrival of every frame of every stream that others opened, and why streams ended. */
  readonly heard: string[]
}

const worldOf = (conditions: LinkConditions = { latency }, seed: number | string = 1): World =>
  new World({ seed, production, conditions: () => conditions })

function boot(world: World, host: SimulatedHost): Server {
  const ports = host.boot()
  const id = serverOfPublicKey(production.crypto.ed25519.publicKey(world.random('key', host.name).bytes(32)))
  const server: Server = { host, ports, id, network: ports.network(id), events: [], streams: [], heard: [] }
  const hear = async (stream: PeerStream) => {
    server.streams.push(stream)
    try {
      for await (const frame of stream.frames) server.heard.push(`${frame[0]} at ${world.nowMs}`)
      server.heard.push(`end at ${world.nowMs}`)
    } catch (error) {
      assert.instance(error, StreamClosed)
      server.heard.push(`broken at ${world.nowMs}`)
    }
  }
  void server.network.start({
    protocols: ['/t/1'],
    maxFrameBytes: 100_000,
    gate: { refuse: () => undefined },
    events: {
      connected: () => server.events.push(`connected at ${world.nowMs}`),
      disconnected: () => server.events.push(`disconnected at ${world.nowMs}`),
      refused: () => {},
      stream: stream => void hear(stream),
    },
  })
  return server
}

/** Lets simulated code run until it is done. @throws what it throws */
async function simulated<T>(world: World, body: () => Promise<T>): Promise<T> {
  const outcome: { promise?: Promise<T>; isDone?: true } = {}
  world.at(world.nowMs, 'body', () => {
    outcome.promise = body()
    const done = () => {
      outcome.isDone = true
    }
    outcome.promise.then(done, done)
  })
  const ending = await world.run({ when: () => outcome.isDone === true })
  if (ending.kind !== 'satisfied' || !outcome.promise)
    throw new Error(`The body never ended: ${JSON.stringify(ending)}`)
  return outcome.promise
}

const untilMs = (world: World, ms: number) => world.run({ untilUs: ms * 1000 })
const sleep = (world: World, ms: number) => new Promise<void>(resolve => world.at(world.nowMs + ms, 'sleep', resolve))

async function pair(world: World): Promise<{ a: Server; b: Server; stream: PeerStream }> {
  const [a, b] = ['a', 'b'].map(name => boot(world, world.host(name))) as [Server, Server]
  const stream = await simulated(world, async () => {
    await a.network.dial(b.id, b.network.addresses())
    return a.network.open(b.id, '/t/1')
  })
  return { a, b, stream }
}

const frame = (first: number, length = 1) => new Uint8Array(length).fill(first)

test('a connection takes three round trips, a stream one more, a frame one way', async () => {
  const world = worldOf()
  const { a, b, stream } = await pair(world)
  assert.equal([a.events, b.events], [['connected at 60'], ['connected at 50']])
  assert.is(world.nowMs, 80)
  await stream.send(frame(1))
  await untilMs(world, 200)
  assert.equal(b.heard, ['1 at 90'])
})

test('frames keep their order, however much latencies differ', async () => {
  const world = worldOf({ latency: { dist: 'pareto', scaleMs: 1, shape: 0.7 } })
  const { b, stream } = await pair(world)
  await simulated(world, async () => {
    for (let number = 0; number < 200; number++) {
      await stream.send(frame(number))
      if (number % 3 === 0) await sleep(world, 0.5)
    }
    await stream.close()
  })
  await world.run({ when: () => b.heard.at(-1)?.startsWith('end') ?? false })
  assert.equal(
    b.heard.slice(0, -1).map(line => Number.parseInt(line, 10)),
    Array.from({ length: 200 }, (_, number) => number),
  )
})

test('loss delays a stream and loses nothing', async () => {
  const world = worldOf({ latency, loss: 0.3 })
  const { b, stream } = await pair(world)
  await simulated(world, async () => {
    for (let number = 0; number < 50; number++) await stream.send(frame(number))
    await stream.close()
  })
  await world.run({ when: () => b.heard.at(-1)?.startsWith('end') ?? false })
  assert.is(b.heard.length, 51)
  assert.ok(world.network.link('a', 'b').lost > 5)
  assert.ok(world.nowMs > 1_000)
})

test('a partition acts on what is under way; after the heal the stream goes on with nothing missing', async () => {
  const world = worldOf()
  const { a, b, stream } = await pair(world)
  await stream.send(frame(1)) // leaves at 80, would arrive at 90
  let heal = () => {}
  world.at(85, 'partition', () => {
    heal = world.network.partition([['a'], ['b']])
  })
  world.at(100, 'send', () => void stream.send(frame(2)))
  world.at(5_000, 'heal', () => heal())
  await untilMs(world, 4_999)
  assert.equal(b.heard, [])
  await untilMs(world, 60_000)
  assert.equal(
    b.heard.map(line => line[0]),
    ['1', '2'],
  )
  // Repeats come after 0.2, 0.6, 1.4, 3.0 and 6.2 s: the first one after the heal gets through.
  assert.match(b.heard[0] ?? '', /^1 at 6[0-9]{3}$/)
  assert.equal([a.events.length, b.events.length], [1, 1])
})

test('a partition that lasts breaks the connection, for the side that had something to say', async () => {
  const world = worldOf()
  const { a, b, stream } = await pair(world)
  world.network.partition([['a'], ['b']])
  await stream.send(frame(1))
  await untilMs(world, 800_000)
  assert.is(a.events.length, 1)
  await untilMs(world, 1_200_000)
  assert.match(a.events[1] ?? '', 'disconnected')
  assert.is(b.events.length, 1, 'the other side has not noticed anything')
  await simulated(world, () =>
    stream.send(frame(1)).then(
      () => assert.unreachable(),
      error => assert.instance(error, StreamClosed),
    ),
  )
})

test('who missed the end hears of it when he next speaks', async () => {
  const world = worldOf()
  const { a, b } = await pair(world)
  const heal = world.network.partition([['a'], ['b']])
  await simulated(world, () => a.network.disconnect(b.id, 'enough'))
  await untilMs(world, 1_000)
  heal()
  await untilMs(world, 2_000)
  assert.is(b.events.length, 1)
  const opened = await simulated(world, () => b.network.open(a.id, '/t/1').catch((error: unknown) => error))
  assert.instance(opened, PeerUnreachable)
  assert.match(b.events[1] ?? '', 'disconnected')
})

test('a cut may be one way', async () => {
  const world = worldOf()
  const { a, b, stream } = await pair(world)
  const back = await simulated(world, () => b.network.open(a.id, '/t/1'))
  const undo = world.network.partition([['a'], ['b']], { oneWay: true }) // a still reaches b
  await simulated(world, async () => {
    await stream.send(frame(1))
    await back.send(frame(2))
    await sleep(world, 1_000)
  })
  assert.equal([b.heard.length, a.heard.length], [1, 0])
  undo()
  undo()
  await untilMs(world, 10_000)
  assert.equal([b.heard.length, a.heard.length], [1, 1])
})

test('isolation in, out and both', () => {
  const { network } = worldOf()
  const cut = (direction: 'in' | 'out' | 'both') => {
    const undo = network.isolate(['x'], direction)
    const seen = [network.isCut('x', 'y'), network.isCut('y', 'x'), network.isCut('y', 'z')]
    undo()
    return seen
  }
  assert.equal(cut('in'), [false, true, false])
  assert.equal(cut('out'), [true, false, false])
  assert.equal(cut('both'), [true, true, false])
  assert.not.ok(network.isCut('x', 'y'))
})

test('a clog keeps what comes, and lets go of all of it at once', async () => {
  const world = worldOf()
  const { b, stream } = await pair(world)
  const unclog = world.network.clog('a', 'b')
  for (const number of [1, 2, 3]) await stream.send(frame(number))
  await untilMs(world, 50_000)
  assert.equal(b.heard, [])
  unclog()
  await untilMs(world, 50_001)
  assert.equal(b.heard, ['1 at 50000', '2 at 50000', '3 at 50000'])
})

test('a process that dies: what it sent arrives, then its machine ends the connection', async () => {
  const world = worldOf()
  const { a, b, stream } = await pair(world)
  await stream.send(frame(1))
  a.host.crash({ of: 'process' })
  await untilMs(world, 200)
  assert.equal(b.heard, ['1 at 90', 'broken at 90'])
  assert.equal(b.events, ['connected at 50', 'disconnected at 90'])
  const refused = await simulated(world, () =>
    b.network.dial(a.id, [`/ip4/${a.host.address}/tcp/4600`]).catch((error: unknown) => error),
  )
  assert.match(String(refused), 'nobody listens there')
})

test('a machine that dies is silent; once it is back it knows of no connection', async () => {
  const world = worldOf()
  const { a, b } = await pair(world)
  const back = await simulated(world, () => b.network.open(a.id, '/t/1'))
  a.host.crash({ of: 'machine', disk: { kind: 'unsynced' } })
  await simulated(world, () => sleep(world, 5_000))
  assert.is(b.events.length, 1)
  const dialled = simulated(world, () =>
    boot(world, world.host('c'))
      .network.dial(a.id, [`/ip4/${a.host.address}/tcp/4600`])
      .catch((error: unknown) => error),
  )
  assert.match(String(await dialled), 'does not answer')
  await back.send(frame(1))
  await simulated(world, () => sleep(world, 1_000))
  assert.is(b.events.length, 1)
  const again = boot(world, a.host)
  await simulated(world, () => sleep(world, 10_000))
  assert.match(b.events[1] ?? '', 'disconnected')
  await simulated(world, () => b.network.dial(again.id, again.network.addresses()))
  assert.is(again.events.length, 1)
  assert.equal([a.host.strays, a.heard, again.heard], [0, [], []])
})

test('a paused process hears nothing, keeps its connections, and catches up', async () => {
  const world = worldOf()
  const { b, stream } = await pair(world)
  b.host.pause()
  let fired = 0
  b.ports.clock.after(50, () => (fired = world.nowMs))
  await stream.send(frame(1))
  await untilMs(world, 30_000)
  assert.equal([b.heard, fired], [[], 0])
  b.host.resume()
  await untilMs(world, 30_001)
  assert.equal([b.heard, fired], [['1 at 30000'], 30_000])
})

test('bandwidth: bytes leave one after the other, and the latency comes on top', async () => {
  const world = worldOf({ latency, bytesPerSecond: 100_064 * 10 })
  const { b, stream } = await pair(world)
  const startMs = world.nowMs
  await stream.send(frame(1, 100_000))
  await stream.send(frame(2, 100_000))
  await world.run({ when: () => b.heard.length === 2 })
  assert.equal(
    b.heard.map(line => Math.round(Number(line.split(' ')[2]) - startMs)),
    [110, 210],
  )
})

test('rules: the first that does not pass decides; an uninstalled one has no say', async () => {
  const world = worldOf()
  const { b, stream } = await pair(world)
  const seen: Packet[] = []
  const uninstall = [
    world.network.install(packet => {
      seen.push(packet)
      return 'pass'
    }),
    world.network.install(({ frame }) => (frame?.[0] === 1 ? { deliverAfterUs: 500_000 } : 'pass')),
    world.network.install(({ frame }) => (frame?.[0] === 1 ? 'drop' : 'pass')),
  ]
  await stream.send(frame(1))
  await untilMs(world, 1_000)
  assert.equal(b.heard, ['1 at 580'])
  assert.equal(
    seen.map(({ from, to, channel, about, bytes }) => [from, to, channel, about, bytes]),
    [['a', 'b', 'peer', '/t/1', 65]],
  )
  for (const undo of uninstall) undo()
  await stream.send(frame(1))
  await untilMs(world, 2_000)
  assert.equal(b.heard[1], '1 at 1010')
  const dropTwice = { left: 2 }
  world.network.install(() => (dropTwice.left-- > 0 ? 'drop' : 'pass'))
  await stream.send(frame(3))
  await untilMs(world, 10_000)
  assert.ok(Number(b.heard[2]?.split(' ')[2]) > 2_600, 'what a rule drops is repeated')
})

test('observers hear of what is sent, delivered and lost; links count', async () => {
  const world = worldOf()
  const told: string[] = []
  world.network.observe({
    sent: ({ about }) => told.push(`sent ${about}`),
    delivered: ({ about }, travelUs) => told.push(`delivered ${about} after ${travelUs}`),
    lost: ({ about }, why) => told.push(`lost ${about}: ${why}`),
  })
  const { stream } = await pair(world)
  told.length = 0
  await stream.send(frame(1, 36))
  await untilMs(world, 100)
  world.network.isolate(['b'])
  await stream.send(frame(2, 36))
  await untilMs(world, 120)
  assert.equal(told, ['sent /t/1', 'delivered /t/1 after 10000', 'sent /t/1', 'lost /t/1: cut'])
  const link = world.network.link('a', 'b')
  assert.equal([link.lost, [...world.network.links()].length], [1, 2])
})

test('an address that nobody has does not answer', async () => {
  const world = worldOf()
  const { a, b } = await pair(world)
  await simulated(world, () => a.network.disconnect(b.id, 'again'))
  const startMs = world.nowMs
  const error = await simulated(world, () =>
    a.network.dial(b.id, ['/ip4/10.9.9.9/tcp/4600']).catch((error: unknown) => error),
  )
  assert.match(String(error), 'does not answer')
  assert.is(world.nowMs - startMs, 5_000)
})

// --- websockets

interface Attached {
  readonly world: World
  readonly server: SimulatedHost
  readonly client: SimulatedHost
  readonly atServer: Socket
  readonly atClient: Socket
  readonly told: string[]
}

async function attached(conditions: LinkConditions = { latency }): Promise<Attached> {
  const world = worldOf(conditions)
  const [server, client] = [world.host('server'), world.host('client')]
  const told: string[] = []
  const follow = (socket: Socket, name: string) =>
    socket.listen({
      message: frame => told.push(`${name} got ${frame.length} bytes at ${world.nowMs}`),
      closed: code => told.push(`${name} closed with ${code} at ${world.nowMs}`),
    })
  const { listener } = server.boot()
  const { sockets } = client.boot()
  const [atServer, atClient] = await simulated(world, async () => {
    const accepted = Promise.withResolvers<Socket>()
    await listener.listen(() => ({ accept: true, opened: accepted.resolve }))
    const opened = await sockets.connect(`${listener.url()}/v1/client`, [])
    return [await accepted.promise, opened] as const
  })
  follow(atServer, 'server')
  follow(atClient, 'client')
  return { world, server, client, atServer, atClient, told }
}

test('a websocket that stalls shows its sender how much waits', async () => {
  const { world, atServer, told } = await attached()
  atServer.send(new Uint8Array(100_000))
  assert.is(atServer.bufferedBytes(), 0, 'the operating system took it')
  const undo = world.network.clog('server', 'client')
  atServer.send(new Uint8Array(300_000))
  assert.ok(atServer.bufferedBytes() > 100_000)
  undo()
  await untilMs(world, 100)
  assert.is(atServer.bufferedBytes(), 0)
  assert.is(told.length, 2)
})

test('a server drops a client that is silent over two pings; the client learns when it next speaks', async () => {
  const { world, told, atClient } = await attached()
  await untilMs(world, 120_000)
  assert.equal(told, [], 'an idle connection is kept up')
  const heal = world.network.isolate(['client'])
  await untilMs(world, 200_000)
  assert.equal(told.length, 1)
  assert.match(told[0] ?? '', /^server closed with 1006/)
  heal()
  await untilMs(world, 300_000)
  assert.is(told.length, 1)
  atClient.send('hello?')
  await untilMs(world, 301_000)
  assert.match(told[1] ?? '', /^client closed with 1006/)
})

test('a closing that is not answered ends after two seconds', async () => {
  const { world, told, atServer } = await attached()
  world.network.isolate(['client'])
  atServer.close(4_000, 'go')
  await untilMs(world, 10_000)
  assert.equal(told, ['server closed with 1006 at 2060'])
})

test('a message above what the other side takes closes the websocket', async () => {
  const { world, told, atClient } = await attached()
  atClient.send(new Uint8Array(1024 * 1024 + 1))
  await untilMs(world, 1_000)
  assert.equal(told, ['client closed with 1009 at 80', 'server closed with 1009 at 90'])
})

test('a server that dies takes its websockets along', async () => {
  const { world, told, server } = await attached()
  server.crash({ of: 'process' })
  await untilMs(world, 1_000)
  assert.equal(told, ['client closed with 1006 at 70'])
})

test.run()
