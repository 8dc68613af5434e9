/*
 * Proves: no credential of a subscriber and no session key is in what a node stores, says, counts or traces: after
 * registrations of members and others, refused ones, ones at another operator, and clients that attach with each kind of
 * credential, right and wrong. All files of the stores are searched, raw and in every usual encoding. Fails if a secret is written into a record "for a while", or logged with an error.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { TraceEvent } from '../../src/actor/types.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketListener } from '../../src/adapters/websocket-listener.ts'
import { startGateway } from '../../src/client/gateway.ts'
import { createPne } from '../../src/client/pne.ts'
import { openSession } from '../../src/client/session.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { pnEstablish, pnGrant, pnInventory, pnUpdate } from '../../src/inventory/methods.ts'
import type { Subscriber } from '../../src/ports/key-source.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import { Secrets } from '../../src/simulation/scenario/secrets.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { clientPorts, clientWorldOn, crypto, keyOf } from './world.ts'

const home = 'a.example' as OperatorId
const network = { home, pnId: 'flat' }
const newId = () => toBase64url(systemRandom().bytes(16))
const bobKey = new Uint8Array(32).fill(0xb0).with(1, 7)

/** What the node of an operator left behind, wherever. */
interface Traces {
  readonly folder: string
  readonly events: TraceEvent[]
}

async function filesUnder(folder: string): Promise<Uint8Array[]> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true })
  return Promise.all(names.filter(name => name.isFile()).map(name => readFile(join(name.parentPath, name.name))))
}

test('secrets are nowhere but where they belong', async () => {
  await using folder = await temporaryFolder()
  const left = new Map<string, Traces>()
  const world = await clientWorldOn(
    async operator => {
      const traces: Traces = { folder: join(folder.path, operator), events: [] }
      left.set(operator, traces)
      const find = async (identity: string): Promise<Subscriber | undefined> => {
        if (identity === 'nobody') return undefined
        if (identity === 'bob') {
          return { identity, credential: { kind: 'ed25519', publicKey: crypto.ed25519.publicKey(bobKey) } }
        }
        return { identity, credential: { kind: 'psk', key: keyOf(operator, identity) } }
      }
      return {
        store: await openLevelLogStore(traces.folder),
        keys: { find },
        trace: event => traces.events.push(event),
      }
    },
    'a.example',
    'b.example',
  )
  const [a, b] = world.nodes
  assert.ok(a && b)

  const secrets = new Secrets()
  const people = ['alice', 'box', 'watch', 'phone', 'tablet', 'intruder']
  for (const operator of ['a.example', 'b.example']) {
    for (const identity of people) secrets.add(keyOf(operator, identity))
  }
  const wrongKey = new Uint8Array(32).fill(0x77).with(0, 1)
  for (const secret of [bobKey, wrongKey]) secrets.add(secret)

  const owner = await a.session('alice')
  await owner.call(pnEstablish, { commandId: newId(), alias: 'Flat', pnId: 'flat' })
  const pnes = ['box', 'watch'].map(pneId => ({ operator: home, pneId }))
  await owner.call(pnUpdate, { commandId: newId(), ...network, operation: 'add', pnes })
  const bobs = { operator: home, identity: 'bob', servers: a.identity('bob').servers, urls: [a.url] }
  const bob = await openSession(clientPorts(), { ...bobs, credential: { kind: 'ed25519', privateKey: bobKey } })
  world.ends.push(() => bob.close())
  const wrong = { ...a.identity('alice', wrongKey), urls: [a.url] }
  assert.instance(await openSession(clientPorts(), wrong).catch((error: unknown) => error), Error)
  await owner.call(pnGrant, {
    commandId: newId(),
    ...network,
    operator: 'b.example' as OperatorId,
    fingerprint: b.fingerprint,
    rights: ['register', 'admit', 'gateway'],
    expires: Date.now() + 3_600_000,
  })

  const gateway = await startGateway(
    clientPorts(),
    await a.session('box'),
    websocketListener({ host: '127.0.0.1', port: 0, telemetry: new RecordingTelemetry() }),
    { gatewayId: 'box-1', networks: [network] },
  )
  world.ends.push(() => gateway.stop())
  const register = (pneId: string, operator = home, key = keyOf(operator, pneId)) =>
    createPne(clientPorts(), { gatewayUrl: gateway.url(), ...network, operator, pneId, key, attempts: 1 }).register()
  const member = await register('watch')
  const registered = [
    member,
    await register('phone'),
    await until(() => register('tablet', 'b.example' as OperatorId), { what: 'b.example knows of the network' }),
  ]
  for (const { sessionKey } of registered) secrets.add(sessionKey)
  assert.instance(await register('intruder', home, wrongKey).catch((error: unknown) => error), Error)
  assert.instance(await register('nobody').catch((error: unknown) => error), Error)
  const shown = await owner.call(pnInventory, network)
  assert.is(shown.members.filter(({ state }) => state === 'active').length, 3)
  await world.stop()

  for (const { telemetry } of world.nodes) {
    assert.ok(telemetry.logs.length > 0)
    assert.not(secrets.isInText(JSON.stringify(telemetry)), 'a log line or a counter')
  }
  let found = 0
  for (const [operator, { folder, events }] of left) {
    assert.ok(events.length > 10, 'there was something to trace')
    assert.not(secrets.isInText(JSON.stringify(events)), `the trace of ${operator}`)
    for (const bytes of await filesUnder(folder)) {
      assert.not(secrets.isIn(bytes), `a file of ${operator}`)
      // Were the files compressed or elsewhere, nothing that is in them would be found.
      if (Buffer.from(bytes).includes(member.cpnsId)) found++
    }
  }
  assert.ok(found >= 2, 'what is in documents is found on both disks')
  assert.not(secrets.isInText(JSON.stringify(shown)))
})

test('a secret that stood anywhere would be found', () => {
  const secrets = new Secrets()
  const key = keyOf('a.example', 'alice')
  secrets.add(key)
  const raw = Buffer.concat([Buffer.alloc(99), key, Buffer.alloc(7)])
  assert.ok(secrets.isIn(raw))
  for (const encoding of ['base64url', 'base64', 'hex'] as const) {
    assert.ok(secrets.isInText(`{"key":"${Buffer.from(key).toString(encoding)}"}`), encoding)
  }
  assert.not(secrets.isIn(raw.fill(0, 99, 100)))
})

test.run()
