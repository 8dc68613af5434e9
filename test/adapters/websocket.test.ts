import { copyFile, readFile } from 'node:fs/promises'
import { get } from 'node:http'
import { connect as connectTcp, type Socket as TcpSocket } from 'node:net'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { browserWebsocket } from '../../src/adapters/browser/websocket.ts'
import { websocketClient } from '../../src/adapters/websocket-client.ts'
import { type WebsocketListenerOptions, websocketListener } from '../../src/adapters/websocket-listener.ts'
import { type ClientListener, ListenRefused, type Socket, type Upgrade } from '../../src/ports/client-sockets.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { clientSocketsContract, hear } from '../ports/client-sockets.contract.ts'

/*
 * Websockets for real, on loopback: both client adapters keep the contract; plain text is refused beyond loopback; TLS
 * takes a renewed certificate without a restart; and what a hostile client sends at the door (foreign origins, long
 * heads, oversize and fragmented messages, half requests, compression) costs it its connection and nobody else's. Each
 * test fails if its limit is lifted.
 */
const fixture = (name: string) => join(import.meta.dirname, '../fixtures', name)

clientSocketsContract('ws', {
  listener: () => websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() }),
  factory: websocketClient(),
})
clientSocketsContract('ws, let in one after another', {
  listener: () => websocketListener({ host: '127.0.0.1', port: 0, isPaced: true, telemetry: new RecordingTelemetry() }),
  factory: websocketClient(),
})
clientSocketsContract('the platform’s WebSocket', {
  listener: () => websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() }),
  factory: browserWebsocket(),
})

const test = suite('websocket listener')
const open: { stop(): Promise<void> }[] = []
test.after.each(async () => {
  for (const thing of open.splice(0)) await thing.stop()
})

interface Door {
  readonly listener: ClientListener
  readonly sockets: Socket[]
  readonly upgrades: Upgrade[]
  readonly telemetry: RecordingTelemetry
}

async function door(
  options: Partial<WebsocketListenerOptions> = {},
  opened: (socket: Socket) => void = () => {},
): Promise<Door> {
  const telemetry = new RecordingTelemetry()
  const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry, ...options })
  const sockets: Socket[] = []
  const upgrades: Upgrade[] = []
  open.push(listener)
  await listener.listen(upgrade => {
    upgrades.push(upgrade)
    return {
      accept: true,
      opened(socket) {
        sockets.push(socket)
        opened(socket)
      },
    }
  })
  return { listener, sockets, upgrades, telemetry }
}

const portOf = (listener: ClientListener) => Number(new URL(listener.url()).port)

test('refuses plain text beyond loopback, and says what to do', async () => {
  for (const host of ['0.0.0.0', '::']) {
    const listener = websocketListener({ host, port: 0, telemetry: new RecordingTelemetry() })
    const error = await listener
      .listen(() => ({ accept: false, status: 500, reason: 'it listens' }))
      .catch((error: unknown) => error)
    assert.instance(error, ListenRefused)
    assert.match(String(error), /certificate.*proxy.*127\.0\.0\.1/)
  }
})

test('listens beyond loopback behind a declared proxy, and believes only the proxy about addresses', async () => {
  const { listener, upgrades } = await door({ host: '0.0.0.0', proxy: 'declared' })
  const headers = { 'x-forwarded-for': '6.6.6.6, 192.0.2.7' }
  const client = new WebSocket(`ws://127.0.0.1:${portOf(listener)}/`, { headers })
  await new Promise(resolve => client.once('open', resolve))
  assert.is(upgrades[0]?.remoteAddress, '192.0.2.7')
  client.terminate()
})

test('refuses a port that is taken, an address that is not here, and a key that does not fit its certificate', async () => {
  const { listener } = await door()
  const refusals: [Partial<WebsocketListenerOptions>, RegExp][] = [
    [{ port: portOf(listener) }, /EADDRINUSE.*another port/],
    [{ host: 'nowhere.invalid' }, /no address of this machine/],
    [{ tls: { certificateFile: fixture('tls-a.crt.pem'), keyFile: fixture('tls-b.key.pem') } }, /cannot be used/],
    [{ tls: { certificateFile: fixture('absent.pem'), keyFile: fixture('tls-b.key.pem') } }, /cannot be used/],
  ]
  for (const [options, message] of refusals) {
    const error = await door(options).catch((error: unknown) => error)
    assert.instance(error, ListenRefused)
    assert.match(String(error), message)
  }
})

/** Counts what is noted in each turn of the event loop, and the most of one kind in any of them. */
function turnsOf<What extends string>() {
  let turn = 0
  let immediate = setImmediate(function next() {
    turn += 1
    immediate = setImmediate(next)
  })
  open.push({ stop: async () => clearImmediate(immediate) })
  const noted: { readonly what: What; readonly turn: number }[] = []
  const countsOf = (what: What) =>
    Object.values(Object.groupBy(noted, each => (each.what === what ? each.turn : -1))).flatMap(group =>
      group?.[0]?.what === what ? [group.length] : [],
    )
  return {
    note: (what: What) => void noted.push({ what, turn }),
    total: (what: What) => noted.filter(each => each.what === what).length,
    most: (what: What) => Math.max(...countsOf(what)),
  }
}

