/*
 * Proves: the effective inventory is a function of the documents and the time alone; whatever an operator writes into its
 * own document changes no more than its grant allows, and nothing at all when it is nonsense.
 * Fails if the order of registers or documents matters, if a hostile value throws or leaks into the answer, or if an
 * operator without the right to do so adds, removes or hides anything.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json, Register, Registers } from '../../src/document/documents.ts'
import { type Inventory, inventory as inventorySchema } from '../../src/inventory/methods.ts'
import { keys, pneKey, readRecords } from '../../src/inventory/records.ts'
import { effectiveInventory, viewOf } from '../../src/inventory/view.ts'
import { nextChange } from '../../src/inventory/view-memory.ts'
import { type OperatorId, operatorId, type ServerId } from '../../src/ports/names.ts'

const a = operatorId('a.example')
const b = operatorId('b.example')
const c = operatorId('c.example')
const name = { home: a, pnId: 'flat' }

type Entry = readonly [key: string, register: Register]
interface Written {
  readonly home: readonly Entry[]
  readonly visits: ReadonlyMap<OperatorId, readonly Entry[]>
}

function registers(entries: readonly Entry[]): Registers {
  const content = new Map(entries)
  return {
    get: key => content.get(key),
    entries: (prefix = '') => [...content].filter(([key]) => key.startsWith(prefix)),
  }
}

const view = ({ home, visits }: Written, at: number): Inventory | undefined =>
  effectiveInventory(
    name,
    {
      home: registers(home),
      visits: new Map([...visits].map(([operator, entries]) => [operator, registers(entries)])),
    },
    at,
  )

/* Documents that are plausible, and small enough to collide. */

const at = fc.nat(60)
const early = fc.nat(30)
const late = fc.integer({ min: 20, max: 90 })
const mostly = <T>(value: T, ...others: T[]) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(value) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
const epoch = mostly(1, 2)
const grantId = mostly('g1', 'g2')
const someOperator = fc.constantFrom(a, b, c)
const pne = fc.constantFrom({ operator: a, pneId: 'p' }, { operator: b, pneId: 'p' }, { operator: b, pneId: 'q' })
const transaction = fc.constantFrom('transaction-00001', 'transaction-00002', 'transaction-00003')
const optional = <T>(value: fc.Arbitrary<T>, key: string) =>
  fc.option(value, { nil: undefined }).map(found => (found === undefined ? {} : { [key]: found }))

const register = <T extends Json>(value: fc.Arbitrary<T>): fc.Arbitrary<Register> =>
  fc.record({ stamp: at, server: fc.constantFrom('s1' as ServerId, 's2' as ServerId), value })

const entry = (key: fc.Arbitrary<string>, value: fc.Arbitrary<Json>): fc.Arbitrary<Entry> =>
  fc.tuple(key, register(value))

const admission = fc
  .tuple(fc.record({ epoch, grant: grantId, by: someOperator, since: early }), optional(late, 'pendingUntil'))
  .map(([fields, more]) => ({ ...fields, ...more }))
const undone = entry(
  fc.tuple(someOperator, pne, at).map(([document, of, upTo]) => keys.undone(document, of, upTo)),
  fc.record({ epoch, grant: grantId, since: early }),
)
const confirmation = 'x'.repeat(43)
const registration = fc.record({
  epoch,
  grant: grantId,
  admission: fc.integer({ min: 10, max: 40 }),
  state: fc.constantFrom('pending', 'active'),
  cpnsId: fc.constantFrom('cpns:1', 'cpns:2'),
  gatewayId: fc.constantFrom('hub', 'porch'),
  mode: fc.constant('PNE'),
  capabilities: fc.constant({}),
  confirmation: fc.constant(confirmation),
  expires: late,
})
const gatewayId = fc.constantFrom('hub', 'porch')
const gateway = entry(
  gatewayId.map(keys.gateway),
  fc
    .tuple(
      fc.record({ epoch, grant: grantId, identity: fc.constantFrom('alice', 'bob', 'p') }),
      optional(fc.constantFrom(0, 1, 255), 'priority'),
      optional(fc.constantFrom('attic', 'cellar'), 'zone'),
      optional(early, 'attached'),
    )
    .map(parts => Object.assign({}, ...parts)),
)
const claim = entry(
  gatewayId.map(keys.claim),
  fc.record({ epoch, grant: grantId, since: mostly(5, 5, 20, 40, 400_000), after: fc.constantFrom(0, 5, 20) }),
)
const admin = entry(pne.map(keys.admin), fc.record({ epoch, admission: fc.integer({ min: 10, max: 40 }) }))
const setting = fc.oneof(
  entry(fc.constant(keys.setting('alias')), fc.record({ epoch, value: fc.constantFrom('Flat', 'House') })),
  entry(fc.constant(keys.setting('expires')), fc.record({ epoch, value: fc.option<number, null>(late) })),
  entry(
    fc.constant(keys.setting('connectionMode')),
    fc
      .tuple(fc.record({ epoch, value: fc.constantFrom('open', 'invited', 'closed') }), optional(early, 'since'))
      .map(([fields, more]) => ({ ...fields, ...more })),
  ),
)
const registered = entry(
  fc.tuple(pne, transaction).map(([who, id]) => keys.registration(who, id)),
  registration,
)

