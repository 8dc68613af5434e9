/*
 * Property: every ask settles: with the answer, with a refusal, or with a typed error in bounded time and never early; an
 * answer that comes too late is a dead letter; a cycle of actors that wait for one another is refused when it would
 * close. It would fail if an asker could hang, hear twice, or if a forgotten ask could bring the process down.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ActorStopped, AskCycle, AskTimeout } from '../../src/actor/errors.ts'
import { createActorSystem } from '../../src/actor/system.ts'
import type { ActorRef, Envelope } from '../../src/actor/types.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { gate, kindOf, outcomeOf, rig, type Say } from './rig.ts'

const silent = kindOf(() => {}, { name: 'silent' })

test('the first answer counts; a refusal rejects and leaves the actor as it is', async () => {
  const { system, failures } = rig()
  const ref = system.actor(
    kindOf(envelope => {
      if (envelope.message.type === 'refuse') envelope.refuse(new RangeError('too many'))
      envelope.answer(1)
      envelope.answer(2)
      envelope.refuse(new Error('too late'))
    }),
    'a',
  )
  assert.is(await ref.ask({ type: 'say' }, { timeoutMs: 100 }), 1)
  const refused = outcomeOf(ref.ask({ type: 'refuse' }, { timeoutMs: 100 }))
  await settle()
  assert.instance(refused.error, RangeError)
  assert.equal(failures, [])
  assert.is(system.deadLetters()['late-answer'], 0)
})

test('an ask without a timeout that ends is refused', async () => {
  const { system } = rig()
  for (const timeoutMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    const outcome = outcomeOf(system.actor(silent, 'a').ask({ type: 'say' }, { timeoutMs }))
    await settle()
    assert.match(outcome.error?.message ?? '', /needs a timeout above 0 ms/)
  }
})

test('a timeout comes never early, and less than 50 ms late', async () => {
  const asks = fc.array(fc.record({ afterMs: fc.nat({ max: 300 }), timeoutMs: fc.integer({ min: 1, max: 400 }) }), {
    minLength: 1,
    maxLength: 20,
  })
  await fc.assert(
    fc.asyncProperty(asks, async plan => {
      const { system, clock } = rig()
      const ref = system.actor(silent, 'a')
      const lateness: number[] = []
      for (const { afterMs, timeoutMs } of plan) {
        clock.after(afterMs, () => {
          const dueMs = clock.elapsed() + timeoutMs
          ref.ask({ type: 'say' }, { timeoutMs }).catch(error => {
            assert.instance(error, AskTimeout)
            lateness.push(clock.elapsed() - dueMs)
          })
        })
      }
      await clock.run(1_000)
      assert.is(lateness.length, plan.length)
      for (const lateMs of lateness) assert.ok(lateMs >= 0 && lateMs < 50, `${lateMs} ms late`)
    }),
    { numRuns: 50 },
  )
})

test('asks share one timer of the clock, and answered ones never time out', async () => {
  const { system, clock, trace } = rig()
  const ref = system.actor(
    kindOf(envelope => envelope.answer('yes')),
    'a',
  )
  const answers = Array.from({ length: 900 }, (_, n) => ref.ask({ type: 'say', n }, { timeoutMs: 100 + (n % 7) * 50 }))
  assert.is(clock.pending, 1)
  assert.ok((await Promise.all(answers)).every(answer => answer === 'yes'))
  await clock.run(10_000)
  assert.is(clock.pending, 0)
  assert.is(trace.filter(({ kind }) => kind === 'dead-letter').length, 0)
})

test('many timeouts, each at its own time, need few timers', async () => {
  const { system, clock } = rig()
  const ref = system.actor(silent, 'a')
  const outcomes: { error?: Error }[] = []
  for (let n = 0; n < 500; n++) {
    outcomes.push(outcomeOf(ref.ask({ type: 'say' }, { timeoutMs: 1_000 })))
    clock.advance(1)
  }
  const before = clock.timersSet
  await clock.run(1_100)
  assert.ok(outcomes.every(({ error }) => error instanceof AskTimeout))
  assert.ok(clock.timersSet - before <= 25, `${clock.timersSet - before} timers`)
})

test('an answer that comes after the timeout is a dead letter, counted once', async () => {
  const { system, clock, trace } = rig()
  const held: Envelope<Say>[] = []
  const ref = system.actor(
    kindOf(envelope => void held.push(envelope)),
    'a',
  )
  const outcome = outcomeOf(ref.ask({ type: 'say' }, { timeoutMs: 100 }))
  await clock.run(150)
  assert.instance(outcome.error, AskTimeout)
  assert.match(outcome.error?.message ?? '', /test\/a did not answer "say" within 100 ms/)
  held[0]?.answer('late')
  held[0]?.answer('later')
  assert.is(system.deadLetters()['late-answer'], 1)
  assert.equal(
    trace.filter(({ kind }) => kind === 'dead-letter').map(({ reason }) => reason),
    ['late-answer'],
  )
})

test('an answer may be put off; if its actor ends first, the asker hears that', async () => {
  const { system } = rig()
  const held: Envelope<Say>[] = []
  const kind = kindOf(envelope => void held.push(envelope))
  const ref = system.actor(kind, 'a')
  const [early, never] = [1, 2].map(n => outcomeOf(ref.ask({ type: 'say', n }, { timeoutMs: 60_000 })))
  await settle()
  held[0]?.answer('now')
  await system.stop(kind, 'a')
  await settle()
  assert.is(early?.value, 'now')
  assert.instance(never?.error, ActorStopped)
})

test('a cycle of asks is refused, and the error prints it', async () => {
  const { system } = rig()
  const next: Record<string, string> = { a: 'b', b: 'c', c: 'a' }
  const errors: Error[] = []
  const refs = new Map<string, ActorRef<Say>>()
  const kind = kindOf(async (envelope, context) => {
    const asked = refs.get(next[context.key] ?? '')
    try {
      envelope.answer(await asked?.ask({ type: 'say' }, { timeoutMs: 1_000, cause: envelope.cause }))
    } catch (error) {
      if (error instanceof AskCycle) errors.push(error)
      envelope.refuse(error as Error)
    }
  })
  for (const key of ['a', 'b', 'c']) refs.set(key, system.actor(kind, key))
  const outcome = outcomeOf(system.actor(kind, 'a').ask({ type: 'say' }, { timeoutMs: 1_000 }))
  await settle()
  assert.instance(outcome.error, AskCycle)
  assert.match(outcome.error?.message ?? '', 'test/a -> test/b -> test/c -> test/a')
  assert.is(errors.length, 3, 'the refusal went back along the chain')
})

test('an actor that asks itself is refused', async () => {
  const { system } = rig()
  const kind = kindOf(async (envelope, context) => {
    envelope.answer(await context.self.ask({ type: 'say' }, { timeoutMs: 1_000, cause: envelope.cause }))
  })
  const outcome = outcomeOf(system.actor(kind, 'a').ask({ type: 'say' }, { timeoutMs: 1_000 }))
  await settle()
  assert.match(outcome.error?.message ?? '', 'test/a -> test/a')
})

test('a message told on behalf of another is no waiting: it may lead back', async () => {
  const { system } = rig()
  const answers: unknown[] = []
  const kind = kindOf(async (envelope, context) => {
    const { message, cause } = envelope
    if (message.type === 'start') system.actor(kind, 'b').tell({ type: 'over there' }, cause)
    if (message.type === 'question') envelope.answer(context.key)
    if (message.type !== 'over there') return
    assert.equal(cause.waiting, ['test/b'])
    answers.push(await system.actor(kind, 'a').ask({ type: 'question' }, { timeoutMs: 1_000, cause }))
  })
  system.actor(kind, 'a').tell({ type: 'start' })
  await settle()
  assert.equal(answers, ['a'])
})

test('any walk of asks through actors succeeds unless it comes back to one that waits', async () => {
  const walk = fc.array(fc.constantFrom<string[]>('a', 'b', 'c', 'd', 'e', 'f'), { minLength: 1, maxLength: 7 })
  await fc.assert(
    fc.asyncProperty(walk, async path => {
      const { system } = rig()
      const kind = kindOf(async envelope => {
        const step = (envelope.message.n ?? 0) + 1
        const key = path[step]
        if (key === undefined) return envelope.answer('end')
        const options = { timeoutMs: 1_000, cause: envelope.cause }
        await system
          .actor(kind, key)
          .ask({ type: 'go', n: step }, options)
          .then(
            value => envelope.answer(value),
            error => envelope.refuse(error),
          )
      })
      const outcome = outcomeOf(system.actor(kind, path[0] ?? '').ask({ type: 'go', n: 0 }, { timeoutMs: 1_000 }))
      await settle()
      const back = path.findIndex((key, step) => path.indexOf(key) < step)
      if (back < 0) assert.is(outcome.value, 'end')
      else {
        const cycle = path.slice(path.indexOf(path[back] ?? ''), back + 1)
        assert.equal(
          (outcome.error as AskCycle).cycle,
          cycle.map(key => `test/${key}`),
        )
      }
    }),
  )
})

test('the trace tells what each message came from', async () => {
  const { system, trace } = rig()
  const kind = kindOf(async envelope => {
    if (envelope.message.type === 'inner') return envelope.answer(1)
    envelope.answer(await system.actor(kind, 'b').ask({ type: 'inner' }, { timeoutMs: 100, cause: envelope.cause }))
  })
  await system.actor(kind, 'a').ask({ type: 'outer' }, { timeoutMs: 100 })
  await settle()
  const lines = trace.map(({ kind, actor, type, seq, cause }) => `${kind} ${actor} ${type} ${seq} of ${cause}`)
  assert.equal(lines, [
    'sent test/a outer 1 of 1',
    'activated test/a outer 1 of 1',
    'sent test/b inner 2 of 1',
    'activated test/b inner 2 of 1',
    'handled test/b inner 2 of 1',
    'handled test/a outer 1 of 1',
  ])
})

test('a trace or an error hook that throws is not asked again, and harms nobody', async () => {
  const clock = new ManualClock()
  let called = 0
  const hook = () => {
    called++
    throw new Error('broken hook')
  }
  const system = createActorSystem({ clock, random: seededRandom('hooks'), trace: hook, onError: hook })
  const ref = system.actor(
    kindOf(envelope => envelope.answer('fine')),
    'a',
  )
  assert.is(await ref.ask({ type: 'say' }, { timeoutMs: 100 }), 'fine')
  assert.is(called, 2, 'each once')
})

test('asks that nobody awaits are no unhandled rejections', async () => {
  const unhandled: unknown[] = []
  const note = (reason: unknown) => void unhandled.push(reason)
  process.on('unhandledRejection', note)
  try {
    const { system, clock } = rig()
    const hold = gate()
    const failing = kindOf(
      async ({ message }) => {
        await hold.promise
        if (message.type === 'fail') throw new Error('as told')
      },
      { stopped: async () => Promise.reject(new Error('and again')), mailbox: { capacity: 2 } },
    )
    const ref = system.actor(failing, 'a')
    for (const type of ['fail', 'say', 'say', 'say']) void ref.ask({ type }, { timeoutMs: 10_000 })
    void system.actor(silent, 'a').ask({ type: 'say' }, { timeoutMs: 100 })
    await clock.run(1_000)
    hold.open()
    await clock.run(1_000)
    void ref.ask({ type: 'fail' }, { timeoutMs: 10_000 })
    await settle()
    system.kill(failing, 'a')
    await system.drain()
    void ref.ask({ type: 'say' }, { timeoutMs: 10_000 })
    await settle()
    await settle()
  } finally {
    process.off('unhandledRejection', note)
  }
  assert.equal(unhandled, [])
})

test.run()
