/*
 * Property: over TCP nothing but what is open is answered without a token; a token does what its scope says, until it expires or is
 * revoked, which counts at once; its file holds nothing that could be used as one. What changes something is in the audit log before it is
 * done and with its outcome, refused or not, and is not done when it cannot be recorded there. No bodies and no tokens are in it.
 */
import { mkdir, readFile, rm, stat } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { createToken, listTokens, revokeToken } from '../../../src/adapters/admin-tokens.ts'
import { FileProblem } from '../../../src/adapters/files.ts'
import { AdminRefusal } from '../../../src/operations/admin/refusal.ts'
import { json, lines, route } from '../../../src/operations/admin/route.ts'
import { permitCheckMs } from '../../../src/operations/admin/while-permitted.ts'
import { ManualClock } from '../../fixtures/manual-clock.ts'
import { until } from '../../fixtures/until.ts'
import { adminRig } from './rig.ts'

const test = suite('Admin API over TCP')

const done: string[] = []
const changing = route({
  method: 'PUT',
  path: '/v1/things/:name',
  scope: 'operate',
  summary: 'Changes a thing.',
  params: z.strictObject({ name: z.string() }),
  query: z.strictObject({ times: z.coerce.number().int().max(9).default(1) }),
  body: z.strictObject({ to: z.string() }),
  answers: { 200: json('It is changed.', z.object({ by: z.string() })) },
  handle({ params: { name }, query: { times }, body: { to }, by }, answer) {
    if (to === 'refused') throw new AdminRefusal(409, `${name} is as it is.`)
    if (to === 'broken') throw new Error('a fault')
    done.push(`${name}=${to} ${times}`)
    return answer(200, { by: by?.name ?? 'nobody' })
  },
})
const put = (to: unknown): RequestInit => ({
  method: 'PUT',
  body: JSON.stringify({ to }),
  headers: { 'content-type': 'application/json' },
})
const entriesOf = async (path: string) =>
  (await readFile(path, 'utf8'))
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

test('who has no token, or one that is good no more, is told so and nothing else', async () => {
  const { fetch, token, tokens, audit, end } = await adminRig('normal', [changing])
  assert.is((await fetch('/livez')).status, 200)
  const past = await token('past', 'operate', 0)
  const lost = await token('lost', 'operate')
  await revokeToken(tokens, 'lost')
  const good = await token('good', 'operate')
  const other = good.slice(0, -1) + (good.endsWith('A') ? 'B' : 'A')
  for (const wrong of [undefined, 'x', past, lost, other, `${good}A`]) {
    for (const [target, init] of [
      ['/v1/status', {}],
      ['/v1/things/a', put('b')],
    ] as const) {
      const answer = await fetch(target, wrong, init)
      assert.is(answer.status, 401)
      assert.is(answer.headers.get('www-authenticate'), 'Bearer')
      assert.equal(Object.keys(await answer.json()), ['message'])
    }
  }
  assert.equal(done, [])
  assert.is(await stat(audit).catch(() => 'none'), 'none', 'strangers fill no disk')
  assert.is((await fetch('/v1/status', good)).status, 200)
  await end()
})

test('a token does what its scope says, and what it changes is on record', async () => {
  const { fetch, ask, token, audit, telemetry, end } = await adminRig('normal', [changing])
  const [read, operate] = [await token('monitor', 'read'), await token('night', 'operate')]
  assert.is((await fetch('/v1/status', read)).status, 200)
  assert.is((await fetch('/v1/things/a', read, put('secret'))).status, 403)
  const answer = await fetch('/v1/things/a?times=2', operate, put('secret'))
  assert.is(answer.status, 200)
  const { by } = await answer.json()
  assert.match(by, /^token:night:/)
  assert.is((await fetch('/v1/things/a', operate, put('refused'))).status, 409)
  assert.is((await fetch('/v1/things/a', operate, put(7))).status, 400)
  assert.is((await fetch('/v1/things/a?times=10', operate, put('b'))).status, 400)
  const broken = await fetch('/v1/things/a', operate, put('broken'))
  assert.is(broken.status, 500)
  assert.not.match(await broken.text(), /a fault/)
  assert.is(telemetry.events('admin.failed')[0]?.message, 'a fault')
  assert.equal(done.splice(0), ['a=secret 2'])

  const entries = await entriesOf(audit)
  const outcomes = entries.filter(({ status }) => status !== undefined)
  assert.equal(
    outcomes.map(({ status }) => status),
    [403, 200, 409, 400, 400, 500],
  )
  assert.is(outcomes[2]?.message, 'a is as it is.')
  for (const { request, by, method, path, from, time } of outcomes) {
    assert.ok(
      entries.some(entry => entry.request === request && entry.status === undefined),
      'asked before it was done',
    )
    assert.match(by, /^token:(night|monitor):/)
    assert.equal([method, path.startsWith('/v1/things/a'), from], ['PUT', true, '127.0.0.1'])
    assert.ok(Date.parse(time) > 0)
  }
  await ask('POST', '/v1/drain', { withinMs: -1 })
  const last = (await entriesOf(audit)).at(-1)
  assert.equal([last?.by, last?.from, last?.path, last?.status], ['owner', 'socket', '/v1/drain', 400])
  const text = await readFile(audit, 'utf8')
  for (const secret of ['secret', operate, read]) assert.not.match(text, secret)
  assert.is((await stat(audit)).mode & 0o777, 0o600)
  await end()
})

