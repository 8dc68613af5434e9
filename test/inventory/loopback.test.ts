/*
 * Proves: over the real federation (libp2p on loopback, three servers, two of them of one operator) registrations travel
 * between operators with nobody waiting for replication by hand, and every server ends with the same inventory.
 * Fails if a forwarded command arrives before what it rests on and is refused for it, or if it matters which server of an
 * operator a step reaches.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { generateOperatorSecrets } from '../../src/adapters/operator-keys.ts'
import { type TestOperator, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { type Manifests, startOverLibp2p } from './libp2p-server.ts'
import { crypto, Gateway, newId, Pne } from './world.ts'

const operatorA = testOperator('a.example')
const operatorB = testOperator('b.example', 2)
const { id: a } = operatorA
const { id: b } = operatorB

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
  const home = await startOverLibp2p(operatorA, 0, ports[0], manifests, secretsA)
  const first = await startOverLibp2p(operatorB, 0, ports[1], manifests, secretsB)
  const second = await startOverLibp2p(operatorB, 1, ports[2], manifests, secretsB)
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
