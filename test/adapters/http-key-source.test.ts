/*
 * Proves: whatever a key server does, a subscriber is found only if it said so of this identity, there is none only if it
 * said 404, and everything else fails within the time that was set and a bounded memory; answers are kept as long as was
 * set and no longer; one question serves all who ask it at once; and neither token nor key is ever told. Fails if a
 * redirect is followed, a slow or endless answer is waited for, another's credential is taken, or a failure is kept.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { recordOf } from '../../src/adapters/subscriber-record.ts'
import type { Subscriber } from '../../src/ports/key-source.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { until } from '../fixtures/until.ts'
import { outcome } from '../ports/key-source.contract.ts'
import { type KeyServer, keyServer, sourceOf, token } from './key-server.ts'

const lamp: Subscriber = { identity: 'lamp', credential: { kind: 'psk', key: new Uint8Array(32).fill(0x5c) } }
const lampKey = Buffer.alloc(32, 0x5c).toString('base64url')
const radio: Subscriber = { identity: 'radio', credential: { kind: 'ed25519', publicKey: new Uint8Array(32) } }
const json = (response: ServerResponse, value: unknown) => response.writeHead(200).end(JSON.stringify(value))

const test = suite<{ server: KeyServer }>('http key source')
test.before.each(async context => {
  context.server = await keyServer()
  context.server.add(lamp)
})
test.after.each(({ server }) => server.stop())

type Misbehaviour = NonNullable<KeyServer['misbehave']>
const misbehaviours: Readonly<Record<string, readonly [reason: string, Misbehaviour]>> = {
  'refuses the token': ['status', (_, response) => response.writeHead(401).end()],
  'is overloaded': ['status', (_, response) => response.writeHead(503).end(JSON.stringify(recordOf(lamp)))],
  'has no content': ['status', (_, response) => response.writeHead(204).end()],
  'answers with a page': ['malformed', (_, response) => response.writeHead(200).end('<html>')],
  'answers with nothing': ['malformed', (_, response) => response.writeHead(200).end()],
  'answers with a number': ['malformed', (_, response) => json(response, 7)],
  'answers with a short key': [
    'malformed',
    (_, response) => json(response, { identity: 'lamp', kind: 'psk', key: 'c2hvcnQ' }),
  ],
  'answers with a kind that there is not': [
    'malformed',
    (_, response) => json(response, { identity: 'lamp', kind: 'none', key: lampKey }),
  ],
  'answers with another subscriber': ['other-identity', (_, response) => json(response, recordOf(radio))],
  'never answers': ['timeout', () => {}],
  'drips its answer': [
    'timeout',
    (request, response) => {
      response.writeHead(200)
      const drip = setInterval(() => response.write(' '), 20)
      request.on('close', () => clearInterval(drip))
    },
  ],
  'answers without end': [
    'too-long',
    (request, response) => {
      response.writeHead(200)
      const flood = () => {
        while (!request.destroyed && response.write(Buffer.alloc(16_384, ' ')));
        if (!request.destroyed) response.once('drain', flood)
      }
      flood()
    },
  ],
  'breaks off': [
    'unreachable',
    (request, response) => {
      response.writeHead(200, { 'content-length': 1_000 }).write('{')
      request.socket.destroy()
    },
  ],
}

for (const [what, [reason, misbehave]] of Object.entries(misbehaviours)) {
  test(`a server that ${what} is one that cannot be reached`, async ({ server }) => {
    const telemetry = new RecordingTelemetry()
    const source = await sourceOf(server, { ...(reason === 'timeout' && { timeoutMs: 250 }), telemetry })
    server.misbehave = misbehave
    assert.match(await outcome(source.find('lamp')), /^failed/)
    assert.equal(telemetry.events('key-source.failed'), [{ host: new URL(server.url).host, reason }])
    server.misbehave = undefined
    const found = async () => (await outcome(source.find('lamp'))) === 'found lamp'
    await until(found, { what: 'the failure is not kept' })
    source.close()
  })
}

test('a redirect is not followed: the token goes to nobody else', async ({ server }) => {
  const other = await keyServer()
  other.add(lamp)
  server.misbehave = (_, response) => response.writeHead(307, { location: `${other.url}subscribers/lamp` }).end()
  const source = await sourceOf(server)
  assert.match(await outcome(source.find('lamp')), /^failed/)
  assert.equal(other.asked, [])
  source.close()
  await other.stop()
})

test('nobody listening is a source that cannot be reached', async ({ server }) => {
  const gone = await keyServer()
  const source = await sourceOf({ url: gone.url, tokenFile: server.tokenFile })
  await gone.stop()
  assert.match(await outcome(source.find('lamp')), /unreachable/)
  source.close()
})

test('what cannot be an identity is not asked about', async ({ server }) => {
  const source = await sourceOf(server)
  for (const name of ['.', '..', 'a/../lamp', '', 'x'.repeat(129)]) {
    assert.is(await outcome(source.find(name)), 'none')
  }
  assert.equal(server.asked, [])
  assert.is(await outcome(source.find('a+b@c')), 'none')
  assert.equal(server.asked, ['/v1/subscribers/a%2Bb%40c'])
  source.close()
})

test('an answer is kept for its time, that there is nobody for a shorter one', async ({ server }) => {
  const clock = new ManualClock()
  const source = await sourceOf(server, { clock, ttlMs: 60_000, negativeTtlMs: 5_000 })
  const asked = async (name: string) => {
    const before = server.asked.length
    await source.find(name)
    return server.asked.length - before
  }
  assert.equal([await asked('lamp'), await asked('nobody')], [1, 1])
  clock.advance(4_999)
  assert.equal([await asked('lamp'), await asked('nobody')], [0, 0])
  clock.advance(1)
  assert.equal([await asked('lamp'), await asked('nobody')], [0, 1])
  clock.advance(55_000)
  assert.equal([await asked('lamp'), await asked('nobody')], [1, 1])
  source.close()
})

test('while the server fails, an answer that is not too old stands; that there was nobody does not', async ({
  server,
}) => {
  const clock = new ManualClock()
  const source = await sourceOf(server, { clock, ttlMs: 1_000, negativeTtlMs: 1_000, staleMs: 10_000 })
  await source.find('lamp')
  await source.find('nobody')
  server.misbehave = (_, response) => response.writeHead(500).end()
  clock.advance(9_999)
  assert.is(await outcome(source.find('lamp')), 'found lamp')
  assert.match(await outcome(source.find('nobody')), /^failed/)
  clock.advance(1)
  assert.match(await outcome(source.find('lamp')), /^failed/)
  source.close()
})

test('one question serves all who ask it at once', async ({ server }) => {
  const source = await sourceOf(server)
  const found = await Promise.all(Array.from({ length: 50 }, () => source.find('lamp')))
  assert.equal(new Set(found.map(one => one?.identity)), new Set(['lamp']))
  assert.is(server.asked.length, 1)
  source.close()
})

test('those who invent names cannot pile up questions', async ({ server }) => {
  const source = await sourceOf(server, { timeoutMs: 1_500 })
  server.misbehave = () => {}
  const ends = Array.from({ length: 400 }, (_, at) => outcome(source.find(`invented-${at}`)))
  assert.match((await ends.at(-1)) ?? '', /Too many/)
  assert.ok(server.asked.length <= 16, `${server.asked.length} at once`)
  await Promise.all(ends)
  source.close()
})

test('a token that is exchanged serves at once, one that others may read never', async ({ server }) => {
  const source = await sourceOf(server, { ttlMs: 0, staleMs: 0 })
  await writeFile(server.tokenFile, 'old token')
  assert.match(await outcome(source.find('lamp')), /^failed/)
  await writeFile(server.tokenFile, token)
  assert.is(await outcome(source.find('lamp')), 'found lamp')
  source.close()
  const open = `${server.folder}/open`
  await writeFile(open, token, { mode: 0o644 })
  const exposed = await sourceOf({ url: server.url, tokenFile: open })
  assert.match(await outcome(exposed.find('lamp')), /credentials/)
  exposed.close()
})

test('server and node know each other by their certificates', async ({ server }) => {
  const pem = (name: string) => fileURLToPath(new URL(`../fixtures/tls-${name}.pem`, import.meta.url))
  const own = { cert: await readFile(pem('a.crt')), key: await readFile(pem('a.key')) }
  const secured = await keyServer({ ...own, ca: await readFile(pem('b.crt')), requestCert: true })
  secured.add(lamp)
  const keyFile = `${server.folder}/client.key`
  await writeFile(keyFile, await readFile(pem('b.key')), { mode: 0o600 })
  const known = { authorityFile: pem('a.crt') }
  const mutual = await sourceOf(secured, { ...known, certificateFile: pem('b.crt'), keyFile })
  assert.is(await outcome(mutual.find('lamp')), 'found lamp')
  const stranger = await sourceOf(secured, known)
  assert.match(await outcome(stranger.find('lamp')), /unreachable/)
  const unknown = await sourceOf(secured, { certificateFile: pem('b.crt'), keyFile })
  assert.match(await outcome(unknown.find('lamp')), /unreachable/, 'a server that nobody vouches for')
  for (const source of [mutual, stranger, unknown]) source.close()
  await secured.stop()
})

test('neither token nor key is told to anybody', async ({ server }) => {
  const telemetry = new RecordingTelemetry()
  let told = ''
  for (const [reason, misbehave] of [['', undefined] as const, ...Object.values(misbehaviours)]) {
    const impatience = reason === 'timeout' && { timeoutMs: 250 }
    const source = await sourceOf(server, { telemetry, ...impatience })
    server.misbehave = misbehave
    told += await outcome(source.find('lamp'))
    source.close()
  }
  told += JSON.stringify(telemetry)
  assert.match(told, /found lamp/)
  for (const secret of [token, lampKey, Buffer.alloc(32, 0x5c).toString('hex')]) assert.not(told.includes(secret))
})

test.run()
