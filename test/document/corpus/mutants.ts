import * as fc from 'fast-check'
import { mergeUpdates } from 'yjs'
import { guardUpdate } from '../../../src/document/guard.ts'
import type { Steps } from '../../../src/document/strict-reader.ts'
import { assertHarmless, countingSteps, docOf, type Scene, type StepCounter, sceneAfter } from './applied.ts'
import { attackScene, attacks, honestContinuation } from './attacks.ts'
import { commits, ownLog, updatesOf } from './honest.ts'
import { bytes, deletes, first, next, type Piece, raw, register, section } from './update.ts'
import { historyOf } from './yjs-history.ts'

/*
 * Mutants of honest updates and of attacks, from one seed: what the guard lets pass must be harmless, whatever it is.
 * Most mutants of bytes are refused. So half of the mutants are put together from pieces that are right one by one.
 */

export interface FuzzReport {
  mutants: number
  /** Passed when coming in. */
  passed: number
  /** Passed with the log's history too. */
  applied: number
  /** The most steps of Yjs per byte of an update that was applied with its history, and of the guard per byte of any. */
  yjsStepsPerByte: number
  guardStepsPerByte: number
}

/** What one update may cost beyond its bytes: the transaction, the logs of the document, a binary search or two. */
const fixedSteps = 150
const maxYjsStepsPerByte = 1
const maxGuardStepsPerByte = 1.5

/** A mutant that broke a promise. */
export class PromiseBroken extends Error {
  override readonly name = 'PromiseBroken'
  constructor(seed: number, mutant: number, update: Uint8Array, cause: unknown) {
    const what = cause instanceof Error ? cause.message : String(cause)
    super(`Mutant ${mutant} of seed ${seed} ${what}: ${Buffer.from(update).toString('hex').slice(0, 2_000)}`, { cause })
  }
}

/** @throws {PromiseBroken} at the first mutant that passes and is not harmless. */
export function fuzz(seed: number, mutants: number, progress: (report: FuzzReport) => void = () => {}): FuzzReport {
  const report: FuzzReport = { mutants: 0, passed: 0, applied: 0, yjsStepsPerByte: 0, guardStepsPerByte: 0 }
  const dice = new Dice(seed)
  const scenes = scenesOf(seed)
  countingSteps(steps => {
    for (; report.mutants < mutants; report.mutants++) {
      const { scene, honest } = dice.oneOf(scenes)
      const update = dice.chance(0.5) ? composed(dice, scene) : mutated(dice, honest)
      try {
        judge(report, scene, update, steps)
      } catch (cause) {
        throw new PromiseBroken(seed, report.mutants, update, cause)
      }
      if (report.mutants % 10_000 === 9_999) progress(report)
    }
  })
  return report
}

function judge(report: FuzzReport, scene: Scene, update: Uint8Array, yjsSteps: StepCounter): void {
  const steps: Steps = { taken: 0 }
  const log = { ...scene.log, nextClock: scene.nextClock }
  const incoming = guardUpdate(update, log, steps)
  const guardRatio = Math.max(0, steps.taken - fixedSteps) / Math.max(1, update.length)
  if (guardRatio > maxGuardStepsPerByte) throw new Error(`costs the guard ${steps.taken} steps`)
  report.guardStepsPerByte = Math.max(report.guardStepsPerByte, guardRatio)
  if (!incoming.ok) return
  report.passed += 1
  const doc = docOf(scene)
  const applying = guardUpdate(update, { ...log, history: historyOf(doc, scene.log) })
  const applied = assertHarmless(doc, scene.log, update, incoming.nextClock, yjsSteps)
  if (!applying.ok) return
  report.applied += 1
  const ratio = Math.max(0, applied.yjsSteps - fixedSteps) / update.length
  if (ratio > maxYjsStepsPerByte) throw new Error(`costs Yjs ${applied.yjsSteps} steps`)
  report.yjsStepsPerByte = Math.max(report.yjsStepsPerByte, ratio)
}

interface Material {
  readonly scene: Scene
  /** What may honestly come next. */
  readonly honest: Uint8Array
}

/** Documents at some point of an honest log, with the update that came next. */
function scenesOf(seed: number): Material[] {
  const logs = fc.sample(commits, { seed, numRuns: 40 })
  return logs.map(log => {
    const updates = updatesOf(ownLog, log)
    const honest = updates.pop() ?? honestContinuation
    let nextClock = 0
    for (const update of updates) {
      const answer = guardUpdate(update, { ...ownLog, nextClock })
      if (answer.ok) nextClock = answer.nextClock
    }
    // As a document is read from the store: all that came before in one go.
    return { scene: sceneAfter(updates.length > 0 ? [mergeUpdates(updates)] : [], nextClock), honest }
  })
}

