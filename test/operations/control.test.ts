/*
 * Property: the socket in a node's data folder is for its owner alone, takes the place of one that a killed process has left, and
 * answers how the node is; a drain is begun once, whoever asks how often, and everybody who asks hears how it ends. What is no
 * request is refused with what is wrong. Fails when a second drain restarted the first, or hung.
 */
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../src/adapters/clock.ts'
import { askNode, NodeNotReached, socketPath } from '../../src/adapters/control-socket.ts'
import { thisHost } from '../../src/adapters/host.ts'
import type { Drained, DrainOptions } from '../../src/node.ts'
import { startControl } from '../../src/operations/control.ts'
import { createDraining } from '../../src/operations/draining.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const test = suite('Control socket')
const operator = testOperator('a.example', 1)
const signals = { loopDelayMs: 0, utilisation: 0, memory: 0, authenticationWaitMs: 0, commitMs: 0, connections: 0 }

async function rig(level: 'normal' | 'overloaded' = 'normal') {
  const folder = await temporaryFolder()
  const path = join(folder.path, 'control.sock')
  // What a process that was killed has left.
  await writeFile(path, '')
  const drains: DrainOptions[] = []
  const { promise: drained, resolve: finish } = Promise.withResolvers<Drained>()
  const node = {
    status: () => ({ level, signals, connections: 3, unshared: 1, links: [] }),
    clientUrl: () => 'ws://127.0.0.1:4680',
    drain(options: DrainOptions = {}) {
      drains.push(options)
      return drained
    },
  }
  const draining = createDraining(node, new RecordingTelemetry())
  const { id, servers } = operator
  const server = servers[0]?.id
  if (!server) throw new Error('The operator has a server.')
  const control = await startControl({ path, operator: id, server, node, draining, clock: systemClock() })
  const ask = async (method: 'GET' | 'POST', target: string, body?: object) => {
    const { status, lines } = await askNode(path, method, target, body)
    return { status, lines: (await Array.fromAsync(lines)).map(line => JSON.parse(line)) }
  }
  return { path, drains, finish, draining, ask, end: () => control.stop().then(folder.remove) }
}

test('how it is, for its owner alone', async () => {
  const { path, ask, end } = await rig()
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
