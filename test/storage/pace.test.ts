/*
 * Proves, for whatever is drawn: what is in force for a device keeps within the operator's policy and gives no less than it could;
 * a device that was never told is told at once, one that does not come is told ever less often, one that came at once again
 * after its quiet time; and attempts at a busy push service are bounded, random, and never sooner than it asks.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type DevicePolicy, inForce, notify, type Wishes } from '../../src/storage/devices/preferences.ts'
import { content } from '../../src/storage/fields.ts'
import { afterSync, afterTold, defaultRetry, retryMs, unpaced, waitMs } from '../../src/storage/notifications/pace.ts'

const durations = fc.integer({ min: 0, max: 10_000_000 })
const wishes: fc.Arbitrary<Wishes> = fc.record(
  {
    content: fc.constantFrom(...content.options),
    periodMs: durations,
    maxMediaBytes: fc.nat(),
    onMetered: fc.constantFrom('list' as const, 'full' as const),
    notify: fc.constantFrom(...notify.options),
    quietMs: durations,
  },
  { requiredKeys: [] },
)
const policies: fc.Arbitrary<DevicePolicy> = fc
  .record({
    periods: fc.tuple(durations, durations),
    minQuietMs: durations,
    maxMediaBytes: fc.nat(),
    content: fc.subarray([...content.options], { minLength: 1 }),
    notify: fc.subarray([...notify.options], { minLength: 1 }),
  })
  .map(({ periods: [one, other], ...rest }) => ({
    ...rest,
    maxPerUser: 8,
    minPeriodMs: Math.min(one, other),
    maxPeriodMs: Math.max(one, other),
  }))

/** How much each gives. */
const ranks: Readonly<Record<string, number>> = { full: 2, list: 1, links: 0, push: 2, websocket: 1, none: 0 }
const rank = (name: string) => ranks[name] ?? Number.NaN

const test = suite('preferences and pace')

test('what is in force keeps within the policy, and is what was wanted where the policy allows it', () => {
  fc.assert(
    fc.property(wishes, policies, (wished, policy) => {
      const { periodMs, maxMediaBytes, quietMs, ...chosen } = inForce(wished, policy)
      assert.ok(periodMs >= policy.minPeriodMs && periodMs <= policy.maxPeriodMs)
      assert.ok(maxMediaBytes <= policy.maxMediaBytes && quietMs >= policy.minQuietMs)
      if (wished.content && policy.content.includes(wished.content)) assert.is(chosen.content, wished.content)
      if (wished.notify && policy.notify.includes(wished.notify)) assert.is(chosen.notify, wished.notify)
      const between = <T extends string>(wanted: T, given: T, allowed: readonly T[]) =>
        allowed.filter(one => rank(one) <= rank(wanted) && rank(one) > rank(given))
      assert.equal(between(wished.content ?? 'full', chosen.content, policy.content), [])
      assert.equal(between(wished.notify ?? 'websocket', chosen.notify, policy.notify), [])
      assert.ok(rank(chosen.notify) <= rank(wished.notify ?? 'websocket'), 'never more than was wanted')
      assert.ok(rank(chosen.content) <= rank(wished.content ?? 'full'), 'never more than was wanted')
    }),
    { verbose: true },
  )
})

test('what is in force is in force again', () => {
  fc.assert(
    fc.property(wishes, policies, (wished, policy) => {
      const once = inForce(wished, policy)
      assert.equal(inForce(once, policy), once)
    }),
    { verbose: true },
  )
})

test('the window doubles with each time that it is told and does not come, and is none after it came', () => {
  const limits = { coalesceMs: 1_000, maxCoalesceMs: 30_000 }
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 5_000 }), durations, durations, (times, quietMs, startMs) => {
      assert.is(waitMs(unpaced, quietMs, limits, startMs), 0)
      let pace = unpaced
      for (let time = 0; time < times; time++) pace = afterTold(pace, startMs)
      const windowMs = Math.min(1_000 * 2 ** (times - 1), 30_000)
      assert.is(waitMs(pace, quietMs, limits, startMs), Math.max(windowMs, quietMs))
      assert.is(waitMs(pace, 0, limits, startMs + windowMs), 0)
      assert.is(waitMs(afterSync(pace), quietMs, limits, startMs), quietMs)
    }),
    { verbose: true },
  )
})

test('attempts end, wait longer each time at the most, and as long as they are asked to at the least', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20 }),
      fc.option(durations, { nil: undefined }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (attempts, afterMs, drawn) => {
        const delayMs = retryMs(attempts, afterMs, defaultRetry, { fraction: () => drawn })
        if (attempts >= defaultRetry.maxAttempts) return assert.is(delayMs, undefined)
        assert.ok(delayMs !== undefined && delayMs >= (afterMs ?? 0))
        assert.ok(delayMs <= (afterMs ?? 0) + Math.min(defaultRetry.maxMs, defaultRetry.firstMs * 2 ** (attempts - 1)))
      },
    ),
    { verbose: true },
  )
})

test.run()