const homeEntries = fc
  .tuple(
    entry(
      fc.constant(keys.network),
      fc
        .tuple(
          fc.record({ alias: fc.constant('Flat'), owner: fc.constant('alice'), epoch, command: fc.constant('x') }),
          fc.oneof({ weight: 5, arbitrary: fc.constant({}) }, { weight: 1, arbitrary: fc.record({ expires: late }) }),
        )
        .map(([fields, more]) => ({ ...fields, ...more })),
    ),
    fc.array(
      fc.oneof(
        {
          weight: 1,
          arbitrary: entry(fc.constant(keys.release), fc.record({ epoch: mostly(1, 2, 3), command: fc.constant('y') })),
        },
        {
          weight: 4,
          arbitrary: entry(
            fc.constantFrom(b, c).map(keys.grant),
            fc.record({
              epoch,
              id: grantId,
              fingerprint: fc.constant('fingerprint-of-it'),
              rights: fc.oneof(
                fc.constant(['register', 'admit', 'gateway']),
                fc.subarray(['register', 'admit', 'gateway']),
              ),
              expires: late,
            }),
          ),
        },
        { weight: 2, arbitrary: gateway },
        { weight: 1, arbitrary: claim },
        { weight: 2, arbitrary: admin },
        { weight: 1, arbitrary: setting },
        {
          weight: 6,
          arbitrary: entry(pne.map(keys.roster), fc.oneof(admission, admission, fc.constant(null))),
        },
        { weight: 3, arbitrary: undone },
        { weight: 6, arbitrary: registered },
      ),
      { minLength: 4, maxLength: 16 },
    ),
  )
  .map(([network, others]) => [network, ...others])
const visitEntries = fc.array(
  fc.oneof(
    { weight: 2, arbitrary: gateway },
    { weight: 1, arbitrary: claim },
    { weight: 4, arbitrary: entry(pne.map(keys.admission), fc.oneof(admission, fc.constant(null))) },
    { weight: 2, arbitrary: undone },
    { weight: 6, arbitrary: registered },
  ),
  { minLength: 2, maxLength: 12 },
)
const written: fc.Arbitrary<Written> = fc
  .record({ home: homeEntries, b: visitEntries, c: visitEntries })
  .map(({ home, b: ofB, c: ofC }) => ({
    home: unique(home),
    visits: new Map([
      [b, unique(ofB)],
      [c, unique(ofC)],
    ]),
  }))

/** A document has one register for a key. */
const unique = (entries: readonly Entry[]): Entry[] => [...new Map(entries)]

/** What a hostile operator may put under any key. */
const hostile = fc.array(
  fc.tuple(
    fc.oneof(
      fc.constantFrom(
        'pn',
        'release',
        'grant/b.example',
        'grant/__proto__',
        'gateway/../x',
        'gateway/',
        'claim/hub',
        'admin/b.example/p',
        'undone/b.example/b.example/p/40',
        'undone/a.example/a.example/p/x',
        'setting/alias',
        'setting/connectionMode',
        'setting/__proto__',
        'roster/b.example/p',
        'admission/b.example/p',
        'admission/__proto__/p',
        'admission/B.EXAMPLE/p',
        'registration/b.example/p/transaction-00001',
        'registration/b.example/p/short',
        'registration/b.example/p',
        '/',
        '__proto__',
      ),
      fc.string(),
    ),
    register(fc.jsonValue() as fc.Arbitrary<Json>),
  ),
  { maxLength: 20 },
)

