/*
 * Property: every context is read back from what is written of it, by the grammar of W3C Trace Context, and whatever else a client
 * sends is no context and harms nothing.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { formatTraceparent, parseTraceparent } from '../../../src/operations/tracing/trace-context.ts'

const test = suite('Trace context')
const hex = (digits: number) =>
  fc
    .string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: digits, maxLength: digits })
    .filter(text => !/^0+$/.test(text))

test('what is written is read', () => {
  fc.assert(
    fc.property(hex(32), hex(16), fc.boolean(), (traceId, spanId, isSampled) => {
      const context = { traceId, spanId, isSampled }
      assert.equal(parseTraceparent(formatTraceparent(context)), context)
      assert.equal(parseTraceparent(`01-${traceId}-${spanId}-0${isSampled ? 3 : 2}-later`), context)
    }),
  )
})

test('anything else is none', () => {
  const [traceId, spanId] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7']
  for (const text of [
    '',
    `00-${traceId}-${spanId}`,
    `00-${traceId}-${spanId}-01-more`,
    `ff-${traceId}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    ` 00-${traceId}-${spanId}-01`,
  ]) {
    assert.is(parseTraceparent(text), undefined, text)
  }
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'0f1-g'), maxLength: 60 }), text => {
      const found = parseTraceparent(text)
      if (found) assert.is(parseTraceparent(formatTraceparent(found))?.traceId, found.traceId)
    }),
  )
})

test.run()
