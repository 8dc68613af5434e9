/*
 * Proves: what PNEs report is counted once for ever, whichever server takes it, however often it comes and however late the
 * servers meet; that days are summed up changes no figure; only the PNE and its gateway report, only of what its
 * registration had open; and nobody is charged by another operator's word. Fails if two servers that sum up at once count
 * twice, if a repeated report counts again after its day was summed up, or if usage is taken for time without registration.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json, Registers } from '../../src/document/documents.ts'
import type { UsageQueryResult } from '../../src/inventory/methods.ts'
import { homeDocument, visitDocument } from '../../src/inventory/networks.ts'
import { readUsage } from '../../src/inventory/usage/records.ts'
import { usageOf } from '../../src/inventory/usage/view.ts'
import type { OperatorId } from '../../src/ports/names.ts'
import {
  a,
  answerOf,
  b,
  c,
  type Gateway,
  grant,
  homeNetwork,
  newId,
  Pne,
  refusalOf,
  type Server,
  subscribe,
  type World,
  world,
} from './world.ts'

const hourMs = 3_600_000
const dayMs = 24 * hourMs
const network = { home: a, pnId: 'flat' }

const test = suite('usage')
let running: World | undefined
test.after.each(async () => {
  await running?.stop()
  running = undefined
})

interface Flat {
  readonly world: World
  readonly gateway: Gateway
  readonly lamp: Pne
}

/** A PN of a.example in which the lamp has opened two services. */
async function flat(counts: Readonly<Record<string, number>> = { 'a.example': 1 }): Promise<Flat> {
  running = await world(counts)
  const gateway = await homeNetwork(running)
  subscribe(running, a, 'lamp', 'radio')
  await gateway.update('add', [
    { operator: a, pneId: 'lamp' },
    { operator: a, pneId: 'radio' },
  ])
  const lamp = new Pne(a, 'lamp')
  await open(lamp, gateway)
  return { world: running, gateway, lamp }
}

async function open(pne: Pne, gateway: Gateway): Promise<void> {
  pne.content = { ...pne.content, services: ['streaming', 'calls'] }
  await pne.register(gateway)
  await pne.confirm(gateway)
}

interface Report {
  readonly reportId?: string
  readonly amount?: number
  readonly serviceId?: string
  readonly unit?: string
  readonly transaction?: string
  readonly gatewayId?: string | undefined
  readonly from?: number
  readonly to?: number
}

const paramsOf = ({ world }: Flat, pne: Pne, more: Report = {}) => {
  const to = more.to ?? world.clock.now()
  return {
    ...{ commandId: newId(), ...network, ...pne.name, reportId: newId(), gatewayId: 'hub' },
    ...{ transaction: pne.request?.params.transaction, serviceId: 'streaming', unit: 'bytes', amount: 1 },
    ...{ from: to - 1, to },
    ...more,
  }
}

const report = (of: Flat, more: Report = {}, at: Server = of.world.at(a), who = 'alice', pne = of.lamp) =>
  at.call<{ repeated: boolean }>('usage.report', paramsOf(of, pne, more), who)

const usage = async (at: Server, more: object = {}, who = 'alice') =>
  (await at.call<UsageQueryResult>('usage.query', { ...network, ...more }, who)).usage

const summary = async (at: Server) =>
  (await usage(at)).map(({ pneId, serviceId, unit, amount, reports }) =>
    [pneId, serviceId, unit, amount, reports].join(' '),
  )

test('reports add up by service and unit, and a repeated one counts once', async () => {
  const of = await flat()
  of.world.clock.jump(hourMs)
  const reportId = newId()
  assert.equal(await report(of, { reportId, amount: 5 }), { repeated: false })
  assert.equal(await report(of, { reportId, amount: 5, to: of.world.clock.now() }), { repeated: true })
  await report(of, { amount: 7 })
  await report(of, { amount: 2, unit: 'seconds' })
  await report(of, { amount: 3, serviceId: 'calls', unit: 'seconds', gatewayId: undefined }, of.world.at(a), 'lamp')
  assert.equal(await summary(of.world.at(a)), [
    'lamp calls seconds 3 1',
    'lamp streaming bytes 12 2',
    'lamp streaming seconds 2 1',
  ])
  assert.is(await refusalOf(report(of, { reportId, amount: 6 })), '409 REPORT_REUSED')
})