test('the same documents at the same time give the same inventory, in whatever order they are read', () => {
  fc.assert(
    fc.property(written, at, fc.infiniteStream(fc.nat()), (documents, now, order) => {
      const shuffled = <T>(values: readonly T[]): T[] =>
        values
          .map(value => ({ value, place: order.next().value as number }))
          .sort((x, y) => x.place - y.place)
          .map(({ value }) => value)
      const other = {
        home: shuffled(documents.home),
        visits: new Map(shuffled([...documents.visits]).map(([operator, entries]) => [operator, shuffled(entries)])),
      }
      assert.equal(view(other, now), view(documents, now))
      assert.is(JSON.stringify(view(other, now)), JSON.stringify(view(documents, now)))
    }),
    { numRuns: 500 },
  )
})

test('the same documents say the same until the next change that they foresee', () => {
  fc.assert(
    fc.property(
      written,
      fc.oneof(at, fc.constant(100), fc.constant(100)),
      fc.nat(),
      ({ home, visits }, now, within) => {
        const sources = {
          home: readRecords(registers(home), 'pn'),
          visits: new Map(
            [...visits].map(([operator, entries]) => [operator, readRecords(registers(entries), 'visit')]),
          ),
        }
        const until = nextChange(sources, now)
        const lastMs = Math.min(until - 1, 500_000)
        const found = viewOf(name, sources, now)
        assert.ok(now < until)
        assert.equal(viewOf(name, sources, lastMs), found)
        assert.equal(viewOf(name, sources, now + (within % (lastMs - now + 1))), found)
      },
    ),
    { numRuns: 1_000 },
  )
})

test('hostile values neither throw nor show', () => {
  fc.assert(
    fc.property(written, hostile, hostile, at, (documents, inHome, inVisit, now) => {
      const attacked = {
        home: unique([...documents.home, ...inHome]),
        visits: new Map(documents.visits).set(b, unique([...(documents.visits.get(b) ?? []), ...inVisit])),
      }
      const found = view(attacked, now)
      if (found) inventorySchema.parse(JSON.parse(JSON.stringify(found)))
      assert.is(Object.getPrototypeOf({}), Object.prototype)

      const nonsense = inVisit.filter(([key]) => !(documents.visits.get(b) ?? []).some(([known]) => known === key))
      const only = {
        ...documents,
        visits: new Map(documents.visits).set(b, [...(documents.visits.get(b) ?? []), ...nonsense]),
      }
      assert.equal(view(only, now), view(documents, now))
    }),
    { numRuns: 500 },
  )
})

test('values under known keys that are not what they should be are counted', () => {
  const home = registers([
    ['pn', { stamp: 1, server: 's' as ServerId, value: { alias: 'Flat', owner: 'alice', epoch: 1, command: 'x' } }],
    ['roster/b.example/p', { stamp: 1, server: 's' as ServerId, value: 7 }],
    ['roster/b.example', { stamp: 1, server: 's' as ServerId, value: {} }],
    ['roster/b.example/q', { stamp: 1, server: 's' as ServerId, value: null }],
    ['of-a-later-version/x', { stamp: 1, server: 's' as ServerId, value: 7 }],
  ])
  assert.is(readRecords(home, 'pn').ignored, 2)
  assert.is(readRecords(home, 'visit').ignored, 0, 'another kind of document has other keys')
})

test('the document of an operator that was granted nothing makes no difference', () => {
  fc.assert(
    fc.property(written, visitEntries, at, (documents, entries, now) => {
      const before = view(documents, now)
      const stranger = operatorId('d.example')
      assert.equal(view({ ...documents, visits: new Map(documents.visits).set(stranger, entries) }, now), before)
      const ungranted = [b, c].filter(operator => !before?.grants.some(grant => grant.operator === operator))
      for (const operator of ungranted) {
        assert.equal(view({ ...documents, visits: new Map(documents.visits).set(operator, entries) }, now), before)
      }
    }),
    { numRuns: 300 },
  )
})

