/*
 * Property: a tree that documents come to, leave and change in has the hash, and the form, of one that was made of what is left;
 * and takes no more than 100 bytes of memory for a document, ids included, however many come and go. Fails when a hash depends
 * on history, when something is left behind by what was removed, or when what was freed is not used again.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { HashTree } from '../../../src/federation/reconciliation/hash-tree.ts'
import { Leaves } from '../../../src/federation/reconciliation/leaves.ts'
import { above, below, digitAt, isPlace, lies, root } from '../../../src/federation/reconciliation/place.ts'
import type { DocumentId } from '../../../src/ports/names.ts'
import { crypto, digestOf, NamedTree } from './trees.ts'

const nameOf = (number: number): string =>
  `conversation/a.example/u-${number % 100}/c-${String(number).padStart(12, '0')}`

test('incremental is rebuilt, after any history', () => {
  const step = fc.record({
    what: fc.constantFrom('put', 'put', 'put', 'drop', 'hash'),
    from: fc.nat(400),
    count: fc.integer({ min: 1, max: 150 }),
    version: fc.nat(2),
  })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), steps => {
      const held = new Map<string, number>()
      const grown = new NamedTree()
      for (const { what, from, count, version } of steps) {
        if (what === 'hash') grown.rootHash()
        for (let number = from; number < from + count && what !== 'hash'; number++) {
          const name = nameOf(number)
          if (what === 'put') {
            held.set(name, version)
            grown.put(name, version)
          } else {
            held.delete(name)
            grown.drop(name)
          }
        }
      }
      const made = new NamedTree(new Map([...held].reverse()))
      assert.is(grown.tree.size, held.size)
      assert.is(grown.rootHash(), made.rootHash())
      assert.equal(grown.documents(), made.documents())
      assert.equal(grown.documents().sort(), [...held.keys()].sort())
    }),
    { numRuns: 60 },
  )
})

test('every document counts: another digest, one more or one less is another root', () => {
  const tree = new NamedTree(new Map(Array.from({ length: 500 }, (_, number) => [nameOf(number), 1])))
  const roots = new Set([tree.rootHash()])
  for (let number = 0; number < 500; number += 7) {
    tree.put(nameOf(number), 2)
    roots.add(tree.rootHash())
    tree.drop(nameOf(number))
    roots.add(tree.rootHash())
    tree.put(nameOf(number), 1)
    assert.ok(roots.has(tree.rootHash()), 'as before')
  }
  assert.is(roots.size, 1 + 2 * Math.ceil(500 / 7))
})

test('keys that share many digits, or all of them, are told apart by depth and id', () => {
  // Found by somebody with time: the tree must not care.
  const keys = [
    { high: 0x12345678, low: 0x9abcdef0 },
    { high: 0x12345678, low: 0x9abcdef1 },
  ]
  const make = (numbers: readonly number[]) => {
    const leaves = new Leaves()
    const tree = new HashTree(leaves, crypto)
    for (const number of numbers) {
      const document = nameOf(number) as DocumentId
      tree.add(leaves.add(document, keys[number % 2] ?? { high: 0, low: 0 }, digestOf(number)))
    }
    tree.refresh(Number.POSITIVE_INFINITY)
    const hash = new DataView(new ArrayBuffer(16))
    tree.writeHash(0, hash, 0)
    return { tree, hash: Buffer.from(hash.buffer).toString('hex') }
  }
  const numbers = Array.from({ length: 90 }, (_, number) => number)
  const one = make(numbers)
  assert.is(one.hash, make(numbers.toReversed()).hash)
  for (const number of numbers) {
    assert.is.not(one.tree.find(nameOf(number) as DocumentId, keys[number % 2] ?? { high: 0, low: 0 }), undefined)
  }
  assert.is(one.tree.find(nameOf(91) as DocumentId, keys[1] ?? { high: 0, low: 0 }), undefined)
})

test('places: below and above undo each other, and keys lie where their digits say', () => {
  const word = fc.integer({ min: 0, max: 0xffff_ffff })
  fc.assert(
    fc.property(word, word, fc.integer({ min: 1, max: 16 }), (high, low, depth) => {
      let place = root
      for (let at = 0; at < depth; at++) {
        const next = below(place, digitAt(high, low, at))
        assert.equal(above(next), place)
        place = next
      }
      assert.ok(isPlace(place) && lies(high, low, place))
      const other = (digitAt(high, low, depth - 1) + 1) % 16
      const beside = below(above(place) ?? root, other)
      assert.not.ok(lies(high, low, beside))
    }),
  )
})

test('memory is flat: at most 100 bytes for a document and tree, and no more after all of them were replaced', () => {
  const tree = new NamedTree()
  const count = 20_000
  const bytes = () => tree.tree.bytes + tree.leaves.bytes
  for (let number = 0; number < count; number++) tree.put(nameOf(number), 1)
  assert.ok(bytes() / count <= 100, `${bytes() / count} bytes for each`)
  const before = bytes()
  for (let number = 0; number < count; number++) {
    tree.put(nameOf(number + count), 1)
    tree.drop(nameOf(number))
  }
  assert.is(tree.tree.size, count)
  assert.ok(bytes() <= before * 1.25, `${bytes()} of ${before}`)
  for (let number = 0; number < count; number++) tree.drop(nameOf(number + count))
  assert.is(tree.rootHash(), new NamedTree().rootHash())
})

test('hashes are made as many at a time as is allowed, and come out the same', () => {
  const holding = new Map(Array.from({ length: 5_000 }, (_, number) => [nameOf(number), 1]))
  const [sliced, whole] = [new NamedTree(holding), new NamedTree(holding)]
  let slices = 1
  while (!sliced.tree.refresh(50)) slices++
  assert.ok(slices > 3)
  assert.is(sliced.rootHash(), whole.rootHash())
})

test.run()