test('what cannot be recorded is done for the owner of the machine alone', async () => {
  const { fetch, token, audit, draining, ask, finish, telemetry, end } = await adminRig('normal', [changing])
  const operate = await token('night', 'operate')
  await rm(audit, { force: true })
  // Where the file should be there is a folder.
  await mkdir(audit)
  assert.is((await fetch('/v1/things/a', operate, put('b'))).status, 503)
  assert.equal(done, [])
  finish({ clientsClosed: 0, alone: [], isSure: true })
  assert.is((await ask('POST', '/v1/drain')).status, 200)
  assert.ok(draining.progress)
  assert.ok(telemetry.events('admin.audit-failed').length > 0)
  await end()
})

/** What ends the permission of a token `monitor` that was good for an hour. */
const endings: Readonly<Record<string, (tokens: string, clock: ManualClock) => Promise<unknown>>> = {
  'is revoked': tokens => revokeToken(tokens, 'monitor'),
  expires: async (_, clock) => clock.advance(3_600_000 - permitCheckMs),
}

for (const [ending, endPermission] of Object.entries(endings)) {
  test(`an answer that goes on breaks off when its token ${ending}`, async () => {
    const { promise: ended, resolve } = Promise.withResolvers<void>()
    const endless = route({
      method: 'GET',
      path: '/v1/endless',
      scope: 'read',
      summary: 'Tells one thing, and more never.',
      answers: { 200: lines('Things.', z.number()) },
      handle: (_, answer) =>
        answer(200, new ReadableStream<number>({ start: things => things.enqueue(1), cancel: () => resolve() })),
    })
    const clock = new ManualClock()
    const { fetch, token, tokens, end } = await adminRig('normal', [endless], clock)
    const answer = await fetch('/v1/endless', await token('monitor', 'read'))
    const reader = answer.body?.getReader()
    assert.is(new TextDecoder().decode((await reader?.read())?.value), '1\n')
    await endPermission(tokens, clock)
    await until(() => clock.pending > 0, { what: 'it will be looked at again' })
    clock.advance(permitCheckMs)
    const broken = await reader?.read().then(
      () => undefined,
      (error: unknown) => error,
    )
    assert.instance(broken, Error, 'nobody takes it for the end')
    await ended
    await end()
  })
}

test('the file of tokens holds none that could be used, and one of a name', async () => {
  const { token, tokens, end } = await adminRig()
  const text = await token('monitor', 'read')
  const kept = await readFile(tokens, 'utf8')
  assert.not.match(kept, text)
  assert.not.match(kept, text.slice('cpns_12345678_'.length))
  assert.is((await stat(tokens)).mode & 0o777, 0o600)
  const refusal = async (work: Promise<unknown>) =>
    work.then(
      () => assert.unreachable(),
      error => assert.instance(error, FileProblem),
    )
  const now = Date.now()
  await refusal(createToken(tokens, { name: 'monitor', scope: 'read', lifetimeMs: 1 }, now))
  await refusal(createToken(tokens, { name: 'a b', scope: 'read', lifetimeMs: 1 }, now))
  await refusal(revokeToken(tokens, 'nobody'))
  await Promise.all(['a', 'b', 'c'].map(name => token(name, 'operate')))
  assert.equal((await listTokens(tokens)).map(({ name }) => name).toSorted(), ['a', 'b', 'c', 'monitor'])
  await end()
})

test.run()
