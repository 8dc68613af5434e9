import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate, Doc, transact } from 'yjs'
import { Content, type ContentEntry, type Held } from '../../src/document/content.ts'
import type { Json, Register, RegisterWrite } from '../../src/document/documents.ts'
import { decide } from '../../src/document/draft.ts'
import { guardUpdate } from '../../src/document/guard.ts'
import { HeldView } from '../../src/document/held-view.ts'
import { InvalidRegister } from '../../src/document/limits.ts'
import { clientIdOf, newLogId } from '../../src/document/log.ts'
import { lookup, type OrderedMap, put, withPrefix } from '../../src/document/ordered-map.ts'
import { asRegister, isLater, readRegisters } from '../../src/document/registers-view.ts'
import { YState } from '../../src/document/y-state.ts'
import type { LogId, ServerId } from '../../src/ports/names.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto, home } from './document-server.ts'

/*
 * Registers: that what wins is the same wherever and in whatever order it is read, that what is kept up to date entry by
 * entry is what one reads from scratch, that what is written passes the guard, and that hostile contents read as nothing.
 */

const servers = [
  '12D3KooWHKdccZGyp1t4JnwTTKT9A37HzpAQcRB8gNDfcpQJaaYu',
  '12D3KooWEZCsyQJhFgGDB6FKS4buYnoCL2877sZ554XSLPHoU3om',
] as ServerId[]
const json = fc
  .jsonValue({ maxDepth: 3, noUnicodeString: false })
  .map(value => JSON.parse(JSON.stringify(value)) as Json)
  .filter(value => !JSON.stringify(value).includes('__proto__'))
const register: fc.Arbitrary<Register> = fc.record(
  {
    stamp: fc.nat(3),
    server: fc.constantFrom(...servers),
    // Around the length from which on a text is written in one piece.
    value: fc.oneof(
      fc.constantFrom(null, 1, 'a', [], {}),
      json,
      fc.string({ unit: 'grapheme', minLength: 55, maxLength: 90 }),
    ),
  },
  { noNullPrototype: true },
)

test('an ordered map is a map in order, and never changes', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.string({ maxLength: 3 }), fc.nat())),
      fc.string({ maxLength: 2 }),
      (pairs, prefix) => {
        const model = new Map<string, number>()
        const versions: [OrderedMap<number>, string][] = []
        let map: OrderedMap<number>
        for (const [key, value] of pairs) {
          map = put(map, key, value)
          model.set(key, value)
          versions.push([map, JSON.stringify([...withPrefix(map, '')])])
        }
        for (const [key, value] of model) assert.is(lookup(map, key), value)
        const expected = [...model].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1))
        assert.equal([...withPrefix(map, prefix)], expected)
        for (const [version, text] of versions) assert.is(JSON.stringify([...withPrefix(version, '')]), text)
      },
    ),
  )
})

test('an ordered map stays flat', () => {
  let map: OrderedMap<number>
  for (let count = 0; count < 10_000; count++) map = put(map, String(count).padStart(5, '0'), count)
  assert.ok((map?.height ?? 99) <= 20)
})

test('of registers one always wins, whatever the order', () => {
  fc.assert(
    fc.property(register, register, register, (x, y, z) => {
      assert.not.ok(isLater(x, x))
      assert.ok(!isLater(x, y) || !isLater(y, x))
      if (!isLater(x, y) && !isLater(y, x)) assert.equal(x, y)
      if (isLater(x, y) && isLater(y, z)) assert.ok(isLater(x, z))
    }),
    { numRuns: 1_000 },
  )
})

interface Writing {
  readonly log: number
  readonly writes: readonly RegisterWrite[]
}

const longText = fc.string({ unit: fc.constantFrom('a', 'ö', '钥', '🔑'), minLength: 20, maxLength: 200 })
/** By UTF-16 code units the key stands before the full-width letters, by bytes of UTF-8 after them. */
const someKeys = ['a', 'b', 'b/', 'größe', 'größer', '🔑', 'ｚ', 'ｚ🔑']
const writing: fc.Arbitrary<Writing> = fc.record({
  log: fc.nat(2),
  writes: fc.uniqueArray(fc.record({ key: fc.constantFrom(...someKeys), value: fc.oneof(json, longText) }), {
    selector: ({ key }) => key,
    minLength: 1,
    maxLength: 4,
  }),
})