/** An update of pieces that are right one by one: known and new keys, origins that were used or not, deletes that fit or not. */
function composed(dice: Dice, { log, nextClock }: Scene): Uint8Array {
  const keys = dice.chance(0.9) ? Array.from({ length: 12 }, (_, index) => `key ${index}`) : ['k', 'pne/1', '🔑']
  const origins: number[] = []
  const items = Array.from({ length: 1 + dice.below(6) }, (): Piece => {
    const content = register(dice.oneOf([null, 1, 'x', [[]], { a: {} }]), dice.below(1e9))
    if (nextClock === 0 || dice.chance(0.5)) return first(log.root, dice.oneOf(keys), content)
    const origin = dice.chance(0.98) ? dice.below(nextClock) : nextClock + dice.below(3)
    origins.push(origin)
    return next(log.clientId, origin, content)
  })
  const ranges = dice.chance(0.97) ? rangesOf(origins) : rangesOf(origins.concat(dice.below(nextClock + 4)))
  const clock = dice.chance(0.98) ? nextClock : dice.below(nextClock + 3)
  return bytes(1, section(log.clientId, clock, items), ranges.length > 0 ? deletes(log.clientId, ...ranges) : 0)
}

/** Sorted, merged. */
function rangesOf(clocks: readonly number[]): (readonly [from: number, length: number])[] {
  const ranges: [number, number][] = []
  for (const clock of [...new Set(clocks)].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last && last[0] + last[1] === clock) last[1] += 1
    else ranges.push([clock, 1])
  }
  return ranges
}

const attackUpdates = attacks.map(({ update }) => update).filter(update => update.length < 4_096)

function mutated(dice: Dice, honest: Uint8Array): Uint8Array {
  let update: Uint8Array = dice.chance(0.7) ? honest : dice.oneOf(attackUpdates)
  for (let changes = 1 + dice.below(3); changes > 0; changes--) update = changed(dice, update, honest)
  return update
}

/** One change of some bytes. */
function changed(dice: Dice, update: Uint8Array, honest: Uint8Array): Uint8Array {
  const at = dice.below(update.length + 1)
  const length = Math.min(update.length - at, 1 + dice.below(12))
  const [before, piece, after] = [
    update.subarray(0, at),
    update.subarray(at, at + length),
    update.subarray(at + length),
  ]
  switch (dice.below(9)) {
    case 0:
      return bytes(
        before,
        piece.map((byte, index) => (index === 0 ? byte ^ (1 << dice.below(8)) : byte)),
        after,
      )
    case 1:
      return bytes(before, raw(dice.below(256)), piece.subarray(1), after)
    case 2:
      return bytes(before, raw(...piece.map(() => dice.below(256))), after)
    case 3:
      return bytes(before, after)
    case 4:
      return bytes(before, piece, piece, after)
    case 5:
      return bytes(before, dice.oneOf(interesting), after)
    case 6:
      return bytes(before, raw(((piece[0] ?? 0) + (dice.chance(0.5) ? 1 : 255)) & 0xff), piece.subarray(1), after)
    case 7:
      return bytes(before, dice.oneOf(attackUpdates).subarray(dice.below(16)))
    default:
      return bytes(before, honest.subarray(dice.below(honest.length)))
  }
}

/** Bytes that mean something to Yjs. */
const interesting: readonly Uint8Array[] = [
  raw(0),
  raw(0xff),
  raw(0x80, 0x00),
  raw(0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f),
  raw(0xff, 0xff, 0xff, 0xff, 0x0f),
  raw(0x28),
  raw(0xa8),
  raw(0x68),
  raw(0x27, 1),
  raw(0x0a, 5),
  raw(117, 3),
  raw(118, 1, 9, ...Buffer.from('__proto__')),
  raw(127),
  raw(122, 0, 0, 0, 0, 0, 0, 0, 1),
  raw(123, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0),
  raw(0xed, 0xa0, 0x80),
  bytes(ownLog.clientId),
  bytes(ownLog.clientId, attackScene.nextClock),
]

/** Numbers from a seed: mulberry32. */
class Dice {
  #state: number
  constructor(seed: number) {
    this.#state = seed >>> 0
  }

  fraction(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }

  below(bound: number): number {
    return Math.floor(this.fraction() * bound)
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  oneOf<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('There is nothing to choose from.')
    return item
  }
}
