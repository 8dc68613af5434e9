/*
 * Property: texts are framed as their lengths and UTF-8, whatever characters are in them, half a surrogate pair as the character
 * that stands for it; and a value that is JSON already is left as it is.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { framed } from '../../src/commands/framing.ts'
import { asJson } from '../../src/commands/plain.ts'

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.nat(0xffff).map(unit => String.fromCharCode(unit)) }),
)

test('any texts', () => {
  fc.assert(
    fc.property(fc.array(text, { maxLength: 5 }), texts => {
      const expected = texts.flatMap(each => {
        const bytes = Buffer.from(each)
        const length = Buffer.alloc(4)
        length.writeUInt32BE(bytes.length)
        return [length, bytes]
      })
      assert.equal(framed(...texts), new Uint8Array(Buffer.concat(expected)))
    }),
    { numRuns: 500 },
  )
})

test('any value as JSON has it', () => {
  const value = fc.anything({
    withNullPrototype: false,
    values: [text, fc.double(), fc.integer(), fc.constant(-0), fc.boolean()],
  })
  fc.assert(
    fc.property(value, each => {
      const json = JSON.stringify(each)
      fc.pre(json !== undefined)
      assert.equal(asJson(each), JSON.parse(json))
      if (typeof each === 'number') assert.ok(Object.is(asJson(each), JSON.parse(json)))
    }),
    { numRuns: 500 },
  )
})

test.run()
