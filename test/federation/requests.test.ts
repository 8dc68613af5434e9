/*
 * Property: a forwarded command is answered once, by a server of the operator it is meant for, with what the handler there
 * said, the proof carried as it was given; or with a status that says why not, in bounded time. Fails when a command hangs,
 * is lost without a word, comes with a proof that its client did not give, or one peer can occupy a server.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { CommandRefused } from '../../src/federation/command.ts'
import type { CommandAnswer, CommandProof, ForwardedCommand, Forwarder } from '../../src/federation/federation.ts'
import { refuseProof, signProof } from '../../src/federation/proof.ts'
import { createRequestServer, defaultRequestLimits } from '../../src/federation/requests.ts'
import { decodeAnswer, encodeRequest } from '../../src/federation/wire-requests.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { type PeerStream, StreamClosed } from '../../src/ports/peer-network.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { Bench } from './bench.ts'
import { crypto } from './world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example', 2)
const command: ForwardedCommand = { method: 'pn.update', params: { commandId: 'c'.repeat(16) } }

const test = suite('forwarded commands')
let bench: Bench
test.before.each(() => {
  bench = new Bench([a, b], { requests: { timeoutMs: 10_000, maxPerPeer: 4, retryAfterMs: 500 } })
})
test.after.each(() => bench.world.stopAll())

const status = (answer: CommandAnswer) => (answer.ok ? 200 : answer.status)

test('the handler gets command and forwarder, its answer comes back; a proof is carried as given, or not at all', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  const heard: [ForwardedCommand, Forwarder][] = []
  b1.federation.handle('pn.update', async (forwarded, from) => {
    heard.push([forwarded, from])
    return { ok: true, value: { version: '7' } }
  })
  const key = crypto.ed25519.generate()
  const claim = {
    operator: a.id,
    identity: 'alice',
    executor: b.id,
    document: 'pn/b.example/home' as DocumentId,
    commandId: 'c'.repeat(16),
    expires: bench.clock.now() + 60_000,
  }
  const secret = { kind: 'ed25519', secret: key.privateKey } as const
  const proof = signProof(claim, command.method, command.params, secret, crypto)
  assert.equal(await a1.federation.request(b.id, command), { ok: true, value: { version: '7' } })
  assert.equal(await a1.federation.request(b.id, { ...command, proof }), { ok: true, value: { version: '7' } })
  const from = { operator: a.id, server: a1.id }
  assert.equal(heard, [
    [command, from],
    [{ ...command, proof }, from],
  ])
})

test('refusals come back with status, cause and time to wait; whatever else is thrown is 500 and logged there', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  b1.federation.handle('pn.update', async () => {
    throw new CommandRefused(429, 'Slower, please.', 'RATE_LIMITED', 1_500)
  })
  b1.federation.handle('pn.release', async () => {
    throw new Error('secret detail')
  })
  b1.federation.handle('pn.grant', async () => ({ ok: true, value: 'x'.repeat(600_000) }))
  assert.equal(await a1.federation.request(b.id, command), {
    ok: false,
    status: 429,
    cause: 'RATE_LIMITED',
    message: 'Slower, please.',
    retryAfterMs: 1_500,
  })
  const failed = await a1.federation.request(b.id, { ...command, method: 'pn.release' })
  assert.is(status(failed), 500)
  assert.not.match(JSON.stringify(failed), /secret/)
  assert.is(b1.telemetry.events('command.failed')[0]?.message, 'secret detail')
  assert.is(status(await a1.federation.request(b.id, { ...command, method: 'no.such' })), 404)
  assert.is(status(await a1.federation.request(b.id, { ...command, method: 'pn.grant' })), 500, 'too large an answer')
  const long = { ...command, params: { text: 'x'.repeat(600_000) } }
  assert.is(status(await a1.federation.request(b.id, long)), 400, 'too large a command')
  assert.is(b1.telemetry.counter('cpns_commands_refused_total', { reason: '429' }), 1)
  assert.equal(b1.telemetry.events('command.refused')[0], {
    method: 'pn.update',
    peer: a1.id,
    operator: a.id,
    status: 429,
    reason: 'RATE_LIMITED',
    proof: false,
  })
})

test('an operator that is not trusted is 403, one that cannot be reached 423; the own one is asked in place', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  assert.is(status(await a1.federation.request(testOperator('c.example').id, command)), 403)
  bench.hub.cut(a1.id, b1.id)
  await settle()
  assert.is(status(await a1.federation.request(b.id, command)), 423)
  a1.federation.handle('pn.update', async (_, from) => ({ ok: true, value: from.server }))
  assert.equal(await a1.federation.request(a.id, command), { ok: true, value: a1.id })
})

test('one server is asked, of another operator or of the own; who has no link to it is told so at once', async () => {
  const [a1, b1, b2] = await bench.start([a, 0], [b, 0], [b, 1])
  for (const server of [b1, b2]) {
    server.federation.handle('pn.update', async (_, from) => ({ ok: true, value: [server.id, from.operator] }))
  }
  assert.equal([...a1.federation.linked(b.id)].sort(), [b1.id, b2.id].sort())
  assert.equal(b1.federation.linked(b.id), [b2.id])
  for (const server of [b1, b2]) {
    assert.equal(await a1.federation.requestAt(server.id, command), { ok: true, value: [server.id, a.id] })
  }
  assert.equal(await b2.federation.requestAt(b1.id, command), { ok: true, value: [b1.id, b.id] })
  bench.hub.cut(a1.id, b1.id)
  await settle()
  assert.is(status(await a1.federation.requestAt(b1.id, command)), 423)
  assert.equal(a1.federation.linked(b.id), [b2.id])
  assert.is(status(await a1.federation.requestAt(a1.id, command)), 423, 'not even itself')
})

test('whoever listens hears of every link that goes down or comes up, at both ends, until it stops', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  const heard: string[] = []
  const stop = a1.federation.subscribe(({ type, server, operator }) =>
    heard.push(`${type} ${operator} ${server === b1.id}`),
  )
  a1.federation.subscribe(() => {
    throw new Error('of the listener')
  })
  b1.federation.subscribe(({ type, operator }) => heard.push(`${type} ${operator}`))
  bench.hub.cut(a1.id, b1.id)
  await bench.run(1_000)
  assert.equal(heard.splice(0).sort(), ['down a.example', 'down b.example true'])
  bench.hub.heal(a1.id, b1.id)
  await bench.run(5_000)
  assert.equal(heard.splice(0).sort(), ['up a.example', 'up b.example true'])
  assert.ok(a1.isUp(b1), 'what a listener throws harms no link')
  stop()
  await bench.world.stop(b1)
  await bench.run(1_000)
  assert.not.match(heard.join(), /b\.example/)
})

test('no answer in time is 504, at either end', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  let calls = 0
  b1.federation.handle('pn.update', () => {
    calls++
    return new Promise(() => {})
  })
  const asked = a1.federation.request(b.id, command)
  bench.hub.freeze(a1.id, b1.id)
  await bench.run(9_900)
  let answer: CommandAnswer | undefined
  void asked.then(given => (answer = given))
  await settle()
  assert.is(answer, undefined)
  await bench.run(200)
  assert.is(status(await asked), 504)
  bench.hub.heal(a1.id, b1.id)
  const again = a1.federation.request(b.id, command)
  await bench.run(10_100)
  assert.is(status(await again), 504)
  assert.is(calls, 1, 'the first never arrived')
})

test('a command that broke off at one server is asked of another', async () => {
  const [a1, b1, b2] = await bench.start([a, 0], [b, 0], [b, 1])
  for (const server of [b1, b2]) {
    server.federation.handle('pn.update', async () => {
      // Whoever gets it first loses its connection before it can answer.
      if (a1.isUp(b1) && a1.isUp(b2)) {
        bench.hub.cut(a1.id, server.id)
        return new Promise(() => {})
      }
      return { ok: true, value: server.id }
    })
  }
  const answer = await a1.federation.request(b.id, command)
  assert.ok(answer.ok)
})

test('one peer occupies so many handlers and no more', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  const { promise, resolve } = Promise.withResolvers<CommandAnswer>()
  b1.federation.handle('pn.update', () => promise)
  const asked = Array.from({ length: 4 }, () => a1.federation.request(b.id, command))
  await settle()
  const refused = await a1.federation.request(b.id, command)
  assert.equal([status(refused), refused.ok || refused.retryAfterMs], [503, 500])
  resolve({ ok: true, value: 1 })
  for (const answer of await Promise.all(asked)) assert.ok(answer.ok)
  assert.ok((await a1.federation.request(b.id, command)).ok)
})

test('one operator has so many commands a second, whichever of its servers sends them; others do not notice', async () => {
  const links = { requests: { perOperatorPerSecond: 2, operatorBurst: 4 } }
  const a1 = await bench.world.start(a, 0, { federation: links })
  const [b1, b2] = await bench.start([b, 0], [b, 1])
  for (const { federation } of [a1, b2]) federation.handle('pn.update', async () => ({ ok: true, value: 'done' }))
  const answers = []
  for (let turn = 0; turn < 3; turn++) {
    for (const server of [b1, b2]) answers.push(await server.federation.request(a.id, command))
  }
  assert.equal(answers.map(status), [200, 200, 200, 200, 429, 429])
  const [last] = answers.slice(-1)
  assert.ok(last && !last.ok && last.cause === 'RATE_LIMITED' && (last.retryAfterMs ?? 0) > 0)
  assert.is(status(await b1.federation.requestAt(b2.id, command)), 200, 'servers of one operator are not counted')
  await bench.run(1_000)
  assert.is(status(await b1.federation.request(a.id, command)), 200)
})

test('a handler that goes on after its time is counted until it ends', async () => {
  const [a1, b1] = await bench.start([a, 0], [b, 0])
  let running = 0
  const { promise, resolve } = Promise.withResolvers<CommandAnswer>()
  b1.federation.handle('pn.update', () => {
    running++
    return promise
  })
  const late = Array.from({ length: 4 }, () => a1.federation.request(b.id, command))
  await bench.run(10_000)
  for (const answer of await Promise.all(late)) assert.is(status(answer), 504)
  assert.is(status(await a1.federation.request(b.id, command)), 503)
  assert.is(running, 4)
  resolve({ ok: true, value: 1 })
  await settle()
  assert.ok((await a1.federation.request(b.id, command)).ok)
})

test('a proof holds for its command, executor, key and time, and nothing else', () => {
  const now = 1_800_000_000_000
  const key = crypto.ed25519.generate()
  const psk = crypto.sha256(new Uint8Array(1))
  const claim: Omit<CommandProof, 'signature'> = {
    operator: a.id,
    identity: 'alice',
    executor: b.id,
    document: 'pn/b.example/home' as DocumentId,
    commandId: 'c'.repeat(16),
    expires: now + 60_000,
  }
  const params = { b: 1, a: [true, null] }
  for (const [secret, credential] of [
    [
      { kind: 'ed25519', secret: key.privateKey },
      { kind: 'ed25519', publicKey: key.publicKey },
    ],
    [
      { kind: 'psk', secret: psk },
      { kind: 'psk', key: psk },
    ],
  ] as const) {
    const proof = signProof(claim, 'pn.update', params, secret, crypto)
    const check = { proof, method: 'pn.update', params, credential, executor: b.id, now, crypto }
    assert.is(refuseProof(check), undefined)
    assert.is(refuseProof({ ...check, params: { a: [true, null], b: 1 } }), undefined, 'the order of keys says nothing')
    assert.is(refuseProof({ ...check, executor: a.id }), 'other-executor')
    assert.is(refuseProof({ ...check, now: now + 60_000 }), 'expired')
    assert.is(refuseProof({ ...check, now: now - 8 * 24 * 60 * 60 * 1000 }), 'too-long')
    assert.is(refuseProof({ ...check, method: 'pn.release' }), 'signature')
    assert.is(refuseProof({ ...check, params: { ...params, b: 2 } }), 'signature')
    assert.is(refuseProof({ ...check, proof: { ...proof, identity: 'bob' } }), 'signature')
    assert.is(refuseProof({ ...check, proof: { ...proof, expires: now + 70_000 } }), 'signature')
    assert.is(refuseProof({ ...check, proof: { ...proof, signature: '!' } }), 'signature')
    const other = {
      kind: credential.kind,
      ...(credential.kind === 'psk' ? { key: key.publicKey } : { publicKey: psk }),
    }
    assert.is(refuseProof({ ...check, credential: other as typeof credential }), 'signature')
  }
})

test('an answer that nobody takes is given up after its time, and occupies its peer’s place until then', async () => {
  const { clock } = bench
  const server = createRequestServer({
    handlers: new Map([['pn.update', async () => ({ ok: true, value: 1 })]]),
    own: b.id,
    replicated: async () => Promise.reject(new Error('nobody asked for it')),
    limits: { ...defaultRequestLimits, timeoutMs: 10_000, maxPerPeer: 4 },
    clock,
    telemetry: new RecordingTelemetry(),
  })
  const [from] = a.servers
  if (!from) throw new Error('there is one')
  const sent: number[] = []
  let resets = 0
  /** Takes the request, and never an answer. */
  const deaf = (): PeerStream => {
    const given = Promise.withResolvers<void>()
    return {
      peer: from.id,
      protocol: '/cpns/request/1',
      frames: (async function* () {
        yield encodeRequest({ command, timeoutMs: 1_000 })
      })(),
      send(frame) {
        const answer = decodeAnswer(frame)
        sent.push(answer.ok ? 200 : answer.status)
        return given.promise
      },
      close: async () => {},
      reset() {
        resets++
        given.reject(new StreamClosed('It was reset.'))
      },
    }
  }
  const served = Array.from({ length: 4 }, () => server.serve(deaf(), { operator: a.id, server: from.id }))
  await settle()
  served.push(server.serve(deaf(), { operator: a.id, server: from.id }))
  await settle()
  assert.equal(sent, [200, 200, 200, 200, 503])
  await clock.run(10_001)
  await Promise.all(served)
  assert.ok(resets >= 5)
  void server.serve(deaf(), { operator: a.id, server: from.id })
  await settle()
  assert.is(sent.at(-1), 200)
  await clock.run(10_001)
})

test.run()
