/*
 * Proves: over the real federation (libp2p on loopback, one server of A, two of B) a forwarded command reaches whichever
 * server of its operator is there; one that finds none waits, over a restart of the server that keeps it, and is executed
 * when one is back; and a revocation empties every server of the grantee, the one that was down when it was made included.
 * Fails if a server that is gone costs a command that another could execute, if a heal needs the client, or if a server that
 * comes back late keeps or brings back a replica.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { memoryDisk } from '../../src/adapters/memory-log-store.ts'
import { generateOperatorSecrets } from '../../src/adapters/operator-keys.ts'
import { signProof } from '../../src/federation/proof.ts'
import { homeDocument, visitDocument } from '../../src/inventory/networks.ts'
import { type TestOperator, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { type Manifests, startOverLibp2p } from './libp2p-server.ts'
import { crypto, Gateway, keyOf, newId, Pne, refusalOf } from './world.ts'

const operatorA = testOperator('a.example')
const operatorB = testOperator('b.example', 2)
const { id: a } = operatorA
const { id: b } = operatorB
const flat = { home: a, pnId: 'flat' }

type Running = Awaited<ReturnType<typeof startOverLibp2p>>

/** Three machines, of which each can be switched off and on again with what its disk held. */
async function machines() {
  const ports = [await freePort(), await freePort(), await freePort()] as const
  const address = (port: number) => `/ip4/127.0.0.1/tcp/${port}`
  const manifestOf = (operator: TestOperator, at: readonly number[]) =>
    operator.manifest({ addresses: new Map(operator.servers.map(({ id }, n) => [id, address(at[n] as number)])) })
  const manifests: Manifests = new Map([
    [operatorA, manifestOf(operatorA, [ports[0]])],
    [operatorB, manifestOf(operatorB, [ports[1], ports[2]])],
  ])
  const [secretsA, secretsB] = [
    await generateOperatorSecrets(crypto, seededRandom('secrets of a')),
    await generateOperatorSecrets(crypto, seededRandom('secrets of b')),
  ]
  const disks = [memoryDisk(), memoryDisk(), memoryDisk()] as const
  const running = new Set<Running>()
  const on = async (which: 0 | 1 | 2): Promise<Running> => {
    const [operator, number, secrets] =
      which === 0 ? ([operatorA, 0, secretsA] as const) : ([operatorB, which - 1, secretsB] as const)
    const server = await startOverLibp2p(operator, number, ports[which], manifests, secrets, disks[which])
    running.add(server)
    return server
  }
  const off = async (server: Running) => {
    running.delete(server)
    await server.stop()
  }
  const up = (server: Running, links: number) =>
    until(() => server.federation.links().filter(({ state }) => state === 'up').length === links, {
      what: `${links} links up`,
    })
  return {
    on,
    off,
    up,
    end: async () => {
      for (const server of running) await server.stop()
    },
  }
}

const membersOf = async (server: Running) =>
  (await server.inventory.inventoryOf(a, 'flat'))?.members.map(({ pneId }) => pneId) ?? []

test('one server down, none reachable, back again, and revoked', async () => {
  const { on, off, up, end } = await machines()
  try {
    let home = await on(0)
    let first = await on(1)
    const second = await on(2)
    for (const server of [home, first, second]) await up(server, 2)
    await home.call('pn.establish', { commandId: newId(), alias: 'Flat', pnId: 'flat' }, 'alice')
    const hub = new Gateway(home, 'alice', a, 'flat', 'hub')
    await hub.attach()
    const rights = {
      fingerprint: first.fingerprint,
      rights: ['register', 'admit', 'gateway'],
      expires: Date.now() + 3_600_000,
    }
    await home.call('pn.grant', { commandId: newId(), ...flat, operator: b, ...rights }, 'alice')
    const radios = ['radio-1', 'radio-2', 'radio-3', 'radio-4'].map(pneId => new Pne(b, pneId))
    await hub.update(
      'add',
      radios.map(({ name }) => name),
    )

    // One of two is down: whatever is asked of B is done by the other, at once.
    await off(first)
    await Promise.all(radios.map(radio => radio.register(hub)))

    // None is there: 423. A command of alice's at B, with A gone, waits there instead.
    await off(second)
    await until(async () => (await refusalOf(new Pne(b, 'late').seal(hub))) === '423 OWNER_UNREACHABLE', {
      what: '423',
    })
    await off(home)
    first = await on(1)
    const params = {
      commandId: newId(),
      ...flat,
      time: Date.now(),
      operation: 'add',
      pnes: [{ operator: a, pneId: 'lamp' }],
    }
    const claim = {
      operator: a,
      identity: 'alice',
      executor: a,
      document: homeDocument(flat),
      commandId: params.commandId,
      expires: Date.now() + 3_600_000,
    }
    const proof = signProof(claim, 'pn.update', params, { kind: 'psk', secret: keyOf(a, 'alice') }, crypto)
    const update = first.inventory.commands.find(({ spec }) => spec.method === 'pn.update')
    const bob = { operator: b, identity: 'bob' }
    const given = update?.execute(update.spec.params.parse(params), bob, proof, { ifUnreachable: 'wait' })
    assert.is(await refusalOf(given ?? Promise.resolve()), '202 PENDING')
    await off(first)
    first = await on(1)
    home = await on(0)
    await until(async () => (await membersOf(home)).includes('lamp'), {
      what: 'the command was executed',
    })
    const outcome = () => first.call<{ state: string }>('command.outcome', { commandId: params.commandId }, 'bob')
    await until(async () => (await outcome()).state === 'done', { what: 'its outcome is known' })

    // Revoked while the second is down: both end without a replica, whatever each offers the other.
    await up(first, 1)
    await home.call('pn.grant', { commandId: newId(), ...flat, operator: b, ...rights, rights: [] }, 'alice')
    const holds = async (server: Running) => (await server.documents.index(homeDocument(flat))) !== undefined
    await until(async () => !(await holds(first)), { what: 'the first has dropped it' })
    const back = await on(2)
    assert.ok((await holds(back)) || (await back.documents.index(visitDocument(flat, b))), 'it had its part of it')
    await until(async () => !(await holds(back)) && !(await holds(first)), {
      what: 'both have dropped it',
    })
    await up(back, 2)
    for (const server of [first, back]) {
      assert.is(await refusalOf(server.call('pn.inventory', flat, 'radio-1')), '403 GRANT_ENDED')
      assert.not.ok(await server.inventory.mayRead({ operator: b, identity: 'radio-1' }, homeDocument(flat)))
    }
    assert.is(await refusalOf(radios[0]?.register(hub.at(home)) ?? Promise.resolve()), '403 NO_GRANT')
  } finally {
    await end()
  }
})

test.run()
