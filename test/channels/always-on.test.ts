/*
 * Proves: one client has channels on servers of several operators at once, and each fares on its own: while one operator is away its
 * application is told `direct`, and the other's goes on, also over the end of the server that it is on; and both come back, with
 * what waited, once. Production nodes in the simulator, the SDK's always-on client.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type AlwaysOn, keepAlwaysOn } from '../../src/client/always-on/always-on.ts'
import { channelHome } from '../../src/client/channel-home.ts'
import { type Channel, openChannel } from '../../src/client/channels.ts'
import { clientUrlOf } from '../../src/simulation/federation/operator.ts'
import { a, b, StorageWorld } from '../storage/storage-world.ts'

const test = suite('channels on an always-on client')

test('channels at two operators fare each on its own', async () => {
  const world = await StorageWorld.start({ 'a.example': 2, 'b.example': 1 })
  const { federation } = world
  const phone = federation.world.host('phone').boot()
  const sender = federation.world.host('push.weather.example').boot().http
  const ports = { sockets: phone.sockets, crypto: phone.clientCrypto, clock: phone.clock }
  const homes = federation.operators.map(operator => ({
    operator: operator.id,
    identity: 'alice',
    credential: { kind: 'psk' as const, key: operator.keyOf('alice') },
    servers: operator.servers.map(({ identity }) => identity.server),
    urls: operator.servers.map(clientUrlOf),
  }))
  const events = new Map<string, string[]>([a, b].map(operator => [operator, []]))
  const opened: { client?: AlwaysOn; channels: Map<string, Channel> } = { channels: new Map() }
  await world.inside(async () => {
    const client = keepAlwaysOn(ports, { homes })
    opened.client = client
    for (const operator of [a, b]) {
      const said = events.get(operator) ?? []
      const listener = {
        message: (message: { text(): string }) => void said.push(message.text()),
        direct: (address: string) => said.push(`direct ${address}`),
        back: () => said.push('back'),
        closed: (why: string) => said.push(`closed ${why}`),
      }
      const direct = `https://${operator}.weather.example`
      const home = channelHome(client, operator)
      opened.channels.set(operator, openChannel(home, ports, { application: 'weather.example', direct, listener }))
    }
  })
  const said = (operator: string) => events.get(operator) ?? []
  const isOpen = (operator: string) => opened.channels.get(operator)?.state === 'open'
  const post = async (operator: string, text: string, server: string): Promise<number> =>
    world.inside(async () => {
      const { channel, credential } = opened.channels.get(operator)?.address ?? {}
      const url = `http://${world.server(server).card.address}:8080/v1/channels/${channel}/messages`
      const body = new TextEncoder().encode(text)
      const fields = { authorization: `Bearer ${credential}`, ttl: '3600', 'idempotency-key': text }
      const { signal } = new AbortController()
      return (await sender.send({ method: 'POST', url, fields, body, signal })).status
    })
  await world.until(() => isOpen(a) && isOpen(b), 'both are open')
  assert.is(await post(a, 'a1', 'a.example/2'), 201)
  assert.is(await post(b, 'b1', 'b.example/1'), 201)
  await world.until(() => said(a).length === 1 && said(b).length === 1, 'both are given')

  // The only server of b goes, and the one of a that the client is on.
  world.crash('b.example/1', 150_000)
  const state = opened.client?.home(a).state
  const [victim, survivor] = ['a.example/1', 'a.example/2'].sort(name =>
    state?.kind === 'online' && state.server === world.server(name).card.identity.server ? -1 : 1,
  ) as [string, string]
  world.crash(victim, 100_000)
  await world.pass(1_000)
  assert.ok([201, 202].includes(await post(a, 'a2', survivor)))
  await world.until(() => said(a).includes('a2'), 'a goes on at its other server')
  await world.until(() => said(b).length === 2, 'b is told to be on its own')
  assert.equal(said(b), ['b1', `direct https://${b}.weather.example`])
  assert.ok(isOpen(a))

  await world.until(() => world.server('b.example/1').node !== undefined, 'b is there again')
  assert.is(await post(b, 'b2', 'b.example/1'), 201)
  await world.until(() => said(b).length === 4, 'b is back')
  assert.equal(said(b), ['b1', `direct https://${b}.weather.example`, 'back', 'b2'])
  assert.equal(said(a), ['a1', 'a2'])

  await world.inside(async () => opened.client?.close())
  assert.equal(said(a).at(-1), 'closed Closed by the client.')
})

test.run()
