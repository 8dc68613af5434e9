import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { originAtEnd } from '../../src/storage/records.ts'

/*
 * The commit that an object is of, read off the end of its text, is the one that reading all of the text gives, whatever the
 * object holds: else a change would be passed over. A text that ends otherwise has none to be read off.
 */

const test = suite('Origins at the end')

const origin = fc.oneof(
  fc.tuple(fc.constantFrom('AAAAAAAA', 'r', 'run_-9'), fc.nat()),
  fc.tuple(fc.constantFrom('AAAAAAAA', 'r'), fc.nat(), fc.constantFrom('phone', '', 'a"b', 'a\\', '钥')),
)
/** Texts that look like what is looked for. */
const like = fc.constantFrom('o', ',"o":["r",1]}', '\\', '"', 'x","o":["r",2]}', '{"o":["r",3]}', '"o":["r",4]')
const value: fc.Arbitrary<unknown> = fc.letrec(tie => ({
  value: fc.oneof(
    { depthSize: 'small' },
    like,
    fc.string(),
    fc.integer(),
    origin,
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.oneof(like, fc.string()), tie('value'), { maxKeys: 3 }),
})).value
const members = fc.dictionary(fc.oneof(like, fc.string()), value, { maxKeys: 5 }).map(({ o: _, ...rest }) => rest)

/** The one that the text as a whole says. */
const said = (text: string): unknown => JSON.parse(text).o

test('of an object as it is stored', () => {
  fc.assert(
    fc.property(members, origin, (members, o) => {
      const found = originAtEnd(JSON.stringify({ ...members, o }))
      // A device whose name has to be escaped is read with the rest.
      if (/["\\]/.test(String(o[2] ?? ''))) assert.is(found, undefined)
      else assert.equal(found, o)
    }),
    { numRuns: 1_000 },
  )
})

test('of any text of JSON: the right one or none', () => {
  const text = fc.oneof(
    value.map(any => JSON.stringify(any)),
    fc.tuple(members, origin, members).map(([a, o, b]) => JSON.stringify({ ...a, o, ...b })),
    // A member twice: the last one counts.
    fc.tuple(origin, origin).map(([a, b]) => `{"o":${JSON.stringify(a)},"o":${JSON.stringify(b)}}`),
    fc.tuple(members, origin).map(([a, o]) => JSON.stringify({ a: { ...a, o } })),
  )
  fc.assert(
    fc.property(text, text => {
      const found = originAtEnd(text)
      if (found) assert.equal(found, said(text))
    }),
    { numRuns: 2_000 },
  )
})

test.run()
