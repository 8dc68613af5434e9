import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { parseFrame } from '../../src/access/json-rpc.ts'
import type { Command } from '../../src/federation/command.ts'
import { until } from '../fixtures/until.ts'
import {
  authenticatedClient,
  broken,
  echo,
  operator,
  type RawClient,
  type Rig,
  type RigOptions,
  refusing,
  sessionAt,
  startRig,
} from './rig.ts'

/*
 * JSON-RPC 2.0 as its specification has it, answered over a real socket: every kind of request, batch and nonsense, with
 * the error that says what was wrong; and what one client may ask for at once and per second. A test fails if a request
 * goes unanswered, a notification is answered, a fault tells its details, or a limit is lifted.
 */
const test = suite('JSON-RPC')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

interface Answer {
  readonly jsonrpc: '2.0'
  readonly id: unknown
  readonly result?: unknown
  readonly error?: {
    readonly code: number
    readonly message: string
    readonly data?: { readonly status: number; readonly reason: string; readonly retryAfterMs?: number }
  }
}

async function admitted(options?: RigOptions): Promise<{ client: RawClient; rig: Rig }> {
  const rig = await startRig(options)
  ends.push(rig.stop)
  const client = await authenticatedClient(rig)
  ends.push(() => client.end())
  return { client, rig }
}

const answers = (client: RawClient, count: number): Promise<Answer[]> =>
  until(() => (client.heard.length >= count ? (client.heard as Answer[]) : undefined), { what: `${count} answers` })

async function exchange(client: RawClient, frame: unknown): Promise<Answer> {
  client.heard.length = 0
  client.send(frame)
  const [answer] = await answers(client, 1)
  assert.ok(answer)
  return answer
}

const call = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: '2.0', id, method, params })

test('answers by id, whatever the id is', async () => {
  const { client } = await admitted()
  for (const id of ['', 'x', 0, -1, 1.5, null]) {
    const answer = await exchange(client, call(id, 'test.echo', { text: 'hi' }))
    assert.equal(answer, { jsonrpc: '2.0', id, result: { text: 'alice: hi' } })
  }
})

test('says what was wrong', async () => {
  const { client } = await admitted()
  const cases: [unknown, unknown, number, number, RegExp][] = [
    ['{"jsonrpc": "2.0", "method"', null, -32700, 400, /JSON/],
    ['', null, -32700, 400, /JSON/],
    ['1', null, -32600, 400, /JSON-RPC/],
    ['null', null, -32600, 400, /JSON-RPC/],
    [{ jsonrpc: '1.0', id: 7, method: 'test.echo' }, 7, -32600, 400, /JSON-RPC/],
    [{ jsonrpc: '2.0', id: 8 }, 8, -32600, 400, /JSON-RPC/],
    [{ jsonrpc: '2.0', id: {}, method: 'test.echo' }, null, -32600, 400, /JSON-RPC/],
    [{ jsonrpc: '2.0', id: 9, method: 1 }, 9, -32600, 400, /JSON-RPC/],
    [[], null, -32600, 400, /batch/],
    [call(1, 'no.such'), 1, -32601, 404, /no\.such/],
    [call(1, '__proto__'), 1, -32601, 404, /__proto__/],
    [call(1, 'constructor'), 1, -32601, 404, /constructor/],
    [call(1, 'test.echo'), 1, -32602, 400, /params\.text/],
    [call(1, 'test.echo', ['by position']), 1, -32602, 400, /params/],
    [call(1, 'test.echo', { text: 1 }), 1, -32602, 400, /params\.text/],
    [call(1, 'test.echo', { text: 'x', times: -1 }), 1, -32602, 400, /params\.times/],
    [call(1, 'test.echo', { text: 'x', more: 1 }), 1, -32602, 400, /more/],
    [call(1, 'document.open', { document: 'nonsense' }), 1, -32602, 400, /params\.document.*pn\/a\.example\/home/],
    [call(1, 'test.refuse', { status: 409 }), 1, 409, 409, /Not now/],
    [call(1, 'test.refuse', { status: 503 }), 1, 503, 503, /Not now/],
    [call(1, 'test.break'), 1, -32603, 500, /log has the reason/],
  ]
  for (const [frame, id, code, status, message] of cases) {
    const { id: answered, error } = await exchange(client, frame)
    const what = JSON.stringify(frame)
    assert.is(answered, id, what)
    assert.is(error?.code, code, what)
    assert.is(error?.data?.status, status, what)
    assert.match(error?.message ?? '', message, what)
  }
})

test('refusals carry cause and waiting time', async () => {
  const { client } = await admitted()
  const { error } = await exchange(client, call(1, 'test.refuse', { status: 503 }))
  assert.equal(error?.data, { status: 503, reason: 'TESTING', retryAfterMs: 250 })
})

