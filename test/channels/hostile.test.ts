/*
 * Proves: an application server gets no further than its credential, at the pace and within the room that it has, and is told what
 * is wrong; a credential of a closed channel, a renewed one, or one of a subscriber that is none any more opens nothing, at any
 * server; a client reaches no channel but its own, and one that takes nothing is given no more than it can hold. Every cause of a
 * refusal is met. Production nodes in the simulator.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { documentOpen } from '../../src/access/protocol.ts'
import { channelAcknowledge, channelClose, channelList, channelOpen } from '../../src/channels/methods.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { MethodSpec } from '../../src/federation/command.ts'
import { type Answer, type App, ChannelWorld } from './channel-world.ts'

const first = 'a.example/1'
const second = 'a.example/2'
const test = suite('hostile application servers and clients')

const caused = ({ status, body }: Answer): string => `${status} ${body.cause}`

/** The status and cause with which a client is refused. */
async function refused<P, R>(
  channels: ChannelWorld,
  { session }: App,
  spec: MethodSpec<P, R>,
  params: P,
): Promise<string> {
  try {
    await channels.world.inside(() => session.call(spec, params))
    return 'not refused'
  } catch (error) {
    if (error instanceof RequestRefused) return `${error.status} ${error.reason}`
    throw error
  }
}

test('every cause is met by one of these tests', () => {
  const source =
    readFileSync('src/channels/refusals.ts', 'utf8') + readFileSync('src/access/channel-requests.ts', 'utf8')
  const words = new Set(source.match(/(?<=')[A-Z][A-Z_]{4,}(?=')/g))
  const causes = [...words].filter(word => word !== 'DELETE')
  const tests = readdirSync('test/channels')
    .map(file => readFileSync(`test/channels/${file}`, 'utf8'))
    .join('\n')
  assert.ok(causes.length > 16, String(causes))
  assert.equal(
    causes.filter(cause => !new RegExp(`['" ]${cause}['" ]`).test(tests)),
    [],
  )
})

test('a credential opens one channel, and nothing that is changed or made up opens any', async () => {
  const channels = await ChannelWorld.start(1)
  const alice = await channels.app('alice', [0])
  const bob = await channels.app('bob', [0])
  const credential = String(alice.channel.address?.credential)
  const [claims = '', mac = ''] = credential.split('.')
  const raised = JSON.parse(Buffer.from(claims, 'base64url').toString())
  const forged = Buffer.from(JSON.stringify({ ...raised, generation: 9 })).toString('base64url')
  for (const wrong of ['x', 'e30.AAAA', `${claims}.${mac.slice(1)}A`, `${forged}.${mac}`])
    assert.is(caused(await channels.post(alice, 'x', first, { credential: wrong })), '401 CREDENTIAL_INVALID')
  const other = await channels.post(bob, 'x', first, { credential })
  assert.is(caused(other), '403 CREDENTIAL_OF_OTHER')
  const url = channels.url(alice, first)
  const without = await channels.world.inside(() => channels.request('POST', url, { ttl: '1' }))
  assert.is(caused(without), '401 CREDENTIAL_INVALID')
  const inUrl = await channels.world.inside(() =>
    channels.request('POST', `${url}?authorization=Bearer ${credential}`, { ttl: '1' }),
  )
  assert.is(caused(inUrl), '401 CREDENTIAL_INVALID')
  await channels.world.pass(1_000)
  assert.equal([...alice.texts, ...bob.texts], [])
})

test('what is malformed or too large is refused with the field that is wrong', async () => {
  const channels = await ChannelWorld.start(1)
  const app = await channels.app('alice', [0])
  for (const ttl of ['', '0', '-1', '1.5', '99999999999'])
    assert.is(caused(await channels.post(app, 'x', first, { ttl })), '400 MALFORMED', ttl)
  assert.is(caused(await channels.post(app, 'x', first, { urgency: 'urgent' })), '400 MALFORMED')
  assert.is(caused(await channels.post(app, 'x', first, { topic: 'a b' })), '400 MALFORMED')
  assert.is(caused(await channels.post(app, 'x', first, { key: 'k'.repeat(129) })), '400 MALFORMED')
  assert.is(caused(await channels.post(app, 'x', first, { type: 'text/plain\r\nx: y' })), '400 MALFORMED')
  assert.is(caused(await channels.post(app, 'x'.repeat(4_097), first)), '413 TOO_LARGE')
  const authorization = `Bearer ${app.channel.address?.credential}`
  const ask = (method: string, url: string, body?: Uint8Array<ArrayBuffer>) =>
    channels.world.inside(() => channels.request(method, url, { authorization, ttl: '60' }, body))
  const url = channels.url(app, first)
  assert.is(caused(await ask('POST', url, new Uint8Array(5_000))), '413 TOO_LARGE', 'without its length')
  assert.is((await ask('GET', url)).status, 405)
  assert.is((await ask('PUT', `${url}/${'A'.repeat(22)}`)).status, 405)
  assert.is(caused(await ask('GET', `${url}/${'A'.repeat(22)}`)), '404 MESSAGE_UNKNOWN')
  assert.is(caused(await ask('DELETE', `${url}/${'A'.repeat(22)}`)), '404 MESSAGE_UNKNOWN')
  for (const path of [`${url}/short`, `${url}/${'A'.repeat(22)}/more`, url.replace('/messages', '')])
    assert.is(caused(await ask('GET', path)), '404 UNKNOWN', path)
  const long = await channels.post(app, 'x'.repeat(4_096), first, { ttl: '9999999999' })
  assert.equal([long.status, long.fields.ttl], [201, '604800'], 'the longest time')
  await channels.isGiven(app, 1)
})

