/* Property: what is written as base64url is what Node and the library that reads it say, for any bytes, and is read back as the same. */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'

test('any bytes, within a larger buffer or not, short and long', () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    // Around the length from which on it takes room of its own.
    fc.integer({ min: 3_000, max: 3_100 }).chain(length => fc.uint8Array({ minLength: length, maxLength: length })),
  )
  fc.assert(
    fc.property(bytes, fc.nat(7), (whole, from) => {
      const part = whole.subarray(from)
      const text = toBase64url(part)
      assert.is(text, Buffer.from(part).toString('base64url'))
      assert.equal(fromBase64url(text), part.slice())
    }),
    { numRuns: 300 },
  )
})

test.run()
