/*
 * Proves: text is taken if, and only if, it is UTF-8, of whatever length and wherever it lies. Fails if a byte is left out at either
 * end of the words that are looked through at once, or if what is no ASCII is taken without being decoded.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Refused, StrictReader } from '../../src/document/strict-reader.ts'

const decoder = new TextDecoder('utf-8', { fatal: true })

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes)
    return true
  } catch {
    return false
  }
}

/** The text with its length before it, so many bytes into a buffer. */
function lying(text: Uint8Array, from: number): Uint8Array {
  const length: number[] = []
  let rest = text.length
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80)
  length.push(rest)
  const lying = new Uint8Array(from + length.length + text.length + 5).fill(0xff)
  lying.set(length, from)
  lying.set(text, from + length.length)
  return lying.subarray(from)
}

const letters = fc.constantFrom('a', 'ü', '面', '🛰')
const length = fc.oneof(fc.nat(600), fc.integer({ min: 4_000, max: 9_000 }))

test('text is read if it is UTF-8, wherever a byte of it is not ASCII', () => {
  fc.assert(
    fc.property(
      length,
      fc.nat(9),
      fc.array(fc.tuple(fc.nat(), letters), { maxLength: 3 }),
      fc.option(fc.nat()),
      (length, from, some, bad) => {
        const units = Array.from({ length }, () => 'x')
        for (const [at, letter] of some) if (length > 0) units[at % length] = letter
        const text = new TextEncoder().encode(units.join(''))
        if (bad !== null && text.length > 0) text[bad % text.length] = 0x80 + (bad % 0x80)
        const reader = new StrictReader(lying(text, from), { taken: 0 })
        let isRead = true
        try {
          reader.text()
        } catch (error) {
          assert.instance(error, Refused)
          isRead = false
        }
        assert.is(isRead, isUtf8(text))
      },
    ),
    { numRuns: 1_000 },
  )
})

test('a byte above ASCII is found at every place of a text, long or short', () => {
  for (const length of [1, 3, 127, 128, 129, 130, 131, 132, 5_000]) {
    for (let from = 0; from < 4; from++) {
      for (let at = 0; at < length; at += length < 200 ? 1 : 7) {
        const text = new Uint8Array(length).fill(0x78)
        text[at] = 0xff
        assert.throws(
          () => new StrictReader(lying(text, from), { taken: 0 }).text(),
          (error: unknown) => error instanceof Refused,
        )
      }
    }
  }
})

test.run()
