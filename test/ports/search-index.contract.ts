import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { operatorId } from '../../src/ports/names.ts'
import {
  type Criteria,
  type IndexBatch,
  type IndexChange,
  type IndexedObject,
  type IndexQuery,
  type MailboxName,
  OutOfStep,
  type SearchIndex,
  SearchIndexFailed,
  type SortKey,
  sorts,
  textFields,
} from '../../src/ports/search-index.ts'
import { SimulatedSearchIndex } from '../../src/simulation/search-index.ts'

/*
 * The contract of SearchIndex, run for every adapter. It proves that batches apply whole and only where they follow on, that a
 * mailbox sees nothing of another, that pages show what stayed exactly once while other objects come and go, and that an index
 * answers random queries over random objects, in every order, as one that looks at each object for each query. An adapter
 * fails here if it takes a word for an operator, forgets a flag, sorts ties at random, or moves objects between pages.
 */

export interface SearchIndexPlace {
  open(): Promise<SearchIndex>
  remove(): Promise<void>
}

export const mailboxA: MailboxName = { operator: operatorId('a.example'), user: 'alice' }
const mailboxB: MailboxName = { operator: operatorId('a.example'), user: 'Alice' }

/** An object of which only `said` matters. */
export function objectOf(number: number, said: Partial<IndexedObject> = {}): IndexedObject {
  return {
    container: 'c-chat',
    part: 0,
    id: idOf(number),
    date: 1_700_000_000_000 + number,
    size: number,
    from: 'alice@a.example',
    attributes: [],
    flags: [],
    words: { subject: [], text: [], addresses: [], media: [] },
    ...said,
  }
}
export const idOf = (number: number): string => String(number).padStart(22, '0')
export const wordsOf = (text: string, field = 'text'): IndexedObject['words'] => ({
  subject: [],
  text: [],
  addresses: [],
  media: [],
  [field]: text.split(' '),
})
export const put = (object: IndexedObject): IndexChange => ({ kind: 'put', object })
export const phrase = (text: string, more: { prefix?: boolean; field?: 'subject' | 'text' } = {}): Criteria => ({
  kind: 'phrase',
  words: text.split(' '),
  prefix: false,
  ...more,
})
export const everything: Criteria = { kind: 'and', of: [] }
export const byDate = (criteria: Criteria, more: Partial<IndexQuery> = {}): IndexQuery => ({
  criteria,
  sort: 'date',
  order: 'ascending',
  limit: 100,
  ...more,
})
export const idsOf = (objects: readonly SortKey[]): string[] => objects.map(({ id }) => id)

async function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => assert.unreachable('it was to be refused'),
    error => error,
  )
}