test('a fault is told to the log, and to the client only that it was one', async () => {
  const { client, rig } = await admitted()
  const { error } = await exchange(client, call(1, 'test.break', {}))
  assert.not.match(JSON.stringify(error), /secret/)
  const [line] = rig.telemetry.events('access.method-failed')
  assert.match(String(line?.error), /a secret detail/)
  assert.ok(error?.message.includes(String(line?.reference)), 'the reference leads to the log line')
})

test('notifications are executed and not answered; answers to nothing are passed over', async () => {
  const executed: string[] = []
  const noting: Command = {
    spec: { ...echo.spec, method: 'test.note' },
    async execute(params) {
      executed.push(JSON.stringify(params))
      return { text: '' }
    },
  }
  const { client } = await admitted({ commands: [noting, echo] })
  client.send({ jsonrpc: '2.0', method: 'test.note', params: { text: 'x' } })
  client.send({ jsonrpc: '2.0', method: 'no.such' })
  client.send({ jsonrpc: '2.0', id: 5, result: 1 })
  client.send({ jsonrpc: '2.0', id: 5, error: { code: 1, message: 'x' } })
  const answer = await exchange(client, call(6, 'test.echo', { text: 'last' }))
  assert.is(answer.id, 6)
  assert.equal(executed, ['{"text":"x"}'])
})

test('what a subscriber is told comes as a notification on each of its connections, until they end', async () => {
  const { client, rig } = await admitted()
  const other = await authenticatedClient(rig)
  const alice = { operator: operator.id, identity: 'alice' }
  const telling = { jsonrpc: '2.0', method: 'test.told', params: { n: 1 } }
  assert.is(rig.attached.deliver(alice, 'test.told', { n: 1 }), true)
  assert.is(rig.attached.deliver({ ...alice, identity: 'bob' }, 'test.told', {}), false)
  for (const each of [client, other]) {
    await until(() => each.heard.length > 0, { what: 'the notice' })
    assert.equal(each.heard, [telling])
    each.end()
  }
  await until(() => !rig.attached.has(alice), { what: 'nobody is attached' })
})

test('batches are answered as one frame, without the notifications in them', async () => {
  const { client } = await admitted()
  client.send([
    call(1, 'test.echo', { text: 'a' }),
    { jsonrpc: '2.0', method: 'test.echo', params: { text: 'b' } },
    'nonsense',
    call(2, 'no.such'),
  ])
  const [batch] = (await until(() => client.heard.length > 0 && client.heard, { what: 'an answer' })) as [Answer[]]
  assert.is(client.heard.length, 1)
  assert.equal(batch.map(({ id }) => id).sort(), [1, 2, null])
  client.heard.length = 0
  client.send([{ jsonrpc: '2.0', method: 'test.echo', params: { text: 'b' } }])
  const next = await exchange(client, call(3, 'test.echo', { text: 'c' }))
  assert.is(next.id, 3, 'a batch of notifications has no answer')
  const tooMany = await exchange(
    client,
    Array.from({ length: 17 }, (_, id) => call(id, 'test.echo', { text: 'x' })),
  )
  assert.is(tooMany.error?.code, -32600)
})

test('a session has so many requests open and no more, and all are answered', async () => {
  const release = Promise.withResolvers<void>()
  const slow: Command = {
    spec: { ...echo.spec, method: 'test.slow' },
    async execute() {
      await release.promise
      return { text: 'done' }
    },
  }
  const { client } = await admitted({ commands: [slow], limits: { maxInFlight: 4 } })
  for (let id = 0; id < 6; id++) client.send(call(id, 'test.slow', { text: 'x' }))
  const refused = await answers(client, 2)
  assert.equal(
    refused.map(({ error }) => error?.data?.status),
    [429, 429],
  )
  release.resolve()
  const all = await answers(client, 6)
  assert.is(all.filter(({ result }) => result).length, 4)
})

test('who sends too fast is told to wait, and in the end let go; others do not notice', async () => {
  const { client, rig } = await admitted({ limits: { framesPerSecond: 10, frameBurst: 20, maxStrikes: 30 } })
  const other = await sessionAt(rig.base, 'bob')
  ends.push(() => other.close())
  for (let id = 0; id < 45; id++) client.send(call(id, 'test.echo', { text: 'x' }))
  const all = await answers(client, 45)
  const waits = all.flatMap(({ error }) => error?.data?.retryAfterMs ?? [])
  assert.ok(all.filter(({ result }) => result).length >= 20)
  assert.ok(waits.length > 10 && waits.every(ms => ms > 0 && ms <= 1_000))
  for (let id = 0; id < 45; id++) client.send(call(id, 'test.echo', { text: 'x' }))
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 4150)
  assert.equal(await other.call(echo.spec, { text: 'still here' }), { text: 'bob: still here' })
})