test('takes what a crowd does at once in turns: what each sends, and that it leaves, when it has proved itself, too', async () => {
  const crowd = 100
  const turns = turnsOf<'said' | 'left'>()
  const { listener } = await door({ isPaced: true }, socket =>
    socket.listen({
      message() {
        turns.note('said')
        socket.proved?.()
      },
      closed: () => turns.note('left'),
    }),
  )
  const clients = await Promise.all(Array.from({ length: crowd }, () => websocketClient().connect(listener.url(), [])))
  for (const client of clients) client.listen({ message() {}, closed() {} })
  for (const client of clients) client.send('here I am')
  await until(() => turns.total('said') === crowd, { what: 'all are heard' })
  for (const client of clients) client.close(1000, '')
  await until(() => turns.total('left') === crowd, { what: 'all have left' })
  for (const what of ['said', 'left'] as const)
    assert.ok(turns.most(what) <= 40, `${turns.most(what)} of ${crowd} in one turn: ${what}`)
})

test('takes in turns, too, that connections of a crowd end without a word, and forgets none of them when it stops', async () => {
  const crowd = 200
  const turns = turnsOf<'left'>()
  const first = Promise.withResolvers<void>()
  const { listener } = await door({ isPaced: true }, socket =>
    socket.listen({
      message() {},
      closed() {
        turns.note('left')
        if (turns.total('left') > crowd) first.resolve()
      },
    }),
  )
  const comes = async () => {
    const client = new WebSocket(listener.url())
    await new Promise(resolve => client.once('open', resolve))
    return client
  }
  const clients = await Promise.all(Array.from({ length: crowd }, comes))
  for (const client of clients) client.terminate()
  await until(() => turns.total('left') === crowd, { what: 'all have left' })
  assert.ok(turns.most('left') <= 40, `${turns.most('left')} of ${crowd} left in one turn`)

  const late = await Promise.all(Array.from({ length: crowd }, comes))
  for (const client of late) client.terminate()
  await first.promise
  await listener.stop()
  await until(() => turns.total('left') === 2 * crowd, { what: 'the others, too' })
})

test('serves TLS, and a renewed certificate without a restart', async () => {
  await using folder = await temporaryFolder()
  const [certificateFile, keyFile] = [join(folder.path, 'crt.pem'), join(folder.path, 'key.pem')]
  const install = async (name: string) => {
    await copyFile(fixture(`tls-${name}.key.pem`), keyFile)
    await copyFile(fixture(`tls-${name}.crt.pem`), certificateFile)
  }
  await install('a')
  const { listener, telemetry } = await door({
    host: '0.0.0.0',
    isPaced: true,
    tls: { certificateFile, keyFile, checkEveryMs: 20 },
  })
  const url = `wss://127.0.0.1:${portOf(listener)}/`
  const trusting = async (name: string) =>
    websocketClient({ certificateAuthority: await readFile(fixture(`tls-${name}.crt.pem`), 'utf8') })

  const early = hear(await (await trusting('a')).connect(url, []))
  await install('b')
  await until(() => telemetry.events('listener.certificate-reloaded').length > 0, { what: 'the renewal is noticed' })
  const late = hear(await (await trusting('b')).connect(url, []))
  const refused = await (await trusting('a')).connect(url, []).catch((error: unknown) => error)
  assert.match(String(refused), /self-signed|certificate/)
  assert.equal([early.closed, late.closed], [[], []], 'who was connected stays')
  assert.match(listener.url(), /^wss:/)
})

test('keeps the old certificate while the new files do not fit together', async () => {
  await using folder = await temporaryFolder()
  const [certificateFile, keyFile] = [join(folder.path, 'crt.pem'), join(folder.path, 'key.pem')]
  await copyFile(fixture('tls-a.key.pem'), keyFile)
  await copyFile(fixture('tls-a.crt.pem'), certificateFile)
  const { listener, telemetry } = await door({ tls: { certificateFile, keyFile, checkEveryMs: 20 } })
  await copyFile(fixture('tls-b.key.pem'), keyFile)
  await until(() => telemetry.events('listener.certificate-unusable').length > 0, { what: 'the misfit is noticed' })
  const client = websocketClient({ certificateAuthority: await readFile(fixture('tls-a.crt.pem'), 'utf8') })
  const socket = await client.connect(listener.url(), [])
  socket.close(1000, '')
})

test('lets pages of allowed origins in, and those without an origin, and no others', async () => {
  const { listener } = await door({ allowedOrigins: ['https://app.a.example'] })
  const status = (origin?: string) =>
    new Promise<number>(resolve => {
      const client = new WebSocket(listener.url(), origin === undefined ? {} : { origin })
      client.once('open', () => resolve(101))
      client.once('unexpected-response', (_request, response) => {
        resolve(response.statusCode ?? 0)
        client.terminate()
      })
      client.on('error', () => {})
    })
  assert.is(await status(), 101)
  assert.is(await status('https://app.a.example'), 101)
  assert.is(await status('https://evil.example'), 403)
  assert.is(await status('null'), 403)
})

