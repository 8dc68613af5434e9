/*
 * Proves: whatever is said of service groups at two servers of the home operator that reach each other only now and then,
 * in the end both show the same groups, and those are what a simple model says: every join counts until a later leaving,
 * a dissolution beats everything, of two owners the later counts and the other is reported.
 * And: groups are a function of registers and time alone, whatever order they are read in; nonsense neither throws nor
 * shows; and what another operator writes about groups in its own document is nobody's business.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json, Register, Registers } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { CommandRefused } from '../../src/federation/command.ts'
import { readGroups } from '../../src/inventory/groups/records.ts'
import { effectiveGroups, groupsOf } from '../../src/inventory/groups/view.ts'
import { type ServiceGroup, serviceGroup } from '../../src/inventory/methods.ts'
import { readRecords } from '../../src/inventory/records.ts'
import { viewOf } from '../../src/inventory/view.ts'
import { operatorId, type ServerId } from '../../src/ports/names.ts'
import { a, b, grant, homeNetwork, newId, Pne, subscribe, world } from './world.ts'

const test = suite('service groups, merged')
const flat = { home: a, pnId: 'flat' }
const names = ['p', 'q', 'r'] as const
type Name = (typeof names)[number]

/* Commands at two servers, and a model of what they mean. */

type Step =
  | { readonly do: 'merge' }
  | { readonly do: 'join' | 'leave' | 'dissolve'; readonly at: number; readonly who: Name; readonly group: number }
  | { readonly do: 'offer'; readonly at: number; readonly group: number; readonly to: Name }
  | { readonly do: 'accept'; readonly at: number; readonly group: number }
  | { readonly do: 'key'; readonly at: number; readonly who: Name; readonly group: number }

const at = fc.nat(1)
const group = fc.nat(1)
const who = fc.constantFrom(...names)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('merge' as const) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('join' as const), at, who, group }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('leave' as const), at, who, group }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('dissolve' as const), at, who, group }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('offer' as const), at, group, to: who }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('accept' as const), at, group }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('key' as const), at, who, group }) },
)

interface Model {
  readonly members: Map<Name, boolean>
  owner: string
  dissolved: boolean
}

test('two servers that merge now and then agree, with each other and with the model', async () => {
  const w = await world({ [a]: 2 })
  subscribe(w, a, ...names)
  const hub = await homeNetwork(w)
  const pnes = names.map(name => new Pne(a, name))
  await hub.update(
    'add',
    pnes.map(pne => pne.name),
  )
  for (const pne of pnes) {
    await pne.register(hub)
    await pne.confirm(hub)
  }
  const property = fc.asyncProperty(fc.array(step, { minLength: 6, maxLength: 30 }), async steps => {
    const call = <T>(index: number, method: string, name: Name, params: object) => {
      w.clock.advance(1)
      const id = method === 'group.key' ? {} : { commandId: newId() }
      const pne = { operator: a, pneId: name }
      return w.at(a, index).call<T>(method, { ...id, ...flat, pne, ...params }, name)
    }
    const ids: string[] = []
    const models: Model[] = []
    for (const name of ['p', 'q'] as const) {
      const params = { name, service: { serviceId: 's', serviceName: 'S' } }
      const { group } = await call<{ group: ServiceGroup }>(0, 'group.create', name, params)
      ids.push(group.groupId)
      models.push({ members: new Map([[name, true]]), owner: name, dissolved: false })
    }
    await w.replicate()
    const shown = async (index: number) => {
      const { groups } = await w.at(a, index).call<{ groups: ServiceGroup[] }>('group.find', flat, 'alice')
      return groups.filter(({ groupId }) => ids.includes(groupId))
    }
    const found = async (step: { readonly at: number; readonly group: number }) =>
      (await shown(step.at)).find(({ groupId }) => groupId === ids[step.group])

    for (const step of steps) {
      if (step.do === 'merge') {
        await w.replicate()
        continue
      }
      const model = models[step.group] as Model
      const groupId = ids[step.group]
      try {
        if (step.do === 'join' || step.do === 'leave') {
          const before = await found(step)
          await call(step.at, `group.${step.do}`, step.who, { groupId })
          const isSo = before?.members.some(({ pneId }) => pneId === step.who)
          if (step.do === 'leave' || !isSo) model.members.set(step.who, step.do === 'join')
        } else if (step.do === 'dissolve') {
          await call(step.at, 'group.dissolve', step.who, { groupId })
          model.dissolved = true
        } else if (step.do === 'key') {
          await call(step.at, 'group.key', step.who, { groupId })
        } else {
          const group = await found(step)
          if (!group) continue
          if (step.do === 'offer') {
            const candidate = { operator: a, pneId: step.to }
            const owner = group.owner.pneId as Name
            await call(step.at, 'group.transfer', owner, { groupId, candidate, reason: '' })
          } else if (group.offer) {
            const { transfer, to } = group.offer
            await call(step.at, 'group.answer', to.pneId as Name, { groupId, transfer, accept: true })
            model.owner = to.pneId
          }
        }
      } catch (error) {
        if (!(error instanceof CommandRefused) || error.status >= 500) throw error
      }
    }
    await w.replicate()
    const groups = await shown(0)
    assert.equal(await shown(1), groups)
    for (const [index, model] of models.entries()) {
      const group = groups.find(({ groupId }) => groupId === ids[index])
      assert.is(group === undefined, model.dissolved)
      if (!group) continue
      assert.equal(
        group.members.map(({ pneId }) => pneId),
        names.filter(name => model.members.get(name)),
      )
      assert.is(group.owner.pneId, model.owner)
      await w.at(a).call('group.dissolve', { commandId: newId(), ...flat, groupId: group.groupId }, 'alice')
    }
    await w.replicate()
  })
  await fc.assert(property, { numRuns: 60 })
  await w.stop()
})

