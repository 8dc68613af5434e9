/*
 * Property: two reconcilers that talk to each other see to exactly what differs, a few documents at a time, and both say when they
 * are through; a round that is wanted meanwhile follows, at a steady pace; what a peer says out of turn ends it, with the reason.
 * Fails when a round hangs, is forgotten, or begins as often as a peer likes.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ByteBudget } from '../../../src/federation/reconciliation/byte-budget.ts'
import type { Answer, Query } from '../../../src/federation/reconciliation/parts.ts'
import { Reconciler } from '../../../src/federation/reconciliation/reconciler.ts'
import { maxOpenQueries, OutOfTurn } from '../../../src/federation/reconciliation/walk.ts'
import type { DocumentId } from '../../../src/ports/names.ts'
import { ManualClock, settle } from '../../fixtures/manual-clock.ts'
import { seededRandom } from '../../fixtures/seeded-random.ts'
import { ahead, crypto, type Holding, NamedTree } from './trees.ts'

type Message = Query | Answer | { readonly type: 'behind' }

const nameOf = (number: number): string => `pn/a.example/network-${number}`
const maxSeen = 8
const minRoundMs = 1_000

/** One side, what it was told to see to, and what it said. */
class Side {
  readonly named: NamedTree
  readonly reconciler: Reconciler
  readonly seen: DocumentId[] = []
  readonly said: Message[] = []
  readonly failures: unknown[] = []
  reconciled = 0
  mostAtOnce = 0
  #open = 0
  #ready = () => {}