const writings = fc.array(writing, { maxLength: 12 })

/** What Yjs makes of the same writes. */
function yjsAuthor(log: LogId): (changes: readonly (readonly [key: string, held: Held])[]) => Uint8Array {
  const doc = new Doc({ guid: home })
  doc.clientID = clientIdOf(log, crypto)
  let written: Uint8Array = new Uint8Array()
  doc.on('update', (update: Uint8Array) => {
    written = update
  })
  return changes => {
    transact(doc, () => {
      for (const [key, { register }] of changes)
        doc.getMap(log).set(key, [register.stamp, register.server, register.value])
    })
    return written
  }
}

test('what is written is what Yjs writes; what is kept entry by entry is what is read from scratch', () => {
  const logs = [0, 1, 2].map(number => newLogId(seededRandom(`log ${number}`)))
  fc.assert(
    fc.property(
      writings,
      fc.infiniteStream(fc.nat(3)),
      fc.infiniteStream(fc.boolean()),
      (writings, stamps, reloads) => {
        const authors = logs.map(() => new Content(crypto))
        const yjsAuthors = logs.map(yjsAuthor)
        const clocks = logs.map(() => 0)
        const written: (ContentEntry & { readonly number: number })[] = []
        const [kept, other] = [new Content(crypto), new Content(crypto)]
        const doc = new Doc({ guid: home })
        const state = new YState(home)
        for (const [seq, { log, writes }] of writings.entries()) {
          const [author, root] = [authors[log] as Content, logs[log] as (typeof logs)[number]]
          const place = { log: root, seq, own: true, registerBytes: 0 }
          const pen = { server: servers[log % 2] as ServerId, place }
          const now = 1_000 + (stamps.next().value as number)
          const { view, changes } = decide(author.view, () => ({ writes, answer: 0 }), now, pen)
          const update = author.write(new Map<string, Held>(changes), view, place)
          assert.equal(update, yjsAuthors[log]?.(changes))
          const clientId = clientIdOf(root, crypto)
          const verdict = guardUpdate(update, { root, clientId, nextClock: clocks[log] as number })
          assert.ok(verdict.ok, JSON.stringify(verdict))
          if (verdict.ok) clocks[log] = verdict.nextClock
          written.push({ log: root, seq, update, number: log })
          // Who writes on may have read what it wrote before.
          if (reloads.next().value)
            authors[log] = contentOf(
              written.filter(({ number }) => number === log),
              () => true,
            )
          kept.apply({ log: root, seq, update }, false)
          other.apply({ log: root, seq, update }, log === 0)
          applyUpdate(doc, update)
          state.add({ update, clientId, own: log === 0 })
          const scratch = [...readRegisters(doc).entries()]
          assert.equal([...kept.view.entries()], scratch)
          assert.equal([...other.view.entries()], scratch)
          assert.equal([...contentOf(written, () => false).view.entries()], scratch)
        }
        const follower = new Doc({ guid: home })
        applyUpdate(follower, state.diff())
        assert.equal([...readRegisters(follower).entries()], [...readRegisters(doc).entries()])
        const atOnce = contentOf(written, ({ number }) => number === 0)
        assert.ok(Math.abs(atOnce.ownLiveBytes - other.ownLiveBytes) < 1e-6)
        for (const content of [...authors, other, atOnce]) {
          const live = [...content.view.heldWith('')].map(([, held]) => (held.place.own ? held.place.registerBytes : 0))
          assert.ok(Math.abs(content.ownLiveBytes - live.reduce((sum, bytes) => sum + bytes, 0)) < 1e-6)
          assert.ok(content.ownGarbageBytes > -1e-6)
        }
      },
    ),
    { numRuns: 200 },
  )
})

