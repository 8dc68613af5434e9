import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate } from 'yjs'
import { type GuardedItem, type GuardedLog, guardUpdate, maxUpdateBytes } from '../../src/document/guard.ts'
import { LogContent } from '../../src/document/log-content.ts'
import type { Steps } from '../../src/document/strict-reader.ts'
import { settled } from '../../src/document/winners.ts'
import type { LogId } from '../../src/ports/names.ts'
import { applyAsServer, assertHarmless, countingSteps, docOf, type StepCounter, sceneAfter } from './corpus/applied.ts'
import { type Attack, attackScene, attacks, honestContinuation } from './corpus/attacks.ts'
import { commits, HonestWriter, ownLog, updatesOf } from './corpus/honest.ts'
import { fuzz } from './corpus/mutants.ts'
import { guardsWithoutOneRule } from './corpus/rules.ts'
import { deletes, first, next, type Piece, register, update } from './corpus/update.ts'
import { historyOf } from './corpus/yjs-history.ts'

/*
 * The guard lets pass what honest servers write, all of it, and nothing that harms whoever applies it.
 */

const test = suite('update guard')

const incoming: GuardedLog = { ...ownLog, nextClock: attackScene.nextClock }
const applying = (): GuardedLog => ({ ...incoming, history: historyOf(docOf(attackScene), ownLog) })

const { root, clientId } = ownLog
const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))

test('honest updates pass, with and without history, and end at the clock that Yjs is at', () => {
  fc.assert(
    fc.property(commits, log => {
      const updates = updatesOf(ownLog, log)
      let nextClock = 0
      for (const [index, update] of updates.entries()) {
        const doc = docOf(sceneAfter(updates.slice(0, index), nextClock))
        const stateless = guardUpdate(update, { ...ownLog, nextClock })
        assert.equal(guardUpdate(update, { ...ownLog, nextClock, history: historyOf(doc, ownLog) }), stateless)
        if (!stateless.ok) return assert.unreachable(`${stateless.reason} at ${stateless.at}`)
        nextClock = stateless.nextClock
      }
    }),
    { numRuns: 300 },
  )
})

test('what a server remembers of a log is what Yjs knows of it, packed or not', () => {
  const place = { log: root as LogId, seq: 0, own: false, registerBytes: 0 }
  fc.assert(
    fc.property(commits, fc.nat(4), (log, packedAfter) => {
      const updates = updatesOf(ownLog, log)
      const past = new LogContent(place.log, clientId)
      for (const [index, update] of updates.entries()) {
        const items: GuardedItem[] = []
        const answer = guardUpdate(update, { ...ownLog, nextClock: past.clock, history: past }, undefined, items)
        past.begin(update, place)
        for (const item of items) past.read(item)
        if (index === packedAfter) settled([past])
        assert.equal(answer, { ok: true, nextClock: past.clock })
        const yjs = historyOf(docOf(sceneAfter(updates.slice(0, index + 1), 0)), ownLog)
        for (const key of ['never written', ...log.flatMap(writes => writes.map(({ key }) => key))]) {
          assert.is(past.isNew(key), yjs.isNew(key), key)
          const clock = past.clockOf(key)
          assert.is(clock === undefined, past.isNew(key))
          if (clock !== undefined) assert.ok(past.isLast(clock) && past.keyAt(clock) === key)
        }
        for (let clock = 0; clock < past.clock; clock++) assert.is(past.isLast(clock), yjs.isLast(clock), `at ${clock}`)
      }
      assert.not.ok(past.isLast(past.clock))
    }),
    { numRuns: 100 },
  )
})

test('each attack is refused by its rule', () => {
  assert.ok(guardUpdate(honestContinuation, applying()).ok)
  for (const { name, update, refusal, needsHistory } of attacks) {
    const answer = guardUpdate(update, needsHistory ? applying() : incoming)
    assert.is(answer.ok ? 'passed' : answer.reason, refusal, name)
    if (needsHistory) assert.ok(guardUpdate(update, incoming).ok, `${name}: stopped without history`)
  }
})

/** A guard that lacks a rule may run into what the rule is for. */
function passes(guard: typeof guardUpdate, { update, needsHistory }: Attack): boolean {
  try {
    return guard(update, needsHistory ? applying() : incoming).ok
  } catch {
    return false
  }
}

test('each rule is needed: without it, one of the attacks passes', async () => {
  const { guards, remove } = await guardsWithoutOneRule()
  try {
    assert.ok(guards.length > 30)
    for (const { refusal, place, guardUpdate: lacking } of guards) {
      // Read beyond the end yields zeros, which other rules stop, so this one only saves their time.
      if (refusal === 'truncated') continue
      const stopped = attacks.filter(attack => attack.refusal === refusal)
      assert.ok(
        stopped.some(attack => passes(lacking, attack)),
        `"${refusal}" at ${place} stops no attack that nothing else stops`,
      )
    }
  } finally {
    await remove()
  }
})

test('the bounds themselves pass', () => {
  const value = (content: unknown): Piece => register(content, 8.64e15)
  const deep = (depth: number): unknown => (depth === 1 ? [] : [deep(depth - 1)])
  const updates = [
    update(clientId, 0, [first(root, 'k'.repeat(1_024), value(deep(16)))]),
    update(clientId, 0, [
      first(root, 'ü'.repeat(512), value([-(2 ** 53 - 1), 2 ** 53 - 1, -0, 1e308, 0.1, 2 ** -126])),
    ]),
    update(clientId, 0, [first(root, '\ufeff', value('\ufeff\0🔑\u{10ffff}'))]),
  ]
  const full = update(clientId, 0, [first(root, 'k', value(''))])
  updates.push(update(clientId, 0, [first(root, 'k', value('x'.repeat(maxUpdateBytes - full.length - 2)))]))
  assert.is(updates.at(-1)?.length, maxUpdateBytes)
  countingSteps(steps => {
    for (const [index, edge] of updates.entries()) {
      const answer = guardUpdate(edge, { root, clientId, nextClock: 0 })
      if (!answer.ok) return assert.unreachable(`update ${index} ${answer.reason} at ${answer.at}`)
      assertHarmless(docOf(sceneAfter([], 0)), ownLog, edge, answer.nextClock, steps)
    }
  })
})