test('a flood meets the pace of its channel, and what is not taken is bounded in each channel and for each subscriber', async () => {
  const limits = { channelBurst: 12, channelPerSecond: 1, maxQueued: 8, maxQueuedBytes: 8_192 }
  const channels = await ChannelWorld.start(1, { channels: limits })
  const app = await channels.app('alice', [0])
  const other = await channels.app('bob', [0])
  await channels.end(app)
  for (let number = 0; number < 8; number++) await channels.post(app, `m${number}`, first, { topic: `t${number}` })
  const full = await channels.post(app, 'm8', first)
  assert.equal([caused(full), full.fields['retry-after']], ['507 CHANNEL_FULL', '60'])
  assert.is(
    (await channels.post(app, 'instead of m3', first, { topic: 't3' })).status,
    201,
    'it takes the place of one',
  )
  const statuses: string[] = []
  for (let number = 0; number < 8; number++) statuses.push(caused(await channels.post(app, 'x', first)))
  assert.ok(statuses.includes('429 CHANNEL_RATE'), String(statuses))
  assert.is((await channels.post(other, 'to another channel', first)).status, 201)
  await channels.isGiven(other, 1)

  await channels.end(other)
  for (const size of [3_000, 3_000]) await channels.post(other, 'x'.repeat(size), first)
  assert.is(caused(await channels.post(other, 'x'.repeat(3_000), first)), '507 SUBSCRIBER_FULL')
  await channels.world.pass(10_000)
  const back = await channels.app('alice', [0])
  await channels.isGiven(back, 8)
  assert.equal(back.texts, ['m0', 'm1', 'm2', 'm4', 'm5', 'm6', 'm7', 'instead of m3'])
  assert.is((await channels.post(back, 'again', first)).status, 201, 'there is room again')
})

test('one application’s flood over many channels is bounded; a server that has enough to do says so', async () => {
  const channels = await ChannelWorld.start(1, { channels: { applicationBurst: 3, applicationPerSecond: 1 } })
  const apps = [await channels.app('alice', [0]), await channels.app('bob', [0])]
  const answers: string[] = []
  for (let number = 0; number < 3; number++)
    for (const app of apps) answers.push(caused(await channels.post(app, 'x', first)))
  assert.equal(answers.slice(-1), ['429 APPLICATION_RATE'])
  channels.world.server(first).probe.current = { loopDelayMs: 5_000, utilisation: 1, memory: 0 }
  await channels.world.pass(20_000)
  const answer = await channels.post(apps[0] as App, 'x', first)
  assert.is(caused(answer), '503 OVERLOADED')
})

test('credentials that were replaced, of closed channels and of who is no subscriber any more open nothing at any server', async () => {
  const channels = await ChannelWorld.start(2)
  const app = await channels.app('alice', [0])
  const old = app.channel.address?.credential as string
  await channels.world.inside(() => app.channel.renew())
  assert.is.not(app.channel.address?.credential, old)
  assert.equal(app.events, ['opened', 'opened'])
  await channels.world.until(
    async () => caused(await channels.posting(app, 'x', second, { credential: old })) === '401 CREDENTIAL_RENEWED',
    'the other server knows of it',
  )
  assert.is(caused(await channels.post(app, 'x', first, { credential: old })), '401 CREDENTIAL_RENEWED')
  const kept = await channels.post(app, 'with the new one', second)
  assert.is(kept.status, 201)
  await channels.isGiven(app, 1)

  await channels.world.inside(() => app.channel.close())
  assert.equal(app.events.at(-1), 'closed: Closed by the client.')
  assert.is(caused(await channels.post(app, 'x', first)), '410 CHANNEL_CLOSED')
  await channels.world.until(
    async () => caused(await channels.posting(app, 'x', second)) === '410 CHANNEL_CLOSED',
    'the other server knows of it',
  )
  const again = await channels.app('alice', [1])
  assert.is(again.channel.address?.channel, app.channel.address?.channel)
  assert.is(caused(await channels.post(app, 'by the closed one’s', second)), '401 CREDENTIAL_RENEWED')
  assert.is((await channels.post(again, 'by its own', second)).status, 201)
  await channels.isGiven(again, 1)
  assert.equal(again.texts, ['by its own'])

  const operator = channels.world.federation.operators[0]
  if (operator) operator.subscribers.isDown = true
  assert.is(caused(await channels.post(again, 'x', first)), '503 KEY_SOURCE_UNAVAILABLE')
  if (operator) operator.subscribers.isDown = false
  operator?.subscribers.remove('alice')
  assert.is(caused(await channels.post(again, 'x', first)), '410 CHANNEL_CLOSED')
})

