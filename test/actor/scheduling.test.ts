/*
 * Property: whatever the order in which promises settle, an actor handles one message at a time, each once and in order,
 * and every asker hears; actors take turns, and neither actors nor askers that keep each other busy shut out the clock. It
 * would fail if a message were handled while another one awaits, or if one actor could starve the rest. The same inputs
 * give the same trace, so that a simulation can be replayed.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { createActorSystem } from '../../src/actor/system.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { until } from '../fixtures/until.ts'
import { awake, kindOf, outcomeOf, rig } from './rig.ts'

/** Lets the scheduler settle everything, in its order. */
async function play(scheduler: fc.Scheduler): Promise<void> {
  await settle()
  while (scheduler.count() > 0) {
    await scheduler.waitNext(1)
    await settle()
  }
}

const step = fc.record({
  key: fc.constantFrom('a', 'b', 'c'),
  /** How often the handler awaits: 0 is handled synchronously. */
  awaits: fc.nat({ max: 3 }),
  ends: fc.constantFrom('answers', 'answers', 'answers', 'refuses', 'throws', 'forwards'),
  disturbance: fc.constantFrom('none', 'none', 'none', 'none', 'stop', 'kill'),
})

test('one at a time, in order, once, and every asker hears: under every interleaving', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 25 }), async (scheduler, steps) => {
      const { system, clock, trace } = rig()
      const handled: number[] = []
      const busy = new Map<object, number>()
      const kind = {
        name: 'test',
        create: (key: string) => {
          const self = {}
          return kindOf(async envelope => {
            const plan = steps[envelope.message.n ?? 0]
            handled.push(envelope.message.n ?? 0)
            busy.set(self, (busy.get(self) ?? 0) + 1)
            assert.is(busy.get(self), 1, 'one message at a time in each life')
            for (let i = 0; i < (plan?.awaits ?? 0); i++) await scheduler.schedule(Promise.resolve(), `${key} ${i}`)
            busy.set(self, 0)
            if (plan?.ends === 'throws') throw new Error('as told')
            if (plan?.ends === 'refuses') envelope.refuse(new Error('no'))
            if (plan?.ends === 'forwards') {
              const options = { timeoutMs: 1_000, cause: envelope.cause }
              await system.actor(echo, key).ask({ type: 'echo' }, options)
            }
            envelope.answer(envelope.message.n)
          }).create(key)
        },
      }
      const echo = kindOf(envelope => envelope.answer('echo'), { name: 'echo' })

      const outcomes = steps.map((_, n) => n).map(() => ({ value: undefined as unknown, settled: 0 }))
      for (const [n, { key, disturbance }] of steps.entries()) {
        const outcome = outcomes[n]
        const settled = (value: unknown) =>
          Object.assign(outcome ?? {}, { value, settled: (outcome?.settled ?? 0) + 1 })
        system.actor(kind, key).ask({ type: 'do', n }, { timeoutMs: 60_000 }).then(settled, settled)
        if (disturbance === 'stop') void system.stop(kind, key)
        if (disturbance === 'kill') system.kill(kind, key)
        if (n % 5 === 4) await settle()
      }
      for (let round = 0; round < 6; round++) {
        await play(scheduler)
        await clock.run(2_000)
      }
      await play(scheduler)

      assert.ok(outcomes.every(({ settled }) => settled === 1))
      assert.is(new Set(handled).size, handled.length, 'each once')
      for (const wanted of ['a', 'b', 'c']) {
        const order = handled.filter(n => steps[n]?.key === wanted)
        assert.equal(
          order,
          order.toSorted((x, y) => x - y),
        )
      }
      for (const [n, { value }] of outcomes.entries()) {
        if (value === n) assert.ok(handled.includes(n))
      }
      const { stopped, failed, overflow } = system.deadLetters()
      assert.is(handled.length + stopped + failed + overflow, steps.length, 'handled, or a counted dead letter')
      const done = trace.filter(({ kind }) => kind === 'handled' || kind === 'failed').map(({ seq }) => seq)
      assert.is(new Set(done).size, done.length, 'traced once')
      const seqs = trace.filter(({ kind }) => kind === 'sent').map(({ seq }) => seq)
      assert.equal(
        seqs,
        seqs.toSorted((x, y) => x - y),
      )
    }),
    { numRuns: 150 },
  )
})

