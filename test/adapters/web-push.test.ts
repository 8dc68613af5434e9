/*
 * Proves: an endpoint that a client names makes the server reach nothing but a push service in the public network, whatever the
 * name, its addresses and its answers are; that slow, talkative and broken push services cost bounded time; and that neither
 * endpoint nor keys are told to anybody.
 * Fails if a private address is connected to, a redirect is followed, or a push service can hold a sender up.
 */
import { readFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { isPublic, type ResolveAll } from '../../src/adapters/public-addresses.ts'
import { type WebPushOptions, webPushSender } from '../../src/adapters/web-push.ts'
import type { PushMessage, PushOutcome, PushSubscription } from '../../src/ports/push.ts'
import { until } from '../fixtures/until.ts'
import { type PushDevice, pushService } from './push-service.ts'

const secret = new Uint8Array(48).fill(7)
const contact = 'mailto:postmaster@a.example'
const messageTo = (subscription: PushSubscription): PushMessage => ({
  subscription,
  senderSecret: secret,
  payload: new TextEncoder().encode('{}'),
  ttlMs: 60_000,
  urgency: 'high',
})
const keysOf = ({ subscription: { p256dh, auth } }: PushDevice) => ({ p256dh, auth })

/** Every name is at these addresses; what was asked for is noted. */
function resolving(...addresses: string[]): { readonly resolve: ResolveAll; readonly asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    resolve(hostname, _, callback) {
      asked.push(hostname)
      callback(
        null,
        addresses.map(address => ({ address, family: address.includes(':') ? 6 : 4 })),
      )
    },
  }
}

async function withService(
  options: Partial<WebPushOptions>,
  run: (
    push: ReturnType<typeof webPushSender>,
    device: PushDevice,
    service: Awaited<ReturnType<typeof pushService>>,
  ) => Promise<void>,
): Promise<void> {
  const service = await pushService()
  const push = webPushSender({ contact, loopback: true, ...options })
  try {
    await run(push, service.subscribe(push.senderKey(secret)), service)
  } finally {
    push.close()
    await service.stop()
  }
}

const test = suite('web push')