test('of a log that was copied up to an entry, only what comes after counts: in the content, and for who follows by y-protocol', () => {
  const logs = [0, 1, 2].map(number => newLogId(seededRandom(`log ${number}`)))
  fc.assert(
    fc.property(
      writings,
      fc.array(fc.integer({ min: -1, max: 12 }), { minLength: 3, maxLength: 3 }),
      fc.infiniteStream(fc.boolean()),
      (writings, ends, looks) => {
        const copied = new Map(logs.map((log, number) => [log, ends[number] as number]))
        const authors = logs.map(() => new Content(crypto))
        const [kept, atOnce] = [new Content(crypto, copied), new Content(crypto, copied)]
        const state = new YState(home)
        const follower = new Doc({ guid: home })
        const model = new Map<string, Register>()
        for (const [seq, { log, writes }] of writings.entries()) {
          const [author, root] = [authors[log] as Content, logs[log] as LogId]
          const place = { log: root, seq, own: true, registerBytes: 0 }
          const pen = { server: servers[log % 2] as ServerId, place }
          const { view, changes } = decide(author.view, () => ({ writes, answer: 0 }), 1_000, pen)
          const entry = { log: root, seq, update: author.write(new Map<string, Held>(changes), view, place) }
          const own = log === 0
          const update = kept.apply(entry, own)
          atOnce.apply(entry, own)
          assert.ok(update)
          state.add({ update, clientId: clientIdOf(root, crypto), own })
          if (looks.next().value) applyUpdate(follower, state.diff())
          applyUpdate(follower, update)
          if (seq <= (copied.get(root) as number)) continue
          for (const [key, { register }] of changes) {
            const before = model.get(key)
            if (!before || isLater(register, before)) model.set(key, register)
          }
          assert.equal([...kept.view.entries()], inOrder(model))
        }
        assert.equal([...kept.view.entries()], inOrder(model))
        assert.equal([...atOnce.view.entries()], inOrder(model))
        assert.equal([...readRegisters(follower).entries()], inOrder(model))
        for (const content of [kept, atOnce]) {
          for (const [key, register] of model) assert.equal(content.view.get(key), register)
          const live = [...content.view.heldWith('')].map(([, held]) => (held.place.own ? held.place.registerBytes : 0))
          assert.ok(Math.abs(content.ownLiveBytes - live.reduce((sum, bytes) => sum + bytes, 0)) < 1e-6)
          assert.ok(content.ownGarbageBytes > -1e-6)
        }
      },
    ),
    { numRuns: 200 },
  )
})

const inOrder = (registers: ReadonlyMap<string, Register>) =>
  [...registers].sort(([one], [other]) => (one < other ? -1 : 1))

/** What one has who reads all entries before anybody looks. */
function contentOf<E extends ContentEntry>(entries: readonly E[], own: (entry: E) => boolean): Content {
  const content = new Content(crypto)
  for (const entry of entries) content.apply(entry, own(entry))
  return content
}

