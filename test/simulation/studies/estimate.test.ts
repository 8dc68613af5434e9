import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { estimate, parseMeasure } from '../../../src/simulation/studies/estimate.ts'
import { type Expectation, judge } from '../../../src/simulation/studies/row.ts'
import type { StudyResult } from '../../../src/simulation/studies/study.ts'
import { Tally } from '../../../src/simulation/studies/tally.ts'
import { full } from '../../../src/simulation/studies/topology.ts'

/*
 * A verdict follows from the figures alone, and never flatters: what is out of tolerance is only undecided if chance could
 * have done it, and nothing seen of a rare event is not taken for certainty that it never happens.
 */

const resultOf = (fill: (tally: Tally) => void): StudyResult => {
  const tally = new Tally(full(4))
  fill(tally)
  return { ending: 'idle', end: 12, tally, traceHash: '' }
}
const counting = (name: string, by: number) => resultOf(tally => tally.count(name, by))

test('measures', () => {
  const result = resultOf(tally => {
    tally.sent(0, 1, 'a', 3, 10, 4)
    tally.sent(1, 0, 'b', 1, 20, 5)
    for (const value of [1, 5, 3]) tally.sample('x y', value)
  })
  const value = (measure: string) => estimate(parseMeasure(measure), [result]).value
  assert.equal(
    [
      'messages',
      'messages a',
      'messages c',
      'elements',
      'bytes b',
      'end',
      'last-sent',
      'mean x y',
      'max x y',
      'p50 x y',
    ].map(value),
    [2, 1, 0, 4, 20, 12, 5, 3, 5, 3],
  )
  for (const bad of ['', 'message', 'p101 x', 'count', 'end now', 'mean']) {
    assert.throws(() => parseMeasure(bad), /is no measure/, bad)
  }
  assert.throws(() => value('count z'), /No node has told of "z".*nothing/)
  assert.throws(() => value('mean z'), /x y/)
})

test('the mean of runs comes with an interval that narrows with their number', () => {
  const runs = (times: number) => Array.from({ length: times }, (_, run) => counting('c', run % 2 === 0 ? 90 : 110))
  const [few, many] = [4, 400].map(times => estimate(parseMeasure('count c'), runs(times)))
  assert.is(many?.value, 100)
  const width = (of: typeof few) => (of?.interval ? of.interval[1] - of.interval[0] : Number.NaN)
  assert.ok(width(few) > 8 * width(many) && width(many) > 1)
})

test('nothing seen of a rare event in 100 runs leaves room for 3.7 in 100', () => {
  const none = estimate(
    parseMeasure('count c'),
    Array.from({ length: 100 }, () => counting('c', 0)),
  )
  assert.is(none.value, 0)
  assert.is(none.interval?.[0], 0)
  assert.ok(Math.abs((none.interval?.[1] ?? 0) - 0.0369) < 0.001, 'the exact Poisson bound is 3.69')
  const four = estimate(
    parseMeasure('count c'),
    Array.from({ length: 100 }, (_, run) => counting('c', run < 4 ? 1 : 0)),
  )
  assert.ok(
    Math.abs((four.interval?.[0] ?? 0) - 0.0109) < 0.001 && Math.abs((four.interval?.[1] ?? 0) - 0.1024) < 0.001,
  )
})

test('a quantile of all runs together, between the order statistics that hold it', () => {
  const halves = [0, 1].map(half =>
    resultOf(tally => {
      for (let value = half; value < 10_000; value += 2) tally.sample('x', value)
    }),
  )
  const { value, interval } = estimate(parseMeasure('p99 x'), halves)
  assert.is(value, 9_900)
  assert.equal(interval, [9_880, 9_919])
  const few = estimate(
    parseMeasure('p99.9 x'),
    halves.slice(0, 1).map(() => resultOf(tally => tally.sample('x', 1))),
  )
  assert.is(few.interval?.[1], Number.POSITIVE_INFINITY, 'one sample bounds no such quantile')
})

test('verdicts', () => {
  const expectation = (value: number, more: Partial<Expectation> = {}): Expectation => ({
    value,
    tolerance: { relative: 0.1 },
    source: 'test',
    ...more,
  })
  const verdict = (...given: Parameters<typeof judge>) => judge(...given).verdict
  assert.is(verdict({ value: 109 }, expectation(100)), 'reproduced')
  assert.is(verdict({ value: 111 }, expectation(100)), 'differs')
  assert.is(verdict({ value: 111, interval: [108, 114] }, expectation(100)), 'undecided')
  assert.is(verdict({ value: 111, interval: [110.5, 114] }, expectation(100)), 'differs')
  const known = { between: [0.1, 0.3], because: 'it was printed wrong' } as const
  assert.is(verdict({ value: 120 }, expectation(100, { known })), 'differs as known')
  assert.is(verdict({ value: 140 }, expectation(100, { known })), 'differs')
  assert.is(verdict({ value: 6 }, expectation(5, { tolerance: { absolute: 1 } })), 'reproduced')
  assert.is(verdict({ value: 1 }, expectation(0, { tolerance: { absolute: 0 } })), 'differs')
  assert.equal(judge({ value: 0 }, expectation(0, { tolerance: { absolute: 0 } })), { verdict: 'reproduced' })
  assert.equal(judge({ value: 3 }, undefined), { verdict: 'told' })
  assert.is(judge({ value: 90 }, expectation(100)).deviation?.toFixed(3), '-0.100')
})

test.run()
