import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type ClientListener,
  ConnectFailed,
  type Socket,
  type SocketFactory,
  type Upgrade,
  type UpgradeAnswer,
} from '../../src/ports/client-sockets.ts'
import { until } from '../fixtures/until.ts'

/*
 * The contract of client sockets, run for every pair of a listener and a socket factory. It proves that frames of both
 * kinds arrive whole, in order and as what they were sent, also those that came before anybody listened; that an end is
 * told once, with its code; and that a refused upgrade never becomes a socket. An adapter fails here if it loses the
 * first frames, confuses text and bytes, hands out Buffers, or goes on after its end.
 */
export interface SocketsPlace {
  listener(): ClientListener
  readonly factory: SocketFactory
}

/** What a socket told. */
export interface Heard {
  readonly frames: (string | Uint8Array)[]
  readonly closed: { readonly code: number; readonly reason: string }[]
}

export function hear(socket: Socket): Heard {
  const heard: Heard = { frames: [], closed: [] }
  socket.listen({
    message: frame => heard.frames.push(frame),
    closed: (code, reason) => heard.closed.push({ code, reason }),
  })
  return heard
}

export function clientSocketsContract(name: string, place: SocketsPlace): void {
  const contract = suite(`client sockets: ${name}`)
  const listeners: ClientListener[] = []

  async function listening(decide: (upgrade: Upgrade) => UpgradeAnswer | Promise<UpgradeAnswer>) {
    const listener = place.listener()
    listeners.push(listener)
    await listener.listen(decide)
    return listener
  }

  /** Both ends of one connection. */
  async function pair(): Promise<{ client: Socket; server: Socket; listener: ClientListener }> {
    const servers: Socket[] = []
    const listener = await listening(() => ({
      accept: true,
      subprotocol: 'test.v1',
      opened: socket => servers.push(socket),
    }))
    const client = await place.factory.connect(`${listener.url()}/somewhere`, ['test.v1'])
    const server = await until(() => servers[0], { what: 'the server has its socket' })
    return { client, server, listener }
  }

  contract.after.each(async () => {
    for (const listener of listeners.splice(0)) await listener.stop()
  })

  contract('tells the decision what the client asked for', async () => {
    const upgrades: Upgrade[] = []
    const listener = await listening(upgrade => {
      upgrades.push(upgrade)
      return { accept: true, subprotocol: 'b.v1', opened: () => {} }
    })
    const socket = await place.factory.connect(`${listener.url()}/v1/x%20y?z=1`, ['a.v1', 'b.v1'])
    assert.is(upgrades[0]?.target, '/v1/x%20y?z=1')
    assert.equal(upgrades[0]?.subprotocols, ['a.v1', 'b.v1'])
    assert.ok(upgrades[0]?.remoteAddress)
    socket.close(1000, '')
  })

  contract('carries text and bytes, in order, both ways', async () => {
    const { client, server } = await pair()
    const [atClient, atServer] = [hear(client), hear(server)]
    const sent = ['a', Uint8Array.of(1, 2, 3), '', new Uint8Array(0), 'ü€😀', new Uint8Array(100_000).fill(7)]
    for (const frame of sent) {
      client.send(frame)
      server.send(frame)
    }
    for (const heard of [atClient, atServer]) {
      await until(() => heard.frames.length === sent.length, { what: 'all frames are there' })
      assert.equal(heard.frames, sent)
      assert.is(Object.getPrototypeOf(heard.frames[1]), Uint8Array.prototype)
    }
    assert.is(client.bufferedBytes(), 0)
    assert.is(server.bufferedBytes(), 0)
  })

  contract('carries frames of every form of length, and those that go to many in order with the others', async () => {
    const pairs = [await pair(), await pair()]
    const heard = pairs.map(({ client }) => hear(client))
    const many = [0, 1, 125, 126, 65_535, 65_536, 200_000].map(length => new Uint8Array(length).fill(length % 251))
    const sent: (string | Uint8Array)[] = []
    for (const [at, bytes] of many.entries()) {
      const before = at % 2 === 0 ? [] : ['', 'x'.repeat(bytes.length), bytes.slice()]
      for (const { server } of pairs) {
        for (const frame of before) server.send(frame)
        if (server.sendShared) server.sendShared(bytes)
        else server.send(bytes)
      }
      sent.push(...before, bytes)
      await new Promise(resolve => setImmediate(resolve))
    }
    for (const { frames } of heard) {
      await until(() => frames.length === sent.length, { what: 'all frames are there' })
      assert.equal(frames, sent)
    }
  })

  contract('does not see bytes change that were changed after they arrived elsewhere', async () => {
    const { client, server } = await pair()
    const heard = hear(server)
    for (let round = 0; round < 50; round++) client.send(Uint8Array.of(round, round))
    await until(() => heard.frames.length === 50, { what: 'all frames are there' })
    assert.equal(
      heard.frames,
      Array.from({ length: 50 }, (_, round) => Uint8Array.of(round, round)),
    )
  })

  contract('keeps frames that come before anybody listens', async () => {
    const sent = ['first', Uint8Array.of(2)]
    const listener = await listening(() => ({
      accept: true,
      opened(socket) {
        for (const frame of sent) socket.send(frame)
        socket.close(4_001, 'enough')
      },
    }))
    const client = await place.factory.connect(listener.url(), [])
    await new Promise(resolve => setTimeout(resolve, 20))
    const heard = hear(client)
    await until(() => heard.closed.length > 0, { what: 'the end is told' })
    assert.equal(heard.frames, sent)
    assert.equal(heard.closed, [{ code: 4_001, reason: 'enough' }])
  })

  contract('tells both ends of the end, once, and sends nothing after it', async () => {
    const { client, server } = await pair()
    const [atClient, atServer] = [hear(client), hear(server)]
    server.send('last')
    server.close(4_135, 'not you')
    server.send('too late')
    server.close(4_000, 'again')
    await until(() => atClient.closed.length > 0 && atServer.closed.length > 0, { what: 'both know' })
    client.send('into nothing')
    client.close(1000, '')
    await new Promise(resolve => setTimeout(resolve, 20))
    assert.equal(atClient.closed, [{ code: 4_135, reason: 'not you' }])
    assert.is(atServer.closed.length, 1)
    assert.equal(atClient.frames, ['last'])
    assert.equal(atServer.frames, [])
  })

  contract('makes no socket of a refused upgrade, however long the decision takes', async () => {
    const listener = await listening(async () => {
      await new Promise(resolve => setTimeout(resolve, 20))
      return { accept: false, status: 403, reason: 'not you' }
    })
    const error = await place.factory.connect(`${listener.url()}/x`, []).then(
      () => assert.unreachable('it connected'),
      (error: unknown) => error,
    )
    assert.instance(error, ConnectFailed)
  })

  contract('refuses when the decision fails', async () => {
    const listener = await listening(() => {
      throw new Error('broken')
    })
    const error = await place.factory.connect(listener.url(), []).catch((error: unknown) => error)
    assert.instance(error, ConnectFailed)
  })

  contract('closes what is open when it stops, and is not there any more', async () => {
    const { client, listener } = await pair()
    const heard = hear(client)
    const url = listener.url()
    await listener.stop()
    await until(() => heard.closed.length === 1, { what: 'the client knows' })
    const error = await place.factory.connect(url, []).catch((error: unknown) => error)
    assert.instance(error, ConnectFailed)
  })

  contract('listens again after it has stopped', async () => {
    const { listener } = await pair()
    await listener.stop()
    await listener.listen(() => ({ accept: true, opened: socket => socket.send('back') }))
    const heard = hear(await place.factory.connect(listener.url(), []))
    await until(() => heard.frames.length === 1, { what: 'the second life answers' })
  })

  contract.run()
}
