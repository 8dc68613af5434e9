/*
 * Proves: `Numbers`, `HashChains` and `IdTexts` hold what a map would, whatever is set, removed and moved meanwhile, and what is let go is
 * used anew. Fails if a bucket that is split loses a number, if a place is given twice, or if an id that moves is read where it was.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HashChains } from '../../src/dense/hash-chains.ts'
import { IdTexts } from '../../src/dense/id-texts.ts'
import { Numbers } from '../../src/dense/numbers.ts'

const uint32 = fc.integer({ min: 0, max: 2 ** 32 - 1 })

test('numbers are where they were set, and 0 elsewhere', () => {
  const at = fc.oneof(fc.nat(40), fc.nat(40_000))
  fc.assert(
    fc.property(fc.array(fc.tuple(at, uint32), { maxLength: 200 }), settings => {
      const numbers = new Numbers()
      for (const [where, number] of settings) numbers.set(where, number)
      const model = new Map(settings)
      for (const [where] of settings)
        for (const near of [where - 1, where, where + 1].filter(at => at >= 0))
          assert.is(numbers.get(near), model.get(near) ?? 0, `at ${near}`)
    }),
  )
})

test('numbers of a hash are found, and their places are given anew when they are removed', () => {
  const hash = fc.oneof(
    fc.nat(3),
    fc.nat(3).map(high => high * 2 ** 30),
    uint32,
  )
  const add = fc.record({ hash, value: fc.nat(1_000), count: fc.integer({ min: 1, max: 60 }) })
  fc.assert(
    fc.property(fc.array(fc.oneof(add, fc.record({ remove: fc.nat() })), { maxLength: 120 }), steps => {
      const chains = new HashChains()
      const model = new Map<number, { readonly hash: number; readonly value: number }>()
      let most = 0
      for (const step of steps) {
        if ('remove' in step) {
          const place = [...model.keys()][step.remove % Math.max(1, model.size)]
          if (place === undefined) continue
          chains.remove(place)
          model.delete(place)
          continue
        }
        for (let number = 0; number < step.count; number++) {
          const place = chains.add(step.hash, step.value + number)
          assert.not(model.has(place), `place ${place} is in use`)
          model.set(place, { hash: step.hash, value: step.value + number })
        }
        most = Math.max(most, model.size)
      }
      const byHash = Map.groupBy(model, ([, { hash }]) => hash)
      for (const [hash, held] of byHash) {
        const places = held.map(([place]) => place).sort((a, b) => a - b)
        assert.equal(
          chains.places(hash).sort((a, b) => a - b),
          places,
          `hash ${hash}`,
        )
      }
      for (const [place, { value }] of model) assert.is(chains.value(place), value)
      assert.ok(
        [...model.keys()].every(place => place < most),
        'places beyond as many as were ever in use',
      )
    }),
  )
})

test('ids are read wherever they have been moved to, and what is let go makes room', () => {
  const owners = 200
  const id = fc.tuple(fc.nat(9), fc.integer({ min: 1, max: 200 })).map(([letter, length]) => `${letter}`.repeat(length))
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(owners - 1), id), { minLength: 1, maxLength: 60 }), some => {
      const places = new Map<number, number>()
      const model = new Map<number, string>()
      const ids = new IdTexts(
        owner => places.get(owner) ?? -1,
        (owner, at) => places.set(owner, at),
      )
      let most = 0
      for (let turn = 0; turn < 40; turn++) {
        for (const [owner, id] of some) {
          const before = places.get(owner)
          const turned = `${turn}/${id}`
          places.set(owner, ids.keep(owner, turned))
          if (before !== undefined) ids.letGo(before)
          model.set(owner, turned)
          assert.ok(ids.isSame(places.get(owner) ?? -1, turned))
          assert.not(ids.isSame(places.get(owner) ?? -1, `${turned}.`))
        }
        most = Math.max(most, ids.bytes)
      }
      for (const [owner, id] of model) assert.is(ids.read(places.get(owner) ?? -1), id)
      // What is held, a third of it, and the segments that are being written.
      assert.ok(most <= 6 * 16_384, `${most} bytes`)
    }),
  )
})

test.run()
