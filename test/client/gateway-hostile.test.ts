import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { type GatewayOptions, type PnGateway, startGateway } from '../../src/client/gateway.ts'
import {
  gatewayDiscover,
  gatewayLookup,
  gatewayPair,
  gatewayPath,
  gatewaySubprotocol,
} from '../../src/client/gateway-protocol.ts'
import { localMethod, serveLocally } from '../../src/client/local-server.ts'
import { openWire, type Wire } from '../../src/client/wire.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { pnEstablish, pnUpdate } from '../../src/inventory/methods.ts'
import type { SocketEvents, UpgradeAnswer } from '../../src/ports/client-sockets.ts'
import { operatorId } from '../../src/ports/names.ts'
import { gatewayMemoryStore } from '../fixtures/gateway-memory-store.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { type ClientWorld, clientPorts, clientWorld } from './world.ts'

/*
 * Devices that mean harm at a gateway: whatever one of them sends, asks, claims or leaves unread, what it takes of the
 * gateway is bounded, it learns nothing without consent, and the others are served.
 */
const test = suite('hostile devices at a gateway')
let world: ClientWorld | undefined
test.after.each(async () => {
  await world?.stop()
  world = undefined
})

const home = operatorId('a.example')
const network = { home, pnId: 'flat' }
const newId = () => toBase64url(systemRandom().bytes(16))
const timeoutMs = 60_000

async function flat(options: Partial<GatewayOptions> = {}, store = gatewayMemoryStore()) {
  world = await clientWorld('a.example')
  const [a] = world.nodes
  assert.ok(a)
  const owner = await a.session('alice')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const pnes = [{ operator: home, pneId: 'box' }]
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes })
  const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
  const gateway = await startGateway({ ...clientPorts(), store }, await a.session('box'), listener, {
    gatewayId: 'box-1',
    networks: [network],
    ...options,
  })
  world.ends.push(() => gateway.stop())
  return gateway
}

async function wireTo(gateway: PnGateway): Promise<Wire> {
  const { sockets, clock } = clientPorts()
  const wire = openWire(await sockets.connect(`${gateway.url()}${gatewayPath}`, [gatewaySubprotocol]), clock)
  world?.ends.push(() => wire.close())
  return wire
}

const paired = (wire: Wire, pneId: string, secret = newId()) =>
  wire.call(gatewayPair, { ...network, operator: home, pneId, mode: 'PNE', capabilities: {}, secret }, timeoutMs)

async function refusalOf(attempt: Promise<unknown>): Promise<readonly [status: number, reason: string]> {
  const error = await attempt.then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.instance(error, RequestRefused)
  const { status, reason } = error as RequestRefused
  return [status, reason]
}

test('who asks without waiting, or without end, is cut off, and others are served', async () => {
  const gateway = await flat()
  for (const sendsAtOnce of [true, false]) {
    const socket = new WebSocket(`${gateway.url()}${gatewayPath}`, gatewaySubprotocol)
    await new Promise(resolve => socket.once('open', resolve))
    const closed = new Promise<number>(resolve => socket.once('close', resolve))
    let asked = 0
    const ask = () => {
      asked += 1
      socket.send(JSON.stringify({ jsonrpc: '2.0', id: asked, method: gatewayDiscover.method, params: {} }))
    }
    if (sendsAtOnce) for (let request = 0; request < 50; request++) ask()
    else {
      socket.on('message', ask)
      ask()
    }
    assert.is(await closed, 4137)
    assert.ok(sendsAtOnce || asked < 1_000, `${asked} requests were answered`)
  }
  await paired(await wireTo(gateway), 'lamp')
})

test('what is no call of a method is refused, and what is garbage ends the connection', async () => {
  const gateway = await flat()
  const wire = await wireTo(gateway)
  const wrong = { ...network, operator: home, pneId: '../..', mode: 'PNE' as const, capabilities: {}, secret: newId() }
  const many = Object.fromEntries(Array.from({ length: 33 }, (_, index) => [`c${index}`, '']))
  for (const params of [
    wrong,
    { ...wrong, pneId: 'lamp', secret: 'short' },
    { ...wrong, pneId: 'l', capabilities: many },
  ]) {
    assert.equal(await refusalOf(wire.call(gatewayPair, params, timeoutMs)), [400, 'MALFORMED'])
  }
  const unknown = { ...gatewayDiscover, method: 'gateway.obey' }
  assert.equal(await refusalOf(wire.call(unknown, {}, timeoutMs)), [404, 'METHOD_UNKNOWN'])
})

test('so many pair, and no more; who has paired comes again', async () => {
  const gateway = await flat({ maxPairings: 3 })
  const secret = newId()
  const wire = await wireTo(gateway)
  await paired(wire, 'pne-0', secret)
  for (const pneId of ['pne-1', 'pne-2']) await paired(await wireTo(gateway), pneId)
  assert.equal(await refusalOf(paired(await wireTo(gateway), 'pne-3')), [429, 'TOO_MANY_PAIRINGS'])
  await paired(await wireTo(gateway), 'pne-0', secret)
  await paired(await wireTo(gateway), 'pne-1')
})

