import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { rng } from '../../src/simulation/random-streams.ts'
import { type Owner, Scheduler } from '../../src/simulation/scheduler.ts'
import { Trace } from '../../src/simulation/trace.ts'

/*
 * Virtual time: events happen in the order of time and, at one time, of their setting, each when all that follows from
 * the one before has settled, however long the chain of promises and whatever thread did the work; and never while they
 * are cancelled, their owner is paused, or over. A scheduler that counts promises instead of waiting for them fails the long
 * chains; one that runs on during real work fails the serial ones.
 */

const scheduler = (ties?: ReturnType<typeof rng>) => new Scheduler({ trace: new Trace(), ...(ties && { ties }) })

test('events come in the order of time, and of setting at the same time', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(20), { maxLength: 60 }), async times => {
      const time = scheduler()
      const happened: [number, number][] = []
      times.forEach((timeUs, index) => void time.at(timeUs, 'e', () => happened.push([time.nowUs, index])))
      assert.equal(await time.run(), { kind: 'idle' })
      const expected = times
        .map((timeUs, index) => [timeUs, index])
        .sort(([a = 0, i = 0], [b = 0, j = 0]) => a - b || i - j)
      assert.equal(happened, expected)
    }),
    { numRuns: 50 },
  )
})

test('what an event sets is part of the order', async () => {
  const time = scheduler()
  const happened: string[] = []
  time.at(10, 'a', () => {
    happened.push('a')
    time.after(0, 'b', () => happened.push('b'))
    time.after(5, 'd', () => happened.push('d'))
  })
  time.at(10, 'c', () => happened.push('c'))
  await time.run()
  assert.equal(happened, ['a', 'c', 'b', 'd'])
  assert.throws(() => time.at(14, 'past', () => {}), /now is 15/)
  assert.throws(() => time.after(0.5, 'fraction', () => {}), /integers/)
})

test('the next event waits for every promise that can settle, however long the chain', async () => {
  const time = scheduler()
  const happened: string[] = []
  const chain = async (name: string, links: number) => {
    for (let link = 0; link < links; link++) await (link % 3 === 0 ? Promise.all([null, Promise.resolve(link)]) : null)
    happened.push(name)
  }
  time.at(1, 'long', () => void chain('long', 5_000))
  time.at(1, 'short', () => void chain('short', 1))
  time.at(1, 'none', () => happened.push('none'))
  await time.run()
  assert.equal(happened, ['long', 'short', 'none'])
})

test('a promise that waits for a later event does not hold time up', async () => {
  const time = scheduler()
  const happened: string[] = []
  const sleep = (us: number) => new Promise<void>(resolve => time.after(us, 'wake', resolve))
  time.at(0, 'sleeper', async () => {
    await sleep(100)
    happened.push(`woke at ${time.nowUs}`)
  })
  time.at(50, 'other', () => happened.push(`other at ${time.nowUs}`))
  await time.run()
  assert.equal(happened, ['other at 50', 'woke at 100'])
})

test('real work is done one by one, and no event happens meanwhile', async () => {
  const time = scheduler()
  const happened: string[] = []
  const work = (name: string, rounds: number) =>
    time.outside(async () => {
      happened.push(`${name} begins`)
      for (let round = 0; round < rounds; round++) await new Promise(resolve => setImmediate(resolve))
      return name
    })
  time.at(1, 'work', () => {
    void work('slow', 20).then(name => happened.push(`${name} done`))
    void work('quick', 1).then(name => happened.push(`${name} done`))
    void time.outside(() => Promise.reject(new Error('no'))).catch(() => happened.push('failed'))
  })
  time.at(1, 'after', () => happened.push('next event'))
  await time.run()
  const inOrder = ['slow begins', 'slow done', 'quick done', 'failed', 'next event']
  assert.equal(
    happened.filter(what => what !== 'quick begins'),
    inOrder,
  )
  assert.ok(happened.indexOf('quick begins') > happened.indexOf('slow begins'))
})

test('what is cancelled does not happen, also when thousands are', async () => {
  const time = scheduler()
  let happened = 0
  const all = Array.from({ length: 20_000 }, (_, index) => time.at(index, 'e', () => (happened += 1)))
  for (const [index, each] of all.entries()) if (index % 4 !== 0) each.cancel()
  all[1]?.cancel()
  assert.is(time.pending, 5_000)
  await time.run()
  assert.is(happened, 5_000)
  assert.is(time.pending, 0)
})

test('events of a paused owner wait, in their order; those of one that is over never happen', async () => {
  const time = scheduler()
  const owner: { standing: Owner['standing'] } = { standing: 'paused' }
  const happened: string[] = []
  const say = (what: string) => () => happened.push(`${what} at ${time.nowUs}`)
  time.at(1, 'e', say('first'), owner)
  const cancelled = time.at(2, 'e', say('cancelled'), owner)
  time.at(3, 'e', say('second'), owner)
  time.at(4, 'e', say('somebody else'))
  time.at(9, 'e', () => cancelled.cancel())
  time.at(10, 'e', () => {
    owner.standing = 'running'
    time.resume(owner)
  })
  time.at(20, 'e', () => {
    owner.standing = 'over'
  })
  time.at(30, 'e', say('too late'), owner)
  await time.run()
  assert.equal(happened, ['somebody else at 4', 'first at 10', 'second at 10'])
})

test('a run ends at the time, by the condition, or after the number of events that was asked for, and goes on later', async () => {
  const time = scheduler()
  let count = 0
  const again = () => {
    count += 1
    time.after(10, 'again', again)
  }
  time.at(0, 'again', again)
  assert.equal(await time.run({ untilUs: 35 }), { kind: 'reached' })
  assert.equal([count, time.nowUs], [4, 35])
  assert.equal(await time.run({ when: () => count === 6 }), { kind: 'satisfied' })
  assert.equal([count, time.nowUs], [6, 50])
  assert.equal(await time.run({ maxEvents: 3 }), { kind: 'exhausted' })
  assert.is(count, 9)
})

test('the condition is asked when an event’s consequences have settled', async () => {
  const time = scheduler()
  let settled = false
  time.at(1, 'e', async () => {
    for (let link = 0; link < 50; link++) await null
    settled = true
  })
  time.at(2, 'late', () => assert.unreachable())
  assert.is((await time.run({ when: () => settled })).kind, 'satisfied')
})

test('what an event throws ends the run, and every later one', async () => {
  const time = scheduler()
  time.at(1, 'e', () => {
    throw new Error('broken')
  })
  time.at(2, 'e', () => assert.unreachable())
  for (let attempt = 0; attempt < 2; attempt++) {
    const ending = await time.run()
    assert.is(ending.kind === 'failed' && ending.error.message, 'broken')
  }
})

test('shuffled ties: another order for another seed, the same for the same, and time still comes first', async () => {
  const order = async (seed: number) => {
    const time = scheduler(rng(seed, 'ties'))
    const happened: number[] = []
    for (let index = 0; index < 20; index++) time.at(index < 10 ? 1 : 2, 'e', () => happened.push(index))
    await time.run()
    return happened
  }
  const [one, same, other] = [await order(1), await order(1), await order(2)]
  assert.equal(one, same)
  assert.not.equal(one, other)
  assert.ok(one.slice(0, 10).every(index => index < 10))
})

test.run()
