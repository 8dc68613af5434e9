import { readFile } from 'node:fs/promises'
import { connect as connectTcp } from 'node:net'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { browserHttp } from '../../src/adapters/browser/http.ts'
import { nodeHttp } from '../../src/adapters/node-http.ts'
import { type WebsocketListenerOptions, websocketListener } from '../../src/adapters/websocket-listener.ts'
import type { ClientListener } from '../../src/ports/client-sockets.ts'
import type { AnswerRequest } from '../../src/ports/http.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { httpContract } from '../ports/http.contract.ts'
import { blobOf, collected } from '../ports/media-store.contract.ts'

/*
 * Requests for real, on loopback: both clients keep the contract; a client that sends, or takes, too slowly is cut; a
 * server makes no more of a body than its reader takes; and pages hear answers if, and only if, their origin may connect.
 */
const listenerOf = (options: Partial<WebsocketListenerOptions> = {}): ClientListener =>
  websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry(), ...options })

httpContract('fetch', { listener: listenerOf, client: browserHttp() })
httpContract('Node', { listener: listenerOf, client: nodeHttp() })

const test = suite('requests on loopback')
const open: ClientListener[] = []
test.after.each(async () => {
  for (const listener of open.splice(0)) await listener.stop()
})

async function serving(
  answer: AnswerRequest,
  options: Partial<WebsocketListenerOptions> = {},
): Promise<ClientListener> {
  const listener = listenerOf(options)
  open.push(listener)
  await listener.listen(() => ({ accept: false, status: 404, reason: 'no websockets' }), answer)
  return listener
}

const portOf = (listener: ClientListener) => Number(new URL(listener.url()).port)
const httpUrl = (listener: ClientListener) => listener.url().replace(/^ws/, 'http')

test('cuts a client that sends too slowly, and one that stops', async () => {
  for (const pace of [{ idleMs: 50 }, { slowMs: 50, minBytesPerSecond: 1_000_000 }]) {
    const ends: string[] = []
    const listener = await serving(
      async ({ body }) => {
        await collected(body).catch(error => ends.push(error.name))
        return { status: 204 }
      },
      { pace },
    )
    const socket = connectTcp(portOf(listener), '127.0.0.1')
    socket.on('error', () => {})
    socket.resume()
    socket.write('PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nbeginning')
    const drip = setInterval(() => pace.idleMs === undefined && socket.write('.'), 5).unref()
    await until(() => ends.length > 0 && socket.destroyed, { what: 'it is cut' })
    clearInterval(drip)
    assert.equal(ends, ['RequestCut'])
  }
})

test('tells the reader of a body that the client has gone', async () => {
  const ends: string[] = []
  let begun = 0
  const listener = await serving(async ({ body }) => {
    try {
      for await (const chunk of body) {
        begun += Math.min(1, chunk.length)
        await new Promise(resolve => setTimeout(resolve, 2))
      }
    } catch (error) {
      ends.push(error instanceof Error ? error.name : String(error))
    }
    return { status: 204 }
  })
  for (const client of [browserHttp(), nodeHttp()]) {
    const before = begun
    const leaving = new AbortController()
    const body = new Uint8Array(8_000_000)
    const sent = client.send({ method: 'PATCH', url: httpUrl(listener), fields: {}, signal: leaving.signal, body })
    await until(() => begun > before, { what: 'the body is being read' })
    leaving.abort()
    assert.is(await sent.catch(error => error.name), 'ConnectFailed')
  }
  await until(() => ends.length === 2, { what: 'both are ended' })
  assert.equal(ends, ['RequestCut', 'RequestCut'])
})

