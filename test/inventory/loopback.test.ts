/*
 * Proves: over the real federation (libp2p on loopback, three servers, two of them of one operator) registrations travel
 * between operators with nobody waiting for replication by hand, and every server ends with the same inventory.
 * Fails if a forwarded command arrives before what it rests on and is refused for it, or if it matters which server of an
 * operator a step reaches.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { createActorSystem } from '../../src/actor/system.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { libp2pNetwork } from '../../src/adapters/libp2p-network.ts'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { generateOperatorSecrets } from '../../src/adapters/operator-keys.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import { createFederation } from '../../src/federation/create-federation.ts'
import { encodeManifest, formatManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { createTrust } from '../../src/federation/trust.ts'
import { createInventory } from '../../src/inventory/create-inventory.ts'
import type { OperatorSecrets } from '../../src/ports/identity.ts'
import { type TestOperator, testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { callOf, crypto, Gateway, keyOf, newId, Pne } from './world.ts'

const operatorA = testOperator('a.example')
const operatorB = testOperator('b.example', 2)
const { id: a } = operatorA
const { id: b } = operatorB

type Manifests = ReadonlyMap<TestOperator, ReturnType<TestOperator['manifest']>>

async function start(
  operator: TestOperator,
  number: number,
  port: number,
  manifests: Manifests,
  secrets: OperatorSecrets,
) {
  const [clock, random, telemetry] = [systemClock(), systemRandom(), new RecordingTelemetry()]
  const { identity, privateKey } = operator.servers[number] as TestOperator['servers'][number]
  const store = memoryLogStore()
  const actors = createActorSystem({ clock, random })
  const others = [...manifests].filter(([other]) => other !== operator)
  const manifest = manifests.get(operator) ?? operator.manifest()
  const trust = await createTrust({
    own: formatManifest(manifest),
    pins: new Map(others.map(([{ id }, other]) => [id, rootFingerprint(other.manifest, crypto)])),
    store,
    crypto,
    clock,
    telemetry,
  })
  await trust.offer(
    others.map(([, other]) => encodeManifest(other)),
    'test',
  )
  const ports = { operator: operator.id, identity, store, crypto, clock, random, telemetry, actors }
  const documents = createDocuments({ ...ports, authorship: trust })
  const keys = {
    find: async (name: string) => ({
      identity: name,
      credential: { kind: 'psk' as const, key: keyOf(operator.id, name) },
    }),
  }
  const inventory = createInventory({ ...ports, documents, keys, secrets })
  const network = libp2pNetwork({
    privateKey,
    listen: [`/ip4/127.0.0.1/tcp/${port}`],
    limits: { inboundPerSecond: 1_000 },
  })
  const federation = createFederation({ ...ports, trust, network, documents, entitlement: inventory.entitlement })
  inventory.join(federation)
  await inventory.start()
  await federation.start()
  return {
    operator: operator.id,
    fingerprint: rootFingerprint(manifest.manifest, crypto),
    federation,
    inventory,
    call: callOf(inventory, operator.id),
    async stop() {
      await federation.stop()
      inventory.stop()
      await actors.drain()
      trust.stop()
      await store.close()
    },
  }
}

test('registrations among operators, whichever of their servers a step reaches', async () => {
  const ports = [await freePort(), await freePort(), await freePort()] as const
  const address = (port: number) => `/ip4/127.0.0.1/tcp/${port}`
  const manifestOf = (operator: TestOperator, from: number) =>
    operator.manifest({
      addresses: new Map(operator.servers.map(({ id }, index) => [id, address(ports[from + index] as number)])),
    })
  const manifests: Manifests = new Map([
    [operatorA, manifestOf(operatorA, 0)],
    [operatorB, manifestOf(operatorB, 1)],
  ])
  const [secretsA, secretsB] = await Promise.all(
    ['a', 'b'].map(name => generateOperatorSecrets(crypto, seededRandom(`secrets of ${name}`))),
  )
  assert.ok(secretsA && secretsB)
  const home = await start(operatorA, 0, ports[0], manifests, secretsA)
  const first = await start(operatorB, 0, ports[1], manifests, secretsB)
  const second = await start(operatorB, 1, ports[2], manifests, secretsB)
  const all = [home, first, second]
  try {
    await until(
      () => all.every(({ federation }) => federation.links().filter(({ state }) => state === 'up').length === 2),
      {
        what: 'every server has a link to both others',
      },
    )
    await home.call('pn.establish', { commandId: newId(), alias: 'Flat', pnId: 'flat' }, 'alice')
    const hub = new Gateway(home, 'alice', a, 'flat', 'hub')
    await hub.attach()
    const grant = { operator: b, fingerprint: first.fingerprint, rights: ['register', 'admit', 'gateway'] }
    const expires = Date.now() + 3_600_000
    await home.call('pn.grant', { commandId: newId(), home: a, pnId: 'flat', ...grant, expires }, 'alice')

    const radios = Array.from({ length: 8 }, (_, index) => new Pne(b, `radio-${index}`))
    await Promise.all(
      radios.map(async radio => {
        await hub.update('add', [radio.name])
        await radio.register(hub)
        assert.is((await radio.confirm(hub)).state, 'active')
      }),
    )

    await hub.update('add', [{ operator: b, pneId: 'bob' }])
    const bobs = new Gateway(second, 'bob', a, 'flat', 'bobs')
    await until(() => bobs.attach().catch(() => undefined), { what: 'bob is known as an element at his operator' })
    const clock = new Pne(b, 'clock')
    await bobs.update('add', [clock.name])
    await clock.register(bobs)
    await clock.confirm(bobs)

    const inventories = async () => Promise.all(all.map(({ inventory }) => inventory.inventoryOf(a, 'flat')))
    const active = await until(
      async () => {
        const [one, ...others] = await inventories()
        return others.every(other => JSON.stringify(other) === JSON.stringify(one)) ? one : undefined
      },
      { what: 'all three servers show the same inventory' },
    )
    assert.is(active.members.filter(({ state }) => state === 'active').length, 9)
    assert.equal(
      active.gateways.map(({ gatewayId }) => gatewayId),
      ['hub', 'bobs'],
    )
  } finally {
    for (const server of all) await server.stop()
  }
})

test.run()
