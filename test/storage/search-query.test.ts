import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CommandRefused } from '../../src/federation/command.ts'
import { criteriaLimits, mailboxSearch, type SearchCriteria } from '../../src/storage/methods/search.ts'
import { encodeCursor, indexQuery } from '../../src/storage/search/query.ts'
import { alice } from './storage-world.ts'

/*
 * Proves: whatever tree a client sends is taken, or refused as malformed, in time and without exhausting the stack; a text
 * without a word is refused, not searched for; and a cursor that was not given for such a list is refused.
 */

const isTaken = (criteria: unknown): boolean => mailboxSearch.params.safeParse({ ...alice, criteria }).success
const flag = { kind: 'flag', flag: '\\Seen' }
const nested = (depth: number): unknown => {
  let tree: unknown = flag
  for (let level = 1; level < depth; level++) tree = { kind: 'not', of: tree }
  return tree
}
function refusal(params: Partial<Parameters<typeof indexQuery>[0]> & { criteria: SearchCriteria }): string {
  try {
    indexQuery({ ...alice, ...params }, {})
    return 'not refused'
  } catch (error) {
    if (error instanceof CommandRefused) return `${error.status} ${error.reason}`
    throw error
  }
}
const text = (text: string, more: object = {}): SearchCriteria => ({ kind: 'text', text, ...more })

test('trees are taken up to their limits, and not beyond', () => {
  assert.ok(isTaken(nested(criteriaLimits.depth)))
  assert.not.ok(isTaken(nested(criteriaLimits.depth + 1)))
  assert.ok(isTaken({ kind: 'or', of: new Array(criteriaLimits.nodes - 1).fill(flag) }))
  assert.not.ok(isTaken({ kind: 'or', of: new Array(criteriaLimits.nodes).fill(flag) }))
})

test('huge trees are refused at once', () => {
  let looked = 0
  const counted = (of: unknown) => ({
    kind: 'and',
    get of() {
      looked += 1
      return of
    },
  })
  assert.not.ok(isTaken(nested(100_000)))
  assert.not.ok(isTaken({ kind: 'and', of: new Array(1_000_000).fill(flag) }))
  let wide: unknown = flag
  for (let level = 0; level < 20; level++) wide = counted([wide, wide])
  assert.not.ok(isTaken(wide))
  assert.ok(looked < 1_000, `${looked} of a million criteria were looked at`)
})

test('what is no criterion is refused', () => {
  for (const criteria of [
    undefined,
    null,
    1,
    'x',
    [],
    {},
    { kind: 'and' },
    { kind: 'and', of: {} },
    { kind: 'or', of: [] },
  ])
    assert.not.ok(isTaken(criteria), JSON.stringify(criteria))
  for (const criteria of [
    { kind: 'flag', flag: '\\Recent' },
    { kind: 'attribute', name: 'a flag', value: '\\Seen' },
    { kind: 'attribute', name: '__proto__', value: 'x' },
    { kind: 'date', since: -1 },
    { kind: 'text', text: 'x'.repeat(257) },
    { kind: 'text', text: 'x', in: 'rowid' },
  ])
    assert.not.ok(isTaken(criteria), JSON.stringify(criteria))
})

test('texts are split into words as what they are searched in; there must be one, and not too many', () => {
  assert.is(refusal({ criteria: text('"*" OR -- ()') }), 'not refused')
  assert.is(refusal({ criteria: text('"*" -- ()') }), '400 MALFORMED')
  assert.is(refusal({ criteria: { kind: 'not', of: text('…') } }), '400 MALFORMED')
  const many = text('字'.repeat(65))
  assert.is(refusal({ criteria: many }), '400 MALFORMED')
  assert.equal(
    indexQuery({ ...alice, criteria: text('Ann@b.example Lün', { match: 'beginning', in: 'text' }) }, {}).criteria,
    {
      kind: 'and',
      of: [
        { kind: 'phrase', words: ['ann', 'b', 'example'], prefix: false, field: 'text' },
        { kind: 'phrase', words: ['lun'], prefix: true, field: 'text' },
      ],
    },
  )
})

test('a cursor is good for a list that is sorted as its own was, and no other text is one', () => {
  const key = { value: 1, date: 1, container: 'c-x', part: 0, id: 'x' }
  const criteria: SearchCriteria = { kind: 'and', of: [] }
  const cursor = encodeCursor('size', key)
  assert.equal(indexQuery({ ...alice, criteria, sort: 'size', cursor }, {}).after, key)
  for (const wrong of [cursor, 'x', '', '!', encodeCursor('from', key), encodeCursor('date', { ...key, value: 'x' })])
    assert.is(refusal({ criteria, sort: 'date', cursor: wrong }), '400 MALFORMED')
  assert.is(refusal({ criteria, sort: 'from', cursor: encodeCursor('from', key) }), '400 MALFORMED')
})

test('who is limited to addresses asks for those alone, whatever it asks', () => {
  const { criteria } = indexQuery(
    { ...alice, criteria: { kind: 'or', of: [{ kind: 'and', of: [] }] } },
    { addresses: [] },
  )
  assert.equal(criteria.kind === 'and' && criteria.of[1], { kind: 'or', of: [] })
})

test.run()