test('only the PNE and the gateway that it is registered through report', async () => {
  const of = await flat()
  const { world } = of
  subscribe(world, a, 'box')
  await of.gateway.update('add', [{ operator: a, pneId: 'box' }])
  await world.at(a).call('gateway.attach', { commandId: newId(), ...network, gatewayId: 'box-1' }, 'box')
  world.clock.jump(hourMs)
  const by = (who: string, gatewayId: string | undefined) => refusalOf(report(of, { gatewayId }, world.at(a), who))
  assert.is(await by('box', 'box-1'), '403 NOT_ITS_GATEWAY')
  assert.is(await by('box', 'hub'), '403 GATEWAY_UNKNOWN')
  assert.is(await by('radio', undefined), '403 NOT_AUTHORISED')
  assert.is(await by('alice', undefined), '403 NOT_AUTHORISED')
  assert.is(await by('lamp', undefined), 'not refused')
  assert.is(await by('alice', 'hub'), 'not refused')
})

test('only what the registration had open, while it was active, is taken', async () => {
  const of = await flat()
  const { world, lamp, gateway } = of
  const { clock } = world
  const begun = clock.now()
  clock.jump(3 * hourMs)
  const refused = (more: Report) => refusalOf(report(of, more))
  assert.is(await refused({ serviceId: 'games' }), '409 SERVICE_NOT_OPEN')
  assert.is(await refused({ transaction: newId() }), '404 REGISTRATION_UNKNOWN')
  assert.is(await refused({ from: begun - hourMs, to: begun + 1 }), '409 OUTSIDE_REGISTRATION')
  assert.is(await refused({ from: begun, to: clock.now() + hourMs }), '409 OUTSIDE_REGISTRATION')
  assert.is(await refused({ from: begun, to: begun }), '400 MALFORMED')
  assert.is(await refused({ from: begun - 2 * dayMs, to: begun }), '400 MALFORMED')

  const { transaction } = lamp.request?.params ?? {}
  await lamp.deregister(gateway, clock.now())
  const ended = clock.now()
  clock.jump(hourMs)
  const last = { ...(transaction && { transaction }) }
  assert.is(await refused({ ...last, from: begun, to: ended + hourMs / 2 }), '409 OUTSIDE_REGISTRATION')
  assert.is(await refused({ ...last, from: begun, to: ended }), 'not refused', 'what was used before the end')

  const radio = new Pne(a, 'radio')
  await radio.register(gateway)
  assert.is(await refusalOf(report(of, {}, world.at(a), 'alice', radio)), '404 REGISTRATION_UNKNOWN', 'not confirmed')
  await world.at(a).call('pn.release', { commandId: newId(), ...network }, 'alice')
  assert.is(await refused(last), '410 PN_RELEASED')
  assert.is((await usage(world.at(a))).length, 1, 'it is still to be paid')
  assert.is(await refusalOf(world.at(a).call('usage.query', { home: a, pnId: 'none' }, 'alice')), '404 PN_UNKNOWN')
})

test('a day takes so many reports of a PNE, and a document so many that are not summed up', async () => {
  const of = await flat()
  of.world.clock.jump(hourMs)
  for (let count = 0; count < 96; count++) await report(of)
  assert.is(await refusalOf(report(of)), '409 LIMIT')
  assert.equal(await summary(of.world.at(a)), ['lamp streaming bytes 96 96'])
})

test('usage is told to the owner, to a PNE its own, and to operators what concerns them', async () => {
  const of = await flat({ 'a.example': 1, 'b.example': 1, 'c.example': 1 })
  const { world, gateway } = of
  subscribe(world, b, 'tablet')
  for (const operator of [b, c]) await grant(world, 'flat', operator)
  await world.replicate()
  const tablet = new Pne(b, 'tablet')
  await gateway.update('add', [tablet.name])
  await world.replicate()
  await open(tablet, gateway)
  await world.replicate()
  world.clock.jump(hourMs)
  await report(of, { amount: 5 })
  await report(of, { amount: 8 }, world.at(a), 'alice', tablet)
  await world.replicate()

  const both = ['lamp streaming bytes 5 1', 'tablet streaming bytes 8 1']
  assert.equal(await summary(world.at(a)), both, 'forwarded to its operator, and seen at home')
  const asked = { pne: tablet.name }
  assert.is((await usage(world.at(b), asked, 'tablet'))[0]?.amount, 8)
  assert.is(await refusalOf(usage(world.at(b), {}, 'tablet')), '403 NOT_AUTHORISED')
  assert.is(await refusalOf(usage(world.at(a), { pne: of.lamp.name }, 'radio')), '403 NOT_AUTHORISED')
  const radio = { operator: a, pneId: 'radio' }
  await world.at(a).call('pn.admin', { commandId: newId(), ...network, operation: 'assign', pne: radio }, 'alice')
  assert.is((await usage(world.at(a), {}, 'radio')).length, 2, 'the administrator is told all')
  const told = async (to: OperatorId) => {
    const handler = world.at(a).handlers.get('usage.query')
    assert.ok(handler)
    const answer = await answerOf(handler, { method: 'usage.query', params: network }, world.at(to))
    return answer.ok ? (answer.value as unknown as UsageQueryResult).usage.map(({ pneId }) => pneId) : answer.status
  }
  assert.equal(await told(b), ['tablet'])
  assert.equal(await told(c), [])
})

