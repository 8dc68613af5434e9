/*
 * Proves, over real HTTP and real websockets: what an application server sends with `fetch` comes to the application, as text and as
 * bytes, once, over the end of its server; what is refused says why in an answer that can be read, also to who sends too much.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type Channel, type ChannelMessage, openChannel } from '../../src/client/channels.ts'
import { type ClientWorld, clientPorts, clientWorld } from '../client/world.ts'
import { until } from '../fixtures/until.ts'

interface Context {
  world: ClientWorld
}

const test = suite<Context>('channels over HTTP')

test.before.each(async context => {
  context.world = await clientWorld('a.example')
})
test.after.each(({ world }) => world.stop())

test('fetch sends, the application is given; after a restart of the server nothing is lost or given twice', async ({
  world,
}) => {
  const [node] = world.nodes
  if (!node) throw new Error('There is a node.')
  const session = await node.session('alice')
  const given: ChannelMessage[] = []
  const channel: Channel = openChannel(session, clientPorts(), {
    application: 'weather.example',
    direct: 'https://push.weather.example',
    listener: { message: message => void given.push(message) },
  })
  await until(() => channel.address !== undefined, { what: 'the channel is open' })
  const { urls: [url = ''] = [], credential = '' } = channel.address ?? {}
  assert.match(url, /^http:\/\/127\.0\.0\.1:/)
  const post = (body: BodyInit, fields: Readonly<Record<string, string>> = {}) =>
    fetch(url, { method: 'POST', body, headers: { authorization: `Bearer ${credential}`, ttl: '600', ...fields } })

  const answer = await post('Sturm über dem Moor', { urgency: 'high', 'idempotency-key': 'storm-1' })
  assert.is(answer.status, 201)
  assert.is(answer.headers.get('content-type'), 'application/json')
  const { message } = (await answer.json()) as { message: string }
  assert.is(answer.headers.get('location'), `${new URL(url).pathname}/${message}`)
  assert.is((await post(new Uint8Array([0, 255, 1]), { 'content-type': 'application/octet-stream' })).status, 201)
  await until(() => given.length === 2, { what: 'both are given' })
  assert.equal(
    given.map(({ id, type, body }) => [id === message, type, Buffer.from(body).toString('latin1')]),
    [
      [true, 'text/plain;charset=UTF-8', Buffer.from('Sturm über dem Moor').toString('latin1')],
      [false, 'application/octet-stream', '\u0000\u00ff\u0001'],
    ],
  )
  const about = async () =>
    (await (await fetch(`${url}/${message}`, { headers: { authorization: `Bearer ${credential}` } })).json()) as {
      state: string
    }
  await until(async () => (await about()).state === 'acknowledged', { what: 'it is acknowledged' })

  await node.down()
  await node.up()
  assert.is(
    (await post('Sturm über dem Moor', { urgency: 'high', 'idempotency-key': 'storm-1' })).status,
    201,
    'the same',
  )
  assert.is((await post('after the restart')).status, 201)
  await until(() => given.length >= 3, { what: 'the third is given' })
  assert.equal(given.at(-1)?.text(), 'after the restart')
  assert.is(given.length, 3)
  session.close()
})

test('refusals can be read', async ({ world }) => {
  const [node] = world.nodes
  if (!node) throw new Error('There is a node.')
  const session = await node.session('alice')
  const channel = openChannel(session, clientPorts(), {
    application: 'weather.example',
    direct: 'https://push.weather.example',
    listener: { message: () => {} },
  })
  await until(() => channel.address !== undefined, { what: 'the channel is open' })
  const { urls: [url = ''] = [], credential = '' } = channel.address ?? {}
  const authorization = `Bearer ${credential}`
  const caused = async (init: RequestInit) => {
    const answer = await fetch(url, init)
    assert.is(answer.headers.get('content-type'), 'application/problem+json')
    const { cause, detail } = (await answer.json()) as { cause: string; detail: string }
    assert.ok(detail.length > 10)
    return `${answer.status} ${cause}`
  }
  assert.is(await caused({ method: 'POST', body: 'x' }), '401 CREDENTIAL_INVALID')
  assert.is(await caused({ method: 'POST', body: 'x', headers: { authorization } }), '400 MALFORMED')
  const large = new Uint8Array(2_000_000)
  assert.is(await caused({ method: 'POST', body: large, headers: { authorization, ttl: '1' } }), '413 TOO_LARGE')
  const unsized = new ReadableStream({
    start(controller) {
      for (let chunk = 0; chunk < 20; chunk++) controller.enqueue(new Uint8Array(1_000))
      controller.close()
    },
  })
  const streamed = {
    method: 'POST',
    body: unsized,
    headers: { authorization, ttl: '1' },
    duplex: 'half',
  } as RequestInit
  assert.is(await caused(streamed), '413 TOO_LARGE')
  session.close()
})

test.run()
