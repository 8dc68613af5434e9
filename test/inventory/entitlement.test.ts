/*
 * Proves: an operator may hold exactly the documents that are its own or that the home operator grants it, from the
 * moment the grant is stored to the moment it ends, and whoever distributes documents hears of each change.
 * Fails if a document goes to somebody without a grant, stays open after one ended, or a change is not announced.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { until } from '../fixtures/until.ts'
import { a, b, c, grant, homeNetwork, newId, subscribe, world } from './world.ts'

const home = asDocumentId('pn/a.example/flat')
const visitB = asDocumentId('visit/b.example/a.example/flat')
const visitC = asDocumentId('visit/c.example/a.example/flat')

async function scene() {
  const w = await world({ [a]: 1, [b]: 1, [c]: 1 })
  await homeNetwork(w)
  const { entitlement } = w.at(a).inventory
  const heard: string[] = []
  entitlement.subscribe(document => heard.push(document))
  const held = (document = home) => [a, b, c].filter(operator => entitlement.mayHold(document, operator))
  const becomes = (expected: readonly string[], document = home) =>
    until(() => JSON.stringify(held(document)) === JSON.stringify(expected), { what: `${document} at ${expected}` })
  return { w, heard, held, becomes }
}

test('documents of other kinds are their owner’s alone', async () => {
  const { w, held } = await scene()
  for (const id of [
    'mailbox/b.example/u',
    'devices/b.example/u',
    'conversation/b.example/u/x',
    'directory/b.example',
  ]) {
    assert.equal(held(asDocumentId(id)), [b])
  }
  await w.stop()
})

test('a grant opens the home document and the visits, its end closes them, each time announced', async () => {
  const { w, heard, held, becomes } = await scene()
  assert.equal(held(), [a])
  assert.equal(held(visitB), [b], 'nobody stores what somebody without a grant calls a visit')

  await grant(w, 'flat', b)
  await becomes([a, b])
  assert.equal(held(visitB), [a, b])
  assert.equal(heard.sort(), [home, visitB])

  heard.length = 0
  await grant(w, 'flat', c, ['register'])
  await becomes([a, b, c])
  assert.equal(held(visitB), [a, b, c])
  assert.equal(held(visitC), [a, b, c])
  assert.ok([home, visitB, visitC].every(document => heard.includes(document)))

  heard.length = 0
  await grant(w, 'flat', c, [])
  await becomes([a, b])
  assert.equal(held(visitC), [c])
  assert.ok([home, visitB, visitC].every(document => heard.includes(document)))

  heard.length = 0
  await w.clock.run(86_400_000 - 1)
  assert.equal([held(), heard], [[a, b], []])
  await w.clock.run(1)
  assert.equal(held(), [a])
  assert.ok(
    [home, visitB].every(document => heard.includes(document)),
    'the end of a grant is announced when it comes',
  )
  await w.stop()
})

test('known again after a restart, before anybody asks', async () => {
  const { w } = await scene()
  await grant(w, 'flat', b)
  await w.at(a).restart()
  assert.ok(w.at(a).inventory.entitlement.mayHold(home, b))
  await w.stop()
})

test('a grantee knows it from its replica, and forgets it with the replica', async () => {
  const { w } = await scene()
  await grant(w, 'flat', b)
  await w.replicate()
  const { inventory, documents } = w.at(b)
  assert.ok(inventory.entitlement.mayHold(visitB, a))
  assert.not.ok(inventory.entitlement.mayHold(visitB, c))
  await documents.forget(home)
  await until(() => !inventory.entitlement.mayHold(visitB, a), { what: 'the grant is forgotten' })
  await w.stop()
})

test('a released PN stays with those it was shared with; one established anew does not', async () => {
  const { w, becomes } = await scene()
  await grant(w, 'flat', b)
  await w.at(a).call('pn.release', { commandId: newId(), home: a, pnId: 'flat' }, 'alice')
  await becomes([a, b])
  await w.at(a).call('pn.establish', { commandId: newId(), alias: 'Anew', pnId: 'flat' }, 'alice')
  await becomes([a])
  await w.stop()
})

test('a home document that cannot be read opens nothing', async () => {
  const { w, held, becomes } = await scene()
  await grant(w, 'flat', b)
  await becomes([a, b])
  const { documents, telemetry } = w.at(a)
  documents.held = async () => {
    throw new Error('the disk has changed it')
  }
  await w.at(a).documents.compact(home)
  await becomes([a])
  assert.equal(held(), [a])
  assert.is(telemetry.events('facts.unreadable').length, 1)
  await w.stop()
})

test('readers of a PN are its owner, its gateways and its elements', async () => {
  const { w } = await scene()
  subscribe(w, a, 'lamp', 'mallory')
  await w
    .at(a)
    .call(
      'pn.update',
      { commandId: newId(), home: a, pnId: 'flat', operation: 'add', pnes: [{ operator: a, pneId: 'lamp' }] },
      'alice',
    )
  const mayRead = (identity: string, document = home, operator = a) =>
    w.at(a).inventory.mayRead({ operator, identity }, document)
  assert.ok(await mayRead('alice'))
  assert.ok(await mayRead('lamp'))
  assert.ok(await mayRead('lamp', visitB))
  assert.not.ok(await mayRead('mallory'))
  assert.not.ok(await mayRead('alice', home, b), 'another operator’s alice')
  assert.not.ok(await mayRead('alice', asDocumentId('pn/a.example/other')))
  assert.not.ok(await mayRead('alice', asDocumentId('mailbox/a.example/alice')))
  await w.stop()
})

test('a replica whose index cannot be read when its grant has long ended is told of, and ends nothing', async () => {
  const { w, becomes } = await scene()
  await grant(w, 'flat', b)
  await w.replicate()
  await becomes([a, b])
  const { documents, telemetry } = w.at(b)
  documents.index = () => Promise.reject(new Error('the record is damaged'))
  await w.clock.run(40 * 86_400_000)
  await until(() => telemetry.events('inventory.grants.unreadable').length > 0, { what: 'it to be told of' })
  await w.stop()
})

test.run()