test('a channel that a server has not heard of is served all the same; one that it cannot tell of is not', async () => {
  const channels = await ChannelWorld.start(2)
  const phones = ['phone-1', 'phone-2']
  channels.world.partition([first, ...phones], [second])
  const app = await channels.app('alice', [0])
  const unheard = await channels.post(app, 'early', second)
  assert.is(unheard.status, 202, 'stored there, and not yet here')
  assert.equal(app.texts, [])
  channels.world.heal()
  await channels.isGiven(app, 1)

  await channels.isSaid(app, unheard.body.message, 'acknowledged', second)
  channels.world.partition([first], [second, ...phones])
  const stranger = await channels.app('carol', [1])
  const [, mac] = [stranger, stranger.channel.address?.credential]
  assert.ok(mac)
  assert.is((await channels.post(stranger, 'x', first)).status, 202)
  channels.world.heal()
  await channels.isGiven(stranger, 1)
})

test('a client reaches no channel but its own', async () => {
  const channels = await ChannelWorld.start(1, { channels: { maxChannels: 2 } })
  const alice = await channels.app('alice', [0])
  const mallory = await channels.app('mallory', [0])
  await channels.end(alice)
  const sent = await channels.post(alice, 'for alice', first)
  const channel = String(alice.channel.address?.channel)
  const messages = [String(sent.body.message)]
  assert.is(await refused(channels, mallory, channelAcknowledge, { channel, messages }), '404 CHANNEL_UNKNOWN')
  const own = String(mallory.channel.address?.channel)
  assert.is(await refused(channels, mallory, channelAcknowledge, { channel: own, messages }), 'not refused')
  assert.is(await refused(channels, mallory, channelClose, { channel }), 'not refused', 'and nothing happens')
  for (const user of ['alice', 'mallory']) {
    const document = asDocumentId(`channels/a.example/${user}`)
    assert.match(await refused(channels, mallory, documentOpen, { document }), /^40[34] /, 'no document is read')
  }
  assert.is((await channels.about(alice, messages[0])).body.state, 'waiting')

  const open = (application: string) => refused(channels, mallory, channelOpen, { application, instance: 'main' })
  assert.is(await open('two.example'), 'not refused')
  assert.is(await open('three.example'), '409 LIMIT')
  const { channels: listed } = await channels.world.inside(() => mallory.session.call(channelList, {}))
  assert.equal(listed.map(({ application, waiting }) => [application, waiting]).sort(), [
    ['two.example', 0],
    ['weather.example', 0],
  ])
  const back = await channels.app('alice', [0])
  await channels.isGiven(back, 1)
})

test('a client that takes nothing is given no more than its window, and holds up nobody else', async () => {
  const channels = await ChannelWorld.start(1, { channels: { window: 4 } })
  const given: string[] = []
  const stuck = await channels.app('alice', [0], {
    message: async message => {
      given.push(message.text())
      await new Promise(() => {})
    },
  })
  const frames: number[] = []
  stuck.session.listen({
    notification(method, params) {
      if (method === 'channel.messages') frames.push((params as { messages: unknown[] }).messages.length)
    },
  })
  const bob = await channels.app('bob', [0])
  for (let number = 0; number < 10; number++) await channels.post(stuck, `m${number}`, first)
  await channels.world.pass(20_000)
  assert.equal(given, ['m0'])
  assert.is(
    frames.reduce((sum, count) => sum + count, 0),
    4,
  )
  await channels.post(bob, 'hello', first)
  await channels.isGiven(bob, 1)
})

test('what cannot be stored is not taken', async () => {
  const channels = await ChannelWorld.start(1)
  const app = await channels.app('alice', [0])
  channels.world.server(first).host.disk.refuseNextWrite()
  assert.is(caused(await channels.post(app, 'x', first)), '503 NOT_STORED')
  await channels.world.pass(2_000)
  assert.equal(app.texts, [])
  assert.is((await channels.post(app, 'x', first)).status, 201)
  await channels.isGiven(app, 1)
})

test.run()
