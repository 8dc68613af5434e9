/*
 * Proves: a command that is executed twice, anywhere, has happened once: it gets the answer it got, writes nothing again,
 * and undoes nothing that was decided after it.
 * Fails if a repetition is taken for a new command, here, after a restart, or at another server of the operator.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { a, b, fingerprintOf, homeNetwork, newId, refusalOf, subscribe, type World, world } from './world.ts'

const flat = { home: a, pnId: 'flat' }
const document = asDocumentId('pn/a.example/flat')
const lamp = { operator: a, pneId: 'lamp' }

/** Each command that writes, with what it is given but id and time. */
const commands: readonly (readonly [method: string, params: object])[] = [
  ['pn.establish', { alias: 'Garden' }],
  ['pn.update', { ...flat, operation: 'add', pnes: [lamp] }],
  ['pn.update', { ...flat, operation: 'remove', pnes: [{ operator: a, pneId: 'old' }] }],
  ['pn.grant', { ...flat, operator: b, fingerprint: fingerprintOf(b), rights: ['admit', 'register'], expires: 4e12 }],
  ['gateway.attach', { ...flat, gatewayId: 'second' }],
  ['pn.release', flat],
]

async function scene(): Promise<World> {
  const w = await world({ [a]: 2, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'alice')
  await hub.update('add', [{ operator: a, pneId: 'old' }])
  await w.replicate()
  w.clock.advance(1_000)
  return w
}

const digests = async (w: World, index = 0): Promise<string[]> => {
  const records = await Array.fromAsync(w.at(a, index).documents.list(''))
  return records.map(({ document: id, digest }) => `${id} ${digest}`)
}

for (const [method, params] of commands) {
  test(`${method}: repeated here, before and after a restart, with and without a time`, async () => {
    for (const time of [undefined, 'given']) {
      const w = await scene()
      const command = { ...params, commandId: newId(), ...(time ? { time: w.clock.now() } : {}) }
      const call = () => w.at(a).call(method, command, 'alice')
      const answer = await call()
      const before = await digests(w)
      w.clock.advance(1_000)
      assert.equal(await call(), answer)
      await w.at(a).restart()
      assert.equal(await call(), answer)
      assert.equal(await digests(w), before)
      await w.stop()
    }
  })

  test(`${method}: executed at two servers that do not reach each other, it has happened once`, async () => {
    const w = await scene()
    const command = { ...params, commandId: newId(), time: w.clock.now() - 10 }
    const answer = await w.at(a, 0).call(method, command, 'alice')
    w.clock.advance(7)
    assert.equal(await w.at(a, 1).call(method, command, 'alice'), answer)
    const registersAt = async (index: number) => {
      const found = await w.at(a, index).documents.read(document)
      return [...found.entries()].map(([key, { stamp, value }]) => [key, stamp, value])
    }
    assert.equal(await registersAt(1), await registersAt(0))
    await w.replicate()
    assert.equal(await w.at(a, 1).call(method, command, 'alice'), answer, 'also with the other’s write here')
    assert.equal(await registersAt(1), await registersAt(0))
    await w.stop()
  })
}

test('a late copy undoes nothing: not a removal, not a release', async () => {
  const w = await scene()
  const given = (fields: object) => ({ ...flat, commandId: newId(), time: w.clock.now(), ...fields })
  const add = given({ operation: 'add', pnes: [lamp] })
  await w.at(a, 0).call('pn.update', add, 'alice')
  w.clock.advance(1_000)
  await w.at(a, 0).call('pn.update', given({ operation: 'remove', pnes: [lamp] }), 'alice')
  await w.replicate()
  assert.is(await refusalOf(w.at(a, 1).call('pn.update', add, 'alice')), '409 OVERTAKEN')
  assert.not.ok((await w.at(a, 1).inventoryOf(a, 'flat')).members.some(({ pneId }) => pneId === 'lamp'))

  const establish = { commandId: newId(), time: w.clock.now(), alias: 'Shed', pnId: 'shed' }
  await w.at(a, 0).call('pn.establish', establish, 'alice')
  w.clock.advance(1_000)
  await w.at(a, 0).call('pn.release', { ...given({}), pnId: 'shed' }, 'alice')
  await w.replicate()
  await w.at(a, 1).call('pn.establish', establish, 'alice')
  assert.is((await w.at(a, 1).inventoryOf(a, 'shed')).state, 'released')
  await w.stop()
})

test('a command id is its giver’s: another’s command under the same id is another command', async () => {
  const w = await scene()
  subscribe(w, a, 'carol')
  const commandId = newId()
  const first = await w.at(a).call<{ pnId: string }>('pn.establish', { commandId, alias: 'Hers' }, 'alice')
  const second = await w.at(a).call<{ pnId: string }>('pn.establish', { commandId, alias: 'His' }, 'carol')
  assert.is.not(first.pnId, second.pnId)
  await w.stop()
})

test('an expected version is not held against a change that is so already', async () => {
  const w = await scene()
  const { version } = await w.at(a).inventoryOf(a, 'flat')
  const add = { ...flat, operation: 'add', pnes: [lamp], expectedVersion: version, time: w.clock.now() }
  const commandId = newId()
  const answer = await w.at(a, 0).call('pn.update', { ...add, commandId }, 'alice')
  await w.replicate()
  assert.equal(
    await w.at(a, 1).call('pn.update', { ...add, commandId }, 'alice'),
    answer,
    'the answer was lost, the server too',
  )
  await w.stop()
})

test.run()