test('two hand-overs accepted at servers that do not reach each other: the later counts, the other is reported', async () => {
  const w = await world({ [a]: 2 })
  subscribe(w, a, ...names)
  const hub = await homeNetwork(w)
  const call = async (index: number, method: string, name: Name, params: object) => {
    w.clock.advance(1)
    const given = { commandId: newId(), ...flat, pne: { operator: a, pneId: name }, ...params }
    return w.at(a, index).call<{ group: ServiceGroup; transfer: string }>(method, given, name)
  }
  for (const name of names) {
    const pne = new Pne(a, name)
    await hub.update('add', [pne.name])
    await pne.register(hub)
    await pne.confirm(hub)
  }
  const service = { serviceId: 's', serviceName: 'S' }
  const { groupId } = (await call(0, 'group.create', 'p', { name: 'Music', service })).group
  for (const name of ['q', 'r'] as const) await call(0, 'group.join', name, { groupId })
  await w.replicate()

  const handOver = async (index: number, from: Name, to: Name) => {
    const candidate = { operator: a, pneId: to }
    const { transfer } = await call(index, 'group.transfer', from, { groupId, candidate, reason: '' })
    return (await call(index, 'group.answer', to, { groupId, transfer, accept: true })).group
  }
  assert.is((await handOver(0, 'p', 'q')).owner.pneId, 'q')
  assert.is((await handOver(1, 'p', 'r')).owner.pneId, 'r')
  await w.replicate()
  for (const index of [0, 1]) {
    const { groups } = await w.at(a, index).call<{ groups: ServiceGroup[] }>('group.find', flat, 'alice')
    assert.is(groups[0]?.owner.pneId, 'r')
    const { documents } = w.at(a, index)
    const home = await documents.read(asDocumentId('pn/a.example/flat'))
    assert.equal(effectiveGroups(flat, { home, visits: new Map() }, w.clock.now()), groups, 'clients see it so too')
    assert.equal(
      groups[0]?.contested.map(({ owner }) => owner.pneId),
      ['q'],
    )
  }
  const next = await handOver(0, 'r', 'p')
  assert.equal([next.owner.pneId, next.contested], ['p', []], 'the next hand-over settles it')
  await w.stop()
})

/* The view alone. */

const entry = (key: fc.Arbitrary<string>, value: fc.Arbitrary<Json>) =>
  fc.tuple(
    key,
    fc.record({ stamp: fc.nat(60), server: fc.constantFrom('s1' as ServerId, 's2' as ServerId), value }),
  ) as fc.Arbitrary<readonly [string, Register]>
const pne = fc.constantFrom(...['p', 'q'].map(pneId => ({ operator: a as string, pneId })))
const groupId = fc.constantFrom('g1', 'g2')
const epoch = fc.oneof({ weight: 9, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(2) })
const tag = fc.constantFrom('x'.repeat(16), 'y'.repeat(16))
const keyed = <T>(...parts: fc.Arbitrary<T>[]) => fc.tuple(...parts).map(found => found.join('/'))
const generation = fc.constantFrom('A'.repeat(22), 'B'.repeat(22))
const entries = fc.array(
  fc.oneof(
    entry(
      groupId.map(id => `group/${id}`),
      fc.record({
        epoch,
        name: fc.constant('Music'),
        keywords: fc.constant(['audio']),
        service: fc.constant({ serviceId: 's', serviceName: 'S' }),
        requirement: fc.constant({}),
        joining: fc.constantFrom('open', 'invited'),
        history: fc.constantFrom('open', 'closed'),
        creator: pne,
        command: fc.constant('x'),
      }) as fc.Arbitrary<Json>,
    ),
    entry(
      keyed(
        fc.constant('group-member'),
        groupId,
        pne.map(({ operator, pneId }) => `${operator}/${pneId}`),
      ),
      fc.record({ epoch, admission: fc.nat(40) }),
    ),
    entry(
      keyed(fc.constant('group-owner'), groupId, fc.constantFrom('t1', 't2')),
      fc.record({ epoch, owner: pne }) as fc.Arbitrary<Json>,
    ),
    entry(
      keyed(fc.constant('group-key'), groupId, generation),
      fc.record({ epoch, number: fc.integer({ min: 1, max: 3 }), keyVersion: fc.nat(2), members: fc.array(tag) }),
    ),
    entry(
      keyed(fc.constant('group-offer'), groupId),
      fc.record({
        epoch,
        transfer: fc.constant('t3'),
        from: pne,
        to: pne,
        reason: fc.constant(''),
        expires: fc.nat(90),
      }) as fc.Arbitrary<Json>,
    ),
  ),
  { maxLength: 24 },
)
const hostile = fc.array(
  entry(
    fc.oneof(
      fc.constantFrom(
        'group',
        'group/',
        'group/__proto__',
        'group/g3',
        'group-member/g1/A.EXAMPLE/p',
        'group-member/g1/__proto__/p',
        'group-member/g1',
        'group-owner/g1/t9/x',
        'group-key/g1/short',
        'group-unknown/g1',
      ),
      fc.string().map(text => `group${text}`),
    ),
    fc.jsonValue() as fc.Arbitrary<Json>,
  ),
  { maxLength: 12 },
)

