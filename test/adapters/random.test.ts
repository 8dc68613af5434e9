/*
 * Property: randomness comes in the length asked for, in plain arrays, and is not the same twice; fractions are in [0, 1).
 * The seeded stand-in of the tests keeps the same contract, and repeats itself exactly. It would fail if a nonce came
 * back as zeros, or if a test's randomness depended on anything but its seed.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemRandom } from '../../src/adapters/random.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'

for (const [name, random] of [
  ['the system', systemRandom()],
  ['a seed', seededRandom('seed')],
] as const) {
  test(`randomness of ${name}`, () => {
    for (const length of [0, 1, 16, 1_000]) {
      const bytes = random.bytes(length)
      assert.is(Object.getPrototypeOf(bytes), Uint8Array.prototype)
      assert.is(bytes.length, length)
    }
    assert.is.not(`${random.bytes(16)}`, `${random.bytes(16)}`)
    const fractions = Array.from({ length: 10_000 }, () => random.fraction())
    assert.ok(fractions.every(fraction => fraction >= 0 && fraction < 1))
    const mean = fractions.reduce((sum, fraction) => sum + fraction, 0) / fractions.length
    assert.ok(Math.abs(mean - 0.5) < 0.05)
    const ones = random.bytes(10_000).reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0)
    assert.ok(Math.abs(ones / 80_000 - 0.5) < 0.02)
  })
}

test('a seed repeats itself, and another one does not', () => {
  const draw = (seed: string) => {
    const random = seededRandom(seed)
    return `${random.bytes(32)} ${random.fraction()}`
  }
  assert.is(draw('a'), draw('a'))
  assert.is.not(draw('a'), draw('b'))
  assert.is.not(draw('a'), draw(''))
})

test.run()
