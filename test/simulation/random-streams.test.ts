import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Distribution, drawUs } from '../../src/simulation/distributions.ts'
import { rng } from '../../src/simulation/random-streams.ts'

/*
 * Randomness by name: the same for the same seed and name, another for any other; draws in one stream shift nothing in
 * another; and what is drawn has the distribution that it says. A seed hash that joins names without marks, or a parameter
 * taken for another (a rate for a mean), fails here.
 */

const words = (stream: ReturnType<typeof rng>, count = 8) => Array.from({ length: count }, () => stream.word())

test('a stream is a function of seed and name, and of nothing else', () => {
  const first = words(rng('seed', 'net', 'a', 'b'))
  words(rng('seed', 'net', 'a', 'c'), 1_000)
  assert.equal(words(rng('seed', 'net', 'a', 'b')), first)
})

test('names that look alike are apart', () => {
  const streams = [
    rng(1, 'net', 'a', 'b'),
    rng(1, 'net', 'ab'),
    rng(1, 'net', 'a', 'b', ''),
    rng(1, 'net,a,b'),
    rng(1, 'net', 'b', 'a'),
    rng('1', 'net', 'a', 'b'),
    rng(2, 'net', 'a', 'b'),
    rng(1, 'host', 1),
    rng(1, 'host', '1'),
  ].map(stream => words(stream).join())
  assert.is(new Set(streams).size, streams.length)
})

test('bytes, integers, choices and orders come from the same words', () => {
  const stream = rng(7, 'all')
  assert.is(stream.bytes(0).length, 0)
  assert.is(stream.bytes(33).length, 33)
  const counts = new Map<number, number>()
  for (let draw = 0; draw < 6_000; draw++) {
    const value = stream.below(6)
    counts.set(value, (counts.get(value) ?? 0) + 1)
  }
  assert.equal([...counts.keys()].sort(), [0, 1, 2, 3, 4, 5])
  for (const count of counts.values()) assert.ok(Math.abs(count - 1_000) < 150, `${count} of 6,000`)
  assert.equal(stream.shuffled([1, 2, 3, 4, 5]).sort(), [1, 2, 3, 4, 5])
  assert.throws(() => stream.pick([]), /nothing to pick/)
})

const expectations: readonly (readonly [Distribution, meanMs: number, leastMs: number])[] = [
  [{ dist: 'const', ms: 3.2 }, 3.2, 3.2],
  [{ dist: 'uniform', minMs: 2, maxMs: 6 }, 4, 2],
  [{ dist: 'exp', meanMs: 5 }, 5, 0],
  [{ dist: 'pareto', scaleMs: 2, shape: 5 }, 2.5, 2],
  [{ dist: 'lognormal', medianMs: 10, sigma: 0.5 }, 10 * Math.exp(0.125), 0],
  [{ dist: 'samples', samplesMs: [1, 2, 9] }, 4, 1],
  [
    {
      dist: 'mix',
      parts: [
        { weight: 3, of: { dist: 'const', ms: 1 } },
        { weight: 1, of: { dist: 'const', ms: 5 } },
      ],
    },
    2,
    1,
  ],
  [
    {
      dist: 'sum',
      parts: [
        { dist: 'const', ms: 75 },
        { dist: 'exp', meanMs: 1 },
      ],
    },
    76,
    75,
  ],
]

for (const [distribution, meanMs, leastMs] of expectations)
  test(`${distribution.dist}: mean and least value, in whole microseconds`, () => {
    const stream = rng('distributions', distribution.dist)
    const drawn = Array.from({ length: 20_000 }, () => drawUs(distribution, stream))
    const mean = drawn.reduce((sum, us) => sum + us, 0) / drawn.length / 1000
    assert.ok(Math.abs(mean - meanMs) / meanMs < 0.03, `mean ${mean} ms, expected ${meanMs} ms`)
    assert.ok(drawn.every(us => Number.isInteger(us) && us >= leastMs * 1000))
  })

test('a duration is never negative', () => {
  assert.is(drawUs({ dist: 'const', ms: -4 }, rng(1)), 0)
})

test.run()
