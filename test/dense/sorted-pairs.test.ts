/*
 * Proves: of however many pairs those of one key are found, each once, while runs are merged and after; what is not wanted any more
 * shows no more, and its memory is given back; and memory for a pair is what it is said to be.
 * Fails if a merge loses or doubles a pair, if a page is given to two runs, or if what is dead is kept for good.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { SortedPairs } from '../../src/dense/sorted-pairs.ts'

const mixed = (number: number): number => Math.imul(number ^ (number >>> 15), 2_654_435_761) >>> 0

/** Pairs beside a map of the same. */
function both() {
  const dead = new Set<number>()
  const byKey = new Map<number, Set<number>>()
  let alive = 0
  const pairs = new SortedPairs({ isAlive: value => !dead.has(value), alive: () => alive })
  return {
    pairs,
    alive: () => alive,
    add(key: number, value: number) {
      pairs.add(key, value)
      if (dead.has(value)) return
      const values = byKey.get(key) ?? new Set()
      if (!values.has(value)) alive++
      byKey.set(key, values.add(value))
    },
    kill(value: number) {
      if (dead.has(value)) return
      dead.add(value)
      for (const values of byKey.values()) if (values.delete(value)) alive--
    },
    check(keys: Iterable<number>) {
      for (const key of keys) {
        const found = pairs.values(key).sort((a, b) => a - b)
        assert.equal(
          found,
          [...(byKey.get(key) ?? [])].sort((a, b) => a - b),
          `key ${key}`,
        )
      }
    },
  }
}

test('whatever is added and dies, a key has the values that a map has for it', () => {
  const numbers = fc.record({
    count: fc.integer({ min: 1, max: 12_000 }),
    keys: fc.constantFrom(1, 7, 1_000, 2 ** 32),
    values: fc.constantFrom(1, 50, 2 ** 32),
    from: fc.nat(),
  })
  const steps = fc.array(fc.oneof(numbers, fc.record({ kill: fc.nat(50) })), { minLength: 1, maxLength: 12 })
  fc.assert(
    fc.property(steps, all => {
      const { add, kill, check } = both()
      const looked = new Set<number>([0, 2 ** 32 - 1])
      for (const step of all) {
        if ('kill' in step) kill(step.kill)
        else
          for (let at = 0; at < step.count; at++) {
            const key = mixed(step.from + at) % step.keys
            add(key, mixed(step.from + 3 * at + 1) % step.values)
            if (at % 997 === 0) looked.add(key)
          }
        check(looked)
      }
    }),
    { numRuns: 60 },
  )
})

test('the greatest and the least of 32 bits are keys and values as others are', () => {
  const { add, check } = both()
  const most = 2 ** 32 - 1
  for (let at = 0; at < 20_000; at++) add(at % 2 === 0 ? 0 : most, at % 3 === 0 ? most - at : at)
  add(most, most)
  add(0, 0)
  check([0, most, 1, most - 1])
})

test('a pair takes three bytes where many have its key, and some six where none has', () => {
  const count = 600_000
  const bytesOf = (keyOf: (at: number) => number) => {
    const pairs = new SortedPairs({ isAlive: () => true, alive: () => count })
    for (let at = 0; at < count; at++) pairs.add(keyOf(at), at * 16)
    return pairs.bytes / count
  }
  assert.ok(bytesOf(at => at % 19) < 3.3, `${bytesOf(at => at % 19)}`)
  assert.ok(bytesOf(mixed) < 7, `${bytesOf(mixed)}`)
})

test('what dies makes room: names that change for ever take no more than a few times what is wanted of them', () => {
  const ages = new Uint8Array(1_000)
  const stamp = (number: number) => number * 16 + (ages[number] ?? 0)
  const each = 40
  const pairs = new SortedPairs({
    isAlive: value => stamp(Math.floor(value / 16)) === value,
    alive: () => ages.length * each,
  })
  let most = 0
  for (let turn = 0; turn < 60; turn++) {
    for (let number = 0; number < ages.length; number++) {
      ages[number] = ((ages[number] ?? 0) + 1) % 16
      for (let name = 0; name < each; name++) pairs.add(mixed(number * each + name), stamp(number))
    }
    if (turn > 10) most = Math.max(most, pairs.size)
  }
  assert.ok(most < 4 * ages.length * each, `${most} pairs are held, where ${ages.length * each} are wanted`)
  for (let number = 0; number < ages.length; number += 13)
    assert.equal(pairs.values(mixed(number * each)), [stamp(number)])
})

test.run()
