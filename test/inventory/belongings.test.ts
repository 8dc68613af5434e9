/*
 * Proves: a subscriber finds its own Personal Networks, and what is in a zone of them, whoever else has how many here, and
 * no document of others is read for it; what it saved of one establishes it anew.
 * Fails if a PN shows to somebody who may not read it, if one is missed after a change or a restart, or if what was said in
 * an earlier epoch counts after a PN was established from what its owner had saved.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Register, Registers } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { createBelongings, whoIsNamedIn } from '../../src/inventory/belongings.ts'
import type { GatewayFindResult, PnListResult, UsageInformation } from '../../src/inventory/methods.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import { a, b, Gateway, grant, homeNetwork, newId, Pne, refusalOf, type Server, subscribe, world } from './world.ts'

const list = (server: Server, who: string, after?: string) => server.call<PnListResult>('pn.list', { after }, who)
const idsOf = async (server: Server, who: string) => (await list(server, who)).networks.map(({ pnId }) => pnId)
const find = (server: Server, who: string, zone: string) =>
  server.call<GatewayFindResult>('gateway.find', { zone }, who)

test('owners, gateways and elements find their PNs, at every server that holds them, and nobody else does', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  subscribe(w, a, 'lamp', 'mallory')
  subscribe(w, b, 'bob', 'tv')
  for (const pnId of ['flat', 'attic', 'cellar']) await homeNetwork(w, pnId)
  const hub = new Gateway(w.at(a), 'alice', a, 'flat', 'hub')
  await hub.update('add', [
    { operator: a, pneId: 'lamp' },
    { operator: b, pneId: 'bob' },
  ])
  await grant(w, 'flat', b)
  await w.replicate()
  const bobs = new Gateway(w.at(b), 'bob', a, 'flat', 'bobs')
  await bobs.attach()
  await bobs.update('add', [{ operator: b, pneId: 'tv' }])
  await w.replicate()
  const shown = async () => ({
    alice: await idsOf(w.at(a), 'alice'),
    lamp: await idsOf(w.at(a), 'lamp'),
    mallory: await idsOf(w.at(a), 'mallory'),
    bob: await idsOf(w.at(b), 'bob'),
    tv: await idsOf(w.at(b), 'tv'),
  })
  const expected = { alice: ['attic', 'cellar', 'flat'], lamp: ['flat'], mallory: [], bob: ['flat'], tv: ['flat'] }
  await until(async () => (await idsOf(w.at(b), 'tv')).length > 0, { what: 'the visit is read' })
  assert.equal(await shown(), expected)
  for (const server of w.servers) await server.restart()
  assert.equal(await shown(), expected, 'after a restart too')

  const { documents } = w.at(a)
  const { read } = documents
  const wasRead = new Set<string>()
  documents.read = document => {
    wasRead.add(document)
    return read(document)
  }
  assert.equal([await idsOf(w.at(a), 'lamp'), await idsOf(w.at(a), 'mallory')], [['flat'], []])
  assert.equal(
    [...wasRead].filter(document => !document.endsWith('/flat')),
    [],
    'nothing of others is read for it',
  )
  documents.read = read

  await hub.update('remove', [{ operator: a, pneId: 'lamp' }])
  assert.equal(await idsOf(w.at(a), 'lamp'), [])
  w.clock.advance(600_000)
  assert.equal(await idsOf(w.at(b), 'tv'), [], 'its admission has lapsed')
  await w.stop()
})

test('usage information says what a PN is, and goes on in pages', async () => {
  const w = await world({ [a]: 1 })
  await homeNetwork(w)
  const [flat] = (await list(w.at(a), 'alice')).networks
  assert.equal(flat, {
    home: a,
    pnId: 'flat',
    alias: 'Flat',
    owner: 'alice',
    state: 'live',
    epoch: 1,
    connectionMode: 'open',
    gateways: [{ operator: a, gatewayId: 'hub', active: true }],
  })
  for (let number = 0; number < 104; number++) {
    await w.at(a).call('pn.establish', { commandId: newId(), alias: 'One more', pnId: `n${number}` }, 'alice')
  }
  const first = await list(w.at(a), 'alice')
  const second = await list(w.at(a), 'alice', first.next)
  const all = [...first.networks, ...second.networks].map(({ pnId }) => pnId)
  assert.equal([first.networks.length, second.networks.length, second.next], [100, 5, undefined])
  assert.is(new Set(all).size, 105)
  await w.stop()
})

test('a PN that has ended is established anew from what its owner saved, in an epoch past that one', async () => {
  const w = await world({ [a]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'mallory')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name])
  await lamp.register(hub)
  await lamp.confirm(hub)
  const [saved] = (await list(w.at(a), 'alice')).networks
  const establish = (usage: object | undefined, more: object = {}, who = 'alice') =>
    w.at(a).call<{ pnId: string; epoch: number }>('pn.establish', { commandId: newId(), usage, ...more }, who)
  assert.is(await refusalOf(establish(saved)), '409 PN_EXISTS', 'it lives')
  await w.at(a).call('pn.release', { commandId: newId(), home: a, pnId: 'flat' }, 'alice')
  assert.is(await refusalOf(establish(saved, {}, 'mallory')), '409 PN_EXISTS', 'it is not hers')
  assert.is(await refusalOf(establish({ ...saved, home: b })), '400 MALFORMED')
  assert.is(await refusalOf(establish(saved, { pnId: 'other' })), '400 MALFORMED')

  const { pnId, epoch } = await establish(saved)
  assert.equal([pnId, epoch], ['flat', 3])
  const anew = await w.at(a).inventoryOf(a, 'flat')
  assert.equal([anew.alias, anew.state, anew.epoch, anew.members, anew.gateways], ['Flat', 'live', 3, [], []])

  // Where nothing is known of it any more, nothing that is still held somewhere may count.
  const lost: Partial<UsageInformation> = { ...saved, pnId: 'lost', epoch: 7 }
  assert.is((await establish(lost)).epoch, 8)
  assert.is((await w.at(a).inventoryOf(a, 'lost')).epoch, 8)
  assert.match(await establish({ ...saved, epoch: 2 ** 50 }).catch(error => error.message), /Too big/)
  assert.match(await establish(undefined).catch(error => error.message), /expected an alias/)
  await w.stop()
})

test('gateways are found by their zone, with those that they serve, by who may read the PN', async () => {
  const w = await world({ [a]: 1 })
  await homeNetwork(w, 'flat')
  await homeNetwork(w, 'office')
  subscribe(w, a, 'lamp', 'bell', 'mallory')
  const attach = (pnId: string, gatewayId: string, zone: string, who = 'alice') =>
    w.at(a).call('gateway.attach', { commandId: newId(), home: a, pnId, gatewayId, zone }, who)
  await attach('flat', 'hub', 'attic')
  await attach('flat', 'porch', 'garden')
  await attach('office', 'hub', 'attic')
  const hub = new Gateway(w.at(a), 'alice', a, 'flat', 'hub')
  const porch = new Gateway(w.at(a), 'alice', a, 'flat', 'porch')
  const [lamp, bell] = [new Pne(a, 'lamp'), new Pne(a, 'bell')]
  await hub.update('add', [lamp.name, bell.name])
  for (const [pne, gateway] of [
    [lamp, hub],
    [bell, porch],
  ] as const) {
    await pne.register(gateway)
    await pne.confirm(gateway)
  }
  const found = async (who: string, zone: string) =>
    (await find(w.at(a), who, zone)).networks.map(({ pnId, gateways, members }) => [
      pnId,
      gateways.map(({ gatewayId }) => gatewayId),
      members.map(({ pneId }) => pneId),
    ])
  assert.equal(await found('alice', 'attic'), [
    ['flat', ['hub'], ['lamp']],
    ['office', ['hub'], []],
  ])
  assert.equal(await found('lamp', 'garden'), [['flat', ['porch'], ['bell']]])
  assert.equal(await found('alice', 'cellar'), [])
  assert.equal(await found('mallory', 'attic'), [])
  await w.at(a).call('pn.release', { commandId: newId(), home: a, pnId: 'office' }, 'alice')
  assert.equal(await found('alice', 'attic'), [['flat', ['hub'], ['lamp']]])
  await w.stop()
})

test('names come and go by the thousand, and each is found where it is, and nowhere else', () => {
  const index = createBelongings(Uint8Array.from({ length: 8 }, (_, at) => at * 37))
  const named = new Map<string, string[]>()
  const networksOf = (who: string) => index.of({ operator: a, identity: who }).map(({ pnId }) => pnId)
  const expected = (who: string) => [...named].flatMap(([id, names]) => (names.includes(who) ? [id] : [])).sort()
  for (let step = 0; step < 20_000; step++) {
    const id = `n${(step * 7_919) % 6_007}`
    const names = step % 5 === 4 ? [] : [`p${step % 4_001}`, `q${step % 13}`, `r${step}`].slice(step % 3)
    named.set(id, names)
    index.learn(
      asDocumentId(`pn/${a}/${id}`),
      names.map(name => `${a}/${name}`),
    )
  }
  for (let number = 0; number < 4_001; number += 50) assert.equal(networksOf(`p${number}`), expected(`p${number}`))
  for (let number = 0; number < 13; number += 4) assert.equal(networksOf(`q${number}`), expected(`q${number}`))
  for (let number = 0; number < 20_000; number += 501) assert.equal(networksOf(`r${number}`), expected(`r${number}`))
  for (const id of named.keys()) index.learn(asDocumentId(`pn/${a}/${id}`), [])
  for (let number = 0; number < 13; number++) assert.equal(networksOf(`q${number}`), [])
})

test('the index is what reading all documents again would give, whatever they said before', () => {
  const flat = asDocumentId('pn/a.example/flat')
  const visit = asDocumentId('visit/b.example/a.example/flat')
  const register = (value: unknown): Register => ({ stamp: 1, server: 's' as ServerId, value: value as never })
  const content = fc
    .array(
      fc.oneof(
        fc.tuple(fc.constant('pn'), fc.oneof(fc.record({ owner: fc.constantFrom('p', 'q') }), fc.jsonValue())),
        fc.tuple(
          fc.constantFrom(
            'roster/a.example/p',
            'roster/b.example/q',
            'admission/b.example/p',
            'roster/__proto__/p',
            'roster/',
          ),
          fc.constantFrom(null, {}, 7),
        ),
      ),
      { maxLength: 6 },
    )
    .map((entries): Registers => {
      const all = new Map<string, Register>(entries.map(([key, value]) => [key, register(value)]))
      return { get: key => all.get(key), entries: (prefix = '') => [...all].filter(([key]) => key.startsWith(prefix)) }
    })
  const changes = fc.array(fc.tuple(fc.constantFrom(flat, visit), content), { minLength: 1, maxLength: 10 })
  const indexOf = (said: Iterable<readonly [typeof flat, Registers]>) => {
    const index = createBelongings(new Uint8Array(8))
    for (const [document, registers] of said) index.learn(document, [...whoIsNamedIn(document, registers)])
    return [a, b].flatMap(operator => ['p', 'q'].map(identity => index.of({ operator, identity })))
  }
  fc.assert(
    fc.property(changes, said => {
      assert.equal(indexOf(said), indexOf(new Map(said)))
    }),
    { numRuns: 300 },
  )
})

test.run()
