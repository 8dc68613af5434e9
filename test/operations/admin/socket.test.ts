/*
 * Property: the socket in a node's data folder is for its owner alone, takes the place of one that a killed process has left, and
 * answers how the node is; a drain is begun once, whoever asks how often, and everybody who asks hears how it ends. What is no
 * request is refused with what is wrong. Fails when a second drain restarted the first, or hung, or when who began it was hung up on.
 */
import { stat } from 'node:fs/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { askNode, NodeNotReached, socketPath } from '../../../src/adapters/control-socket.ts'
import { thisHost } from '../../../src/adapters/host.ts'
import { json, route } from '../../../src/operations/admin/route.ts'
import type { DocumentId } from '../../../src/ports/names.ts'
import { adminRig as rig } from './rig.ts'

const test = suite('Admin API over the socket')

test('how it is, for its owner alone', async () => {
  const { socket: path, ask, end } = await rig()
  assert.is((await stat(path)).mode & 0o777, 0o600)
  const { status, lines } = await ask('GET', '/v1/status')
  assert.is(status, 200)
  const [{ state, isReady, connections, clientUrl }] = lines
  assert.equal([state, isReady, connections, clientUrl], ['serving', true, 3, 'ws://127.0.0.1:4680'])
  assert.is((await ask('GET', '/livez')).status, 200)
  assert.is((await ask('GET', '/readyz')).status, 200)
  assert.is(await thisHost().runs(path), true)
  await end()
  assert.is(await thisHost().runs(path), false)
  assert.instance(await askNode(path, 'GET', '/livez').catch(error => error), NodeNotReached)
})

test('an overloaded node is alive and not ready', async () => {
  const { ask, end } = await rig('overloaded')
  assert.is((await ask('GET', '/livez')).status, 200)
  const { status, lines } = await ask('GET', '/readyz')
  assert.is(status, 503)
  assert.is(lines[0]?.level, 'overloaded')
  await end()
})

test('a drain begins once, and all who ask hear how it goes and ends', async () => {
  const { drains, finish, draining, ask, end } = await rig()
  const first = ask('POST', '/v1/drain', { withinMs: 1_500 })
  await draining.begun
  const second = ask('POST', '/v1/drain')
  assert.is((await ask('GET', '/readyz')).status, 503)
  assert.is((await ask('GET', '/v1/status')).lines[0]?.state, 'draining')
  drains[0]?.told?.({ phase: 'documents', left: 1 })
  finish({ clientsClosed: 2, alone: ['pn/a.example/home' as DocumentId], isSure: true })
  const end2 = { phase: 'done', clientsClosed: 2, alone: 1, documents: ['pn/a.example/home'], isSure: true }
  for (const { status, lines } of [await first, await second]) {
    assert.is(status, 200)
    assert.equal(lines.at(-1), end2)
  }
  assert.equal((await first).lines.slice(0, -1), [
    { phase: 'clients', left: 0 },
    { phase: 'documents', left: 1 },
  ])
  assert.is(drains.length, 1)
  assert.is(drains[0]?.withinMs, 1_500)
  // Who comes later hears it too.
  assert.equal((await ask('POST', '/v1/drain')).lines.at(-1), end2)
  await end()
})

test('who drains hears how it ended, though the server ends as soon as it has', async () => {
  const began = Promise.withResolvers<void>()
  const going = Promise.withResolvers<void>()
  const slow = route({
    ...{ method: 'POST', path: '/v1/slow', scope: 'operate', summary: 'Is answered when the server is about to end.' },
    answers: { 200: json('It is done.', z.object({ isDone: z.literal(true) })) },
    async handle(_, answer) {
      began.resolve()
      await going.promise
      return answer(200, { isDone: true })
    },
  })
  const { ask, end } = await rig('normal', [slow])
  const asked = ask('POST', '/v1/slow')
  await began.promise
  const ended = end()
  going.resolve()
  assert.equal(await asked, { status: 200, lines: [{ isDone: true }] })
  await ended
})

test('what is no request is refused', async () => {
  const { drains, ask, end } = await rig()
  assert.is((await ask('POST', '/v1/drain', { withinMs: -1 })).status, 400)
  assert.is((await ask('POST', '/v1/drain', { within: 5 })).status, 400)
  assert.is((await ask('POST', '/v1/drain', { withinMs: 'x'.repeat(5_000) })).status, 413)
  assert.is((await ask('GET', '/v1/secrets')).status, 404)
  assert.is(drains.length, 0)
  await end()
})

test('a path that no socket can have is refused, and says what to do', () => {
  assert.throws(() => socketPath(`/${'x'.repeat(200)}/control.sock`), /too long for a socket/)
})

test.run()
