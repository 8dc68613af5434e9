import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { slope } from './series.ts'

const sizes = [1, 10, 100, 1_000, 10_000]

test('the slope of a power law is its exponent, whatever its factor', () => {
  const exponent = fc.double({ min: -2, max: 2, noNaN: true })
  const factor = fc.double({ min: 1e-6, max: 1e6, noNaN: true })
  fc.assert(
    fc.property(exponent, factor, (power, times) => {
      const points = sizes.map(size => ({ size, value: times * size ** power }))
      assert.ok(Math.abs(slope(points) - power) < 1e-9, `${slope(points)} for ${power}`)
    }),
  )
})

test('a fixed part beside one that grows makes the slope less', () => {
  const points = sizes.map(size => ({ size, value: 1_000 + size }))
  assert.ok(slope(points) > 0.1 && slope(points) < 0.5)
})

test.run()
