/*
 * What a server makes of a document that it reads from the store is what it would have made of the entries as they came, one by one: also
 * of logs whose servers broke the rules that only a log's past shows. Fails when the two end a log at different entries, or tell the
 * registers, what followers are shown, or what is garbage, differently; or a list that begins at a key lacks what comes after. And keys are put in the order of texts where they lie.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { Content, type ContentEntry } from '../../src/document/content.ts'
import type { Registers } from '../../src/document/documents.ts'
import { guardUpdate } from '../../src/document/guard.ts'
import { inKeyOrder, KeyList } from '../../src/document/key-order.ts'
import { clientIdOf } from '../../src/document/log.ts'
import { encodeUpdate } from '../../src/document/register-updates.ts'
import { registersOf as mapped } from '../../src/document/registers-view.ts'
import type { LogId, ServerId } from '../../src/ports/names.ts'
import { someServer } from './corpus/update.ts'

const test = suite('loading')
const crypto = nodeCrypto()
const logs = ['AAAAAAAAAAAAAAAAAAAAAA', 'BBBBBBBBBBBBBBBBBBBBBA', 'CCCCCCCCCCCCCCCCCCCCCQ'] as LogId[]
/** Two that are ordered otherwise by their bytes than as texts, and some that begin with others. */
const names = ['a', 'ab', 'a/b', 'é', '\u{1f600}', '\ufb01', 'object/1', 'object/10', `${'k'.repeat(300)}1`]
const value = fc.oneof(
  fc.constantFrom(null, true, false, 'short', 'x'.repeat(100), 1.5, -7, 2 ** 40),
  fc.constantFrom(['a', [1]], { a: { b: null }, c: 'é' }),
)

/** One write: honest, or one that claims its key to be new, or to follow on the key's first item. */
const write = fc.record({
  name: fc.nat(names.length - 1),
  stamp: fc.nat(5),
  value,
  how: fc.oneof(
    { weight: 6, arbitrary: fc.constant('honest' as const) },
    { weight: 1, arbitrary: fc.constantFrom('as new' as const, 'after its first' as const) },
  ),
})
const entry = fc.record({ log: fc.nat(logs.length - 1), writes: fc.array(write, { maxLength: 6 }) })

type Entry = typeof entry extends fc.Arbitrary<infer T> ? T : never

/** Entries as a store holds them, each of which has passed the guard when it came in. */
function stored(entries: readonly Entry[]): ContentEntry[] {
  const written = logs.map(() => ({ clock: 0, seq: 0, clocks: new Map<string, number[]>() }))
  return entries.map(({ log: index, writes }) => {
    const root = logs[index] as LogId
    const log = written[index] as (typeof written)[number]
    const at = { root, clientId: clientIdOf(root, crypto), clock: log.clock }
    const once = [...new Map(writes.map(each => [each.name, each])).values()]
    const items = once.map(({ name, stamp, value, how }) => {
      const key = names[name] as string
      const before = log.clocks.get(key) ?? []
      const overwrites = how === 'as new' ? undefined : how === 'honest' ? before.at(-1) : before[0]
      return { key, register: { stamp, server: someServer as ServerId, value }, overwrites }
    })
    for (const [item, { key }] of items.entries())
      log.clocks.set(key, [...(log.clocks.get(key) ?? []), log.clock + item])
    const update = items.length > 0 ? encodeUpdate(at, items) : new Uint8Array()
    if (items.length > 0) assert.ok(guardUpdate(update, { ...at, nextClock: log.clock }).ok)
    log.clock += items.length
    return { log: root, seq: log.seq++, update }
  })
}

const registersOf = (content: Content) => [...content.view.entries()]
/** What a follower begins with, log by log, copied: pieces of larger arrays are equal only as a whole. */
const updatesOf = (content: Content) => {
  const shown = [...content.shown()]
  const ofLog = (log: LogId) => shown.filter(({ clientId }) => clientId === content.clientOf(log))
  return logs.flatMap(ofLog).map(({ update }) => update.slice())
}
/** Whether all that starts with a prefix is told from any key on. */
function assertBegins(view: Registers, all: readonly (readonly [string, unknown])[]): void {
  for (const prefix of ['', 'a', 'object/'])
    for (const from of names)
      assert.equal(
        [...view.entries(prefix, from)],
        all.filter(([key]) => key.startsWith(prefix) && !(key < from)),
      )
}

