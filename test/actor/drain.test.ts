/*
 * Property: drain closes the door, lets what was begun finish, messages between actors included, and then stops
 * everybody. It would fail if work that was accepted were dropped, if new work got in, or if an actor were left behind.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ActorStopped } from '../../src/actor/errors.ts'
import type { Envelope, StopReason } from '../../src/actor/types.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { gate, kindOf, outcomeOf, rig, type Say } from './rig.ts'

test('what was begun is finished, over several actors; what comes from outside is refused', async () => {
  const { system, clock } = rig()
  const hold = gate()
  const ends: StopReason[] = []
  const back = kindOf(envelope => envelope.answer('stored'), {
    name: 'back',
    stopped: reason => void ends.push(reason),
  })
  const front = kindOf(
    async envelope => {
      await hold.promise
      const options = { timeoutMs: 1_000, cause: envelope.cause }
      envelope.answer(await system.actor(back, 'a').ask({ type: 'store' }, options))
    },
    { name: 'front', stopped: reason => void ends.push(reason) },
  )
  const asked = [1, 2, 3].map(n => outcomeOf(system.actor(front, 'a').ask({ type: 'say', n }, { timeoutMs: 5_000 })))
  await settle()
  const drained = outcomeOf(system.drain().then(() => 'drained'))
  assert.throws(
    () => system.actor(front, 'a').tell({ type: 'say' }),
    (error: Error) => error instanceof ActorStopped && /system is stopping/.test(error.message),
  )
  const late = outcomeOf(system.actor(front, 'b').ask({ type: 'say' }, { timeoutMs: 5_000 }))
  await clock.run(100)
  assert.instance(late.error, ActorStopped)
  assert.equal(drained, {})
  hold.open()
  await settle()
  assert.equal(asked, [{ value: 'stored' }, { value: 'stored' }, { value: 'stored' }])
  assert.equal(drained, { value: 'drained' })
  assert.equal(ends, ['drained', 'drained'])
  assert.is(system.activeCount(), 0)
  assert.equal(system.deadLetters(), { overflow: 0, stopped: 2, 'late-answer': 0, failed: 0 })
  assert.is(clock.pending, 0, 'no timer is left')
})

test('an answer that was put off is waited for, and so is a restart', async () => {
  const { system, clock } = rig()
  const owed: Envelope<Say>[] = []
  const kind = kindOf(envelope => {
    if (envelope.message.type === 'fail') throw new Error('as told')
    if (envelope.message.type === 'owe') owed.push(envelope)
    else envelope.answer('done')
  })
  const putOff = outcomeOf(system.actor(kind, 'a').ask({ type: 'owe' }, { timeoutMs: 5_000 }))
  system.actor(kind, 'b').tell({ type: 'fail' })
  const behind = outcomeOf(system.actor(kind, 'b').ask({ type: 'say' }, { timeoutMs: 5_000 }))
  await settle()
  const drained = outcomeOf(system.drain().then(() => 'drained'))
  await clock.run(200)
  assert.is(behind.value, 'done')
  assert.equal(drained, {})
  owed[0]?.answer('paid')
  await settle()
  assert.is(putOff.value, 'paid')
  assert.is(drained.value, 'drained')
})

test('timers work until the end, and not beyond; a drained system stays closed', async () => {
  const { system, clock } = rig()
  let ticks = 0
  const hold = gate()
  const kind = kindOf(async ({ message }, context) => {
    if (message.type === 'hold') return hold.promise
    ticks++
    context.after(10, { type: 'tick' })
  })
  system.actor(kind, 'ticking').tell({ type: 'tick' })
  system.actor(kind, 'held').tell({ type: 'hold' })
  await settle()
  const first = system.drain()
  await clock.run(100)
  assert.is(ticks, 11)
  hold.open()
  await first
  await clock.run(1_000)
  assert.is(ticks, 11)
  await system.drain()
  const cause = { origin: 1, waiting: [] }
  assert.throws(() => system.actor(kind, 'a').tell({ type: 'tick' }, cause), /system is stopping/)
})

test('drain ends with actors that have failed, are leaving, or were never there', async () => {
  const { system, clock } = rig()
  await rig().system.drain()
  const saved = gate()
  const failing = kindOf(
    () => {
      throw new Error('as told')
    },
    { name: 'failing', supervision: { maxRestarts: 0 } },
  )
  const leaving = kindOf(() => {}, { name: 'leaving', passivation: { idleMs: 100 }, stopped: () => saved.promise })
  system.actor(failing, 'a').tell({ type: 'say' })
  system.actor(leaving, 'a').tell({ type: 'say' })
  await clock.run(200)
  system.actor(leaving, 'b').tell({ type: 'say' })
  await settle()
  const drained = outcomeOf(system.drain().then(() => 'drained'))
  await settle()
  assert.equal(drained, {}, 'who is leaving is waited for')
  saved.open()
  await settle()
  assert.is(drained.value, 'drained')
  assert.is(clock.pending, 0)
})

test.run()
