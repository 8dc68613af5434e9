/*
 * Property: whatever a client does on its socket, it takes no more of the server than a client may, and others do not notice: who does
 * not read what it is sent is closed, who trickles bytes is closed in time, who opens more sessions than a subscriber may is
 * refused with 429 and may keep what it has. Real sockets, written to and read by hand.
 */
import { createHash, randomBytes } from 'node:crypto'
import { connect as connectSocket, type Socket } from 'node:net'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { RequestRefused } from '../../src/client/errors.ts'
import { until } from '../fixtures/until.ts'
import { authenticatedClient, echo, type Rig, type RigOptions, sessionAt, startRig } from './rig.ts'

const test = suite('Raw sockets')
let rigs: Rig[] = []
const rigWith = async (options: RigOptions = {}) => {
  const rig = await startRig(options)
  rigs.push(rig)
  return rig
}
test.after.each(async () => {
  for (const rig of rigs) await rig.stop()
  rigs = []
})

/** A websocket upgraded by hand. */
async function upgraded(rig: Rig): Promise<{ readonly socket: Socket; readonly closed: () => boolean }> {
  const { hostname, port } = new URL(rig.base)
  const socket = connectSocket({ host: hostname, port: Number(port) })
  let isClosed = false
  socket.on('error', () => {})
  socket.on('close', () => {
    isClosed = true
  })
  const key = randomBytes(16).toString('base64')
  const head = [
    'GET /v1/client HTTP/1.1',
    `Host: ${hostname}`,
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Key: ${key}`,
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Protocol: cpns.v1',
  ]
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  const answer = await new Promise<string>(resolve => socket.once('data', data => resolve(String(data))))
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  assert.match(answer, expected)
  return { socket, closed: () => isClosed }
}

const goesOn = async (rig: Rig) => {
  const other = await sessionAt(rig.base, 'bob')
  assert.equal(await other.call(echo.spec, { text: 'still here' }), { text: 'bob: still here' })
  other.close()
}

test('who trickles the bytes of a frame is let go when it should have authenticated', async () => {
  const rig = await rigWith({ limits: { authenticationDeadlineMs: 2_000 } })
  const { socket, closed } = await upgraded(rig)
  // A text frame of 126 to 65,535 bytes, masked: its bytes come one by one.
  socket.write(Buffer.from([0x81, 0xfe, 0x0f, 0xff, 0, 0, 0, 0]))
  const trickle = setInterval(() => socket.write('x'), 20)
  await until(closed, { what: 'the server closes it' })
  clearInterval(trickle)
  await until(() => rig.access.connections() === 0, { what: 'nothing of it is left' })
  await goesOn(rig)
})

test('who reads nothing of what it is sent is closed, and little waits for it meanwhile', async () => {
  const limits = { slowReaderMs: 200, slowReaderBytesPerSecond: 1024 * 1024, maxBufferedBytes: 256 * 1024, tickMs: 50 }
  const rig = await rigWith({ limits: { ...limits, framesPerSecond: 100_000, frameBurst: 100_000 } })
  const client = await authenticatedClient(rig)
  client.pause()
  let count = 0
  const flood = setInterval(() => {
    for (let n = 0; n < 20; n++) client.send({ jsonrpc: '2.0', id: ++count, method: 'rpc.discover', params: {} })
  }, 5)
  await until(() => rig.telemetry.counter('cpns_access_closed_total', { why: 'slowReader' }) === 1, {
    what: 'the slow reader is closed',
  })
  clearInterval(flood)
  client.end()
  await goesOn(rig)
})

test('a subscriber has so many sessions and no more; when one ends another may come', async () => {
  const rig = await rigWith({ limits: { maxSessionsOfOne: 2 } })
  const first = await sessionAt(rig.base, 'alice')
  const second = await sessionAt(rig.base, 'alice')
  const refused = await sessionAt(rig.base, 'alice', { reconnect: false }).catch(error => error)
  assert.instance(refused, RequestRefused)
  assert.equal([refused.status, refused.reason], [429, 'TOO_MANY_SESSIONS'])
  assert.ok(refused.retryAfterMs > 0)
  await until(() => rig.telemetry.counter('cpns_access_closed_total', { why: 'connectionRate' }) === 1, {
    what: 'its connection is closed, with the reason',
  })
  await goesOn(rig)
  first.close()
  const third = await until(() => sessionAt(rig.base, 'alice', { reconnect: false }), { what: 'there is room again' })
  for (const session of [second, third]) session.close()
})

test('more sessions do not let a subscriber do more', async () => {
  const rig = await rigWith({ limits: { framesPerSecondOfOne: 1, frameBurst: 20, maxStrikes: 1_000 } })
  const clients = await Promise.all([authenticatedClient(rig), authenticatedClient(rig)])
  for (const client of clients) {
    for (let id = 0; id < 20; id++) client.send({ jsonrpc: '2.0', id, method: 'test.echo', params: { text: 'x' } })
  }
  await until(() => clients.every(({ heard }) => heard.length === 20), { what: 'all are answered' })
  const answers = clients.flatMap(({ heard }) => heard as { readonly error?: { readonly code: number } }[])
  const refused = answers.filter(({ error }) => error?.code === 429).length
  assert.ok(refused >= 10, `${refused} of 40 were refused`)
  for (const client of clients) client.end()
  await goesOn(rig)
})

test.run()