/** A log as its reader applies it, and the steps that Yjs takes for each update. */
class CountedLog {
  clock = 0
  readonly #doc = docOf(sceneAfter([], 0))
  readonly #steps: StepCounter
  constructor(steps: StepCounter) {
    this.#steps = steps
  }

  /** Steps per byte of Yjs and of the guard. */
  apply(written: Uint8Array): { readonly yjs: number; readonly guard: number } {
    const guardSteps: Steps = { taken: 0 }
    const log = { ...ownLog, nextClock: this.clock, history: historyOf(this.#doc, ownLog) }
    const answer = guardUpdate(written, log, guardSteps)
    if (!answer.ok) throw new Error(answer.reason)
    this.clock = answer.nextClock
    const before = this.#steps()
    applyAsServer(this.#doc, written)
    return { yjs: (this.#steps() - before) / written.length, guard: guardSteps.taken / written.length }
  }
}

const newKeys = (clock: number, count: number): Uint8Array =>
  update(
    clientId,
    clock,
    times(count, key => first(root, `${clock}/${key}`)),
  )
/** Overwrites every second of the items from `from` on. */
const overwriteSeconds = (clock: number, from: number, count: number): Uint8Array =>
  update(
    clientId,
    clock,
    times(count, item => next(clientId, from + 2 * item)),
    deletes(clientId, ...times(count, item => [from + 2 * item, 1] as const)),
  )

test('work is linear: ten times the registers cost ten times the steps', () => {
  const stepsPerByte = (keys: number): number[] =>
    countingSteps(steps => {
      const [writer, log] = [new HonestWriter(), new CountedLog(steps)]
      const names = times(keys, key => `key ${key}`)
      return [0, 1, 2].flatMap(stamp => {
        const { yjs, guard } = log.apply(writer.commit(names.map(key => ({ key, stamp, value: null }))))
        return [yjs, guard]
      })
    })
  const few = stepsPerByte(200)
  const many = stepsPerByte(2_000)
  for (const [index, perByte] of many.entries()) assert.ok(perByte < 1.1 * (few[index] ?? 0), `${few} → ${many}`)
})

test('work is linear where items could be joined far from the end: each key is written twice in a row, then all again', () => {
  const stepsPerByte = (keys: number): number =>
    countingSteps(steps => {
      const log = new CountedLog(steps)
      for (let key = 0; key < keys; key++) {
        log.apply(update(clientId, log.clock, [first(root, `key ${key}`)]))
        log.apply(update(clientId, log.clock, [next(clientId, log.clock - 1)], deletes(clientId, [log.clock - 1, 1])))
      }
      for (let round = 0; round < keys / 100; round++) log.apply(newKeys(log.clock, 1_000))
      return log.apply(overwriteSeconds(log.clock, 1, keys)).yjs
    })
  const few = stepsPerByte(100)
  const many = stepsPerByte(1_000)
  assert.ok(many < 2 * few, `${few} → ${many}: a binary search may grow, nothing else`)
})

test('without history a key could be claimed new again and again, and each time costs its whole past', () => {
  const again = (clock: number): Uint8Array => update(clientId, clock, [first(root, 'k')])
  countingSteps(steps => {
    const doc = docOf(sceneAfter([], 0))
    const cost = (clock: number): number => {
      const before = steps()
      applyUpdate(doc, again(clock))
      return steps() - before
    }
    const costs = Array.from({ length: 1_000 }, (_, clock) => {
      const log = { ...ownLog, nextClock: clock }
      assert.ok(guardUpdate(again(clock), log).ok)
      const applying = guardUpdate(again(clock), { ...log, history: historyOf(doc, ownLog) })
      assert.is(applying.ok, clock === 0)
      return cost(clock)
    })
    assert.ok((costs.at(-1) ?? 0) > 1_000)
  })
})

test('the work of one update is bounded by what the log holds, even without history', () => {
  const keys = times(100, key => `key ${key}`)
  countingSteps(steps => {
    const doc = docOf(sceneAfter([], 0))
    for (let clock = 0; clock < 5_000; clock += keys.length) {
      const written = update(
        clientId,
        clock,
        keys.map(key => first(root, key)),
      )
      assert.ok(guardUpdate(written, { ...ownLog, nextClock: clock }).ok)
      const before = steps()
      applyUpdate(doc, written)
      assert.ok(steps() - before < 8 * (clock + written.length))
    }
  })
})

test('50,000 mutants: what passes is harmless', () => {
  const seed = Number(process.env.CPNS_FUZZ_SEED ?? Date.now() % 2 ** 32)
  console.log(`guard mutants from seed ${seed} (CPNS_FUZZ_SEED=${seed} repeats them)`)
  const report = fuzz(seed, 50_000)
  assert.ok(report.passed > 5_000, `only ${report.passed} passed: the mutants have become too wild`)
  assert.ok(report.applied > 2_000, `only ${report.applied} passed with history: the mutants have become too wild`)
})

test.run()