test('whatever a granted operator writes, it changes only what its rights are about', () => {
  fc.assert(
    fc.property(written, visitEntries, at, (documents, entries, now) => {
      const before = view(documents, now)
      const after = view({ ...documents, visits: new Map(documents.visits).set(b, unique(entries)) }, now)
      const rights = before?.grants.find(grant => grant.operator === b)?.rights ?? []
      const fixed = ({ home, pnId, alias, owner, state, epoch, grants, expires, connectionMode }: Inventory) =>
        ({ home, pnId, alias, owner, state, epoch, grants, expires, connectionMode }) as const
      assert.equal(after && fixed(after), before && fixed(before))
      if (!before || !after) return

      // Which one is active changes with all of them; and elements that B has admitted are gateways no longer than that.
      const mayUnmake = rights.includes('admit') || rights.includes('register')
      const gatewaysOf = (found: Inventory) =>
        found.gateways
          .filter(({ identity }) => !(mayUnmake && identity === 'p'))
          .map(({ active: _, ...gateway }) => gateway)
      const ofOthers = (found: Inventory) => gatewaysOf(found).filter(({ operator }) => operator !== b)
      assert.equal(ofOthers(after), ofOthers(before))
      if (!rights.includes('gateway')) assert.equal(gatewaysOf(after), gatewaysOf(before))
      // Its own PNEs it may keep in the roster, by registering them: those that another has admitted.
      const othersPnes = ({ members }: Inventory) => members.filter(({ operator }) => operator !== b).map(pneKey)
      if (!rights.includes('admit')) assert.equal(othersPnes(after), othersPnes(before))
      if (!rights.includes('register')) {
        assert.not.ok(after.members.some(member => member.operator === b && member.state !== 'member'))
      }
      if (mayUnmake) return
      assert.equal(after.members, before.members)
      assert.equal(after.administrator, before.administrator)
    }),
    { numRuns: 1_000 },
  )
})

test('another admission or registration takes no member away, and a pending one no active one', () => {
  fc.assert(
    fc.property(
      written,
      entry(pne.map(keys.admission), admission),
      registered,
      at,
      (documents, admitted, said, now) => {
        const present = documents.visits.get(b) ?? []
        const keysThere = new Set(present.map(([key]) => key))
        const more = [admitted, said].filter(([key]) => !keysThere.has(key))
        const before = view(documents, now)
        const after = view({ ...documents, visits: new Map(documents.visits).set(b, [...present, ...more]) }, now)
        const rank = { member: 0, pending: 1, active: 2 } as const
        for (const member of before?.members ?? []) {
          const found = after?.members.find(
            ({ operator, pneId }) => operator === member.operator && pneId === member.pneId,
          )
          assert.ok(found && rank[found.state] >= rank[member.state], JSON.stringify([member, found]))
        }
      },
    ),
    { numRuns: 500 },
  )
})

test('of two registrations of one PNE the later active one counts, the other is superseded', () => {
  fc.assert(
    fc.property(written, at, (documents, now) => {
      const found = view(documents, now)
      if (!found) return
      const names = found.members.map(({ operator, pneId }) => `${operator}/${pneId}`)
      assert.is(new Set(names).size, names.length)
      for (const loser of found.superseded) {
        const winner = found.members.find(({ operator, pneId }) => operator === loser.operator && pneId === loser.pneId)
        assert.is(winner?.state, 'active')
        assert.ok((winner?.since ?? 0) >= loser.since)
      }
      if (found.state !== 'live') assert.equal([...found.members, ...found.superseded], [])
    }),
    { numRuns: 500 },
  )
})

test('a live PN with gateways has one active one, whoever claims; one that has ended has none', () => {
  fc.assert(
    fc.property(written, at, (documents, now) => {
      const found = view(documents, now)
      if (!found) return
      const active = found.gateways.filter(gateway => gateway.active)
      assert.is(active.length, found.state === 'live' && found.gateways.length > 0 ? 1 : 0)
    }),
    { numRuns: 500 },
  )
})

test('gateways and administrator are who they are by the roster: nobody removed is either', () => {
  fc.assert(
    fc.property(written, at, (documents, now) => {
      const found = view(documents, now)
      if (!found) return
      const members = new Set(found.members.map(pneKey))
      const { administrator } = found
      if (administrator) assert.ok(members.has(pneKey(administrator)))
      if (found.state !== 'live') assert.is(administrator, undefined)
      for (const { operator, identity } of found.state === 'live' ? found.gateways : []) {
        assert.ok(members.has(pneKey({ operator, pneId: identity })) || (operator === a && identity === 'alice'))
      }
    }),
    { numRuns: 500 },
  )
})

