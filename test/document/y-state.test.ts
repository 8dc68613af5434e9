/*
 * Who follows a document begins with all that counts, whatever entries it came in: also those that say something of their log alone
 * and have no update. Fails when such an entry keeps others from being shown, or a failure leaves a gap that is never closed.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate, Doc, encodeStateAsUpdate, encodeStateVectorFromUpdate } from 'yjs'
import { YState } from '../../src/document/y-state.ts'
import type { DocumentId } from '../../src/ports/names.ts'

const test = suite('state for followers')
const document = 'pn/a.example/home' as DocumentId

function written(clientID: number, root: string): Uint8Array {
  const doc = new Doc()
  doc.clientID = clientID
  doc.getMap(root).set('key', root)
  return encodeStateAsUpdate(doc)
}

function shown(state: YState): Record<string, unknown> {
  const doc = new Doc()
  applyUpdate(doc, state.diff())
  return { a: doc.getMap('a').toJSON(), b: doc.getMap('b').toJSON() }
}

test('an entry without an update hides nothing', () => {
  for (const own of [false, true]) {
    const state = new YState(document)
    state.add({ update: new Uint8Array(), clientId: 1, own })
    state.add({ update: written(1, 'a'), clientId: 1, own })
    assert.equal(shown(state), { a: { key: 'a' }, b: {} })
  }
})

test('whoever has some of it already gets the rest, and whoever comes later all of it', () => {
  const state = new YState(document)
  const [first, second] = [written(1, 'a'), written(2, 'b')]
  state.add({ update: first, clientId: 1, own: true })
  assert.equal(shown(state), { a: { key: 'a' }, b: {} })
  assert.equal(state.diff(encodeStateVectorFromUpdate(first)), encodeStateAsUpdate(new Doc()))
  assert.equal(shown(state), { a: { key: 'a' }, b: {} })
  state.add({ update: second, clientId: 2, own: true })
  assert.equal(shown(state), { a: { key: 'a' }, b: { key: 'b' } })
})

test('what could not be taken in is not missing afterwards without anybody noticing', () => {
  const state = new YState(document)
  state.add({ update: Uint8Array.of(1, 1), clientId: 2, own: false })
  state.add({ update: written(1, 'b'), clientId: 1, own: false })
  for (let times = 0; times < 2; times++) assert.throws(() => state.diff())
})

test.run()
