/*
 * Property: a walk finds, on each side, exactly the documents that it holds and the other does not, or otherwise; each once, in as
 * few round trips and bytes as is said; and it ends, whatever the other side answers. Fails when a difference is missed at
 * some depth or form of the trees, when something equal is told, or when a lie makes a walk endless.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Answer, Part } from '../../../src/federation/reconciliation/parts.ts'
import { below, root } from '../../../src/federation/reconciliation/place.ts'
import { answerTo, OutOfTurn, Walk } from '../../../src/federation/reconciliation/walk.ts'
import { ahead, crypto, type Holding, NamedTree, walked } from './trees.ts'

const nameOf = (number: number): string => `pn/a.example/network-${number}`
const salt = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)

const holdingOf = (count: number, version: (number: number) => number | undefined): Holding => {
  const holding = new Map<string, number>()
  for (let number = 0; number < count; number++) {
    const at = version(number)
    if (at !== undefined) holding.set(nameOf(number), at)
  }
  return holding
}

function assertFound(a: Holding, b: Holding, seed = salt) {
  const found = walked(new NamedTree(a), new NamedTree(b), seed)
  assert.equal([...found.driver].sort(), ahead(a, b).sort(), 'the driver')
  assert.equal([...found.other].sort(), ahead(b, a).sort(), 'the other')
  return found
}

test('random sets with random differences: exactly those that differ, on both sides', () => {
  const side = fc.record({
    size: fc.constantFrom(0, 1, 20, 32, 33, 60, 400, 1_500),
    missing: fc.nat(97),
    changed: fc.nat(97),
    seed: fc.integer({ min: 1, max: 96 }),
  })
  fc.assert(
    fc.property(side, side, fc.uint8Array({ minLength: 8, maxLength: 8 }), (a, b, seed) => {
      const holding = ({ size, missing, changed, seed }: typeof a): Holding =>
        holdingOf(size, number => {
          const drawn = (number * 7919 * seed) % 97
          if (drawn < missing / 4) return undefined
          return drawn > 97 - changed / 4 ? 2 + (seed % 3) : 1
        })
      assertFound(holding(a), holding(b), seed)
    }),
    { numRuns: 60 },
  )
})

test('equal trees cost one small frame each way, whatever their size', () => {
  for (const count of [0, 5, 32, 33, 6_000]) {
    const holding = holdingOf(count, () => 1)
    const { frames, bytes, roundTrips } = assertFound(holding, holding)
    assert.is(frames, 2)
    assert.is(roundTrips, 1)
    assert.ok(bytes <= 1_024, `${bytes} bytes`)
  }
})

test('one difference costs the way down to it, and no more', () => {
  const all = holdingOf(6_000, () => 1)
  for (const [a, b] of [
    [new Map([...all, [nameOf(77), 2]]), all],
    [all, new Map([...all, [nameOf(777_777), 1]])],
    [all, new Map([...all].filter(([name]) => name !== nameOf(123)))],
  ] as const) {
    const { bytes, roundTrips } = assertFound(a, b)
    assert.ok(bytes <= 2_048, `${bytes} bytes`)
    assert.ok(roundTrips <= 3, `${roundTrips} round trips`)
  }
})

test('some differences among many: few round trips, and bytes in proportion to them', () => {
  const changed = (from: number) => (number: number) => (number % 60 === from ? 2 : 1)
  const { bytes, roundTrips } = assertFound(holdingOf(6_000, changed(0)), holdingOf(6_000, changed(50)))
  assert.ok(bytes <= 200 * 512, `${bytes} bytes for 200 documents`)
  assert.ok(roundTrips <= 4, `${roundTrips} round trips`)
})

test('where one side has nothing the other is told so by one place', () => {
  const all = holdingOf(6_000, () => 1)
  for (const [a, b] of [
    [all, new Map<string, number>()],
    [new Map<string, number>(), all],
  ] as const) {
    const { bytes, roundTrips } = assertFound(a, b)
    assert.ok(bytes <= 1_024, `${bytes} bytes`)
    assert.ok(roundTrips <= 2)
  }
})

test('everything different: all of it is found, with few places waiting at a time', () => {
  const found = assertFound(
    holdingOf(6_000, () => 1),
    holdingOf(6_000, () => 2),
  )
  assert.is(found.driver.size, 6_000)
})

/** A walk over a tree, and the answer to its first query. */
function asked(holding: Holding) {
  const { tree } = new NamedTree(holding)
  tree.refresh(Number.POSITIVE_INFINITY)
  const walk = new Walk(tree, crypto)
  walk.begin(salt)
  const query = walk.next()
  if (!query) throw new Error('a round begins with a query')
  const answer = (parts: readonly Part[], id = query.id): Answer => ({
    type: 'answer',
    id,
    documents: 1,
    parts,
    isBusy: true,
  })
  return { walk, tree, answer, query }
}

