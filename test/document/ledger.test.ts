import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Claim,
  copiedIn,
  deadIn,
  holds,
  indexOf,
  type Ledger,
  settle,
  withHeads,
} from '../../src/document/ledger.ts'
import { newLogId } from '../../src/document/log.ts'
import { digestOf, sortedHeads } from '../../src/document/version.ts'
import type { LogHead } from '../../src/ports/log-store.ts'
import type { LogId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto, home } from './document-server.ts'

/*
 * Which claims are believed, and which logs go for them. It fails if a claim is believed before what it relied on is held
 * or copied, if two claims that vouch for each other wait for ever, or if a longer copy than was named is dropped.
 */

const server = testOperator('a.example').servers[0]?.id
if (!server) throw new Error('The test operator has no server.')

const logs = new Map<string, LogId>()
/** The log of a name, the same one every time. */
function log(name: string): LogId {
  const id = logs.get(name) ?? newLogId(seededRandom(name))
  logs.set(name, id)
  return id
}
const nameOf = (id: LogId): string => [...logs].find(([, each]) => each === id)?.[0] ?? '?'

type Lengths = Readonly<Record<string, number>>

const head = (name: string, length: number, forked = false): LogHead => ({
  log: log(name),
  server,
  length,
  hash: crypto.sha256(new TextEncoder().encode(`${name} ${length}`)),
  bytes: 100,
  clock: length,
  ...(forked && { forked }),
})

const claim = (by: string, supersedes: Lengths, after: Lengths = {}): Claim => ({
  by: log(by),
  seq: 0,
  supersedes: Object.entries(supersedes).map(([name, seq]) => ({ log: log(name), seq, hash: new Uint8Array(32) })),
  after: Object.entries(after).map(([name, length]) => ({ log: log(name), length })),
  believed: false,
})

const ledger = (heads: Lengths, ...claims: Claim[]): Ledger => ({
  heads: sortedHeads(Object.entries(heads).map(([name, length]) => head(name, length))),
  claims,
  epoch: 7,
})

const left = (of: Ledger): string[] => of.heads.map(each => nameOf(each.log)).sort()

test('a longer copy stays, and counts only beyond what was copied: then the epoch is another one', () => {
  const before = ledger({ old: 5, copy: 1 }, claim('copy', { old: 2 }))
  const { ledger: after, dropped } = settle(before)
  assert.equal(dropped, [])
  assert.equal(left(after), ['copy', 'old'])
  assert.equal([...copiedIn(before)], [], 'not before the claim is believed')
  assert.equal([...copiedIn(after)], [[log('old'), 2]])
  assert.is(after.epoch, before.epoch + 1)
  assert.is(settle(after).ledger.epoch, after.epoch)
  const further = withHeads({ ...after, claims: [...after.claims, claim('more', { old: 3 })] }, [head('more', 1)])
  assert.is(settle(further).ledger.epoch, after.epoch + 1)
  assert.equal([...copiedIn(settle(further).ledger)], [[log('old'), 3]])
})

test('a log goes when its copy is there', () => {
  const { ledger: after, dropped } = settle(ledger({ old: 3, copy: 1 }, claim('copy', { old: 2 })))
  assert.equal(left(after), ['copy'])
  assert.equal(dropped, [log('old')])
  assert.is(after.epoch, 8)
  assert.is(deadIn(after).get(log('old')), 2)
})

test('nothing goes, and no epoch passes, as long as something relied on is missing', () => {
  const waiting = ledger({ old: 3, copy: 1, other: 4 }, claim('copy', { old: 2 }, { other: 5 }))
  const { ledger: after, dropped } = settle(waiting)
  assert.equal(dropped, [])
  assert.is(after.epoch, 7)
  assert.is(deadIn(after).size, 0)
  const { ledger: later } = settle({
    ...after,
    heads: sortedHeads([head('old', 3), head('copy', 1), head('other', 5)]),
  })
  assert.equal(left(later), ['copy', 'other'])
})

test('a longer copy than was named stays', () => {
  const { ledger: after } = settle(ledger({ old: 4, copy: 1 }, claim('copy', { old: 2 })))
  assert.equal(left(after), ['copy', 'old'])
})

test('claims that rely on what the other copies are believed together', () => {
  const mutual = [claim('one', { a: 2 }, { b: 3 }), claim('two', { b: 2 }, { a: 3 })]
  assert.equal(left(settle(ledger({ one: 1, two: 1 }, ...mutual)).ledger), ['one', 'two'])
  assert.is(deadIn(settle(ledger({ one: 1, two: 1 }, ...mutual)).ledger).size, 2)
  assert.is(deadIn(settle(ledger({ one: 1 }, ...mutual.slice(0, 1))).ledger).size, 0)
})