test('a flood of nonsense ends its connection and leaves the server as it was', async () => {
  const { client, rig } = await admitted({ limits: { maxStrikes: 20 } })
  for (let round = 0; round < 40; round++) client.send(round % 2 ? '{"broken' : Uint8Array.of(255, 255, round))
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 4150)
  await until(() => rig.access.connections() === 0, { what: 'nothing of it is left' })
  const next = await authenticatedClient(rig)
  ends.push(() => next.end())
  assert.ok((await exchange(next, call(1, 'test.echo', { text: 'x' }))).result)
})

test('a message above a mebibyte ends its connection', async () => {
  const { client } = await admitted()
  client.send(`"${'x'.repeat(1024 * 1024)}"`)
  assert.is((await until(() => client.closed, { what: 'it is let go' })).code, 1009)
})

test('commands take the client’s own proof beside their parameters', async () => {
  const { client } = await admitted()
  const commandProof = {
    operator: 'b.example',
    identity: 'owner',
    executor: 'b.example',
    document: 'pn/b.example/home',
    commandId: 'c'.repeat(20),
    expires: 1_800_000_000_000,
    signature: 'A'.repeat(43),
  }
  const { result } = await exchange(client, call(1, 'test.echo', { text: 'x', commandProof }))
  assert.equal(result, { text: 'alice: x by owner' })
  const { error } = await exchange(
    client,
    call(2, 'test.echo', { text: 'x', commandProof: { ...commandProof, expires: 'x' } }),
  )
  assert.is(error?.code, -32602)
  assert.match(error?.message ?? '', /commandProof.*expires/)
})

test('two commands of one name are refused when the server is made', async () => {
  const error = await startRig({ commands: [echo, refusing, broken, echo] }).catch((error: unknown) => error)
  assert.match(String(error), /same method name/)
})

test('parsing never throws, and always says something', () => {
  const json = fc.oneof(
    fc.string(),
    fc.jsonValue().map(value => JSON.stringify(value)),
  )
  fc.assert(
    fc.property(json, text => {
      const frame = parseFrame(text)
      const messages = frame.kind === 'batch' ? frame.messages : [frame.message]
      assert.ok(messages.length > 0)
    }),
    { numRuns: 500 },
  )
})

test('a command may keep the connection it came on, tell on it alone, and hear of its end', async () => {
  const ends: string[] = []
  const followed: Command = {
    spec: { method: 'test.follow', summary: 'Follows.', params: z.strictObject({}), result: z.null(), refusals: [] },
    async execute(_, { identity }, __, options) {
      options?.connection?.onEnd(() => ends.push(identity))
      options?.connection?.tell('test.told', { n: 1 })
      return null
    },
  }
  const { client, rig } = await admitted({ commands: [followed] })
  const other = await authenticatedClient(rig)
  client.send({ jsonrpc: '2.0', id: 1, method: 'test.follow', params: {} })
  const heard = await answers(client, 2)
  assert.equal(
    heard.find(({ id }) => id === undefined),
    { jsonrpc: '2.0', method: 'test.told', params: { n: 1 } },
  )
  assert.equal([other.heard, ends], [[], []])
  client.end()
  await until(() => ends.length > 0, { what: 'the end is heard of' })
  assert.equal(ends, ['alice'])
  other.end()
})

test('`replicated` gives another result, beside who holds it; `stored` the plain one; nothing else is taken', async () => {
  const wishes: unknown[] = []
  const held = { stored: operator.servers[0]?.id as never, replicated: [], isReached: false }
  const writing = { ...echo, spec: { ...echo.spec, method: 'test.write' }, concern: () => ['pn/a.example/home'] }
  const { client } = await admitted({
    commands: [echo, writing] as never,
    replicated: async (...asked) => {
      wishes.push(asked)
      return held
    },
  })
  const said = async (method: string, more: object) => {
    const { result, error } = await exchange(client, call(1, method, { text: 'hi', ...more }))
    return result ?? error?.data?.reason
  }
  assert.equal(await said('test.write', { durability: 'stored' }), { text: 'alice: hi' })
  const two = { replicated: 2, timeoutMs: 0 }
  assert.equal(await said('test.write', { durability: two }), { result: { text: 'alice: hi' }, durability: held })
  assert.equal(wishes, [[['pn/a.example/home'], two]])
  assert.is(await said('test.echo', { durability: two }), 'MALFORMED', 'it writes nothing')
  for (const wrong of [
    'replicated',
    { replicated: 0 },
    { replicated: 17 },
    { replicated: 1, timeoutMs: 30_001 },
    {},
    2,
  ])
    assert.is(await said('test.write', { durability: wrong }), 'MALFORMED')
  assert.is(await said('test.write', { durability: two, ifUnreachable: 'wait' }), 'MALFORMED')
  assert.is(wishes.length, 1)
})

test.run()
