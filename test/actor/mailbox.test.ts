/*
 * Property: a mailbox hands its messages over in the order they were sent, each once, and holds no more than it may; what
 * does not fit is refused or dropped as its kind says, and every drop is counted and traced. It would fail if a message
 * were lost in silence, doubled or overtaken, or if a mailbox could grow without bound.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MailboxFull } from '../../src/actor/errors.ts'
import { Queue } from '../../src/actor/queue.ts'
import type { Overflow } from '../../src/actor/types.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { gate, kindOf, outcomeOf, rig, type Say } from './rig.ts'

test('the queue is first in, first out, whatever it went through', () => {
  const operation = fc.oneof(fc.constant('shift' as const), fc.nat({ max: 200 }))
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), operations => {
      const queue = new Queue<number>()
      const model: number[] = []
      let next = 0
      for (const each of operations) {
        if (each === 'shift') assert.is(queue.shift(), model.shift())
        else
          for (let i = 0; i < each; i++) {
            model.push(next)
            queue.push(next++)
          }
        assert.is(queue.length, model.length)
        assert.is(queue.peek(), model[0])
      }
      while (model.length > 0) assert.is(queue.shift(), model.shift())
      assert.is(queue.shift(), undefined)
    }),
  )
})

test('messages are handled in the order they were sent, a microtask later at the earliest', async () => {
  const { system } = rig()
  const seen: (number | undefined)[] = []
  const ref = system.actor(
    kindOf(({ message }) => void seen.push(message.n)),
    'a',
  )
  for (let n = 0; n < 500; n++) ref.tell({ type: 'say', n })
  assert.is(seen.length, 0)
  await settle()
  assert.equal(
    seen,
    Array.from({ length: 500 }, (_, n) => n),
  )
})

test('without a say, a mailbox holds 1,024 messages and refuses the next', async () => {
  const { system } = rig()
  const hold = gate()
  const ref = system.actor(
    kindOf(() => hold.promise),
    'a',
  )
  ref.tell({ type: 'say' })
  await settle()
  for (let n = 0; n < 1_024; n++) ref.tell({ type: 'say' })
  assert.throws(() => ref.tell({ type: 'say' }), /test\/a has 1024 messages waiting/)
  assert.is(system.deadLetters().overflow, 1)
  hold.open()
})

/** Sends 0 to 5 to a mailbox for three while the actor is busy with another; answers what is handled in the end. */
async function overflowing(overflow: Overflow) {
  const { system, trace } = rig()
  const hold = gate()
  const handled: number[] = []
  const refused: number[] = []
  const kind = kindOf(
    async ({ message }) => {
      if (message.n === undefined) await hold.promise
      else handled.push(message.n)
    },
    { mailbox: { capacity: 3, overflow } },
  )
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'hold' })
  await settle()
  const asked = outcomeOf(ref.ask({ type: 'say', n: 0 }, { timeoutMs: 1_000 }))
  for (let n = 1; n < 6; n++) {
    try {
      ref.tell({ type: 'say', n })
    } catch (error) {
      assert.instance(error, MailboxFull)
      refused.push(n)
    }
  }
  const askedLast = outcomeOf(ref.ask({ type: 'say', n: 6 }, { timeoutMs: 1_000 }))
  await settle()
  hold.open()
  await settle()
  const traced = trace.filter(({ kind }) => kind === 'dead-letter')
  assert.is(system.deadLetters().overflow, traced.length)
  assert.ok(traced.every(({ reason, actor }) => reason === 'overflow' && actor === 'test/a'))
  return { handled, refused, dropped: traced.length, asked, askedLast }
}

test('reject refuses the sender', async () => {
  const { handled, refused, dropped, askedLast } = await overflowing('reject')
  assert.equal(handled, [0, 1, 2])
  assert.equal(refused, [3, 4, 5])
  assert.is(dropped, 4)
  assert.instance(askedLast.error, MailboxFull)
})

test('dropNewest keeps what waits, and its asker hears that the newest was dropped', async () => {
  const { handled, refused, dropped, askedLast } = await overflowing('dropNewest')
  assert.equal(handled, [0, 1, 2])
  assert.equal(refused, [])
  assert.is(dropped, 4)
  assert.instance(askedLast.error, MailboxFull)
})