test('an answer that nobody waits for, or that speaks of anything else, is out of turn', () => {
  const hash = new Uint8Array(8)
  const nothing = new Uint8Array()
  const large = holdingOf(1_000, () => 1)
  const deep = below(below(root, 3), 4)
  const bucket = (place = below(root, 3)): Part => ({ kind: 'bucket', place, hashes: nothing })
  for (const [holding, parts] of [
    [large, [bucket(deep)]],
    [large, [bucket(root)]],
    [large, [bucket(), bucket()]],
    [large, [{ kind: 'node', place: deep, present: 1, hashes: hash }]],
    [large, [{ kind: 'node', place: root, present: 1, hashes: hash }]],
    [large, [{ kind: 'lacking', place: root, hashes: hash }]],
    [new Map([[nameOf(1), 1]]), [{ kind: 'lacking', place: root, hashes: new Uint8Array(16) }]],
    [new Map([[nameOf(1), 1]]), [bucket(root)]],
    // To who has nothing all is sent: else sixteen places would follow from each that is empty, without end.
    [new Map(), [{ kind: 'node', place: root, present: 1, hashes: hash }]],
  ] as const) {
    const { walk, answer } = asked(holding)
    assert.throws(
      () => walk.answered(answer(parts)),
      (error: unknown) => error instanceof OutOfTurn,
    )
  }
  const { walk, answer, query } = asked(large)
  assert.throws(
    () => walk.answered(answer([], query.id + 1)),
    (error: unknown) => error instanceof OutOfTurn,
  )
  walk.answered(answer([]))
  assert.throws(
    () => walk.answered(answer([])),
    (error: unknown) => error instanceof OutOfTurn,
  )
})

test('a peer that says of every place that it differs makes a walk no longer than the own tree is large', () => {
  const count = 5_000
  const { walk, tree } = asked(holdingOf(count, () => 1))
  walk.begin(salt)
  let drawn = 0
  const lie = (length: number): Uint8Array => Uint8Array.from({ length }, () => ++drawn)
  // As if each place below were divided too, whatever it is, and nothing of any bucket were there.
  const liesAbout = ({ kind, place, hashes }: Part): Part[] => {
    if (kind === 'bucket') return [{ kind: 'lacking', place, hashes }]
    if (kind === 'lacking') return []
    const divided = (digit: number): Part => {
      return { kind: 'node', place: below(place, digit), present: 0xffff, hashes: lie(16 * 8) }
    }
    return Array.from({ length: 16 }, (_, digit) => divided(digit))
  }
  let queries = 0
  let seen = 0
  for (let query = walk.next(); query; query = walk.next()) {
    queries++
    const parts = query.parts.flatMap(liesAbout)
    const found = walk.answered({ type: 'answer', id: query.id, documents: 1e9, parts, isBusy: true })
    seen += found.differing.length
  }
  assert.ok(walk.isThrough)
  assert.ok(queries <= count, `${queries} queries`)
  assert.ok(seen <= count && tree.size === count, 'no document is found twice')
})

test('what a query costs does not grow with what it says: a tree answers of itself what it has', () => {
  const { tree } = new NamedTree(holdingOf(5_000, () => 1))
  const places = Array.from({ length: 16 }, (_, digit) => below(root, digit))
  const parts = places.map((place): Part => ({ kind: 'node', place, present: 0xffff, hashes: new Uint8Array(16 * 8) }))
  const answer = answerTo({ type: 'query', id: 1, salt, documents: 0, parts }, tree, crypto)
  const hashes = answer.parts.reduce((sum, part) => sum + part.hashes.length / 8, 0)
  assert.ok(hashes <= 5_000 + 256, `${hashes} hashes`)
  const away = below(below(below(below(root, 1), 1), 1), 1)
  const beyond = answerTo(
    {
      type: 'query',
      id: 1,
      salt,
      documents: 0,
      parts: [{ kind: 'node', place: away, present: 1, hashes: new Uint8Array(8) }],
    },
    tree,
    crypto,
  )
  assert.ok(beyond.parts.length <= 1)
})

test('documents that come, go and change while a walk is open: it ends, and the next one finds what is left', () => {
  const a = new NamedTree(holdingOf(3_000, () => 1))
  const b = new NamedTree(holdingOf(3_000, number => (number % 5 === 0 ? 2 : 1)))
  const walk = new Walk(a.tree, crypto)
  walk.begin(salt)
  let turn = 0
  for (let query = walk.next(); query; query = walk.next()) {
    for (let number = 0; number < 40; number++) {
      const at = (turn * 40 + number) % 3_000
      if (turn % 3 === 0) a.drop(nameOf(at))
      else if (turn % 3 === 1) b.put(nameOf(10_000 + at), 1)
      else a.put(nameOf(at), 2)
    }
    turn++
    const { parts } = answerTo(query, b.tree, crypto)
    walk.answered({ type: 'answer', id: query.id, documents: b.tree.size, parts, isBusy: false })
  }
  assert.ok(walk.isThrough && turn >= 2)
  const holdingIn = (tree: NamedTree): string[] => tree.documents().sort()
  const found = walked(a, b, salt)
  const inB = new Set(holdingIn(b))
  const onlyA = holdingIn(a).filter(name => !inB.has(name))
  assert.ok(onlyA.every(name => found.driver.has(name)))
})

test.run()
