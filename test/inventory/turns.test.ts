/*
 * Of one Personal Network a flow that takes a turn runs alone; flows that share one run together with all of their kind that wait, but
 * for those of one id, which follow each other. Nobody overtakes who takes a turn. Fails when a flow that takes a turn runs beside
 * another, when two of one id do, when those that wait are not run together, or when one that fails takes others along.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createActorSystem } from '../../src/actor/system.ts'
import { createTurns } from '../../src/inventory/turns.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

const test = suite('Turns')
const name = { home: testOperator('a.example').id, pnId: 'home' }

function rig() {
  const clock = new ManualClock()
  return createTurns(createActorSystem({ clock, random: seededRandom('turns') }), clock)
}

test('those that wait are prepared together, decided in order, and each gets its own answer', async () => {
  const turns = rig()
  const gate = Promise.withResolvers<void>()
  let running = 0
  const order: number[] = []
  const first = turns.take(name, 'first', () => gate.promise)
  const shared = [0, 1, 2, 3].map(at =>
    turns.share(name, 'shared', `${at}`, async () => {
      if (at === 1) await settle()
      running += 1
      await gate.promise
      if (at === 3) throw new Error('the fourth')
      return async () => {
        order.push(at)
        if (at === 2) throw new Error('the third')
        return at
      }
    }),
  )
  const outcomes = Promise.allSettled(shared)
  await settle()
  assert.is(running, 0)
  gate.resolve()
  await first
  const answers = (await outcomes).map(each => (each.status === 'fulfilled' ? each.value : String(each.reason)))
  assert.is(running, 4)
  assert.equal(answers, [0, 1, 'Error: the third', 'Error: the fourth'])
  assert.equal(order, [0, 1, 2], 'in the order in which they came, whoever was prepared first')
})

test('whoever takes a turn is alone, whoever shares one is never beside its own id, and the order stands', async () => {
  const flow = fc.record({ id: fc.constantFrom(undefined, 'a', 'b', 'c'), steps: fc.nat(3), fails: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(flow, { maxLength: 20 }), async flows => {
      const turns = rig()
      const running = new Map<number, string | undefined>()
      const begun: number[] = []
      const run = (at: number, id: string | undefined, steps: number, fails: boolean) => async () => {
        begun.push(at)
        const beside = [...running.values()]
        assert.ok(id === undefined ? beside.length === 0 : !beside.includes(undefined) && !beside.includes(id))
        running.set(at, id)
        for (let step = 0; step < steps; step++) await Promise.resolve()
        running.delete(at)
        if (fails) throw new Error('on purpose')
      }
      const outcomes = await Promise.allSettled(
        flows.map(({ id, steps, fails }, at) =>
          id === undefined
            ? turns.take(name, 'take', run(at, id, steps, fails))
            : turns.share(name, 'share', id, async () => run(at, id, steps, fails)),
        ),
      )
      assert.equal(
        outcomes.map(each => (each.status === 'rejected' ? String(each.reason) : 'done')),
        flows.map(({ fails }) => (fails ? 'Error: on purpose' : 'done')),
      )
      for (const [at, { id }] of flows.entries()) {
        const place = begun.indexOf(at)
        const overtakes = (other: number) =>
          other < at && (id === undefined || flows[other]?.id === undefined || flows[other]?.id === id)
        assert.ok(begun.slice(place).every(other => !overtakes(other)))
      }
    }),
    { numRuns: 200 },
  )
})

test.run()
