/*
 * Property: `cpns trace` shows what one client does at a running node, log-ins that were refused too, as it happens and without what the
 * client says; it ends by itself, when it is told to, and when nobody reads it any more; it stands in the audit log.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { connect, pnEstablish } from '../../src/client/node.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { adminAuditPath } from '../../src/operations/control-path.ts'
import { until } from '../fixtures/until.ts'
import { assertDescribed, descriptionAt } from '../operations/admin/described.ts'
import { realNode } from '../operations/admin/real-node.ts'
import { cpnsHere } from './in-process.ts'

const test = suite('cpns trace')
const planted = 'Planted-alias'

async function* linesOf(
  answer: Response,
): AsyncGenerator<{ type: string; name?: string; why?: string; trace?: { id: string } }> {
  let rest = ''
  for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield JSON.parse(line)
  }
}

test('of a client: its log-ins, its commands, and nothing that it says', async () => {
  await using running = await realNode()
  const { node, admin, connectOwner, configuration, at } = running
  const operate = await admin('operate')
  const body = JSON.stringify({ traced: { kind: 'client', operator: 'a.example', identity: 'owner' }, forMs: 600_000 })
  const headers = { 'content-type': 'application/json' }
  const answer = await operate('/v1/traces', { method: 'POST', body, headers })
  assert.is(answer.status, 200)
  const lines = linesOf(answer)
  const begun = (await lines.next()).value
  assert.is(begun?.type, 'begun')

  const wrong = connect({
    urls: [node.clientUrl()],
    servers: [node.federation.server],
    operator: node.federation.operator,
    identity: 'owner',
    credential: { kind: 'psk', key: new Uint8Array(32).fill(9) },
    reconnect: false,
  })
  assert.instance(await wrong.catch((error: unknown) => error), Error)
  const session = await connectOwner()
  const commandId = toBase64url(new Uint8Array(16).fill(1))
  await session.call(pnEstablish, { commandId, alias: planted, pnId: 'home' })
  session.close()
  await until(() => node.status().sessions === 0, { what: 'the client has gone' })
  const listed = await cpnsHere('trace', 'list', '--config', join(running.folder, 'cpns.toml'))
  assert.match(listed.stdout, new RegExp(`\\n${begun?.trace?.id} +owner of a\\.example +\\S+ \\S+ +no\\n`))
  const ended = await cpnsHere('trace', 'end', begun?.trace?.id ?? '', '--config', join(running.folder, 'cpns.toml'))
  assert.is(ended.code, 0, ended.stderr)

  const rest = await Array.fromAsync(lines)
  const events = rest.flatMap(({ type, name }) => (type === 'event' ? [name] : []))
  assert.equal(
    ['session.refused', 'session.begun', 'command', 'session.ended'].filter(name => !events.includes(name)),
    [],
  )
  assert.equal(rest.at(-1), { type: 'ended', why: 'asked' })
  const text = JSON.stringify(rest)
  assert.ok(text.includes('"method":"pn.establish"'), text)
  assert.not(text.includes(planted))
  assert.not(text.includes(commandId))
  assert.match(await readFile(adminAuditPath(configuration, at), 'utf8'), /"path":"\/v1\/traces","status":200/)
})

test('the command shows it until its time is over; what is wrong it says', async () => {
  await using running = await realNode()
  const config = ['--config', join(running.folder, 'cpns.toml')]
  const shown = await cpnsHere('trace', 'client', 'owner', '--for', '50ms', ...config)
  assert.is(shown.code, 0, shown.stderr)
  assert.match(shown.stdout, /^owner of a\.example is traced until .*\nThe trace has ended: its time is over\.\n$/)
  const logged = await cpnsHere('trace', 'peer', 'b.example', '--to', 'log', '--json', ...config)
  const { id } = JSON.parse(logged.stdout)
  assert.match((await cpnsHere('trace', 'list', ...config)).stdout, /b\.example .* yes\n$/)
  assert.is((await cpnsHere('trace', 'end', id, ...config)).code, 0)
  const again = await cpnsHere('trace', 'end', id, ...config)
  assert.is(again.code, 1)
  assert.match(again.stderr, /There is no trace/)
  assert.is((await cpnsHere('trace', 'peer', 'not an operator', ...config)).code, 1)
  assert.is((await cpnsHere('trace', 'client', 'owner', '--for', 'long', ...config)).code, 2)
})

test('who may only look cannot trace; who does not read any more ends it', async () => {
  await using running = await realNode()
  const { node, admin } = running
  const description = await descriptionAt(node.adminUrl ?? '')
  const headers = { 'content-type': 'application/json' }
  const body = JSON.stringify({ traced: { kind: 'operator', operator: 'b.example' } })
  assert.is((await (await admin('read'))('/v1/traces', { method: 'POST', body, headers })).status, 403)
  const operate = await admin('operate')
  const traces = async () => (await (await operate('/v1/traces')).json()).traces.length
  const answer = await operate('/v1/traces', { method: 'POST', body, headers })
  assert.is(await traces(), 1)
  await answer.body?.cancel()
  await until(async () => (await traces()) === 0, { what: 'the trace has ended' })
  const logged = JSON.stringify({ traced: { kind: 'operator', operator: 'b.example' }, to: 'log' })
  const created = await operate('/v1/traces', { method: 'POST', body: logged, headers })
  assert.is(created.status, 201)
  await assertDescribed(description, 'POST', '/v1/traces', created)
})

test.run()