export function searchIndexContract(name: string, makePlace: () => Promise<SearchIndexPlace>): void {
  const contract = suite<{ place: SearchIndexPlace; index: SearchIndex }>(`search index: ${name}`)

  contract.before.each(async context => {
    context.place = await makePlace()
    context.index = await context.place.open()
  })
  contract.after.each(async ({ index, place }) => {
    await index.close()
    await place.remove()
  })

  contract('has no position before anything was put, and then the one of the last batch', async ({ index }) => {
    assert.is(await index.position(mailboxA), undefined)
    await index.apply(mailboxA, { after: undefined, changes: [], position: '1' })
    assert.is(await index.position(mailboxA), '1')
    await index.apply(mailboxA, { after: '1', changes: [put(objectOf(1))], position: '2' })
    assert.is(await index.position(mailboxA), '2')
    assert.is(await index.position(mailboxB), undefined)
  })

  contract('takes a batch only where it follows on, and answers only where it stands', async ({ index }) => {
    await index.apply(mailboxA, { after: undefined, changes: [put(objectOf(1))], position: '1' })
    for (const after of [undefined, '0', '2'])
      assert.instance(
        await rejection(index.apply(mailboxA, { after, changes: [put(objectOf(2))], position: '3' })),
        OutOfStep,
      )
    for (const [mailbox, position] of [
      [mailboxA, '0'],
      [mailboxB, '1'],
    ] as const) {
      assert.instance(await rejection(index.query(mailbox, position, byDate(everything))), OutOfStep)
      assert.instance(await rejection(index.held(mailbox, position, 'media', ['x'])), OutOfStep)
    }
    const { objects, more } = await index.query(mailboxA, '1', byDate(everything))
    assert.equal([idsOf(objects), more], [[idOf(1)], false])
  })

  contract('stores nothing of a batch of which something cannot be', async ({ index }) => {
    await index.apply(mailboxA, { after: undefined, changes: [put(objectOf(1))], position: '1' })
    for (const bad of ['a b', 'A', 'a"b', '', '\ud800', 'a-b', '*']) {
      const changes = [put(objectOf(2)), put(objectOf(3, { words: { ...wordsOf('x'), subject: [bad] } }))]
      const error = await rejection(index.apply(mailboxA, { after: '1', changes, position: '2' }))
      assert.instance(error, RangeError, JSON.stringify(bad))
      assert.instance(
        await rejection(index.query(mailboxA, '1', byDate({ kind: 'phrase', words: [bad], prefix: false }))),
        RangeError,
      )
    }
    assert.is(await index.position(mailboxA), '1')
    assert.equal(idsOf((await index.query(mailboxA, '1', byDate(everything))).objects), [idOf(1)])
  })

  contract('forgets a mailbox, and no other', async ({ index }) => {
    for (const mailbox of [mailboxA, mailboxB])
      await index.apply(mailbox, { after: undefined, changes: [put(objectOf(1))], position: '1' })
    assert.equal((await index.mailboxes()).map(({ user }) => user).sort(), ['Alice', 'alice'])
    await index.drop(mailboxA)
    await index.drop(mailboxA)
    assert.is(await index.position(mailboxA), undefined)
    assert.equal(await index.mailboxes(), [mailboxB])
    assert.is((await index.query(mailboxB, '1', byDate(everything))).objects.length, 1)
    await index.apply(mailboxA, { after: undefined, changes: [], position: '7' })
    assert.is((await index.query(mailboxA, '7', byDate(everything))).objects.length, 0)
  })

  contract('finds words that are operators elsewhere as words', async ({ index }) => {
    const words = ['and', 'or', 'not', 'near', 'null', 'select', 'ünïcode', '東', '👍', 'x'.repeat(200)]
    const changes = words.map((word, at) => put(objectOf(at, { words: wordsOf(`a ${word} z`) })))
    await index.apply(mailboxA, { after: undefined, changes, position: '1' })
    for (const [at, word] of words.entries())
      for (const searched of [word, `a ${word}`, `${word} z`, `a ${word} z`])
        assert.equal(idsOf((await index.query(mailboxA, '1', byDate(phrase(searched)))).objects), [idOf(at)], searched)
    const beginning = byDate(phrase('a n', { prefix: true }))
    assert.equal(idsOf((await index.query(mailboxA, '1', beginning)).objects), [2, 3, 4].map(idOf))
  })

  contract('tells apart what differs in its attributes’ names, values and quotes alone', async ({ index }) => {
    const attributes = [`'; DROP TABLE object; --`, '"', '%', '_', '', 'a flag', '\u0000'].flatMap(text => [
      [text, 'x'] as const,
      ['x', text] as const,
    ])
    const changes = attributes.map((attribute, at) => put(objectOf(at, { attributes: [attribute] })))
    await index.apply(mailboxA, { after: undefined, changes, position: '1' })
    for (const [at, attribute] of attributes.entries()) {
      const { objects } = await index.query(mailboxA, '1', byDate({ kind: 'attribute', attribute }))
      assert.equal(idsOf(objects), [idOf(at)], JSON.stringify(attribute))
    }
  })

  contract('knows which values are held, until the last object that has one is gone', async ({ index }) => {
    const media = (...hashes: string[]) => ({ attributes: hashes.map(hash => ['media', hash] as const) })
    const changes = [put(objectOf(1, media('x', 'y'))), put(objectOf(2, media('y'))), put(objectOf(3))]
    await index.apply(mailboxA, { after: undefined, changes, position: '1' })
    assert.equal([...(await index.held(mailboxA, '1', 'media', ['x', 'y', 'z']))], ['x', 'y'])
    assert.equal([...(await index.held(mailboxA, '1', 'other', ['x', 'y', 'z']))], [])
    await index.apply(mailboxA, { after: '1', changes: [{ kind: 'remove', place: objectOf(1) }], position: '2' })
    assert.equal([...(await index.held(mailboxA, '2', 'media', ['x', 'y', 'z']))], ['y'])
  })

  contract('shows what stays exactly once, whatever comes and goes between the pages', async ({ index }) => {
    for (const sort of sorts)
      for (const order of ['ascending', 'descending'] as const) {
        await index.drop(mailboxA)
        const stay = Array.from({ length: 30 }, (_, at) => objectOf(at * 10, { size: at % 4, words: wordsOf('word') }))
        let position = '0'
        await index.apply(mailboxA, { after: undefined, changes: stay.map(put), position })
        const seen: string[] = []
        let after: SortKey | undefined
        for (let page = 0; ; page++) {
          const query = { criteria: phrase('word'), sort, order, limit: 4, ...(after && { after }) }
          const { objects, more } = await index.query(mailboxA, position, query)
          seen.push(...idsOf(objects))
          after = objects.at(-1)
          if (!more || !after) break
          const comes = [1, 2, 3].map(add => put(objectOf(page * 20 + add, { size: page % 4, words: wordsOf('word') })))
          // The last object shown goes: the next page begins behind it all the same.
          const changes: IndexChange[] = [...comes, ...(page === 2 ? [{ kind: 'remove' as const, place: after }] : [])]
          await index.apply(mailboxA, { after: position, changes, position: `${page + 1}` })
          position = `${page + 1}`
        }
        const stayed = seen.filter(id => stay.some(object => object.id === id))
        assert.is(new Set(seen).size, seen.length)
        assert.is(stayed.length, stay.length, `${sort}, ${order}`)
      }
  })

  contract('keeps what it has when it is closed and opened again, and refuses in between', async context => {
    const { index, place } = context
    await index.apply(mailboxA, { after: undefined, changes: [put(objectOf(1))], position: '1' })
    await index.close()
    assert.instance(await rejection(index.position(mailboxA)), SearchIndexFailed)
    context.index = await place.open()
    const position = await context.index.position(mailboxA)
    if (position === undefined) return // it may be one that begins anew
    assert.equal(idsOf((await context.index.query(mailboxA, position, byDate(everything))).objects), [idOf(1)])
  })

  contract('finds an object by a flag that it is said to have once more', async ({ index }) => {
    const object = objectOf(1, { flags: ['\\Flagged'] })
    const { container, part, id } = object
    const again: IndexChange = { kind: 'flags', place: { container, part, id }, flags: ['\\Flagged'] }
    await index.apply(mailboxA, { after: undefined, changes: [put(object), again], position: '1' })
    const flagged = byDate({ kind: 'flag', flag: '\\Flagged' })
    assert.equal(idsOf((await index.query(mailboxA, '1', flagged)).objects), [id])
  })

  contract('answers random queries over random objects as one that looks at each object', async ({ index }) => {
    await fc.assert(
      fc.asyncProperty(histories, fc.array(queries, { minLength: 1, maxLength: 25 }), async (batches, asked) => {
        await index.drop(mailboxA)
        const reference = new SimulatedSearchIndex()
        for (const batch of batches) for (const each of [index, reference]) await each.apply(mailboxA, batch)
        const position = `${batches.length - 1}`
        for (const query of asked)
          for (let after: SortKey | undefined, pages = 0; pages < 4; pages++) {
            const paged = after ? { ...query, after } : query
            const page = await index.query(mailboxA, position, paged)
            assert.equal(page, await reference.query(mailboxA, position, paged))
            after = page.objects.at(-1)
            if (!page.more) break
          }
      }),
      { numRuns: 60 },
    )
  })

  contract.run()
}