test('one connection speaks for so many', async () => {
  const gateway = await flat()
  const wire = await wireTo(gateway)
  for (let index = 0; index < 8; index++) await paired(wire, `pne-${index}`)
  assert.equal(await refusalOf(paired(wire, 'pne-8')), [429, 'TOO_MANY_PAIRINGS'])
  await paired(wire, 'pne-7')
  await paired(await wireTo(gateway), 'pne-8')
})

test('a person who is asked for consent is not buried under questions', async () => {
  const answer = Promise.withResolvers<boolean>()
  let asked = 0
  const gateway = await flat({
    admits() {
      asked += 1
      return answer.promise
    },
  })
  const attempts: Promise<unknown>[] = []
  const refused: number[] = []
  for (let connection = 0; connection < 5; connection++) {
    const wire = await wireTo(gateway)
    for (let index = 0; index < 4; index++) {
      const attempt = paired(wire, `pne-${connection}-${index}`)
      attempts.push(attempt.catch((error: unknown) => refused.push(error instanceof RequestRefused ? error.status : 0)))
    }
  }
  await until(() => asked === 16 && refused.length === 4, { what: 'sixteen questions' })
  attempts.push(paired(await wireTo(gateway), 'pne-0-0', 'AAAAAAAAAAAAAAAAAAAAAA').catch(() => refused.push(429)))
  await until(() => refused.length === 5, { what: 'one with another secret is one more' })
  answer.resolve(true)
  await Promise.all(attempts)
  assert.equal(refused, [429, 429, 429, 429, 429])
  assert.is(asked, 16)
})

test('a device that cannot wait for consent is asked about once', async () => {
  const answer = Promise.withResolvers<boolean>()
  let asked = 0
  const gateway = await flat({
    admits() {
      asked += 1
      return answer.promise
    },
  })
  const secret = newId()
  const attempts = [paired(await wireTo(gateway), 'lamp', secret), paired(await wireTo(gateway), 'lamp', secret)]
  await until(() => asked === 1, { what: 'a question' })
  attempts.push(paired(await wireTo(gateway), 'lamp', secret))
  answer.resolve(true)
  await Promise.all(attempts)
  assert.is(asked, 1)
})

test('nothing is told to who has not paired, or has paired elsewhere', async () => {
  const gateway = await flat({ admits: ({ pneId }) => pneId !== 'spy' })
  const wire = await wireTo(gateway)
  assert.equal(await refusalOf(wire.call(gatewayLookup, network, timeoutMs)), [403, 'NOT_PAIRED'])
  assert.equal(await refusalOf(paired(wire, 'spy')), [403, 'NOT_ADMITTED'])
  assert.equal(await refusalOf(wire.call(gatewayLookup, network, timeoutMs)), [403, 'NOT_PAIRED'])
  const honest = await wireTo(gateway)
  await paired(honest, 'lamp')
  await honest.call(gatewayLookup, network, timeoutMs)
  assert.equal(await refusalOf(honest.call(gatewayLookup, { home, pnId: 'other' }, timeoutMs)), [403, 'NOT_PAIRED'])
})

test('what cannot be kept is not promised', async () => {
  const store = gatewayMemoryStore()
  let isFull = false
  const gateway = await flat(
    {},
    {
      read: store.read,
      write: (key, text) => (isFull ? Promise.reject(new Error('no room')) : store.write(key, text)),
    },
  )
  isFull = true
  const wire = await wireTo(gateway)
  assert.equal(await refusalOf(paired(wire, 'lamp')), [503, 'NOT_STORED'])
  assert.equal(await refusalOf(wire.call(gatewayLookup, network, timeoutMs)), [403, 'NOT_PAIRED'])
  isFull = false
  await paired(wire, 'lamp')
})

test('who does not read what it is answered is cut off', async () => {
  const closes: number[] = []
  const sent: unknown[] = []
  let events: SocketEvents | undefined
  let bufferedBytes = 0
  let decide: ((upgrade: { target: string; subprotocols: string[] }) => unknown) | undefined
  await serveLocally(
    {
      async listen(given) {
        decide = upgrade => given({ ...upgrade, origin: undefined, remoteAddress: '127.0.0.1' })
      },
      url: () => 'ws://test',
      refuseNew: () => {},
      stop: async () => {},
    },
    clientPorts().clock,
    { path: '/p', subprotocol: 's', methods: [localMethod(gatewayDiscover, () => Promise.reject(new Error('no')))] },
  )
  const answer = (await decide?.({ target: '/p', subprotocols: ['s'] })) as UpgradeAnswer
  assert.ok(answer.accept)
  answer.opened({
    send: frame => sent.push(frame),
    bufferedBytes: () => bufferedBytes,
    close: code => closes.push(code),
    listen: listener => {
      events = listener
    },
  })
  const ask = () => events?.message('{"jsonrpc":"2.0","id":1,"method":"gateway.discover"}')
  ask()
  await until(() => sent.length === 1, { what: 'an answer' })
  bufferedBytes = 2 * 1024 * 1024
  ask()
  await until(() => closes.length === 1, { what: 'it is cut off' })
  assert.equal([closes, sent.length], [[4137], 1])
})

test.run()