test('what another operator says of a PNE that is not its own, and what is no usage, is passed over', async () => {
  const of = await flat({ 'a.example': 1, 'b.example': 1 })
  const { world, lamp } = of
  await grant(world, 'flat', b)
  await world.replicate()
  world.clock.jump(hourMs)
  await report(of, { amount: 5 })
  const record = {
    ...{ epoch: 1, transaction: newId(), serviceId: 'streaming', unit: 'bytes', amount: 1_000, from: 1, to: 2 },
  }
  const id = newId()
  const invented: Record<string, Json> = {
    [`usage/a.example/lamp/${id}`]: record,
    'usage-sum/a.example/lamp/0': { epoch: 1, sums: [['streaming', 'bytes', 1_000, 1]] },
    [`usage/b.example/tablet/${id}`]: { ...record, grant: 'of nobody' },
    'usage/b.example/tablet': record,
    [`usage/b.example/tab/let/${id}`]: record,
    'usage/b.example/tablet/short': record,
    'usage-sum/b.example/tablet/x': { epoch: 1, sums: [] },
    'usage-sum/b.example/tablet/1': { epoch: 1, sums: [['streaming', 'bytes', -1, 1]] },
    [`usage/b.example/tablet/${newId()}`]: 'nonsense',
  }
  await world.at(b).documents.write(visitDocument(network, b), () => ({
    writes: Object.entries(invented).map(([key, value]) => ({ key, value })),
    answer: undefined,
  }))
  await world.replicate()
  assert.equal(await summary(world.at(a)), ['lamp streaming bytes 5 1'])
  assert.is(lamp.operator, a)
})

const openReports = async (at: Server) => readUsage(await at.documents.read(homeDocument(network)), a).reports.length

test('a day is summed up when nobody can add to it, changes no figure, and takes nothing again', async () => {
  const of = await flat()
  const { world, lamp, gateway } = of
  world.clock.jump(hourMs)
  const old = paramsOf(of, lamp, { amount: 5 })
  await world.at(a).call('usage.report', old, 'alice')
  await report(of, { amount: 6 })
  const { transaction: first } = old
  world.clock.jump(8 * dayMs)
  await open(lamp, gateway)
  assert.is(
    await refusalOf(world.at(a).call('usage.report', { ...old, commandId: newId(), reportId: newId() }, 'alice')),
    '404 REGISTRATION_UNKNOWN',
    'the registration has given way to a later one',
  )
  assert.ok(first)
  world.clock.jump(hourMs)
  await report(of, { amount: 7 })
  assert.is(await openReports(world.at(a)), 3, 'another server may still bring reports of that day')
  world.clock.jump(32 * dayMs)
  await open(lamp, gateway)
  world.clock.jump(hourMs)
  const before = await usage(world.at(a), { byDay: true })
  await report(of, { amount: 0 })
  assert.is(await openReports(world.at(a)), 2, 'the first day is summed up')
  const [now] = await usage(world.at(a), { byDay: true })
  const [was] = before
  assert.equal(now?.days?.slice(0, 2), was?.days)
  assert.is(now?.amount, 18)
  assert.is(now?.reports, 4)
})

test('a registration that goes on takes no report of a day that is closed', async () => {
  running = await world({ 'a.example': 1 }, { registrationMs: 400 * dayMs })
  const gateway = await homeNetwork(running)
  subscribe(running, a, 'lamp')
  await gateway.update('add', [{ operator: a, pneId: 'lamp' }])
  const lamp = new Pne(a, 'lamp')
  await open(lamp, gateway)
  const of = { world: running, gateway, lamp }
  running.clock.jump(hourMs)
  const old = paramsOf(of, lamp, { amount: 5 })
  await running.at(a).call('usage.report', old, 'alice')
  running.clock.jump(50 * dayMs)
  await report(of)
  assert.is(await openReports(running.at(a)), 1)
  const again = running.at(a).call('usage.report', { ...old, commandId: newId() }, 'alice')
  assert.is(await refusalOf(again), '409 USAGE_CLOSED', 'counted, and never again')
  assert.equal(await summary(running.at(a)), ['lamp streaming bytes 6 2'])
})