const byLog = (entries: readonly ContentEntry[]) => logs.flatMap(log => entries.filter(each => each.log === log))

test('what is loaded is what came, entry by entry', () => {
  let ended = 0
  const property = fc.property(
    fc.array(entry, { maxLength: 24 }),
    fc.nat(2),
    fc.option(fc.nat(6), { nil: undefined }),
    fc.nat(8),
    (made, own, copiedTo, later) => {
      const entries = byLog(stored(made))
      const isOwn = (log: LogId) => log === logs[own]
      const copied = new Map(copiedTo === undefined ? [] : [[logs[0] as LogId, copiedTo]])
      const came = new Content(crypto, copied)
      const shown = entries.map(each => came.apply(each, isOwn(each.log)))
      ended += shown.filter(each => each === undefined).length

      const loaded = new Content(crypto, copied)
      for (const each of entries) loaded.load(each, isOwn(each.log))
      const counted = shown.filter(update => update && update.length > 0)
      assert.equal(updatesOf(loaded), counted)
      assert.equal(registersOf(loaded), registersOf(came))
      for (const name of names) assert.equal(loaded.view.get(name), came.view.get(name))
      assert.ok(Math.abs(loaded.ownLiveBytes - came.ownLiveBytes) < 1e-6)
      assert.ok(Math.abs(loaded.ownGarbageBytes - came.ownGarbageBytes) < 1e-6)
      for (const log of logs) assert.equal(loaded.extentOf(log), came.extentOf(log))
      const except = new Set([logs[1] as LogId])
      for (const name of names) {
        const register = came.view.get(name) ?? { stamp: 0, server: someServer as ServerId, value: null }
        assert.is(loaded.isOtherHeldOutside(name, register, except), came.isOtherHeldOutside(name, register, except))
      }

      // And it goes on from there with what comes next.
      const goesOn = new Content(crypto, copied)
      const lastOf = (log: LogId) => entries.filter(each => each.log === log).length - later
      for (const each of entries) if (each.seq < lastOf(each.log)) goesOn.load(each, isOwn(each.log))
      for (const [index, each] of entries.entries())
        if (each.seq >= lastOf(each.log)) assert.equal(goesOn.apply(each, isOwn(each.log)), shown[index])
      assert.equal(registersOf(goesOn), registersOf(came))
      for (const content of [came, goesOn]) assert.equal(updatesOf(content), counted)
      const asMap = mapped(new Map(registersOf(came)))
      for (const view of [came.view, loaded.view, goesOn.view, asMap]) assertBegins(view, registersOf(came))
    },
  )
  fc.assert(property, { numRuns: 300 })
  assert.ok(ended > 20, `only ${ended} entries came after a log's end`)
})

test('keys are put in the order of texts, equal ones in the order in which they came', () => {
  const character = fc.constantFrom(
    'a',
    'b',
    '/',
    '\u0000',
    'é',
    '\ud7ff',
    '\ue000',
    '\uffff',
    '\u{10000}',
    '\u{10ffff}',
  )
  const key = fc.oneof(
    fc.string({ unit: character, minLength: 1, maxLength: 12 }),
    fc.string({ unit: character, minLength: 1, maxLength: 6 }).map(end => `object/the-same-beginning/${end}`),
  )
  const property = fc.property(fc.array(key, { maxLength: 200 }), texts => {
    const list = new KeyList(texts.length)
    for (const [number, text] of texts.entries()) {
      const bytes = new TextEncoder().encode(`before${text}after`)
      list.add(0, number, bytes, 6, bytes.length - 5)
    }
    const { order, repeats } = inKeyOrder(list)
    const sorted = [...texts.keys()].sort((a, b) => {
      const [one, other] = [texts[a] as string, texts[b] as string]
      return one < other ? -1 : one > other ? 1 : a - b
    })
    assert.equal([...order], sorted)
    const isRepeat = sorted.map((number, place) =>
      place > 0 && texts[number] === texts[sorted[place - 1] as number] ? 1 : 0,
    )
    assert.equal([...repeats], isRepeat)
  })
  fc.assert(property, { numRuns: 500 })
})

test.run()
