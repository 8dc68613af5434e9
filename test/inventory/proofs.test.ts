/*
 * Proves: a client's proof is good for its command at its operator, from hands that may bring it, and once: as long as it is
 * good, at whichever server it arrives, it does nothing that a later command has undone.
 * Fails if a carrier can use a proof for anything else, or elsewhere, or again; or if an operator's word for a subscriber
 * that is not its own is taken.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Version } from '../../src/document/documents.ts'
import type { Principal } from '../../src/federation/command.ts'
import type { CommandHandler, CommandProof } from '../../src/federation/federation.ts'
import { maxProofMs, signProof } from '../../src/federation/proof.ts'
import { homeDocument } from '../../src/inventory/networks.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import {
  a,
  answerOf,
  b,
  c,
  crypto,
  fingerprintOf,
  Gateway,
  grant,
  homeNetwork,
  keyOf,
  newId,
  refusalOf,
  subscribe,
  type World,
  world,
} from './world.ts'

const flat = { home: a, pnId: 'flat' }
const home = homeDocument(flat)
const bob: Principal = { operator: b, identity: 'bob' }
const alice: Principal = { operator: a, identity: 'alice' }

/** PN `flat` of alice at a.example; bob of b.example is one of its gateways. */
async function scene(servers: Record<string, number> = { [a]: 1, [b]: 1, [c]: 1 }) {
  const w = await world(servers)
  const hub = await homeNetwork(w)
  subscribe(w, b, 'bob', 'eve')
  await hub.update('add', [{ operator: b, pneId: 'bob' }])
  await grant(w, 'flat', b)
  await grant(w, 'flat', c)
  await w.replicate()
  await new Gateway(w.at(b), 'bob', a, 'flat', 'bobs').attach()
  await w.replicate()
  return w
}

function proved(w: World, who: Principal, method: string, more: object, claim: Partial<CommandProof> = {}) {
  const params = { commandId: newId(), ...flat, time: w.clock.now(), ...more }
  const fields = {
    ...who,
    executor: a,
    document: home,
    commandId: params.commandId,
    expires: w.clock.now() + maxProofMs,
  }
  const key = { kind: 'psk', secret: keyOf(who.operator, who.identity) } as const
  return {
    method,
    params,
    proof: signProof({ ...fields, ...claim }, method, JSON.parse(JSON.stringify(params)), key, crypto),
  }
}

const add = (pneId: string) => ({ operation: 'add', pnes: [{ operator: b, pneId }] })

/** As another operator's server brings it. */
async function brought(w: World, by: OperatorId, command: ReturnType<typeof proved>, to: OperatorId = a, index = 0) {
  const handler = w.at(to, index).handlers.get(command.method) as CommandHandler
  const answer = await answerOf(handler, JSON.parse(JSON.stringify(command)), w.at(by))
  return answer.ok ? 'done' : `${answer.status} ${answer.cause}`
}

test('a subscriber’s proof is taken from its own operator, and from nobody else but at home', async () => {
  const w = await scene()
  const command = proved(w, bob, 'pn.update', add('clock'))
  assert.is(await brought(w, c, command), '401 PROOF_REFUSED', 'c.example cannot have checked it')
  assert.is(await brought(w, b, command, c), '401 PROOF_REFUSED', 'it is for a.example')
  assert.is(
    await brought(w, b, proved(w, alice, 'pn.release', {}, { signature: 'A'.repeat(43) } as never), c),
    '401 PROOF_REFUSED',
  )
  assert.is(await brought(w, b, command), 'done')
  assert.is(await brought(w, b, command), 'done', 'again, it is the same')
  assert.is(await brought(w, b, { ...command, params: { ...command.params, ...add('other') } }), '409 COMMAND_REUSED')
  const forged = proved(w, { operator: a, identity: 'alice' }, 'pn.release', {})
  const byBob = { ...forged, proof: { ...forged.proof, operator: b } }
  assert.is(await brought(w, b, byBob), '403 NOT_AUTHORISED', 'alice of b.example owns nothing here')
  assert.is(await brought(w, c, forged), 'done', 'at home it does not matter who brings it')
  await w.stop()
})

test('its own operator sends nothing that its subscriber has not signed', async () => {
  const w = await scene()
  w.wire.length = 0
  const give = ({ method, params, proof }: ReturnType<typeof proved>, who = bob) =>
    refusalOf(w.at(b).call(method, params, who, proof))
  const command = proved(w, bob, 'pn.update', add('clock'))
  const eve = proved(w, { operator: b, identity: 'eve' }, 'pn.update', add('clock'))
  const refused = [
    give({ ...command, params: { ...command.params, ...add('other') } }),
    give({ ...command, proof: { ...command.proof, identity: 'eve' } }),
    give({ ...eve, proof: { ...eve.proof, identity: 'bob' } }, { operator: b, identity: 'eve' }),
    give(proved(w, bob, 'pn.update', add('clock'), { expires: w.clock.now() })),
    give(proved(w, bob, 'pn.update', add('clock'), { expires: w.clock.now() + maxProofMs + 1 })),
    give(proved(w, bob, 'pn.update', add('clock'), { commandId: newId() })),
    give(proved(w, bob, 'pn.update', { ...add('clock'), time: w.clock.now() + 3_600_000 })),
    give({ ...command, proof: { ...command.proof, operator: c } }),
  ]
  for (const refusal of refused) assert.is(await refusal, '401 PROOF_REFUSED')
  assert.equal(w.wire, [])
  assert.is(await give(command), 'not refused')
  await w.stop()
})

test('repeated at another server, when not even a mark is left: nothing that was undone comes back', async () => {
  const w = await scene({ [a]: 2, [b]: 1, [c]: 1 })
  const [first, second] = [w.at(a, 0), w.at(a, 1)]
  await w.replicate()
  const rights = {
    operator: c,
    fingerprint: fingerprintOf(c),
    rights: ['register', 'admit'],
    expires: w.clock.now() + maxProofMs,
  }
  const granting = proved(w, alice, 'pn.grant', rights)
  assert.is(await brought(w, b, granting), 'done')
  w.clock.advance(1_000)
  await grant(w, 'flat', c, [])
  await w.replicate()

  const servers = [first, second]
  for (let round = 0; round < 3; round++) {
    for (const server of servers) {
      for (const other of servers) {
        const heads = (await other.documents.index(home))?.heads ?? []
        const version: Version = new Map(heads.map(({ log, length }) => [log, length]))
        await server.documents.receipt(home, other.id, version)
      }
      await server.documents.compact(home)
    }
    await w.replicate()
  }
  for (const server of servers)
    assert.is((await server.documents.read(home)).get(`grant/${c}`), undefined, 'no mark is left')
  assert.is(await brought(w, b, granting, a, 1), '409 OVERTAKEN')
  assert.is(await brought(w, b, granting, a, 0), 'done', 'who executed it knows its answer, and does nothing')
  await w.replicate()
  for (const server of servers)
    assert.equal(
      (await server.inventoryOf(a, 'flat')).grants.map(({ operator }) => operator),
      [b],
    )
  await w.stop()
})

test.run()
