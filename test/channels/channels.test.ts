/*
 * Proves: what an application server sends, over HTTP, to a channel comes to the application on its client, in order and once, at
 * whichever of the operator's servers either of them is; it waits for a client that is away, until it ends; and it is gone when it
 * was acknowledged, withdrawn or replaced. Production nodes in the simulator, the SDK, simulated HTTP.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { channelClose } from '../../src/channels/methods.ts'
import { ChannelWorld } from './channel-world.ts'

const first = 'a.example/1'
const second = 'a.example/2'
const test = suite('channels')

test('a message sent at one server is given at another, and is gone from both when it was acknowledged', async () => {
  const channels = await ChannelWorld.start()
  const app = await channels.app('alice', [0])
  assert.equal(app.events, ['opened'])
  assert.is(app.channel.address?.urls.length, 2)

  const answer = await channels.post(app, 'storm', second, { type: 'text/plain', urgency: 'high' })
  assert.is(answer.status, 201, JSON.stringify(answer.body))
  assert.is(answer.fields.ttl, '3600')
  assert.ok(answer.fields.location?.endsWith(`/messages/${answer.body.message}`))
  await channels.isGiven(app, 1)
  const [message] = app.given
  assert.is(message?.id, answer.body.message)
  assert.is(message?.text(), 'storm')
  assert.is(message?.urgency, 'high')

  for (const server of [first, second]) {
    await channels.isSaid(app, message?.id, 'acknowledged', server)
    assert.is(await channels.waiting(app, server), 0)
  }
})

test('what is sent while the client is away waits, and comes in its order; what ended meanwhile does not', async () => {
  const channels = await ChannelWorld.start()
  const app = await channels.app('alice', [0])
  await channels.end(app)
  for (const [number, server] of [first, second, second, first, second].entries()) {
    const answer = await channels.post(app, `m${number}`, server)
    assert.is(answer.status, 201)
    await channels.world.pass(50)
  }
  assert.is((await channels.post(app, 'short', second, { ttl: '10' })).status, 201)
  await channels.world.pass(20_000)
  assert.equal(app.texts, [])
  const back = await channels.app('alice', [0])
  await channels.isGiven(back, 5)
  await channels.world.pass(10_000)
  assert.equal(back.texts, ['m0', 'm1', 'm2', 'm3', 'm4'])
})

test('the same message again is the same; another under its key is refused; of one topic the last waits', async () => {
  const channels = await ChannelWorld.start()
  const app = await channels.app('alice', [0])
  await channels.end(app)
  const one = await channels.post(app, 'one', first, { key: 'k-1' })
  const again = await channels.post(app, 'one', second, { key: '"k-1"' })
  assert.equal(again.body, one.body)
  assert.is(again.status, 201)
  const other = await channels.post(app, 'other', second, { key: 'k-1' })
  assert.equal([other.status, other.body.cause], [409, 'KEY_REUSED'])

  const morning = await channels.post(app, '20 degrees', first, { topic: 'temperature' })
  const noon = await channels.post(app, '30 degrees', second, { topic: 'temperature' })
  assert.is((await channels.about(app, morning.body.message, second)).body.state, 'replaced')
  assert.is((await channels.about(app, noon.body.message, first)).body.state, 'waiting')
  const back = await channels.app('alice', [0])
  await channels.isGiven(back, 2)
  assert.equal(back.texts, ['one', '30 degrees'])
  await channels.isSaid(app, one.body.message, 'acknowledged', second)
  const late = await channels.post(app, 'one', second, { key: 'k-1' })
  assert.equal([late.status, late.body.state], [201, 'acknowledged'])
  await channels.world.pass(20_000)
  assert.is(back.given.length, 2)
})

test('what is withdrawn in time is not given; what was acknowledged cannot be', async () => {
  const channels = await ChannelWorld.start()
  const app = await channels.app('alice', [0])
  await channels.end(app)
  const wrong = await channels.post(app, 'wrong', first)
  const right = await channels.post(app, 'right', first)
  assert.is((await channels.about(app, wrong.body.message, second, 'DELETE')).status, 204)
  assert.is((await channels.about(app, wrong.body.message, second, 'DELETE')).status, 204)
  const back = await channels.app('alice', [0])
  await channels.isGiven(back, 1)
  await channels.isSaid(app, right.body.message, 'acknowledged', first)
  assert.equal(back.texts, ['right'])
  const late = await channels.about(app, right.body.message, first, 'DELETE')
  assert.equal([late.status, late.body.cause], [409, 'ACKNOWLEDGED'])
})

test('what is not urgent waits a while for company, and never overtakes nor is overtaken', async () => {
  const channels = await ChannelWorld.start(1, { channels: { patienceMs: 15_000 } })
  const app = await channels.app('alice', [0])
  await channels.world.pass(1_000)
  await channels.post(app, 'advert', first, { urgency: 'low' })
  await channels.world.pass(10_000)
  assert.equal(app.texts, [])
  await channels.world.pass(10_000)
  assert.equal(app.texts, ['advert'])
  await channels.post(app, 'news', first, { urgency: 'very-low' })
  await channels.post(app, 'storm', first, { urgency: 'high' })
  await channels.world.pass(1_000)
  assert.equal(app.texts, ['advert', 'news', 'storm'])
})

test('bytes that are no text come as they were sent; a handler that fails gets the message again', async () => {
  const channels = await ChannelWorld.start(1)
  const seen: string[] = []
  const failures: number[] = []
  const app = await channels.app('alice', [0], {
    message: ({ body }) => {
      seen.push(Buffer.from(body).toString('hex'))
      if (seen.length < 3) throw new Error('not now')
    },
    failed: (_, __, attempt) => failures.push(attempt),
  })
  await channels.post(app, new Uint8Array([0xff, 0x00, 0xfe]), first)
  const next = await channels.post(app, '\ufeffbom', first)
  await channels.world.until(() => seen.length === 4, 'both were dealt with')
  assert.equal(seen, ['ff00fe', 'ff00fe', 'ff00fe', Buffer.from('\ufeffbom').toString('hex')])
  assert.equal(failures, [1, 2])
  await channels.isSaid(app, next.body.message, 'acknowledged')
})

test('another process that opens the same channel takes it; what the subscriber closes elsewhere is closed', async () => {
  const channels = await ChannelWorld.start(2)
  const one = await channels.app('alice', [0])
  const two = await channels.app('alice', [0])
  const taken = 'closed: Somebody else who is the subscriber has opened the channel. Give each an instance of its own.'
  await channels.world.until(() => one.events.includes(taken), 'the first is told')
  await channels.post(two, 'for one of them', second)
  await channels.isGiven(two, 1)
  assert.equal(one.texts, [])
  const { channel = '' } = two.channel.address ?? {}
  const elsewhere = channels.world.client('alice', second)
  await channels.world.inside(() => elsewhere.insist(channelClose, { channel }))
  await channels.world.until(() => two.channel.state === 'closed', 'the second is told, at the other server')
  assert.is(two.events.at(-1), 'closed: The subscriber has closed the channel.')
})

test('what was acknowledged leaves the disks of all servers; what has ended goes, and all of a removed subscriber', async () => {
  const sweepEveryMs = 60_000
  const channels = await ChannelWorld.start(2, { channels: { sweepEveryMs } })
  const app = await channels.app('alice', [0])
  const servers = [first, second]
  const text = (name: string) => `${name} `.padEnd(4_000, '.')
  for (let number = 0; number < 12; number++) {
    const { body } = await channels.post(app, text(`given-${number}`), number % 2 ? first : second)
    await channels.isSaid(app, body.message, 'acknowledged', first)
    if (number === 0) assert.ok(servers.some(server => channels.world.isOnDisk(server, text('given-0'))))
  }
  const isGone = () => servers.every(server => !channels.world.isOnDisk(server, text('given-0')))
  await channels.world.until(isGone, 'what was acknowledged first is on no disk')

  await channels.end(app)
  await channels.post(app, text('ended'), first, { ttl: '5' })
  for (const server of servers)
    await channels.world.until(async () => (await channels.holding(app, server)) === 1, `${server} has it`)
  await channels.world.pass(2 * sweepEveryMs)
  for (const server of servers) assert.is(await channels.waiting(app, server), 0)

  await channels.post(app, text('for nobody'), first)
  channels.world.federation.operators[0]?.subscribers.remove('alice')
  await channels.world.pass(2 * sweepEveryMs)
  const there = async () => (await Promise.all(servers.map(server => channels.holding(app, server, '')))).join()
  await channels.world.until(async () => (await there()) === '0,0', 'nothing is there')
})

test.run()
