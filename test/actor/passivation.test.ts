/*
 * Property: an actor is in memory when it is needed and only then: activated by its first message, passivated when it was
 * not used for long or when too many are active, the least recently used first; but never with something in its mailbox,
 * an answer to give, or something that only memory holds. What comes while it leaves brings it back. It would fail if a
 * message were lost to passivation, or if anything but messages from others counted as use.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Envelope, StopReason } from '../../src/actor/types.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { gate, kindOf, rig, type Say } from './rig.ts'

const idleMs = 1_000

test('an actor is activated by its first message, once per key', async () => {
  const { system } = rig()
  const created: string[] = []
  const kind = {
    name: 'test',
    create(key: string) {
      created.push(key)
      return { receive() {} }
    },
  }
  const [a, b] = [system.actor<Say>(kind, 'a'), system.actor<Say>(kind, 'b')]
  assert.is(system.activeCount(), 0)
  a.tell({ type: 'say' })
  system.actor<Say>(kind, 'a').tell({ type: 'say' })
  await settle()
  assert.equal(created, ['a'])
  assert.ok(system.isActive(kind, 'a') && !system.isActive(kind, 'b'))
  b.tell({ type: 'say' })
  await settle()
  assert.equal(created, ['a', 'b'])
  assert.is(system.activeCount(kind), 2)
  assert.is(system.activeCount({ name: 'other' }), 0)
})

test('an actor that is not used leaves, and returns with the next message', async () => {
  const { system, clock, trace } = rig()
  const ends: StopReason[] = []
  const kind = kindOf(envelope => envelope.answer('here'), {
    passivation: { idleMs },
    stopped: reason => void ends.push(reason),
  })
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'say' })
  await clock.run(900)
  ref.tell({ type: 'say' })
  await clock.run(900)
  assert.ok(system.isActive(kind, 'a'), 'it was used in between')
  await clock.run(200)
  assert.not(system.isActive(kind, 'a'))
  assert.equal(ends, ['passivated'])
  assert.is(clock.pending, 0, 'nobody is watched any more')
  assert.is(await ref.ask({ type: 'say' }, { timeoutMs: 100 }), 'here')
  assert.equal(
    trace.filter(({ kind }) => kind === 'activated' || kind === 'passivated').map(({ kind }) => kind),
    ['activated', 'passivated', 'activated'],
  )
})

test('own timers are no use: they neither keep an actor nor outlive it', async () => {
  const { system, clock } = rig()
  let ticks = 0
  const kind = kindOf(
    (_, context) => {
      ticks++
      context.after(100, { type: 'tick' })
    },
    { passivation: { idleMs } },
  )
  system.actor(kind, 'a').tell({ type: 'start' })
  await clock.run(5_000)
  assert.not(system.isActive(kind, 'a'))
  assert.is(ticks, 10)
})

test('too many active: the least recently used leave', async () => {
  const kinds = fc.record({
    maxActive: fc.integer({ min: 1, max: 5 }),
    uses: fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), { maxLength: 40 }),
  })
  await fc.assert(
    fc.asyncProperty(kinds, async ({ maxActive, uses }) => {
      const { system } = rig()
      const kind = kindOf(() => {}, { passivation: { maxActive } })
      let model: string[] = []
      for (const key of uses) {
        system.actor(kind, key).tell({ type: 'say' })
        await settle()
        model = [...model.filter(other => other !== key), key].slice(-maxActive)
        assert.is(system.activeCount(), model.length)
        for (const each of model) assert.ok(system.isActive(kind, each), `${each} of ${model}`)
      }
    }),
    { numRuns: 50 },
  )
})

test('too much in memory: the least recently used leave, but not the one that was used last', async () => {
  const maxWeight = 10
  const uses = fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c', 'd', 'e'), weight: fc.nat(12) }), {
    maxLength: 40,
  })
  await fc.assert(
    fc.asyncProperty(uses, async uses => {
      const { system } = rig()
      const weights = new Map<string, number>()
      const kind = {
        name: 'test',
        passivation: { maxWeight },
        create: (key: string) => ({ receive() {}, weight: () => weights.get(key) ?? 0 }),
      }
      let model: string[] = []
      const total = () => model.reduce((sum, key) => sum + (weights.get(key) ?? 0), 0)
      for (const { key, weight } of uses) {
        weights.set(key, weight)
        system.actor<Say>(kind, key).tell({ type: 'say' })
        await settle()
        model = [...model.filter(other => other !== key), key]
        while (model.length > 1 && total() > maxWeight) model.shift()
        assert.is(system.activeCount(), model.length)
        for (const each of model) assert.ok(system.isActive(kind, each), `${each} of ${model}`)
      }
    }),
    { numRuns: 50 },
  )
})

test('the bound holds although some are at work: those that rest make room', async () => {
  const { system } = rig()
  const hold = gate()
  const kind = kindOf(async ({ message }) => (message.type === 'work' ? hold.promise : undefined), {
    passivation: { maxActive: 1 },
  })
  system.actor(kind, 'idle').tell({ type: 'say' })
  await settle()
  system.actor(kind, 'busy').tell({ type: 'work' })
  await settle()
  assert.not(system.isActive(kind, 'idle'), 'it left when the other one came')
  system.actor(kind, 'brief').tell({ type: 'say' })
  await settle()
  assert.is(system.activeCount(), 1, 'it left when it was done')
  hold.open()
  await settle()
  assert.ok(system.isActive(kind, 'busy'))
})

test('who has failed, was killed or is leaving does not count', async () => {
  const { system, clock, trace } = rig()
  const saved = gate()
  const options = { passivation: { maxActive: 1 }, supervision: { maxRestarts: 0 } }
  const kind = kindOf(
    ({ message }) => {
      if (message.type === 'fail') throw new Error('as told')
    },
    { ...options, stopped: async reason => (reason === 'passivated' ? saved.promise : undefined) },
  )
  system.actor(kind, 'failed').tell({ type: 'fail' })
  await settle()
  system.actor(kind, 'killed').tell({ type: 'say' })
  await settle()
  system.kill(kind, 'killed')
  for (const key of ['leaving', 'here']) {
    system.actor(kind, key).tell({ type: 'say' })
    await settle()
  }
  system.actor(kind, 'here').tell({ type: 'say' })
  await settle()
  assert.equal(
    ['leaving', 'here'].map(key => system.isActive(kind, key)),
    [true, true],
  )
  saved.open()
  await clock.run(1)
  assert.equal(
    ['leaving', 'here'].map(key => system.isActive(kind, key)),
    [false, true],
  )
  assert.is(trace.filter(({ kind }) => kind === 'passivated').length, 1)
})

test('many that may not leave do not keep the others', async () => {
  const { system } = rig()
  const kind = {
    name: 'test',
    passivation: { maxActive: 25 },
    create: (key: string) => ({ receive() {}, mayPassivate: () => !key.startsWith('unsaved') }),
  }
  for (let n = 0; n < 20; n++) system.actor<Say>(kind, `unsaved ${n}`).tell({ type: 'say' })
  for (let n = 0; n < 200; n++) {
    system.actor<Say>(kind, `${n}`).tell({ type: 'say' })
    await settle()
  }
  assert.is(system.activeCount(), 25)
})

test('nobody is asked while at work; who wakes while asked stays', async () => {
  const { system, clock, trace } = rig()
  const hold = gate()
  let atWork = false
  let asked = 0
  const kind = {
    name: 'test',
    passivation: { idleMs },
    create: (key: string) => ({
      async receive({ message }: Envelope<Say>) {
        if (message.type !== 'work') return
        atWork = true
        await hold.promise
        atWork = false
      },
      mayPassivate() {
        assert.not(atWork)
        if (++asked === 1) system.actor<Say>(kind, key).tell({ type: 'wake' })
        return true
      },
    }),
  }
  system.actor<Say>(kind, 'a').tell({ type: 'work' })
  await clock.run(3_500)
  assert.is(asked, 0)
  hold.open()
  await clock.run(1_000)
  assert.is(asked, 1)
  assert.ok(system.isActive(kind, 'a'))
  await clock.run(2_000)
  assert.is(trace.filter(({ kind }) => kind === 'activated').length, 1)
  assert.is(trace.filter(({ kind }) => kind === 'passivated').length, 1)
})

test('who may not leave stays, by age as by number, and leaves once it may', async () => {
  const { system, clock } = rig()
  const unsaved = new Set(['a'])
  const kind = {
    name: 'test',
    passivation: { idleMs, maxActive: 2 },
    create: (key: string) => ({ receive() {}, mayPassivate: () => !unsaved.has(key) }),
  }
  for (const key of ['a', 'b', 'c']) {
    system.actor<Say>(kind, key).tell({ type: 'say' })
    await settle()
  }
  assert.equal(
    ['a', 'b', 'c'].map(key => system.isActive(kind, key)),
    [true, false, true],
  )
  await clock.run(1_500)
  assert.equal(
    ['a', 'c'].map(key => system.isActive(kind, key)),
    [true, false],
  )
  unsaved.clear()
  await clock.run(2_000)
  assert.is(system.activeCount(), 0)
})

test('who is at work, or owes an answer, stays', async () => {
  const { system, clock } = rig()
  const hold = gate()
  const owed: Envelope<Say>[] = []
  const kind = kindOf(
    async envelope => {
      if (envelope.message.type === 'work') await hold.promise
      else owed.push(envelope)
    },
    { passivation: { idleMs, maxActive: 1 } },
  )
  const answer = system.actor(kind, 'debtor').ask({ type: 'owe' }, { timeoutMs: 60_000 })
  await settle()
  system.actor(kind, 'worker').tell({ type: 'work' })
  await clock.run(10_000)
  assert.ok(system.isActive(kind, 'worker') && system.isActive(kind, 'debtor'))
  owed[0]?.answer('paid')
  assert.is(await answer, 'paid')
  hold.open()
  await clock.run(10_000)
  assert.is(system.activeCount(), 0)
})

test('what comes while an actor leaves brings it back, after it has left', async () => {
  const { system, clock } = rig()
  const saved = gate()
  const log: string[] = []
  const kind = kindOf(
    ({ message }) => {
      log.push(message.type)
    },
    {
      passivation: { idleMs },
      started: () => void log.push('started'),
      async stopped() {
        await saved.promise
        log.push('saved')
      },
    },
  )
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'first' })
  await clock.run(1_500)
  ref.tell({ type: 'second' })
  await settle()
  assert.equal(log, ['started', 'first'])
  saved.open()
  await settle()
  assert.equal(log, ['started', 'first', 'saved', 'started', 'second'])
  await clock.run(2_000)
  assert.is(system.activeCount(), 0, 'it leaves again')
})

test('a mayPassivate that throws is a failure like any other', async () => {
  const { system, clock, failures } = rig()
  const kind = kindOf(() => {}, {
    passivation: { idleMs },
    mayPassivate() {
      throw new Error('cannot say')
    },
  })
  system.actor(kind, 'a').tell({ type: 'say' })
  await clock.run(1_100)
  assert.equal(failures, [{ actor: 'test/a', message: 'cannot say', outcome: 'restarted' }])
})

test.run()