test('holds up an answer whose reader does not read, and ends it when that takes too long', async () => {
  const state = { made: 0, ended: false }
  async function* endless() {
    try {
      for (;;) {
        state.made += 1
        yield blobOf(65_536)
      }
    } finally {
      state.ended = true
    }
  }
  const listener = await serving(async () => ({ status: 200, body: endless() }), { pace: { idleMs: 300 } })
  const socket = connectTcp(portOf(listener), '127.0.0.1')
  socket.on('error', () => {})
  socket.pause()
  socket.write('GET /x HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(() => state.ended, { what: 'the answer is ended' })
  // What the systems between the two buffer; without back-pressure it would be gigabytes.
  assert.ok(state.made * 65_536 < 32 * 1024 * 1024, `${state.made} chunks`)
  socket.destroy()
})

test('cuts who goes on sending for ever what nobody reads', async () => {
  const listener = await serving(async () => ({ status: 413, body: 'too much' }), { pace: { lingerMs: 500 } })
  const socket = connectTcp(portOf(listener), '127.0.0.1')
  let heard = ''
  socket.on('data', data => {
    heard += String(data)
  })
  socket.on('error', () => {})
  socket.write('PATCH /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000000\r\n\r\n')
  const flood = setInterval(() => socket.writableNeedDrain || socket.write(Buffer.alloc(10_000)), 1).unref()
  await until(() => socket.destroyed, { what: 'it is cut' })
  clearInterval(flood)
  assert.match(heard, /^HTTP\/1\.1 413 /)
})

test('asks for a body only when somebody reads it', async () => {
  const listener = await serving(async ({ target, body }) => {
    if (target === '/refused') return { status: 401, body: 'no' }
    return { status: 200, body: String((await collected(body)).length) }
  })
  const said = (path: string) =>
    new Promise<string>(resolve => {
      const socket = connectTcp(portOf(listener), '127.0.0.1')
      socket.write(`PATCH ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n`)
      socket.once('data', data => {
        resolve(String(data).split('\r\n', 1)[0] ?? '')
        socket.destroy()
      })
    })
  assert.is(await said('/refused'), 'HTTP/1.1 401 Unauthorized')
  assert.is(await said('/read'), 'HTTP/1.1 100 Continue')
})

test('lets pages of allowed origins read answers, and answers no others', async () => {
  let answered = 0
  const listener = await serving(
    async () => {
      answered += 1
      return { status: 200, body: 'hello' }
    },
    { allowedOrigins: ['https://app.a.example'] },
  )
  const client = nodeHttp()
  const { signal } = new AbortController()
  const asked = (fields: Record<string, string>) =>
    client.send({ method: 'GET', url: httpUrl(listener), fields, signal })
  const allowed = await asked({ origin: 'https://app.a.example' })
  assert.is(allowed.status, 200)
  assert.is(allowed.fields['access-control-allow-origin'], 'https://app.a.example')
  assert.is(allowed.fields.vary, 'origin')
  await collected(allowed.body)
  const other = await asked({ origin: 'https://evil.example' })
  assert.is(other.status, 403)
  assert.is(other.fields['access-control-allow-origin'], undefined)
  await collected(other.body)
  assert.is(answered, 1)
  const none = await asked({})
  assert.is(none.fields['access-control-allow-origin'], undefined)
  await collected(none.body)
})

test('speaks TLS to who trusts its certificate', async () => {
  const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name)
  const listener = await serving(async () => ({ status: 200, body: 'safe' }), {
    tls: { certificateFile: fixture('tls-a.crt.pem'), keyFile: fixture('tls-a.key.pem') },
  })
  const certificateAuthority = await readFile(fixture('tls-a.crt.pem'), 'utf8')
  const { signal } = new AbortController()
  const sent = { method: 'GET', url: httpUrl(listener), fields: {}, signal }
  const answer = await nodeHttp({ certificateAuthority }).send(sent)
  assert.is(new TextDecoder().decode(await collected(answer.body)), 'safe')
  const refused = await nodeHttp()
    .send(sent)
    .catch((error: unknown) => error)
  assert.match(String(refused), /ConnectFailed.*certificate/)
})

test.run()