test('a claim that copied less than another relies on does not vouch for it', () => {
  const claims = [claim('one', { a: 2 }, { b: 5 }), claim('two', { b: 2 })]
  const { ledger: after } = settle(ledger({ a: 3, one: 1, two: 1 }, ...claims))
  assert.equal(left(after), ['a', 'one', 'two'])
})

test('doubt spreads along a chain', () => {
  const claims = [
    claim('one', { a: 0 }, { b: 1 }),
    claim('two', { b: 0 }, { c: 1 }),
    claim('three', { c: 0 }, { d: 1 }),
  ]
  assert.equal(left(settle(ledger({ a: 1, one: 1, two: 1, three: 1 }, ...claims)).ledger), ['a', 'one', 'three', 'two'])
  const complete = ledger({ a: 1, one: 1, two: 1, three: 1, d: 1 }, ...claims)
  assert.equal(left(settle(complete).ledger), ['d', 'one', 'three', 'two'])
})

test('a log that is cut at a fork never grows, so nobody waits for it', () => {
  const waiting = ledger({ old: 1, copy: 1 }, claim('copy', { old: 0 }, { cut: 5 }))
  const forked = { ...waiting, heads: sortedHeads([...waiting.heads, head('cut', 2, true)]) }
  assert.equal(left(settle(forked).ledger), ['copy', 'cut'])
})

test('a claim once believed stays so, and goes with its log', () => {
  const believed = settle(ledger({ old: 1, copy: 1, other: 1 }, claim('copy', { old: 0 }, { other: 1 }))).ledger
  const alone = settle({ ...believed, heads: [head('copy', 1)] }).ledger
  assert.is(deadIn(alone).get(log('old')), 0)
  const next = settle({
    ...alone,
    heads: sortedHeads([head('copy', 1), head('next', 1)]),
    claims: [...alone.claims, claim('next', { copy: 0 })],
  })
  assert.equal(left(next.ledger), ['next'])
  assert.equal(
    next.ledger.claims.map(({ by }) => nameOf(by)),
    ['next'],
  )
  assert.not.ok(deadIn(next.ledger).has(log('old')))
})

test('what a believed claim has copied counts for others, though what it relied on is gone', () => {
  const believed = settle(ledger({ old: 1, copy: 1, other: 1 }, claim('copy', { old: 0 }, { other: 1 }))).ledger
  const next = claim('next', { mine: 0 }, { old: 1 })
  const heads = sortedHeads([head('copy', 1), head('mine', 1), head('next', 1)])
  assert.equal(left(settle({ ...believed, heads, claims: [...believed.claims, next] }).ledger), ['copy', 'next'])
})

test('a version is held when its logs are, or were copied as far', () => {
  const state = settle(ledger({ a: 3, old: 2, copy: 1 }, claim('copy', { old: 4 }))).ledger
  const has = (lengths: Lengths): boolean =>
    holds(state, new Map(Object.entries(lengths).map(([name, length]) => [log(name), length])))
  assert.ok(has({ a: 3, old: 5, copy: 1 }))
  assert.not.ok(has({ a: 4 }))
  assert.not.ok(has({ old: 6 }))
  assert.not.ok(has({ unknown: 1 }))
})

test('the digest stands for logs, lengths and hashes, and for nothing else', () => {
  const digest = (...heads: LogHead[]): string => Buffer.from(digestOf(sortedHeads(heads), crypto)).toString('hex')
  const [a, b] = [head('a', 1), head('b', 2)]
  assert.is(digest(a, b), digest(b, a))
  assert.is(digest(a, b), digest({ ...a, bytes: 5, clock: 9 }, b))
  const others = [
    digest(a),
    digest(b),
    digest(head('a', 2), b),
    digest({ ...a, hash: b.hash }, b),
    digest({ ...a, log: log('c') }, b),
  ]
  assert.not.ok(others.includes(digest(a, b)))
  assert.is(new Set(others).size, others.length)
  const state = ledger({ a: 1, b: 2 })
  assert.equal(indexOf(home, state, crypto), {
    document: home,
    heads: state.heads,
    superseded: [],
    digest: digestOf(state.heads, crypto),
    epoch: 7,
  })
})

test.run()