test('a message that arrives while another one awaits has to wait', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), async scheduler => {
      const { system } = rig()
      const log: string[] = []
      const ref = system.actor(
        kindOf(async ({ message }) => {
          log.push(`begin ${message.n}`)
          await scheduler.schedule(Promise.resolve())
          await scheduler.schedule(Promise.resolve())
          log.push(`end ${message.n}`)
        }),
        'a',
      )
      for (let n = 0; n < 4; n++) {
        scheduler.schedule(Promise.resolve()).then(() => ref.tell({ type: 'say', n: log.length }))
      }
      await play(scheduler)
      for (let i = 0; i < log.length; i += 2) assert.is(log[i]?.replace('begin', 'end'), log[i + 1])
      assert.is(log.length, 8)
    }),
    { numRuns: 50 },
  )
})

test('actors take turns, however much one of them has to do', async () => {
  const { system } = rig()
  const order: string[] = []
  const kind = kindOf((_, context) => void order.push(context.key))
  const [busy, modest] = [system.actor(kind, 'busy'), system.actor(kind, 'modest')]
  for (let n = 0; n < 1_000; n++) busy.tell({ type: 'say' })
  modest.tell({ type: 'say' })
  await settle()
  assert.is(order.length, 1_001)
  assert.ok(order.indexOf('modest') <= 64, `it had to wait for ${order.indexOf('modest')} messages`)
})

test('promises have their turn between those of the actors', async () => {
  const { system } = rig()
  let handled = 0
  const ref = system.actor(
    kindOf(() => void handled++),
    'a',
  )
  for (let n = 0; n < 1_000; n++) ref.tell({ type: 'say' })
  let seen = 0
  void (async () => {
    for (let hop = 0; hop < 5; hop++) await undefined
    seen = handled
  })()
  await settle()
  assert.ok(seen > 0 && seen < 1_000, `a promise of five hops waited for ${seen} messages`)
})

/** A bound, so that starvation is a failure and not a hang. */
const enough = 5_000_000

test('actors that feed each other for ever leave the clock its timers', async () => {
  const system = createActorSystem({ clock: systemClock(), random: seededRandom('ping') })
  let played = 0
  let over = false
  const kind = kindOf((envelope, context) => {
    played++
    if (over || played === enough) return
    system.actor(kind, context.key === 'ping' ? 'pong' : 'ping').tell({ type: 'ball' }, envelope.cause)
  })
  system.actor(kind, 'ping').tell({ type: 'ball' })
  const silent = kindOf(() => {}, { name: 'silent' })
  const outcome = outcomeOf(system.actor(silent, 'a').ask({ type: 'say' }, { timeoutMs: 20 }))
  await until(() => outcome.error, { what: 'the ask times out during the game' })
  assert.is(outcome.error?.name, 'AskTimeout')
  assert.ok(played > 0 && played < enough)
  over = true
  await awake(system.drain())
})

test('an asker that asks for ever leaves the clock its timers', async () => {
  const system = createActorSystem({ clock: systemClock(), random: seededRandom('ask') })
  const ref = system.actor(
    kindOf(envelope => envelope.answer(1)),
    'a',
  )
  let over = false
  const asker = (async () => {
    for (let n = 0; n < enough && !over; n++) await ref.ask({ type: 'say' }, { timeoutMs: 60_000 })
  })()
  setTimeout(() => {
    over = true
  }, 5)
  await awake(asker)
  assert.ok(over)
  await awake(system.drain())
})

test('the same inputs give the same trace', async () => {
  const run = async (seed: string) => {
    const { system, clock, trace } = rig(seed)
    const random = seededRandom(`${seed} workload`)
    const kind = kindOf(
      async (envelope, context) => {
        if (random.fraction() < 0.3) await undefined
        if (random.fraction() < 0.1) throw new Error('bad luck')
        if (random.fraction() < 0.3) context.after(random.fraction() * 50, { type: 'tick' })
        envelope.answer(1)
      },
      { passivation: { idleMs: 300, maxActive: 5 }, mailbox: { capacity: 1, overflow: 'dropOldest' } },
    )
    for (let i = 0; i < 300; i++) {
      const key = `k${Math.floor(random.fraction() * 12)}`
      void system.actor(kind, key).ask({ type: 'do' }, { timeoutMs: 100 })
      if (i % 3 === 0) await clock.run(random.fraction() * 40)
    }
    await clock.run(10_000)
    await system.drain()
    return JSON.stringify(trace)
  }
  const first = await run('x')
  assert.is(await run('x'), first)
  assert.is.not(await run('y'), first)
  for (const kind of ['failed', 'restarted', 'passivated', 'dead-letter']) assert.match(first, `"kind":"${kind}"`)
})

test.run()
