/*
 * Proves: tokens and cursors come back as they were; no other text is taken for one; and what a token leaves out of a writer who
 * has been silent for long is what it had reached.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Register, Registers } from '../../src/document/documents.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { defaultPolicy } from '../../src/storage/policy.ts'
import { keys, type Run, vectorOf } from '../../src/storage/records.ts'
import { reachedAt, vectorFrom } from '../../src/storage/sync/horizon.ts'
import { decodeCursor, decodeToken, encodeCursor, encodeToken } from '../../src/storage/sync/token.ts'

const run: fc.Arbitrary<Run> = fc.stringMatching(/^[A-Za-z0-9_-]{8}$/)
const time = fc.nat(2 ** 40)
const vector = fc.array(fc.tuple(run, fc.nat())).map(entries => new Map(entries))
const plain = { noNullPrototype: true } as const
const reached = fc.record({ horizon: time, vector }, plain)
const token = fc.record(
  {
    born: fc.string({ maxLength: 30 }),
    issued: time,
    reached,
    ahead: fc.option(fc.record({ since: time, vector }, plain), { nil: undefined }),
  },
  plain,
)
const cursor = fc.record(
  {
    born: fc.string({ maxLength: 30 }),
    from: fc.option(token, { nil: undefined }),
    to: reached,
    question: fc.string({ maxLength: 30 }),
    after: fc.oneof(
      fc.record({ container: fc.string({ maxLength: 30 }), part: fc.nat(), id: fc.string({ maxLength: 30 }) }, plain),
      fc.string({ maxLength: 30 }),
    ),
    isReset: fc.boolean(),
    isLagging: fc.boolean(),
  },
  plain,
)

test('what was encoded comes back', () => {
  fc.assert(fc.property(token, token => assert.equal(decodeToken(encodeToken(token)), token)))
  const isOfEarlierOrder = false
  fc.assert(
    fc.property(cursor, cursor => assert.equal(decodeCursor(encodeCursor(cursor)), { ...cursor, isOfEarlierOrder })),
  )
})

test('a cursor of a release that went through the parts in another order says so', () => {
  const written = encodeCursor(fc.sample(cursor, { numRuns: 1, seed: 1 })[0] as Parameters<typeof encodeCursor>[0])
  const shape = { ...JSON.parse(Buffer.from(written, 'base64url').toString()), v: 1 }
  const earlier = Buffer.from(JSON.stringify(shape)).toString('base64url')
  assert.is(decodeCursor(earlier)?.isOfEarlierOrder, true)
})

test('no other text is a token or a cursor, and none throws', () => {
  const json = fc.jsonValue().map(value => Buffer.from(JSON.stringify(value)).toString('base64url'))
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.base64String(), json), text => {
      assert.is(decodeToken(text), undefined)
      assert.is(decodeCursor(text), undefined)
    }),
  )
})

test('a token that was damaged is another one, or none', () => {
  fc.assert(
    fc.property(token, fc.nat(), fc.nat(63), (token, at, by) => {
      const text = encodeToken(token)
      const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
      const index = at % text.length
      const damaged = `${text.slice(0, index)}${letters[by]}${text.slice(index + 1)}`
      const found = decodeToken(damaged)
      if (found) for (const [, n] of found.reached.vector) assert.ok(Number.isSafeInteger(n) && n >= 0)
    }),
  )
})

const dayMs = 86_400_000
const now = 1_000 * dayMs
const runs = fc.uniqueArray(
  fc.record({ run, number: fc.integer({ min: 1, max: 1_000 }), stamp: fc.integer({ min: 700 * dayMs, max: now }) }),
  { selector: ({ run }) => run, maxLength: 40 },
)

const mailboxOf = (written: readonly { run: Run; number: number; stamp: number }[]): Registers => {
  const registers = new Map<string, Register>(
    written.map(({ run, number, stamp }) => [keys.run(run), { stamp, server: 's' as ServerId, value: number }]),
  )
  return {
    get: key => registers.get(key),
    entries: (prefix = '') =>
      [...registers].filter(([key]) => key.startsWith(prefix)).sort(([a], [b]) => (a < b ? -1 : 1)),
  }
}

test('who has been silent for long is not named, and is known all the same', () => {
  fc.assert(
    fc.property(runs, written => {
      const mailbox = mailboxOf(written)
      const here = vectorOf(mailbox)
      const lean = reachedAt(mailbox, here, now, defaultPolicy)
      const silentMs = defaultPolicy.tokenMs + defaultPolicy.offlineMs
      for (const { run, stamp } of written) assert.is(lean.vector.has(run), stamp > now - silentMs)
      assert.equal(new Map([...vectorFrom(mailbox, lean)].sort()), new Map([...here].sort()))
    }),
  )
})

test('a token names so many writers at the most, whoever wrote them there', () => {
  const letters = (n: number) => n.toString(36).padStart(8, '0')
  const many = Array.from({ length: 2_000 }, (_, n) => ({ run: letters(n), number: 1, stamp: now - n }))
  const { vector } = reachedAt(mailboxOf(many), vectorOf(mailboxOf(many)), now, defaultPolicy)
  assert.is(vector.size, 512)
})

test.run()
