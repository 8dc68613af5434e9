/*
 * Proves, over libp2p on loopback: what an operator writes in a Personal Network that its home has granted to it is seen by the other
 * one that was granted something, though these two know nothing of each other, have no link and take no command of each other; both
 * ways, and nothing any more by who was granted something until then. Fails when entries of
 * operators that one does not federate with are refused, or when being vouched for opens more than that.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { generateOperatorSecrets } from '../../src/adapters/operator-keys.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { type TestOperator, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { type Manifests, startOverLibp2p } from './libp2p-server.ts'
import { crypto, Gateway, newId, Pne } from './world.ts'

const [operatorA, operatorB, operatorC] = ['a.example', 'b.example', 'c.example'].map(name => testOperator(name)) as [
  TestOperator,
  TestOperator,
  TestOperator,
]
const { id: a } = operatorA
const { id: b } = operatorB
const { id: c } = operatorC

type Server = Awaited<ReturnType<typeof startOverLibp2p>>

async function started(): Promise<readonly [Server, Server, Server]> {
  const manifests = new Map<TestOperator, ReturnType<TestOperator['manifest']>>()
  const ports = new Map<TestOperator, number>()
  for (const operator of [operatorA, operatorB, operatorC]) {
    const port = await freePort()
    ports.set(operator, port)
    const addresses = new Map(operator.servers.map(({ id }) => [id, `/ip4/127.0.0.1/tcp/${port}`]))
    manifests.set(operator, operator.manifest({ addresses }))
  }
  const start = async (operator: TestOperator, stranger?: TestOperator): Promise<Server> => {
    const known: Manifests = new Map([...manifests].filter(([each]) => each !== stranger))
    const secrets = await generateOperatorSecrets(crypto, seededRandom(`secrets of ${operator.id}`))
    return startOverLibp2p(operator, 0, ports.get(operator) ?? 0, known, secrets)
  }
  return [await start(operatorA), await start(operatorB, operatorC), await start(operatorC, operatorB)]
}

test('grantees that do not federate see what the other has registered, through the home', async () => {
  const [home, first, second] = await started()
  const all = [home, first, second]
  try {
    await until(() => [b, c].every(of => home.federation.linked(of).length === 1), { what: 'A is linked with both' })
    await home.call('pn.establish', { commandId: newId(), alias: 'Flat', pnId: 'flat' }, 'alice')
    const hub = new Gateway(home, 'alice', a, 'flat', 'hub')
    await hub.attach()
    const expires = Date.now() + 3_600_000
    const grant = (operator: typeof b, fingerprint: string, rights: readonly string[]) =>
      home.call(
        'pn.grant',
        { commandId: newId(), home: a, pnId: 'flat', operator, fingerprint, rights: [...rights], expires },
        'alice',
      )
    const rights = ['register', 'admit', 'gateway']
    await grant(b, first.fingerprint, rights)
    await grant(c, second.fingerprint, rights)

    const attached = async (server: Server, operator: typeof b, name: string) => {
      await hub.update('add', [{ operator, pneId: name }])
      const gateway = new Gateway(server, name, a, 'flat', `${name}s`)
      await until(() => gateway.attach().catch(() => undefined), { what: `${name} is known at its operator` })
      const lamp = new Pne(operator, `lamp-${name}`)
      await gateway.update('add', [lamp.name])
      await lamp.register(gateway)
      await lamp.confirm(gateway)
      return gateway
    }
    const bobs = await attached(first, b, 'bob')
    await attached(second, c, 'carol')

    const inventories = () => Promise.all(all.map(({ inventory }) => inventory.inventoryOf(a, 'flat')))
    const agreed = async (active: number) =>
      until(
        async () => {
          const [one, ...others] = await inventories()
          const isSame = others.every(other => JSON.stringify(other) === JSON.stringify(one))
          return isSame && one?.members.filter(({ state }) => state === 'active').length === active ? one : undefined
        },
        { what: `all three see the same ${active} registrations` },
      )
    const inventory = await agreed(2)
    assert.equal(inventory.gateways.map(({ operator }) => operator).sort(), [a, b, c])

    assert.equal(first.federation.linked(c), [], 'no link')
    assert.is(first.federation.fingerprintOf(c), undefined, 'nothing is known of the other beside that')
    const refused = await first.federation.request(c, { method: 'pn.list', params: {} })
    assert.is(!refused.ok && refused.status, 403)

    await grant(c, second.fingerprint, [])
    await until(async () => (await second.documents.index(asDocumentId(`pn/${a}/flat`))) === undefined, {
      what: 'C has dropped the Personal Network',
    })
    const late = new Pne(b, 'late')
    await bobs.update('add', [late.name])
    await late.register(bobs)
    await late.confirm(bobs)
    await until(
      async () => (await home.inventory.inventoryOf(a, 'flat'))?.members.some(({ pneId }) => pneId === 'late'),
      { what: 'A sees what B goes on to write' },
    )
    assert.is(await second.documents.index(asDocumentId(`visit/${b}/${a}/flat`)), undefined, 'C holds nothing of it')
  } finally {
    for (const server of all) await server.stop()
  }
})

test.run()
