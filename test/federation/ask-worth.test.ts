/*
 * Property: who is filled, or fills, with many small documents pays a frame for each ask, in either direction; who asks again for what it
 * was given, or for what is not there, pays what it costs to look. Fails when an honest fill is paced by its asks, or a flood of them is not.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { AskWorth } from '../../src/federation/ask-worth.ts'
import { RecentlyGiven } from '../../src/federation/recently-given.ts'
import { ByteBudget } from '../../src/federation/reconciliation/byte-budget.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { type TestOperator, testOperator } from '../fixtures/operators.ts'
import { Bench } from './bench.ts'
import type { WorldServer } from './world.ts'

const documentOf = (number: number) => asDocumentId(`pn/a.example/n${number}`)
const entryOf = (number: number) => new Uint8Array(new Float64Array([number + 1, number + 1]).buffer)

/** A budget for ten asks from which nothing comes, or a hundred frames, at once. */
function party() {
  const clock = new ManualClock()
  const budget = new ByteBudget(
    { bytesPerSecond: 1_000, minFrameBytes: 10, minAskBytes: 100, comparisonWeight: 1 },
    clock,
  )
  const worth = new AskWorth(budget)
  let asks = 0
  /** Asks one after another until the budget lets it wait. */
  const ask = async (times: number, then: (at: number) => void = () => {}, before: (at: number) => void = () => {}) => {
    for (let at = 0; at < times; at++) {
      before(at)
      if (await Promise.race([budget.spend(1, 'ask').then(() => false), settle().then(() => true)])) return
      asks++
      worth.asked(documentOf(at))
      then(at)
    }
  }
  return { clock, worth, ask, asked: () => asks }
}

test('an ask from which nothing comes counts in full', async () => {
  const { ask, asked } = party()
  await ask(50)
  assert.is(asked(), 10)
})

test('an ask that is given what was not given lately counts as a frame; the same again counts in full', async () => {
  const { clock, worth, ask, asked } = party()
  await ask(80, at => worth.given(documentOf(at), [entryOf(at)]))
  assert.is(asked(), 80)
  await clock.run(10_000)
  await ask(50, at => worth.given(documentOf(at), [entryOf(at)]))
  assert.is(asked(), 80 + 10)
})

test('an ask of who brings something of the document counts as a frame, once, whichever comes first', async () => {
  for (const order of ['first', 'last']) {
    const { worth, ask, asked } = party()
    const bring = (at: number) => worth.brought(documentOf(at))
    await (order === 'first' ? ask(80, undefined, bring) : ask(80, bring))
    assert.is(asked(), 80, order)
  }
  const { worth, ask, asked } = party()
  worth.brought(documentOf(0))
  for (let times = 0; times < 20; times++) await ask(1)
  assert.ok(asked() <= 11, `${asked()} for one that came`)
})

test('what was given is forgotten in the end, and never more is remembered than there is room for', () => {
  const clock = new ManualClock()
  const given = new RecentlyGiven(clock)
  assert.is(given.add([]), false)
  assert.is(given.add([entryOf(1)]), true)
  assert.is(given.add([entryOf(1), entryOf(2)]), false)
  for (let at = 100; at < 100_100; at++) given.add([entryOf(at)])
  assert.is(given.add([entryOf(1)]), true, 'made room')
  assert.is(given.add([entryOf(100_099)]), false)
})

const documents = 400
/** Four asks a second from which nothing comes, and 256 frames. */
const budget = { bytesPerSecond: 256 * 1024, minFrameBytes: 1024, minAskBytes: 64 * 1024, comparisonWeight: 1 }
const one = testOperator('a.example')
const other = testOperator('b.example')

async function fill(owner: TestOperator, emptyOne: TestOperator): Promise<number> {
  const bench = new Bench([owner, emptyOne], { links: { budget } })
  const { world } = bench
  const of = (number: number) => asDocumentId(`pn/${owner.id}/n${number}`)
  for (let number = 0; number < documents; number++) world.entitlement.grant(of(number), emptyOne)
  const full = await world.start(owner, 0)
  for (let number = 0; number < documents; number++) await full.set(of(number), 'x', 1)
  const empty = await world.start(emptyOne, 0)
  const received = ({ telemetry }: WorldServer) => telemetry.counter('cpns_entries_received_total')
  const beganMs = bench.clock.elapsed()
  while (received(empty) < documents && bench.clock.elapsed() - beganMs < 120_000) await bench.run(100)
  assert.is(received(empty), documents)
  const tookMs = bench.clock.elapsed() - beganMs
  await world.stopAll()
  return tookMs
}

test('an empty server of another operator is filled as fast as frames may pass, whichever of the two asks', async () => {
  for (const [owner, emptyOne] of [
    [one, other],
    [other, one],
  ] as const) {
    const tookMs = await fill(owner, emptyOne)
    assert.ok(tookMs < 15_000, `${owner.id} took ${tookMs} ms: at four asks a second it would be 100,000`)
  }
})

test.run()
