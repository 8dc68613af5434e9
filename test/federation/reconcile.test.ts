/*
 * Property: going through pages finds exactly the documents that differ or that one side alone holds, each once, in order,
 * whatever either side holds and however pages fall; and a walk ends. Fails when a document at the border of a page is
 * missed or named twice, or when a round that became due in the midst of another is forgotten.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { advance, differing, pageAfter, resting, type Source, type Walk } from '../../src/federation/reconcile.ts'
import { type Leaf, maxPageDocuments, type Page } from '../../src/federation/wire.ts'
import type { DocumentId } from '../../src/ports/names.ts'

/** What somebody holds: document → a number that stands for its digest. */
type Holding = ReadonlyMap<string, number>

const leafOf = ([document, digest]: readonly [string, number]): Leaf => ({
  document: document as DocumentId,
  digest: new Uint8Array(32).fill(digest),
})

const sourceOf = (holding: Holding): Source =>
  async function* (after) {
    const sorted = [...holding].sort(([a], [b]) => (a < b ? -1 : 1))
    yield* sorted.filter(([document]) => document > after).map(leafOf)
  }

/** Walks from one holding to the other as two sessions would. Returns what was found, and the pages it took. */
async function found(drives: Holding, compares: Holding): Promise<{ documents: string[]; pages: Page[] }> {
  const documents: string[] = []
  const pages: Page[] = []
  let walk: Walk = advance(resting, { type: 'due' })
  while (walk.state === 'reading') {
    const page = await pageAfter(sourceOf(drives), walk.round, walk.after)
    pages.push(page)
    walk = advance(walk, { type: 'sent', page })
    for await (const document of differing(page, sourceOf(compares))) documents.push(document)
    walk = advance(walk, { type: 'paged', round: page.round })
  }
  return { documents, pages }
}

const expected = (a: Holding, b: Holding): string[] =>
  [...new Set([...a.keys(), ...b.keys()])].filter(document => a.get(document) !== b.get(document)).sort()

test('small holdings of any kind', async () => {
  const holding = fc
    .array(fc.tuple(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'B', 'é', 'aa'), fc.nat(2)))
    .map(entries => new Map(entries))
  await fc.assert(
    fc.asyncProperty(holding, holding, async (a, b) => {
      assert.equal((await found(a, b)).documents, expected(a, b))
    }),
    { numRuns: 500 },
  )
})

test('holdings of several pages, with differences anywhere', async () => {
  const many = (count: number, seed: number): Holding =>
    new Map(
      Array.from({ length: count }, (_, at) => [String(at * 7919 + 10 ** 9), (at * seed) % 97] as const).filter(
        ([, digest]) => digest > 2,
      ),
    )
  for (const [countA, countB] of [
    [0, 1_500],
    [1_500, 0],
    [maxPageDocuments, maxPageDocuments],
    [maxPageDocuments + 1, 3],
    [1_700, 1_200],
  ] as const) {
    const [a, b] = [many(countA, 31), many(countB, 31 + (countB % 2))]
    const { documents, pages } = await found(a, b)
    assert.equal(documents, expected(a, b))
    assert.ok(pages.every(({ leaves }) => leaves.length <= maxPageDocuments))
    assert.is(pages.length, Math.max(1, Math.ceil(a.size / maxPageDocuments)))
  }
})

test('what does not fit the state of a walk changes nothing; a round due meanwhile follows', () => {
  const page = (round: number, last: boolean): Page => ({
    type: 'page',
    round,
    after: '',
    leaves: last ? [] : [leafOf(['x', 1])],
    last,
  })
  assert.is(advance(resting, { type: 'paged', round: 0 }), resting)
  assert.is(advance(resting, { type: 'sent', page: page(0, true) }), resting)
  const reading = advance(resting, { type: 'due' })
  assert.equal(reading, { state: 'reading', round: 1, after: '', again: false })
  assert.is(advance(reading, { type: 'paged', round: 1 }), reading)
  const waiting = advance(reading, { type: 'sent', page: page(1, false) })
  assert.is(advance(waiting, { type: 'paged', round: 9 }), waiting)
  const again = advance(waiting, { type: 'due' })
  const second = advance(again, { type: 'paged', round: 1 })
  assert.equal(second, { state: 'reading', round: 1, after: 'x', again: true })
  const last = advance(second, { type: 'sent', page: page(1, true) })
  assert.equal(advance(last, { type: 'paged', round: 1 }), { state: 'reading', round: 2, after: '', again: false })
})

test.run()