test('what was read is found by key and by prefix, in order, whatever of it was written since', () => {
  const log = newLogId(seededRandom('read and written'))
  const key = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'ö', '钥', '🔑', 'ｚ'), minLength: 1, maxLength: 6 })
  const keys = fc.uniqueArray(key, { maxLength: 40 })
  fc.assert(
    fc.property(keys, keys, key, (read, since, asked) => {
      const model = new Map<string, Json>()
      const author = new Content(crypto)
      const update = (keys: readonly string[], seq: number): ContentEntry => {
        const place = { log, seq, own: true, registerBytes: 0 }
        const writes = keys.map((key, index) => ({ key, value: index % 2 === 0 ? { key, seq } : key.repeat(40) }))
        for (const { key, value } of writes) model.set(key, value)
        const pen = { server: servers[0] as ServerId, place }
        const { view, changes } = decide(author.view, () => ({ writes, answer: 0 }), 1_000, pen)
        return { log, seq, update: author.write(new Map<string, Held>(changes), view, place) }
      }
      const content = new Content(crypto)
      if (read.length > 0) content.apply(update(read, 0), true)
      const before = content.view
      const [seen, modelBefore] = [[...before.entries()], new Map(model)]
      if (since.length > 0) content.apply(update(since, 1), true)
      for (const prefix of ['', asked, asked.slice(0, 1)]) {
        const expected = [...model].filter(([key]) => key.startsWith(prefix)).sort(([x], [y]) => (x < y ? -1 : 1))
        assert.equal(
          [...content.view.entries(prefix)].map(([key, { value }]) => [key, value]),
          expected,
        )
      }
      for (const key of [asked, '', '\ud83d', ...read, ...since]) {
        assert.equal(content.view.get(key)?.value, model.get(key))
        assert.equal(before.get(key)?.value, modelBefore.get(key))
      }
      // What is made of a value may be remembered by the value, so it stays the same object.
      for (const [key, register] of seen) if (key.length < 2) assert.is(before.get(key)?.value, register.value)
    }),
    { numRuns: 200 },
  )
})

test('a write that no peer would take is refused before it is made', () => {
  const pen = {
    server: servers[0] as ServerId,
    place: { log: newLogId(seededRandom('x')), seq: 0, own: true, registerBytes: 0 },
  }
  const attempt = (write: RegisterWrite): void => {
    decide(HeldView.empty, () => ({ writes: [write], answer: 0 }), 1_000, pen)
  }
  const nested = (depth: number): Json => (depth === 0 ? 1 : [nested(depth - 1)])
  attempt({ key: 'k', value: nested(16) })
  const bad: [string, unknown][] = [
    ['k', nested(17)],
    ['k', Number.NaN],
    ['k', Number.POSITIVE_INFINITY],
    ['k', undefined],
    ['k', 10n],
    ['k', { a: undefined }],
    ['k', '\ud800'],
    ['\udc00', 1],
    ['k', { '\ud800': 1 }],
    ['k', JSON.parse('{"__proto__":{"isAdmin":true}}')],
    ['', 1],
    ['k'.repeat(1_025), 1],
  ]
  for (const [key, value] of bad)
    assert.throws(
      () => attempt({ key, value: value as Json }),
      (error: unknown) => error instanceof InvalidRegister,
    )
  for (const at of [Number.NaN, -1, 0.5])
    assert.throws(
      () => attempt({ key: 'k', value: 1, at }),
      (error: unknown) => error instanceof InvalidRegister,
    )
})

test('what is no register reads as nothing', () => {
  const [server] = servers
  const hostile = JSON.parse('{"__proto__":{"isAdmin":true}}') as object
  const odd: unknown[] = [
    undefined,
    null,
    1,
    'x',
    {},
    [],
    [1, server],
    [1, server, 1, 1],
    ['1', server, 1],
    [1.5, server, 1],
    [-1, server, 1],
    [Number.NaN, server, 1],
    [2 ** 53, server, 1],
    [9e15, server, 1],
    [1, 1, 1],
    [1, server, undefined],
    [1, server, 1n],
    [1, server, new Uint8Array(1)],
    [1, server, Number.NaN],
    [1, server, hostile],
    [1, server, [{ a: Object.create({ b: 1 }) }]],
  ]
  for (const content of odd) assert.is(asRegister(content), undefined)
  const doc = new Doc({ guid: 'x' })
  const log = newLogId(seededRandom('hostile'))
  for (const [at, content] of odd.entries()) doc.getMap(log).set(`key ${at}`, content as object)
  doc.getMap(log).set('__proto__', [1, server, { isAdmin: true }])
  doc.getMap('not a log').set('k', [9, server, 1])
  doc.getArray('neither').push([1])
  const registers = readRegisters(doc)
  assert.equal(
    [...registers.entries()].map(([key]) => key),
    ['__proto__'],
  )
  assert.is(registers.get('isAdmin'), undefined)
  assert.is(({} as { isAdmin?: boolean }).isAdmin, undefined)
})

test.run()