const registers = (content: readonly (readonly [string, Register])[]): Registers => {
  const map = new Map(content)
  return { get: key => map.get(key), entries: (prefix = '') => [...map].filter(([key]) => key.startsWith(prefix)) }
}
const said = (value: Json, stamp = 1): Register => ({ stamp, server: 's1' as ServerId, value })
const registration = {
  epoch: 1,
  admission: 20,
  state: 'active',
  cpnsId: 'cpns:1',
  gatewayId: 'hub',
  mode: 'PNE',
  capabilities: {},
  confirmation: 'x'.repeat(43),
  expires: 1_000,
}
const home = registers([
  ['pn', said({ alias: 'Flat', owner: 'alice', epoch: 1, command: 'x' })],
  ...['p', 'q'].flatMap(pneId => [
    [`roster/a.example/${pneId}`, said({ state: 'admitted', epoch: 1, by: a, since: 20 })] as const,
    [`registration/a.example/${pneId}/0123456789abcdef`, said(registration)] as const,
  ]),
])
const view = viewOf(flat, { home: readRecords(home, 'pn'), visits: new Map() }, 50)

const groupsIn = (content: readonly (readonly [string, Register])[]): ServiceGroup[] => {
  if (!view) throw new Error('the PN is there')
  return [...groupsOf(readGroups(registers(content)), view, 50).values()].map(({ shown }) => shown)
}

test('the same registers give the same groups, in whatever order they are read', () => {
  let seen = 0
  fc.assert(
    fc.property(entries, fc.infiniteStream(fc.nat()), (content, order) => {
      const once = [...new Map(content)]
      const shuffled = once
        .map(found => ({ found, place: order.next().value }))
        .sort((x, y) => x.place - y.place)
        .map(({ found }) => found)
      const groups = groupsIn(once)
      assert.is(JSON.stringify(groupsIn(shuffled)), JSON.stringify(groups))
      seen += groups.filter(({ members }) => members.length > 0).length
    }),
    { numRuns: 500 },
  )
  assert.ok(seen > 50, 'some of them were groups with members')
})

test('hostile values neither throw nor show', () => {
  fc.assert(
    fc.property(entries, hostile, (content, attack) => {
      const known = new Map(content)
      const groups = groupsIn([...known])
      const more = attack.filter(([key]) => !known.has(key))
      assert.equal(groupsIn([...more, ...known]), groups)
      for (const group of groups) serviceGroup.parse(JSON.parse(JSON.stringify(group)))
      assert.is(Object.getPrototypeOf({}), Object.prototype)
    }),
    { numRuns: 500 },
  )
})

test('what another operator writes of groups in its own document is ignored', async () => {
  const w = await world({ [a]: 1, [b]: 1 })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp')
  subscribe(w, b, 'radio')
  const lamp = new Pne(a, 'lamp')
  await hub.update('add', [lamp.name, { operator: operatorId('b.example'), pneId: 'radio' }])
  await grant(w, 'flat', b)
  await lamp.register(hub)
  await lamp.confirm(hub)
  const service = { serviceId: 's', serviceName: 'S' }
  await w.at(a).call('group.create', { commandId: newId(), ...flat, pne: lamp.name, name: 'Music', service }, 'lamp')
  await w.replicate()
  const shown = async () => [
    await w.at(a).call('group.find', flat, 'lamp'),
    await w.at(b).call('group.find', flat, 'radio'),
  ]
  const before = await shown()
  const document = asDocumentId('pn/a.example/flat')
  const copied = [...(await w.at(b).documents.read(document)).entries('group')]
  await w.at(b).documents.write(asDocumentId('visit/b.example/a.example/flat'), () => ({
    writes: [
      ...copied.map(([key]) => ({ key, value: null })),
      ...copied.map(([key, { value }]) => ({ key: key.replace(/sg-[^/]+/, 'sg-forged'), value })),
      { key: 'group-member/sg-forged/b.example/radio', value: { epoch: 1, admission: 99 } },
    ],
    answer: undefined,
  }))
  await w.replicate()
  assert.equal(await shown(), before)
  await w.stop()
})

test.run()