test('conflicts are reported of what the view has decided, and only of that', () => {
  fc.assert(
    fc.property(written, at, (documents, now) => {
      const found = view(documents, now)
      for (const conflict of found?.conflicts ?? []) {
        const isMember = (pne: { operator: OperatorId; pneId: string }) =>
          found?.members.some(member => pneKey(member) === pneKey(pne)) === true
        switch (conflict.kind) {
          case 'active-gateways':
            assert.is(found?.gateways.find(gateway => gateway.active)?.gatewayId, conflict.winner.gatewayId)
            break
          case 'administrators':
            assert.is(found?.administrator?.pneId, conflict.winner.pneId)
            assert.ok(conflict.others.every(isMember))
            break
          case 'registered-after-release':
            assert.is(found?.state, 'released')
            break
          case 'registered-twice':
            assert.ok(found?.superseded.some(loser => pneKey(loser) === pneKey(conflict.pne)))
            break
          case 'admitted-by-several':
            assert.ok(isMember(conflict.pne) && conflict.by.length > 1)
        }
      }
      const ofKind = (kind: string) => found?.conflicts.filter(conflict => conflict.kind === kind).length ?? 0
      assert.is(ofKind('registered-twice'), new Set(found?.superseded.map(pneKey)).size)
      assert.ok(ofKind('active-gateways') <= 1 && ofKind('administrators') <= 1)
    }),
    { numRuns: 500 },
  )
})

test('an earlier epoch counts for nothing: without all that was said in it, the inventory is the same', () => {
  fc.assert(
    fc.property(written, at, (documents, now) => {
      const epoch = view(documents, now)?.epoch
      const network = documents.home.find(([key]) => key === keys.network)?.[1].value as { epoch: number }
      const ofThisEpoch = ([key, { value }]: Entry) =>
        key === keys.network || key === keys.release || (value as { epoch?: number } | null)?.epoch === network.epoch
      const rest = {
        home: documents.home.filter(ofThisEpoch),
        visits: new Map([...documents.visits].map(([operator, entries]) => [operator, entries.filter(ofThisEpoch)])),
      }
      assert.equal(view(rest, now), view(documents, now))
      assert.ok(epoch === undefined || epoch >= network.epoch)
    }),
    { numRuns: 500 },
  )
})

test('the version changes with roster and settings, and with nothing else', () => {
  fc.assert(
    fc.property(written, registered, at, (documents, said, now) => {
      const roster = (found: Inventory | undefined) => [
        found?.members.map(({ operator, pneId }) => `${operator}/${pneId}`),
        found && [found.alias, found.expires, found.connectionMode],
      ]
      const before = view(documents, now)
      const present = documents.visits.get(b) ?? []
      const more = present.some(([key]) => key === said[0]) ? present : [...present, said]
      const after = view({ ...documents, visits: new Map(documents.visits).set(b, more) }, now)
      const isSame = JSON.stringify(roster(before)) === JSON.stringify(roster(after))
      assert.is(before?.version === after?.version, isSame)
    }),
    { numRuns: 300 },
  )
})

test('there is no inventory where no PN was established', () => {
  assert.is(view({ home: [], visits: new Map() }, 0), undefined)
  assert.is(
    view({ home: [['pn', { stamp: 1, server: 's' as ServerId, value: null }]], visits: new Map() }, 0),
    undefined,
  )
})

/* Each rule by itself. */

const stamp = (value: Json, when = 10, server = 's1'): Register => ({ stamp: when, server: server as ServerId, value })
const lamp = { operator: a, pneId: 'lamp' }
const radio = { operator: b, pneId: 'radio' }
const admittedAt = (since: number, more: Json & object = {}) => ({ epoch: 1, by: a, since, ...more })
const registrationOf = (more: Json & object = {}) => ({
  epoch: 1,
  admission: 10,
  state: 'active',
  cpnsId: 'cpns:x',
  gatewayId: 'hub',
  mode: 'PNE',
  capabilities: {},
  confirmation,
  expires: 90,
  ...more,
})
const granted = (more: Json & object = {}) => ({
  epoch: 1,
  id: 'g1',
  fingerprint: 'fingerprint-of-it',
  rights: ['register', 'admit', 'gateway'],
  expires: 80,
  ...more,
})
const under = { grant: 'g1' }
const flatPn: Entry = ['pn', stamp({ alias: 'Flat', owner: 'alice', epoch: 1, command: 'x' }, 1)]