/* Few different values everywhere, so that much coincides. */
const words = fc.constantFrom('a', 'ab', 'abc', 'b', 'and', 'or', 'é', '東', '京', '👍')
const flags = fc.constantFrom('\\Seen', '\\Flagged', '$Forwarded')
const attributes = fc.tuple(fc.constantFrom('type', 'to', 'media'), fc.constantFrom('x', 'y', 'z'))
const numbers = fc.nat({ max: 6 })
const fields = fc.constantFrom(...textFields)

const places = fc.record({
  container: fc.constantFrom('c-a', 'f-b'),
  part: fc.nat({ max: 1 }),
  id: fc.nat({ max: 25 }).map(idOf),
})
const text = fc.array(words, { maxLength: 6 })
const objects: fc.Arbitrary<IndexedObject> = fc
  .record({
    place: places,
    date: numbers,
    size: fc.oneof(numbers, fc.constant(Number.MAX_SAFE_INTEGER)),
    from: fc.constantFrom('alice@a.example', 'Bob@a.example', 'tel:+1', 'tel:+12'),
    attributes: fc.uniqueArray(attributes, { selector: pair => pair.join(), maxLength: 5 }),
    flags: fc.uniqueArray(flags),
    words: fc.record({ subject: text, text, addresses: text, media: text }),
  })
  .map(({ place, ...rest }) => ({ ...place, ...rest }))