test('dropOldest keeps the newest, and the asker of the oldest hears that it was dropped', async () => {
  const { handled, refused, dropped, asked } = await overflowing('dropOldest')
  assert.equal(handled, [4, 5, 6])
  assert.equal(refused, [])
  assert.is(dropped, 4)
  assert.instance(asked.error, MailboxFull)
})

test('take hands out what has queued, oldest first, as long as it is accepted', async () => {
  const { system } = rig()
  const batches: (number | undefined)[][] = []
  const ref = system.actor(
    kindOf((envelope, context) => {
      const batch = [envelope, ...context.take(3, ({ type }) => type === 'write')]
      batches.push(batch.map(({ message }) => message.n))
      for (const each of batch) each.answer(each.message.n)
    }),
    'a',
  )
  const types = ['write', 'write', 'write', 'write', 'write', 'read', 'write']
  const answers = types.map((type, n) => ref.ask({ type, n }, { timeoutMs: 1_000 }))
  assert.equal(await Promise.all(answers), [0, 1, 2, 3, 4, 5, 6])
  assert.equal(batches, [[0, 1, 2, 3], [4], [5, 6]])
})

test('what take handed out fails with the message it came with', async () => {
  const { system } = rig()
  const ref = system.actor(
    kindOf((_, context) => {
      context.take(10, () => true)
      throw new Error('disk full')
    }),
    'a',
  )
  const outcomes = [1, 2, 3].map(n => outcomeOf(ref.ask({ type: 'write', n }, { timeoutMs: 1_000 })))
  await settle()
  assert.equal(
    outcomes.map(({ error }) => error?.message),
    ['disk full', 'disk full', 'disk full'],
  )
})

test('a timer reaches its actor although the mailbox is full, and ahead of what waits', async () => {
  const { system, clock } = rig()
  const hold = gate()
  const seen: string[] = []
  const kind = kindOf(
    async ({ message }, context) => {
      seen.push(message.type)
      if (message.type !== 'start') return
      context.after(10, { type: 'tick' })
      await hold.promise
    },
    { mailbox: { capacity: 2 } },
  )
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'start' })
  await settle()
  ref.tell({ type: 'first' })
  ref.tell({ type: 'second' })
  await clock.run(10)
  hold.open()
  await settle()
  assert.equal(seen, ['start', 'tick', 'first', 'second'])
})

test('kinds with one name, or with a name that would blur paths, are refused', () => {
  const { system } = rig()
  system.actor(
    kindOf(() => {}),
    'a',
  )
  assert.throws(
    () =>
      system.actor(
        kindOf(() => {}),
        'a',
      ),
    /two kinds of actor named "test"/,
  )
  assert.throws(
    () =>
      system.actor(
        kindOf(() => {}, { name: 'a/b' }),
        'a',
      ),
    /cannot name a kind/,
  )
})

test('every message told is handled once or is a counted dead letter', async () => {
  const load = fc.record({
    capacity: fc.integer({ min: 1, max: 8 }),
    overflow: fc.constantFrom<Overflow>('reject', 'dropOldest', 'dropNewest'),
    bursts: fc.array(fc.nat({ max: 12 }), { maxLength: 10 }),
  })
  await fc.assert(
    fc.asyncProperty(load, async ({ capacity, overflow, bursts }) => {
      const { system, trace } = rig()
      const handled: number[] = []
      const ref = system.actor(
        kindOf(({ message }) => void handled.push(message.n ?? -1), { mailbox: { capacity, overflow } }),
        'a',
      )
      let n = 0
      for (const burst of bursts) {
        for (let i = 0; i < burst; i++) tellOrNot(ref, n++)
        await settle()
      }
      const dead = trace.filter(({ kind }) => kind === 'dead-letter').length
      assert.is(handled.length + dead, n)
      assert.is(system.deadLetters().overflow, dead)
      assert.equal(
        handled,
        [...new Set(handled)].sort((a, b) => a - b),
      )
      assert.is(
        handled.length,
        bursts.reduce((sum, burst) => sum + Math.min(burst, capacity), 0),
      )
    }),
    { numRuns: 50 },
  )
})

function tellOrNot(ref: { tell(message: Say): void }, n: number): void {
  try {
    ref.tell({ type: 'say', n })
  } catch (error) {
    assert.instance(error, MailboxFull)
  }
}

test.run()