test('addresses of the public network, and none that are kept from it', () => {
  for (const address of ['1.1.1.1', '172.15.255.255', '172.32.0.0', '193.0.0.1', '2606:4700::1111', '2a00:1450::1']) {
    assert.ok(isPublic(address), address)
  }
  const kept = [
    ...['0.0.0.0', '10.1.2.3', '100.64.0.1', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1'],
    ...['172.31.255.255', '192.0.0.8', '192.168.1.1', '198.18.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255'],
    ...['::', '::1', '::ffff:10.0.0.1', '::ffff:1.1.1.1', '::10.0.0.1', '64:ff9b::a00:1', 'fc00::1', 'fd12::1'],
    ...['fe80::1', 'fe80::1%eth0', 'ff02::1', '2001:db8::1', '2001::1', '2002:a00:1::', '5f00::1', 'localhost', ''],
  ]
  for (const address of kept) assert.not(isPublic(address), address)
})

test('no way of writing a private address leads there', async () => {
  await withService({ loopback: false }, async (push, device, service) => {
    const { port } = new URL(service.origin)
    const hosts = [
      ...['127.0.0.1', '127.1', '0x7f000001', '2130706433', '0177.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '10.0.0.1'],
      ...['169.254.169.254', '[fe80::1]', '[fd00::1]', '0.0.0.0', '①②⑦.⓪.⓪.①'],
    ]
    for (const host of hosts) {
      const endpoint = `https://${host}:${port}/x`
      assert.type(push.objection(endpoint), 'string', endpoint)
      const outcome = await push.send(messageTo({ ...keysOf(device), endpoint }))
      assert.equal(outcome, { kind: 'refused', reason: 'endpoint' }, endpoint)
    }
    assert.equal(service.asked, [])
  })
})

test('a name that leads to a private address, also beside public ones, is not followed', async () => {
  for (const addresses of [['127.0.0.1'], ['10.0.0.7'], ['1.1.1.1', '192.168.0.1'], ['::1'], ['fd00::1'], []]) {
    const { resolve, asked } = resolving(...addresses)
    await withService({ loopback: false, resolve }, async (push, device, service) => {
      const endpoint = `https://push.example:${new URL(service.origin).port}/x`
      const outcome = await push.send(messageTo({ ...keysOf(device), endpoint }))
      assert.equal(outcome, { kind: 'refused', reason: 'address' }, addresses.join())
      assert.equal(asked, ['push.example'])
      assert.equal(service.asked, [])
    })
  }
})

test('without TLS this machine alone is reached, and only where that is wanted', async () => {
  await withService({ loopback: false }, async (push, device) => {
    assert.match(push.objection(device.subscription.endpoint) ?? '', /not https/)
  })
  const { resolve } = resolving('1.1.1.1')
  await withService({ resolve }, async (push, device, service) => {
    const endpoint = `http://localhost:${new URL(service.origin).port}/x`
    const outcome = await push.send(messageTo({ ...keysOf(device), endpoint }))
    assert.equal(outcome, { kind: 'refused', reason: 'address' }, 'localhost is elsewhere')
  })
})

test('hosts that the operator does not list are refused', async () => {
  const push = webPushSender({ contact, hosts: ['push.example', '*.push.other.example'] })
  for (const host of ['push.example', 'a.push.other.example']) assert.is(push.objection(`https://${host}/x`), undefined)
  for (const host of ['push.example.evil.example', 'evilpush.example', 'push.other.example', 'xpush.other.example']) {
    assert.match(push.objection(`https://${host}/x`) ?? '', /list/, host)
  }
  push.close()
})

test('over TLS the push service has to prove its name', async () => {
  const pem = (name: string) => readFile(fileURLToPath(new URL(`../fixtures/tls-${name}.pem`, import.meta.url)))
  const service = await pushService({ cert: await pem('a.crt'), key: await pem('a.key') })
  const known = webPushSender({ contact, loopback: true, authority: await pem('a.crt') })
  const unknown = webPushSender({ contact, loopback: true })
  const device = service.subscribe(known.senderKey(secret))
  assert.equal(await known.send(messageTo(device.subscription)), { kind: 'delivered' })
  assert.is(device.received[0]?.claims.sub, contact)
  assert.is(device.received[0]?.urgency, 'high')
  assert.equal(await unknown.send(messageTo(device.subscription)), { kind: 'retry', reason: 'unreachable' })
  for (const push of [known, unknown]) push.close()
  await service.stop()
})

test('every answer comes out as what is to be done', async () => {
  await withService({}, async (push, device, service) => {
    const elsewhere = service.subscribe()
    const answers: readonly [number, Record<string, string>, object][] = [
      [200, {}, { kind: 'delivered' }],
      [202, {}, { kind: 'delivered' }],
      [301, { location: elsewhere.subscription.endpoint }, { kind: 'refused', reason: 'status' }],
      [307, { location: elsewhere.subscription.endpoint }, { kind: 'refused', reason: 'status' }],
      [400, {}, { kind: 'refused', reason: 'status' }],
      [403, {}, { kind: 'refused', reason: 'status' }],
      [404, {}, { kind: 'gone' }],
      [410, {}, { kind: 'gone' }],
      [408, {}, { kind: 'retry', reason: 'busy' }],
      [429, { 'retry-after': '120' }, { kind: 'retry', reason: 'busy', afterMs: 120_000 }],
      [429, { 'retry-after': '999999999' }, { kind: 'retry', reason: 'busy', afterMs: 86_400_000 }],
      [429, { 'retry-after': 'soon' }, { kind: 'retry', reason: 'busy' }],
      [503, { 'retry-after': 'Thu, 01 Jan 1970 00:00:00 GMT' }, { kind: 'retry', reason: 'busy', afterMs: 0 }],
    ]
    for (const [status, headers, outcome] of answers) {
      device.behave = (_, response) => response.writeHead(status, headers).end()
      assert.equal(await push.send(messageTo(device.subscription)), outcome, `${status}`)
    }
    assert.is(elsewhere.received.length, 0)
    const inAnHour = new Date(Date.now() + 3_600_000).toUTCString()
    device.behave = (_, response) => response.writeHead(503, { 'retry-after': inAnHour }).end()
    const dated = await push.send(messageTo(device.subscription))
    assert.ok(dated.kind === 'retry' && dated.afterMs !== undefined && Math.abs(dated.afterMs - 3_600_000) < 60_000)
  })
})

const nuisances: Readonly<
  Record<
    string,
    readonly [(request: IncomingMessage, response: ServerResponse) => unknown, PushOutcome & { kind: 'retry' }]
  >
> = {
  'says nothing': [() => {}, { kind: 'retry', reason: 'timeout' }],
  'hangs up': [request => request.socket.destroy(), { kind: 'retry', reason: 'unreachable' }],
  'speaks no HTTP': [request => request.socket.end('220 ready\r\n'), { kind: 'retry', reason: 'unreachable' }],
  'sends endless headers': [
    request => request.socket.write(`HTTP/1.1 201 Created\r\nx: ${'x'.repeat(100_000)}`),
    { kind: 'retry', reason: 'unreachable' },
  ],
}
for (const [what, [behave, outcome]] of Object.entries(nuisances)) {
  test(`a push service that ${what} is bounded`, () =>
    withService({ timeoutMs: outcome.reason === 'timeout' ? 300 : 60_000 }, async (push, device) => {
      device.behave = behave
      assert.equal(await push.send(messageTo(device.subscription)), outcome)
      device.behave = undefined
      const delivered = async () => (await push.send(messageTo(device.subscription))).kind === 'delivered'
      await until(delivered, { what: 'the next one gets through' })
    }))
}

test('an endless answer is cut off', () =>
  withService({ timeoutMs: 60_000 }, async (push, device) => {
    const { promise: cut, resolve } = Promise.withResolvers<void>()
    let written = 0
    device.behave = (_, response) => {
      response.on('close', resolve)
      response.writeHead(201)
      const more = () => {
        written += 4_096
        if (response.write('x'.repeat(4_096))) setImmediate(more)
      }
      response.on('drain', more)
      more()
    }
    assert.equal(await push.send(messageTo(device.subscription)), { kind: 'delivered' })
    await cut
    // What the systems between the two buffer; in all the time that it had it would be gigabytes.
    assert.ok(written < 32 * 1024 * 1024, `cut off by its length, not by time: ${written} bytes`)
  }))

test('a port that nobody listens at is a push service that cannot be reached', async () => {
  const service = await pushService()
  const push = webPushSender({ contact, loopback: true })
  const { subscription } = service.subscribe()
  await service.stop()
  assert.equal(await push.send(messageTo(subscription)), { kind: 'retry', reason: 'unreachable' })
  push.close()
})

test('keys that are none are refused before anything is sent', () =>
  withService({}, async (push, device, service) => {
    const { endpoint, p256dh, auth } = device.subscription
    const offCurve = p256dh.with(64, (p256dh[64] ?? 0) ^ 1)
    for (const keys of [
      { p256dh: offCurve, auth },
      { p256dh: p256dh.slice(1), auth },
      { p256dh: new Uint8Array(65), auth },
      { p256dh, auth: auth.slice(1) },
    ]) {
      assert.equal(await push.send(messageTo({ endpoint, ...keys })), { kind: 'refused', reason: 'keys' })
    }
    assert.equal(service.asked, [])
  }))

test('whatever an endpoint is, it is refused or sent to; nothing is thrown', async () => {
  const push = webPushSender({ contact, resolve: resolving('127.0.0.1').resolve, timeoutMs: 200 })
  const device = { p256dh: new Uint8Array(65), auth: new Uint8Array(16) }
  await fc.assert(
    fc.asyncProperty(fc.oneof(fc.string(), fc.webUrl({ withQueryParameters: true })), async endpoint => {
      const { kind } = await push.send(messageTo({ endpoint, ...device }))
      return kind === 'refused'
    }),
    { numRuns: 200, verbose: true },
  )
  push.close()
})

test.run()