const changes: fc.Arbitrary<IndexChange> = fc.oneof(
  { weight: 5, arbitrary: objects.map(put) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('flags'), place: places, flags: fc.uniqueArray(flags) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove'), place: places }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove-container'), container: fc.constant('f-b') }) },
)
const histories: fc.Arbitrary<IndexBatch[]> = fc
  .array(fc.array(changes, { maxLength: 40 }), { minLength: 1, maxLength: 3 })
  .map(batches =>
    batches.map((changes, at) => ({ after: at === 0 ? undefined : `${at - 1}`, changes, position: `${at}` })),
  )

const leaves: fc.Arbitrary<Criteria> = fc.oneof(
  fc.record(
    {
      kind: fc.constant('phrase'),
      words: fc.array(words, { minLength: 1, maxLength: 3 }),
      prefix: fc.boolean(),
      field: fields,
    },
    { requiredKeys: ['kind', 'words', 'prefix'] },
  ),
  fc.record({ kind: fc.constant('attribute'), attribute: attributes }),
  fc.record({ kind: fc.constant('flag'), flag: flags }),
  fc.record({ kind: fc.constant('id'), id: fc.nat({ max: 25 }).map(idOf) }),
  fc.record(
    { kind: fc.constant('range'), of: fc.constantFrom('date', 'size'), from: numbers, before: numbers },
    { requiredKeys: ['kind', 'of'] },
  ),
)
const { criteria } = fc.letrec<{ criteria: Criteria }>(tie => ({
  criteria: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    leaves,
    fc.record({ kind: fc.constantFrom('and', 'or'), of: fc.array(tie('criteria'), { maxLength: 4 }) }),
    fc.record({ kind: fc.constant('not'), of: tie('criteria') }),
  ),
}))
const queries: fc.Arbitrary<IndexQuery> = fc.record({
  criteria,
  sort: fc.constantFrom(...sorts),
  order: fc.constantFrom('ascending', 'descending'),
  limit: fc.integer({ min: 1, max: 10 }),
})
