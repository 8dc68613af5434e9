/*
 * Proves: a client follows servers that send it on to servers that it knows, and to no other; not in a round, not for ever; and
 * where it was sent for good it begins from then on. It fails if hostile servers can lead a client anywhere, or keep it busy.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { clientPath, subprotocol } from '../../src/access/protocol.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { fixedGuide } from '../../src/client/session/guide.ts'
import { openSession } from '../../src/client/session.ts'
import type { ClientListener } from '../../src/ports/client-sockets.ts'
import { clientPorts, identityOf, sessionAt, startRig } from '../access/rig.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'

const test = suite('redirections')
const operator = testOperator('a.example', 8)
const ids = operator.servers.map(({ id }) => id)
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** Servers each of which sends everybody on to the one that `next` says, by its number. */
async function sending(count: number, next: (number: number) => number) {
  const listeners: ClientListener[] = []
  const visits: number[] = []
  for (let number = 0; number < count; number++) {
    const listener = websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() })
    listeners.push(listener)
    ends.push(() => listener.stop())
    await listener.listen(({ target }) => ({
      accept: true,
      subprotocol,
      opened(socket) {
        if (target === clientPath) visits.push(number)
        socket.listen({
          closed() {},
          message(frame) {
            const { id } = JSON.parse(String(frame))
            const to = next(number)
            const redirect = { action: 'redirect', server: ids[to], urls: [listeners[to]?.url()], ticket: 'x' }
            const data = { status: 307, reason: 'REDIRECT', redirect }
            socket.send(JSON.stringify({ jsonrpc: '2.0', id, error: { code: 307, message: 'Elsewhere.', data } }))
          },
        })
      },
    }))
  }
  return { urls: listeners.map(listener => listener.url()), visits }
}

const tried = (url: string, servers = ids) =>
  openSession(clientPorts(), { ...identityOf('alice'), servers, urls: [url], timeoutMs: 5_000 }).catch(error => error)

test('two servers that send it to each other are tried once each', async () => {
  const { urls, visits } = await sending(2, number => 1 - number)
  const refused = await tried(urls[0] ?? '')
  assert.instance(refused, RequestRefused)
  assert.is((refused as RequestRefused).status, 307)
  assert.equal(visits, [0, 1])
})

test('a chain of servers ends', async () => {
  const { urls, visits } = await sending(8, number => (number + 1) % 8)
  await tried(urls[0] ?? '')
  assert.equal(visits, [0, 1, 2, 3, 4])
})

test('a server that it does not know is not visited', async () => {
  const { urls, visits } = await sending(2, () => 1)
  await tried(urls[0] ?? '', ids.slice(0, 1))
  assert.equal(visits, [0])
})

test('who says that it is a server which the client knows, and is not, is told nothing', async () => {
  const rig = await startRig()
  ends.push(rig.stop)
  const other = await sessionAt(rig.base, 'alice', { servers: ids.slice(5), reconnect: false }).catch(error => error)
  assert.is((other as Error).name, 'ServerNotTrusted')
  assert.is(rig.telemetry.counter('cpns_access_authentications_total'), 0)
})

test('sent for good, it begins elsewhere from then on', () => {
  const [first, second, third] = ['wss://1.a.example', 'wss://2.a.example', 'wss://3.a.example']
  const server = ids[2]
  assert.ok(first && second && third && server)
  const guide = fixedGuide({ ...identityOf('alice'), urls: [first, second] })
  const urls = () => guide.round().flatMap(place => place.urls)
  guide.moved('wss://unknown.example', { urls: [third], server })
  assert.equal(urls(), [first, second])
  guide.moved(first, { urls: [third], server })
  assert.equal(urls(), [third, second])
  guide.moved(second, { urls: [third], server })
  assert.equal(urls(), [third], 'not twice')
})

test.run()