test('servers that take and sum up reports apart from each other agree on every figure when they meet', async () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant('report' as const), server: fc.nat(1), id: fc.nat(11) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('meet' as const), server: fc.nat(1), id: fc.nat(11) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), server: fc.nat(1), id: fc.nat(11) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async steps => {
      running = await world({ 'a.example': 2 }, { registrationMs: 400 * dayMs })
      try {
        const gateway = await homeNetwork(running)
        subscribe(running, a, 'lamp')
        await gateway.update('add', [{ operator: a, pneId: 'lamp' }])
        const lamp = new Pne(a, 'lamp')
        await open(lamp, gateway)
        await running.replicate()
        running.clock.jump(hourMs)
        const of = { world: running, gateway, lamp }
        const given = new Map<number, ReturnType<typeof paramsOf>>()
        const counted = new Map<string, number>()
        for (const { kind, server, id } of steps) {
          if (kind === 'meet') await running.replicate()
          // Longer than a day stays open, but servers have met before it is summed up.
          if (kind === 'wait') {
            await running.replicate()
            running.clock.jump(20 * dayMs)
          }
          if (kind !== 'report') continue
          const params = given.get(id) ?? paramsOf(of, lamp, { amount: 2 ** id })
          given.set(id, params)
          const again = { ...params, commandId: newId() }
          const outcome = await refusalOf(running.at(a, server).call('usage.report', again, 'alice'))
          if (outcome === 'not refused') counted.set(params.reportId, params.amount)
          else assert.is(outcome, '409 USAGE_CLOSED')
        }
        await running.replicate()
        const expected = [...counted.values()].reduce((sum, amount) => sum + amount, 0)
        for (const index of [0, 1]) {
          const [found] = await usage(running.at(a, index))
          assert.is(found?.amount ?? 0, expected, `server ${index}`)
          assert.is(found?.reports ?? 0, counted.size)
        }
        assert.equal(
          await usage(running.at(a, 0), { byDay: true }),
          await usage(running.at(a, 1), { byDay: true }),
          'the same by day',
        )
      } finally {
        await running.stop()
        running = undefined
      }
    }),
    { numRuns: 25, verbose: 1 },
  )
})

test('sums are the same in whatever order registers come, and stay at their bound', () => {
  const registersOf = (entries: readonly (readonly [string, Json])[]): Registers => {
    const all = new Map(entries.map(([key, value]) => [key, { value, stamp: 1, server: 's' as never }]))
    return {
      get: key => all.get(key) as never,
      entries: (prefix = '') => [...all].filter(([key]) => key.startsWith(prefix)).values() as never,
    }
  }
  const one = fc.record({
    pneId: fc.constantFrom('lamp', 'radio'),
    serviceId: fc.constantFrom('streaming', 'calls'),
    amount: fc.integer({ min: 0, max: 1e12 }),
    day: fc.nat(3),
    isSum: fc.boolean(),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 30 }), fc.array(fc.nat(1_000), { maxLength: 30 }), (all, order) => {
      const entries = all.map(({ pneId, serviceId, amount, day, isSum }, index): readonly [string, Json] =>
        isSum
          ? [
              `usage-sum/${a}/${pneId}/${day}`,
              { epoch: 1, sums: [[serviceId, 'bytes', Number.MAX_SAFE_INTEGER - amount, 1]] },
            ]
          : [
              `usage/${a}/${pneId}/report-${String(index).padStart(12, '0')}`,
              {
                ...{ epoch: 1, transaction: newId(), serviceId, unit: 'bytes', amount },
                ...{ from: day * dayMs, to: day * dayMs + 1 },
              },
            ],
      )
      const unique = [...new Map(entries)]
      const shuffled = unique
        .map((entry, index) => ({ entry, at: order[index] ?? 0 }))
        .sort((x, y) => x.at - y.at)
        .map(({ entry }) => entry)
      const added = (of: readonly (readonly [string, Json])[]) =>
        usageOf([{ operator: a, records: readUsage(registersOf(of), a), ground: { epoch: 1 } }])
      assert.equal(added(shuffled), added(unique))
      for (const { amount } of added(unique)) assert.ok(Number.isSafeInteger(amount))
    }),
    { numRuns: 200, verbose: 1 },
  )
})

test.run()