interface Rule {
  readonly rule: string
  readonly home: readonly Entry[]
  readonly visit?: readonly Entry[]
  readonly at?: number
  /** Members with state and gateway, then what is superseded. */
  readonly members: readonly string[]
  readonly superseded?: readonly string[]
}

const first = 'transaction-00001'
const second = 'transaction-00002'
const twice = (one: Register, two: Register): Entry[] => [
  flatPn,
  [keys.roster(lamp), stamp(admittedAt(10))],
  [keys.registration(lamp, first), one],
  [keys.registration(lamp, second), two],
]
const hub = registrationOf()
const porch = registrationOf({ gatewayId: 'porch' })
const visiting: Entry[] = [flatPn, [keys.grant(b), stamp(granted())], [keys.roster(radio), stamp(admittedAt(10))]]

const rules: Rule[] = [
  {
    rule: 'later stamp',
    home: twice(stamp(hub, 20), stamp(porch, 30)),
    members: ['lamp active porch'],
    superseded: ['lamp active hub'],
  },
  {
    rule: 'earlier stamp',
    home: twice(stamp(hub, 31), stamp(porch, 30)),
    members: ['lamp active hub'],
    superseded: ['lamp active porch'],
  },
  {
    rule: 'greater server',
    home: twice(stamp(hub, 30, 's2'), stamp(porch, 30, 's1')),
    members: ['lamp active hub'],
    superseded: ['lamp active porch'],
  },
  {
    rule: 'lesser server',
    home: twice(stamp(hub, 30, 's1'), stamp(porch, 30, 's2')),
    members: ['lamp active porch'],
    superseded: ['lamp active hub'],
  },
  {
    rule: 'greater transaction',
    home: twice(stamp(hub, 30), stamp(porch, 30)),
    members: ['lamp active porch'],
    superseded: ['lamp active hub'],
  },
  {
    rule: 'a pending one hides no active one',
    home: twice(stamp(hub, 20), stamp({ ...porch, state: 'pending' }, 30)),
    members: ['lamp active hub'],
  },
  {
    rule: 'of pending ones the latest shows',
    home: twice(stamp({ ...hub, state: 'pending' }, 20), stamp({ ...porch, state: 'pending' }, 30)),
    members: ['lamp pending porch'],
  },
  {
    rule: 'the later one has expired',
    home: twice(stamp(hub, 20), stamp({ ...porch, expires: 50 }, 30)),
    members: ['lamp active hub'],
  },
  { rule: 'both have expired', home: twice(stamp(hub, 20), stamp(porch, 30)), at: 90, members: ['lamp member -'] },
  {
    rule: 'made under an admission that was undone',
    home: [
      ...twice(stamp({ ...hub, admission: 9 }), stamp(null)),
      [keys.undone(a, lamp, 9), stamp({ epoch: 1, since: 9 })],
    ],
    members: ['lamp member -'],
  },
  {
    rule: 'made under an admission that a later one has taken the place of, at a server that did not see it',
    home: twice(stamp({ ...hub, admission: 9 }), stamp(null)),
    members: ['lamp active hub'],
  },
  { rule: 'of an earlier epoch', home: twice(stamp({ ...hub, epoch: 2 }), stamp(null)), members: ['lamp member -'] },
  {
    rule: 'released',
    home: [...twice(stamp(hub), stamp(null)), ['release', stamp({ epoch: 2, command: 'y' })]],
    members: [],
  },
  {
    rule: 'a release of an earlier epoch',
    home: [...twice(stamp(hub), stamp(null)), ['release', stamp({ epoch: 1, command: 'y' })]],
    members: ['lamp active hub'],
  },
  {
    rule: 'PN expired',
    home: [
      ['pn', stamp({ alias: 'Flat', owner: 'alice', epoch: 1, command: 'x', expires: 50 })],
      [keys.roster(lamp), stamp(admittedAt(1))],
    ],
    members: [],
  },
  {
    rule: 'held open',
    home: [flatPn, [keys.roster(lamp), stamp(admittedAt(10, { pendingUntil: 51 }))]],
    members: ['lamp member -'],
  },
  {
    rule: 'no longer held open',
    home: [flatPn, [keys.roster(lamp), stamp(admittedAt(10, { pendingUntil: 50 }))]],
    members: [],
  },
  {
    rule: 'held by a registration under way',
    home: [
      flatPn,
      [keys.roster(lamp), stamp(admittedAt(10, { pendingUntil: 40 }))],
      [keys.registration(lamp, first), stamp({ ...hub, state: 'pending' })],
    ],
    members: ['lamp pending hub'],
  },
  {
    rule: 'not held by one that was never confirmed',
    home: [
      flatPn,
      [keys.roster(lamp), stamp(admittedAt(10, { pendingUntil: 40 }))],
      [keys.registration(lamp, first), stamp({ ...hub, state: 'pending', expires: 45 })],
    ],
    members: [],
  },
  {
    rule: 'held by one that was confirmed once',
    home: [
      flatPn,
      [keys.roster(lamp), stamp(admittedAt(10, { pendingUntil: 40 }))],
      [keys.registration(lamp, first), stamp({ ...hub, expires: 45 })],
    ],
    members: ['lamp member -'],
  },
  {
    rule: 'B registers its own',
    home: visiting,
    visit: [[keys.registration(radio, first), stamp(registrationOf(under))]],
    members: ['radio active hub'],
  },
  {
    rule: 'A registers nothing of B',
    home: [...visiting, [keys.registration(radio, first), stamp(registrationOf())]],
    members: ['radio member -'],
  },
  {
    rule: 'B registers nothing of A',
    home: [...visiting, [keys.roster(lamp), stamp(admittedAt(10))]],
    visit: [[keys.registration(lamp, first), stamp(registrationOf(under))]],
    members: ['lamp member -', 'radio member -'],
  },
  {
    rule: 'under another grant',
    home: visiting,
    visit: [[keys.registration(radio, first), stamp(registrationOf({ grant: 'g0' }))]],
    members: ['radio member -'],
  },
  {
    rule: 'under no grant',
    home: visiting,
    visit: [[keys.registration(radio, first), stamp(registrationOf())]],
    members: ['radio member -'],
  },
  {
    rule: 'the grant has ended',
    home: visiting,
    visit: [[keys.registration(radio, first), stamp(registrationOf(under))]],
    at: 80,
    members: ['radio member -'],
  },
  {
    rule: 'the grant is of an earlier epoch',
    home: [flatPn, [keys.grant(b), stamp(granted({ epoch: 2 }))], [keys.roster(radio), stamp(admittedAt(10))]],
    visit: [[keys.registration(radio, first), stamp(registrationOf(under))]],
    members: ['radio member -'],
  },
  {
    rule: 'B admits',
    home: visiting,
    visit: [[keys.admission(lamp), stamp(admittedAt(5, under))]],
    members: ['lamp member -', 'radio member -'],
  },
  {
    rule: 'what B admitted is undone',
    home: [...visiting, [keys.undone(b, lamp, 10), stamp({ epoch: 1, since: 5 })]],
    visit: [[keys.admission(lamp), stamp(admittedAt(5, under), 10)]],
    members: ['radio member -'],
  },
  {
    rule: 'and stays so when home admits and the registration is old',
    home: [
      ...visiting,
      [keys.undone(b, lamp, 10), stamp({ epoch: 1, since: 15 })],
      [keys.roster(lamp), stamp(admittedAt(20))],
      [keys.registration(lamp, first), stamp(hub)],
    ],
    visit: [[keys.admission(lamp), stamp(admittedAt(5, under), 10)]],
    members: ['lamp member -', 'radio member -'],
  },
  {
    rule: 'B admits again',
    home: [...visiting, [keys.undone(b, lamp, 10), stamp({ epoch: 1, since: 5 })]],
    visit: [[keys.admission(lamp), stamp(admittedAt(11, under), 11)]],
    members: ['lamp member -', 'radio member -'],
  },
  {
    rule: 'a second admission does not take the ground from what was registered under the first',
    home: [...visiting, [keys.roster(lamp), stamp(admittedAt(20))], [keys.registration(lamp, first), stamp(hub)]],
    visit: [[keys.admission(lamp), stamp(admittedAt(10, under))]],
    members: ['lamp active hub', 'radio member -'],
  },
]

for (const { rule, home, visit = [], at: now = 50, members, superseded = [] } of rules) {
  test(`rule: ${rule}`, () => {
    const found = view({ home, visits: new Map([[b, visit]]) }, now)
    const shown = (list: Inventory['members']) =>
      list.map(({ pneId, state, gatewayId = '-' }) => `${pneId} ${state} ${gatewayId}`)
    assert.equal(shown(found?.members ?? []), members)
    assert.equal(shown(found?.superseded ?? []), superseded)
  })
}

test.run()