  constructor(options: {
    readonly drives: boolean
    readonly holding: Holding
    readonly clock: ManualClock
    readonly hear: (message: Message) => void
    readonly isReady?: boolean
    readonly stalls?: boolean
  }) {
    const { drives, holding, clock, hear, isReady = true, stalls = false } = options
    this.named = new NamedTree(holding)
    const ready = isReady ? Promise.resolve() : new Promise<void>(resolve => (this.#ready = resolve))
    this.reconciler = new Reconciler({
      drives,
      grown: { tree: this.named.tree, ready },
      see: async document => {
        this.seen.push(document)
        this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#open)
        await new Promise<void>(resolve => stalls || clock.after(1, resolve))
        this.#open--
      },
      maxSeen,
      minRoundMs,
      crypto,
      clock,
      random: seededRandom(`salts ${drives}`),
      send: message => {
        this.said.push(message)
        clock.after(10, () => hear(message))
      },
      spend: async () => {},
      differed: () => {},
      reconciled: () => this.reconciled++,
      failed: error => this.failures.push(error),
    })
  }

  readonly ready = (): void => this.#ready()

  hear(message: Message): void {
    if (message.type === 'query') this.reconciler.query(message)
    else if (message.type === 'answer') this.reconciler.answer(message)
    else this.reconciler.behind()
  }
}

function pair(a: Holding, b: Holding, how: { readonly isReady?: boolean; readonly stalls?: boolean } = {}) {
  const clock = new ManualClock()
  const sides: { driver?: Side; other?: Side } = {}
  const driver = new Side({ drives: true, holding: a, clock, hear: message => sides.other?.hear(message), ...how })
  const other = new Side({ drives: false, holding: b, clock, hear: message => sides.driver?.hear(message) })
  Object.assign(sides, { driver, other })
  return { clock, driver, other }
}

const holdingOf = (count: number, version: (number: number) => number): Holding =>
  new Map(Array.from({ length: count }, (_, number) => [nameOf(number), version(number)]))

const test = suite('reconciler')

test('both see to exactly what differs, a few at a time, and both are through', async () => {
  const some = fc.tuple(fc.constantFrom(0, 30, 33, 700), fc.integer({ min: 1, max: 40 }), fc.nat(3))
  await fc.assert(
    fc.asyncProperty(some, some, async ([countA, stepA, versionA], [countB, stepB, versionB]) => {
      const a = holdingOf(countA, number => (number % stepA === 0 ? versionA : 9))
      const b = holdingOf(countB, number => (number % stepB === 0 ? versionB : 9))
      const { clock, driver, other } = pair(a, b)
      driver.reconciler.due()
      await clock.run(3_000)
      assert.equal([driver.failures, other.failures], [[], []])
      assert.equal([...driver.seen].sort(), ahead(a, b).sort())
      assert.equal([...other.seen].sort(), ahead(b, a).sort())
      assert.ok(driver.mostAtOnce <= maxSeen && other.mostAtOnce <= maxSeen)
      assert.equal([driver.reconciled, other.reconciled], [1, 1])
    }),
    { numRuns: 40 },
  )
})

test('nothing is compared before the tree is whole', async () => {
  const all = holdingOf(100, () => 1)
  const { clock, driver, other } = pair(all, all, { isReady: false })
  driver.reconciler.due()
  await clock.run(60_000)
  assert.equal(driver.said, [])
  driver.ready()
  await clock.run(100)
  assert.equal([driver.reconciled, other.reconciled], [1, 1])
  assert.is(driver.said.length + other.said.length, 2, 'one frame each way')
})

test('what becomes due while a round is under way follows it; rounds keep their distance, however often they are wanted', async () => {
  const { clock, driver, other } = pair(
    holdingOf(200, () => 1),
    holdingOf(200, number => (number % 10 === 0 ? 2 : 1)),
  )
  driver.reconciler.due()
  for (let times = 0; times < 500; times++) {
    other.reconciler.due()
    await clock.run(10)
  }
  assert.ok(driver.reconciled >= 3 && driver.reconciled <= 6, `${driver.reconciled} rounds in five seconds`)
  const before = driver.reconciled
  await clock.run(2_100)
  assert.ok(driver.reconciled > before, 'the last one that was wanted is not forgotten')
})

test('who is behind in seeing to documents is asked, and asks, no further', async () => {
  const count = 20_000
  const { clock, driver, other } = pair(
    holdingOf(count, () => 1),
    holdingOf(count, () => 2),
    { stalls: true },
  )
  driver.reconciler.due()
  await clock.run(5_000)
  const queries = driver.said.length
  await clock.run(5_000)
  assert.is(driver.said.length, queries)
  assert.is(driver.seen.length, maxSeen)
  const told = other.said.reduce((sum, message) => sum + (message.type === 'answer' ? message.parts.length : 0), 0)
  assert.ok(told < 8_000, `${told} parts wait`)
})

test('answers of the side that asks, queries of the side that answers, and more than may be open are out of turn', async () => {
  const { driver, other } = pair(
    holdingOf(50, () => 1),
    new Map(),
  )
  const query: Query = { type: 'query', id: 1, salt: new Uint8Array(8), documents: 0, parts: [] }
  const answer: Answer = { type: 'answer', id: 77, documents: 0, parts: [], isBusy: false }
  const isOutOfTurn = (error: unknown): boolean => error instanceof OutOfTurn
  assert.throws(() => driver.reconciler.query(query), isOutOfTurn)
  assert.throws(() => other.reconciler.answer(answer), isOutOfTurn)
  driver.reconciler.answer(answer)
  await settle()
  assert.ok(isOutOfTurn(driver.failures[0]), 'nobody asked')
  assert.throws(() => {
    for (let id = 0; id < maxOpenQueries + 2; id++) other.reconciler.query({ ...query, id })
  }, isOutOfTurn)
})

test('a budget lets a second’s worth through at once, then as much as it says, first come first served', async () => {
  const clock = new ManualClock()
  const budget = new ByteBudget(
    { bytesPerSecond: 1_000, minFrameBytes: 100, minAskBytes: 200, comparisonWeight: 4 },
    clock,
  )
  const done: number[] = []
  for (let at = 0; at < 30; at++)
    void budget.spend(at % 2 === 0 ? 1 : 50, at % 2 === 1 ? 'comparison' : 'other').then(() => done.push(at))
  await settle()
  // By turns 100, the least, and 50 × 4.
  assert.is(done.length, 7)
  await clock.run(1_000)
  assert.ok(done.length >= 13 && done.length <= 14, `${done.length} after a second`)
  await clock.run(10_000)
  assert.equal(
    done,
    Array.from({ length: 30 }, (_, at) => at),
  )
  await budget.spend(1_000_000, 'other')
})

test.run()
