/*
 * Property: an actor that throws comes back as new after a jittered, growing delay, with its mailbox but without the
 * message it died of; one that fails too often is given up, its messages become dead letters, and it may live again a
 * supervision period later. Kill goes before stop, stop before supervision, supervision before messages. It would fail if
 * a message were replayed or lost, a dead life could still act, or failures could spin.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ActorStopped } from '../../src/actor/errors.ts'
import { defaultSupervision, verdict } from '../../src/actor/supervision.ts'
import type { ActorContext, ActorKind, Envelope, StopReason } from '../../src/actor/types.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { gate, kindOf, outcomeOf, type Rig, rig, type Say } from './rig.ts'

test('the verdict: restarts within the budget, each delay in the upper half of a doubling ceiling, then no more', () => {
  const times = fc.array(fc.nat({ max: 20_000 }), { maxLength: 12 })
  fc.assert(
    fc.property(times, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (unsorted, fraction) => {
      const { maxRestarts, withinMs, minBackoffMs, maxBackoffMs } = defaultSupervision
      let failures: readonly number[] = []
      for (const nowMs of unsorted.sort((a, b) => a - b)) {
        const recent = [...failures, nowMs].filter(timeMs => timeMs > nowMs - withinMs).length
        const ruling = verdict(defaultSupervision, failures, nowMs, fraction)
        assert.is(ruling.restart, recent <= maxRestarts)
        if (!ruling.restart) return
        const ceilingMs = Math.min(maxBackoffMs, minBackoffMs * 2 ** (recent - 1))
        assert.ok(ruling.delayMs >= ceilingMs / 2 && ruling.delayMs <= ceilingMs)
        failures = ruling.failures
      }
    }),
  )
})

test('after a failure: the asker hears the error, the mailbox is kept, the message is not replayed, the state is new', async () => {
  const { system, clock, failures, trace } = rig()
  const ends: StopReason[] = []
  let lives = 0
  const handled: string[] = []
  const kind = {
    name: 'test',
    create() {
      const life = ++lives
      return {
        receive({ message }: Envelope<Say>) {
          if (message.type === 'poison') throw new RangeError('bitter')
          handled.push(`${message.type} in life ${life}`)
        },
        stopped: (reason: StopReason) => void ends.push(reason),
      }
    },
  }
  const ref = system.actor<Say>(kind, 'a')
  const poisoned = outcomeOf(ref.ask({ type: 'poison' }, { timeoutMs: 1_000 }))
  ref.tell({ type: 'first' })
  ref.tell({ type: 'second' })
  await clock.run(49)
  assert.instance(poisoned.error, RangeError)
  assert.equal(handled, [], 'nothing is handled before half of the shortest delay')
  ref.tell({ type: 'third' })
  await clock.run(51)
  assert.equal(handled, ['first in life 2', 'second in life 2', 'third in life 2'])
  assert.equal(ends, ['failed'])
  assert.equal(failures, [{ actor: 'test/a', message: 'bitter', outcome: 'restarted' }])
  assert.equal(
    trace.filter(({ kind }) => kind !== 'sent' && kind !== 'handled').map(({ kind, type }) => `${kind} ${type}`),
    ['activated poison', 'failed poison', 'restarted first'],
  )
})

test('a promise that rejects is a failure, and so is what started throws', async () => {
  const { system, clock, failures } = rig()
  let starts = 0
  const handled: string[] = []
  const kind = kindOf(
    async ({ message }) => {
      await undefined
      if (message.type === 'poison') throw 'just text'
      handled.push(message.type)
    },
    {
      async started() {
        if (++starts === 2) throw new Error('no start')
      },
    },
  )
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'poison' })
  ref.tell({ type: 'say' })
  await clock.run(1_000)
  assert.is(starts, 3)
  assert.equal(handled, ['say'])
  assert.equal(
    failures.map(({ message }) => message),
    ['Not an error was thrown but "just text".', 'no start'],
  )
})

test('too many failures: given up, messages refused for a period, then a new life with a new budget', async () => {
  const { system, clock, failures, trace } = rig()
  let broken = true
  const kind = kindOf(envelope => {
    if (broken) throw new Error('broken')
    envelope.answer('well')
  })
  const ref = system.actor(kind, 'a')
  const asked = Array.from({ length: 6 }, (_, n) => outcomeOf(ref.ask({ type: 'say', n }, { timeoutMs: 60_000 })))
  await clock.run(1_000)
  assert.equal(
    failures.map(({ outcome }) => outcome),
    ['restarted', 'restarted', 'restarted', 'stopped'],
  )
  assert.equal(
    asked.map(({ error }) => error?.name),
    ['Error', 'Error', 'Error', 'Error', 'ActorStopped', 'ActorStopped'],
  )
  assert.match(String(asked[5]?.error?.cause), 'broken')
  assert.is(system.deadLetters().failed, 2)
  assert.not(system.isActive(kind, 'a'))
  assert.is(system.activeCount(kind), 0)
  assert.ok(trace.some(({ kind, reason }) => kind === 'stopped' && reason === 'failed'))

  assert.throws(
    () => ref.tell({ type: 'say' }),
    (error: Error) => error instanceof ActorStopped,
  )
  assert.is(system.deadLetters().failed, 3)

  broken = false
  await clock.run(5_000)
  assert.is(await ref.ask({ type: 'say' }, { timeoutMs: 100 }), 'well')
  broken = true
  ref.tell({ type: 'say' })
  await settle()
  assert.is(failures.at(-1)?.outcome, 'restarted')
})

test('a kind may set its own budget', async () => {
  const { system, clock, failures } = rig()
  const kind = kindOf(
    () => {
      throw new Error('broken')
    },
    { supervision: { maxRestarts: 1, minBackoffMs: 1_000 } },
  )
  system.actor(kind, 'a').tell({ type: 'say' })
  system.actor(kind, 'a').tell({ type: 'say' })
  await clock.run(499)
  assert.is(failures.length, 1)
  await clock.run(501)
  assert.equal(
    failures.map(({ outcome }) => outcome),
    ['restarted', 'stopped'],
  )
})

test('failures that are far apart are always forgiven', async () => {
  const { system, clock, failures } = rig()
  const ref = system.actor(
    kindOf(() => {
      throw new Error('now and then')
    }),
    'a',
  )
  for (let n = 0; n < 20; n++) {
    ref.tell({ type: 'say' })
    await clock.run(2_000)
  }
  assert.is(failures.filter(({ outcome }) => outcome === 'restarted').length, 20)
})

test('the delays are drawn from the injected randomness', async () => {
  const restartTimes = async (seed: string) => {
    const { system, clock, trace } = rig(seed)
    for (const key of ['a', 'b', 'c', 'd']) {
      const ref = system.actor(kind, key)
      ref.tell({ type: 'say' })
    }
    await clock.run(1_000)
    return trace.filter(({ kind }) => kind === 'restarted').map(({ time }) => time)
  }
  const kind = kindOf(() => {
    throw new Error('all at once')
  })
  const times = await restartTimes('one')
  assert.is(new Set(times).size, 4)
  assert.equal(await restartTimes('one'), times)
  assert.not.equal(await restartTimes('two'), times)
})

test('timers end with the life that set them, also those that fired and still wait', async () => {
  const { system, clock } = rig()
  const hold = gate()
  const seen: string[] = []
  const kind = kindOf(async ({ message }, context) => {
    seen.push(message.type)
    if (message.type !== 'start') return
    context.after(10, { type: 'soon' })
    context.after(2_000, { type: 'later' })
    await hold.promise
    throw new Error('over')
  })
  system.actor(kind, 'a').tell({ type: 'start' })
  await clock.run(20)
  hold.open()
  await settle()
  assert.is(clock.pending, 1, 'the restart alone')
  await clock.run(10_000)
  assert.equal(seen, ['start'])
})

test('a cancelled timer stays silent, even if it fired and still waits', async () => {
  const { system, clock } = rig()
  const hold = gate()
  const seen: string[] = []
  const kind = kindOf(async ({ message }, context) => {
    seen.push(message.type)
    if (message.type !== 'start') return
    const cancelEarly = context.after(10, { type: 'early' })
    const cancelLate = context.after(1_000, { type: 'late' })
    context.after(20, { type: 'kept' })
    await hold.promise
    cancelEarly()
    cancelLate()
    cancelLate()
  })
  system.actor(kind, 'a').tell({ type: 'start' })
  await clock.run(50)
  hold.open()
  await clock.run(5_000)
  assert.equal(seen, ['start', 'kept'])
})

test('a life that failed can do nothing to the next one', async () => {
  const { system, clock, failures } = rig()
  const hold = gate()
  const seen: string[] = []
  const kind = kindOf(async ({ message }, context) => {
    seen.push(message.type)
    if (message.type === 'slow') await hold.promise
    if (message.type !== 'fail') return
    void hold.promise.then(() => {
      for (const stolen of context.take(10, () => true)) seen.push(`stolen ${stolen.message.type}`)
      context.after(1, { type: 'ghost' })
      context.stop()
    })
    throw new Error('as told')
  })
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'fail' })
  ref.tell({ type: 'slow' })
  ref.tell({ type: 'say' })
  await clock.run(100)
  hold.open()
  await settle()
  assert.is(clock.pending, 0)
  assert.equal(seen, ['fail', 'slow', 'say'])
  assert.ok(system.isActive(kind, 'a'))
  assert.is(failures.length, 1)
})

test('a life that was killed stays dead when its promises settle', async () => {
  for (const end of ['receive', 'started', 'stopped'] as const) {
    const { system, clock, trace } = rig()
    const hold = gate()
    const kind = kindOf(
      async () => {
        if (end === 'receive') await hold.promise
        if (end === 'stopped') throw new Error('as told')
      },
      {
        started: async () => (end === 'started' ? hold.promise : undefined),
        stopped: () => hold.promise,
      },
    )
    system.actor(kind, 'a').tell({ type: 'say' })
    await settle()
    system.kill(kind, 'a')
    hold.open()
    await clock.run(10_000)
    assert.is(trace.filter(({ kind }) => kind === 'activated' || kind === 'restarted').length, 1, end)
    assert.is(clock.pending, 0, end)
  }
})

test('an actor may kill itself', async () => {
  const { system, trace } = rig()
  const kind = kindOf(() => system.kill(kind, 'a'))
  const asked = outcomeOf(system.actor(kind, 'a').ask({ type: 'say' }, { timeoutMs: 1_000 }))
  await settle()
  assert.instance(asked.error, ActorStopped)
  assert.not(trace.some(({ kind }) => kind === 'handled'))
})

test('a dead life is powerless', async () => {
  const { system, clock, failures } = rig()
  const hold = gate()
  const seen: string[] = []
  let old: ActorContext<Say> | undefined
  const kind = kindOf(async (envelope, context) => {
    seen.push(envelope.message.type)
    if (envelope.message.type !== 'slow') return
    old = context
    await hold.promise
    envelope.answer('too late')
    assert.equal(
      context.take(10, () => true),
      [],
    )
    context.after(1, { type: 'ghost' })
    context.stop()
    throw new Error('nobody hears this')
  })
  const ref = system.actor(kind, 'a')
  const asked = outcomeOf(ref.ask({ type: 'slow' }, { timeoutMs: 60_000 }))
  await settle()
  system.kill(kind, 'a')
  await settle()
  assert.instance(asked.error, ActorStopped)
  assert.not(system.isActive(kind, 'a'))

  ref.tell({ type: 'next' })
  await settle()
  hold.open()
  await clock.run(5_000)
  assert.ok(old)
  assert.equal(seen, ['slow', 'next'])
  assert.equal(failures, [])
  assert.ok(system.isActive(kind, 'a'))
  assert.is(system.deadLetters()['late-answer'], 1)
})

test('kill acts at once, whatever the actor is about, and what is queued is dead', async () => {
  const states: Record<string, (r: Rig, kind: ActorKind<Say>) => void | Promise<void>> = {
    idle() {},
    ready: ({ system }, kind) => system.actor(kind, 'a').tell({ type: 'say' }),
    busy: async ({ system }, kind) => {
      system.actor(kind, 'a').tell({ type: 'hang' })
      await settle()
      system.actor(kind, 'a').tell({ type: 'say' })
    },
    waiting: async ({ system }, kind) => {
      system.actor(kind, 'a').tell({ type: 'fail' })
      await settle()
      system.actor(kind, 'a').tell({ type: 'say' })
    },
    ending: async ({ system }, kind) => {
      void system.stop(kind, 'a')
      await settle()
      system.actor(kind, 'a').tell({ type: 'say' })
    },
  }
  for (const [name, arrange] of Object.entries(states)) {
    const r = rig()
    const ends: StopReason[] = []
    const seen: string[] = []
    const kind = kindOf(
      async ({ message }) => {
        seen.push(message.type)
        if (message.type === 'hang') await new Promise(() => {})
        if (message.type === 'fail') throw new Error('as told')
      },
      {
        stopped(reason) {
          ends.push(reason)
          return reason === 'stopped' ? new Promise(() => {}) : undefined
        },
      },
    )
    r.system.actor(kind, 'a').tell({ type: 'first' })
    await settle()
    const arranged = arrange(r, kind)
    if (arranged) await arranged
    const queued = name === 'idle' ? 0 : 1
    r.system.kill(kind, 'a')
    assert.not(r.system.isActive(kind, 'a'), name)
    assert.is(r.system.deadLetters().stopped, queued, name)
    await r.clock.run(10_000)
    assert.not(seen.includes('say'), name)
    assert.is(r.trace.filter(({ kind }) => kind === 'activated').length, 1, name)
    assert.is(r.clock.pending, 0, name)
    assert.equal(ends, [{ waiting: 'failed', ending: 'stopped' }[name] ?? 'killed'], name)
    r.system.actor(kind, 'a').tell({ type: 'again' })
    await settle()
    assert.is(seen.at(-1), 'again', name)
  }
})

test('stop waits for the current message, not for those behind it, and resolves when stopped is done', async () => {
  const { system } = rig()
  const hold = gate()
  const clean = gate()
  const ends: StopReason[] = []
  const seen: (number | undefined)[] = []
  const kind = kindOf(
    async ({ message }, context) => {
      seen.push(message.n)
      if (message.n !== 0) return
      await hold.promise
      assert.equal(
        context.take(9, () => true),
        [],
        'nothing is taken any more',
      )
    },
    {
      async stopped(reason) {
        await clean.promise
        ends.push(reason)
      },
    },
  )
  const ref = system.actor(kind, 'a')
  const asked = [0, 1].map(n => outcomeOf(ref.ask({ type: 'say', n }, { timeoutMs: 60_000 })))
  await settle()
  const stopped = outcomeOf(system.stop(kind, 'a').then(() => 'stopped'))
  await settle()
  assert.equal(asked, [{}, {}], 'nothing has happened yet')
  hold.open()
  await settle()
  assert.instance(asked[0]?.error, ActorStopped, 'it was handled, but never answered')
  assert.instance(asked[1]?.error, ActorStopped)
  assert.equal(stopped, {})
  ref.tell({ type: 'say', n: 2 })
  clean.open()
  await settle()
  assert.equal(stopped, { value: 'stopped' })
  assert.equal(ends, ['stopped'])
  assert.equal(seen, [0, 2], 'what came while it was stopping began a new life')
  await system.stop(kind, 'nobody')
})

test('who was asked to stop and is killed has stopped', async () => {
  const { system } = rig()
  const kind = kindOf(() => new Promise(() => {}))
  system.actor(kind, 'a').tell({ type: 'say' })
  await settle()
  const stopped = outcomeOf(system.stop(kind, 'a').then(() => true))
  await settle()
  assert.equal(stopped, {})
  system.kill(kind, 'a')
  await settle()
  assert.equal(stopped, { value: true })
})

test('a stop that is asked for twice ends one life; the next begins with a clean record', async () => {
  const { system, clock, trace } = rig()
  const clean = gate()
  const kind = kindOf(
    ({ message }) => {
      if (message.type === 'fail') throw new Error('as told')
    },
    { stopped: async reason => (reason === 'stopped' ? clean.promise : undefined) },
  )
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'fail' })
  await clock.run(100)
  const first = system.stop(kind, 'a')
  await settle()
  const second = system.stop(kind, 'a')
  ref.tell({ type: 'say' })
  clean.open()
  await Promise.all([first, second])
  await settle()
  assert.ok(system.isActive(kind, 'a'))
  assert.equal(
    trace.filter(({ kind }) => !['sent', 'handled'].includes(kind)).map(({ kind }) => kind),
    ['activated', 'failed', 'restarted', 'stopped', 'activated'],
  )
})

test('a stop that was asked for goes before a restart', async () => {
  const { system, clock, failures } = rig()
  const hold = gate()
  const kind = kindOf(async () => {
    await hold.promise
    throw new Error('as told')
  })
  system.actor(kind, 'a').tell({ type: 'say' })
  await settle()
  const stopped = outcomeOf(system.stop(kind, 'a').then(() => true))
  hold.open()
  await settle()
  assert.is(stopped.value, true)
  assert.is(failures[0]?.outcome, 'stopped')
  await clock.run(10_000)
  assert.not(system.isActive(kind, 'a'))
})

test('a stop ends the wait for a restart; supervision goes before messages', async () => {
  const { system, clock } = rig()
  const seen: string[] = []
  const kind = kindOf(({ message }) => {
    seen.push(message.type)
    if (message.type === 'fail') throw new Error('as told')
  })
  const ref = system.actor(kind, 'a')
  ref.tell({ type: 'fail' })
  ref.tell({ type: 'say' })
  await settle()
  assert.equal(seen, ['fail'])
  await system.stop(kind, 'a')
  await clock.run(10_000)
  assert.equal(seen, ['fail'])
  assert.is(system.deadLetters().stopped, 1)
  assert.is(clock.pending, 0)
})

test('an actor may ask to be stopped; what stopped throws is reported and changes nothing', async () => {
  const { system, failures } = rig()
  const kind = kindOf((_, context) => context.stop(), {
    stopped() {
      throw new Error('untidy')
    },
  })
  system.actor(kind, 'a').tell({ type: 'say' })
  await settle()
  assert.not(system.isActive(kind, 'a'))
  assert.equal(failures, [{ actor: 'test/a', message: 'untidy', outcome: 'ignored' }])
})

test.run()