test('answers plain HTTP with what is here', async () => {
  const { listener } = await door()
  const fetched = (path: string) =>
    new Promise<[number, string]>((resolve, reject) => {
      get({ host: '127.0.0.1', port: portOf(listener), path }, async response => {
        let body = ''
        for await (const chunk of response) body += String(chunk)
        resolve([response.statusCode ?? 0, body])
      }).on('error', reject)
    })
  const [status, text] = await fetched('/v1/client')
  assert.is(status, 426)
  assert.match(text, /websocket/)
  assert.is((await fetched('/'))[0], 404)
})

/** Sends raw bytes and waits until the server ends the connection; answers all that it said. */
function raw(port: number, send: (socket: TcpSocket) => void): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connectTcp(port, '127.0.0.1', () => send(socket))
    const chunks: Buffer[] = []
    socket.on('data', chunk => chunks.push(chunk))
    socket.on('error', () => {})
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')))
    socket.setTimeout(60_000, () => {
      socket.destroy()
      reject(new Error('The server kept the connection open.'))
    })
  })
}

test('refuses a head above 8 KiB, and what is no request', async () => {
  const { listener, upgrades } = await door()
  const head = Array.from({ length: 2_000 }, (_, index) => `X-Flood-${index}: x`).join('\r\n')
  assert.match(
    await raw(portOf(listener), socket => socket.write(`GET / HTTP/1.1\r\nHost: a\r\n${head}\r\n\r\n`)),
    /^HTTP\/1\.1 431 /,
  )
  assert.match(await raw(portOf(listener), socket => socket.write('\x16\x03\x01 not http\r\n\r\n')), /^HTTP\/1\.1 400 /)
  assert.is(upgrades.length, 0)
})

test('drops a client that does not finish its request', async () => {
  const { listener } = await door({ handshakeTimeoutMs: 100 })
  await raw(portOf(listener), socket => socket.write('GET /v1/client HTTP/1.1\r\nHost: a\r\n'))
})

test('closes on a message that is too large, in one frame or in fragments, and on a flood of tiny fragments', async () => {
  const { listener, sockets } = await door({ maxPayloadBytes: 10_000 })
  const code = async (attack: (client: WebSocket) => void) => {
    const client = new WebSocket(listener.url())
    await new Promise(resolve => client.once('open', resolve))
    client.on('error', () => {})
    const closed = new Promise<number>(resolve => client.once('close', resolve))
    attack(client)
    return closed
  }
  const fragments = (client: WebSocket, count: number, bytes: number) => {
    for (let index = 0; index < count; index++) client.send(Buffer.alloc(bytes), { fin: false })
  }
  assert.is(await code(client => client.send(Buffer.alloc(10_001))), 1009)
  assert.is(await code(client => fragments(client, 12, 1_000)), 1009)
  assert.is(await code(client => fragments(client, 100, 1)), 1008)
  const heard = sockets.map(hear)
  assert.ok(heard.every(({ frames }) => frames.length === 0))
  const client = new WebSocket(listener.url())
  await new Promise(resolve => client.once('open', resolve))
  client.send(Buffer.alloc(10_000))
  const last = hear(await until(() => sockets[3], { what: 'the honest client is in' }))
  await until(() => last.frames.length === 1, { what: 'a message of the very size' })
  client.terminate()
})

test('does not compress, whatever the client offers', async () => {
  const { listener } = await door()
  const client = new WebSocket(listener.url(), { perMessageDeflate: true })
  await new Promise(resolve => client.once('open', resolve))
  assert.is(client.extensions, '')
  client.terminate()
})

test('drops connections that do not answer two pings', async () => {
  const { listener, sockets } = await door({ pingEveryMs: 320 })
  // More than are pinged in one turn.
  const clients = Array.from(
    { length: 80 },
    (_, number) => new WebSocket(listener.url(), { autoPong: number % 2 === 0 }),
  )
  let pings = 0
  for (const client of clients) {
    client.on('ping', () => pings++)
    await new Promise(resolve => client.once('open', resolve))
  }
  const heard = sockets.map(hear)
  const closed = (rest: number) => heard.filter(({ closed }, number) => number % 2 === rest && closed.length > 0).length
  await until(() => closed(1) === 40, { what: 'the dead ones are dropped' })
  const before = pings
  await until(() => pings >= before + 120, { what: 'the others are pinged on' })
  assert.is(closed(0), 0)
  for (const client of clients) client.terminate()
})

test('tells a client of Node why it was refused', async () => {
  const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
  open.push(listener)
  await listener.listen(() => ({ accept: false, status: 403, reason: 'The ticket is not good.' }))
  const error = await websocketClient()
    .connect(listener.url(), [])
    .catch((error: unknown) => error)
  assert.match(String(error), /status 403: The ticket is not good\./)
})

test.run()
