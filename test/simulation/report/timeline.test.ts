/*
 * However long a run is, its figures have at most 2,000 points; together they still stand for everything that was seen, in order
 * and nothing twice; and a run that has no more than that is kept as it is.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Timeline } from '../../../src/simulation/report/timeline.ts'

type Span = { readonly from: number; readonly until: number }

/** Spans that lie beside each other are one; any others were merged in a wrong order. */
const join = (earlier: Span, later: Span): Span => {
  assert.is(earlier.until + 1, later.from)
  return { from: earlier.from, until: later.until }
}

const seen = (count: number) => {
  const timeline = new Timeline(join)
  for (let at = 0; at < count; at += 1) timeline.add({ from: at, until: at })
  return timeline.points
}

test('points cover all that was seen, each about as much as the others', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 20_000 }), count => {
      const points = seen(count)
      assert.ok(points.length <= 2_000)
      assert.ok(count < 1_000 || points.length >= 1_000, `${points.length} points of ${count}`)
      assert.equal(points.reduce(join), { from: 0, until: count - 1 })
      const lengths = new Set(points.slice(0, -1).map(({ from, until }) => until - from))
      assert.ok(lengths.size <= 1, 'but for the last, all stand for the same time')
    }),
    { numRuns: 50 },
  )
})

test('2,000 are kept apart, one more joins them two by two', () => {
  assert.is(seen(2_000).length, 2_000)
  assert.is(seen(2_001).length, 1_001)
})

test.run()
