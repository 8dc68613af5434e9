import { createHash } from 'node:crypto'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Noted } from '../../src/commands/noted.ts'

/* What was noted may be there, whenever it was noted and whatever was counted meanwhile; of what was not, hardly anything may. */

const placeOf = (name: string): string => `command/${createHash('sha256').update(name).digest('base64url')}`
const places = (prefix: string, count: number): string[] =>
  Array.from({ length: count }, (_, index) => placeOf(`${prefix}-${index}`))

test('anything may be noted until the store was counted', () => {
  const noted = new Noted()
  assert.ok(noted.mayHold(placeOf('never')))
  noted.count()
  assert.ok(noted.mayHold(placeOf('never')))
})

test('what was noted or found may be there, and one in a hundred of all else at the most', () => {
  for (const size of [1, 300, 20_000]) {
    const noted = new Noted()
    const found = places('found', size)
    const added = places('added', size)
    const count = noted.count()
    for (const place of found) count.found(place)
    count.done()
    for (const place of added) noted.add(place)
    for (const place of [...found, ...added]) assert.ok(noted.mayHold(place))
    const others = places('other', 5_000)
    const wrong = others.filter(place => noted.mayHold(place)).length
    assert.ok(wrong <= others.length / 100, `${wrong} of ${others.length} beside ${size}`)
  }
})

test('what was noted before a count looked, or while it did, may be there, though the count did not find it', () => {
  const noted = new Noted()
  noted.count().done()
  noted.add(placeOf('on its way'))
  const count = noted.count()
  noted.add(placeOf('meanwhile'))
  count.done()
  noted.add(placeOf('after'))
  for (const name of ['on its way', 'meanwhile', 'after']) assert.ok(noted.mayHold(placeOf(name)), name)
})

test('what was removed is forgotten after two counts', () => {
  const noted = new Noted()
  noted.count().done()
  noted.add(placeOf('removed'))
  noted.count().done()
  noted.count().done()
  assert.not(noted.mayHold(placeOf('removed')))
})

test('two counts that overlap lose nothing', () => {
  const noted = new Noted()
  noted.count().done()
  noted.add(placeOf('on its way'))
  const [first, second] = [noted.count(), noted.count()]
  first.done()
  assert.ok(noted.mayHold(placeOf('on its way')))
  second.found(placeOf('on its way'))
  second.done()
  assert.ok(noted.mayHold(placeOf('on its way')))
})

test.run()
