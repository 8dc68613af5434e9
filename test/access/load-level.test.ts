/*
 * Proves: a level rises when the worst signal stays, not for a single stall, and falls one step at a time; utilisation alone never says overload; a
 * server at a threshold does not change its mind with every sample.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  calm,
  calmMs,
  defaultThresholds,
  isAtLeast,
  loadLevels,
  next,
  riseMs,
  type Signal,
  type Signals,
  type Standing,
  worst,
} from '../../src/access/load/level.ts'

const test = suite('Load level')
const idle: Signals = {
  loopDelayMs: 0,
  utilisation: 0,
  memory: 0,
  authenticationWaitMs: 0,
  commitMs: 0,
  connections: 0,
}

test('each signal has its thresholds, and the worst counts', () => {
  for (const signal of Object.keys(defaultThresholds) as Signal[]) {
    if (signal === 'utilisation') continue
    for (const [at, level] of (['elevated', 'overloaded', 'shedding'] as const).entries()) {
      const value = defaultThresholds[signal][at] as number
      assert.is(worst({ ...idle, [signal]: value }, defaultThresholds).level, level, `${signal} ${value}`)
    }
  }
  const two = worst({ ...idle, memory: 0.93, commitMs: 60 }, defaultThresholds)
  assert.equal(two, { level: 'overloaded', signal: 'memory' })
})

test('a loop that is busy and never late is well', () => {
  assert.is(worst({ ...idle, utilisation: 1 }, defaultThresholds).level, 'normal')
  assert.is(worst({ ...idle, utilisation: 1, loopDelayMs: 60 }, defaultThresholds).level, 'elevated')
})

test('it falls one step for each calm while, and not before', () => {
  let standing: Standing = { level: 'shedding', signal: 'memory' }
  const levels: string[] = []
  for (let nowMs = 250; nowMs <= 4 * calmMs; nowMs += 250) {
    standing = next(standing, idle, defaultThresholds, nowMs)
    if (levels.at(-1) !== standing.level) levels.push(standing.level)
  }
  assert.equal(levels, ['shedding', 'overloaded', 'elevated', 'normal'])
})

test('it rises to what was measured all the while, and not for a stall', () => {
  const late = { ...idle, loopDelayMs: 200 }
  let standing: Standing = calm
  // One stall: it is in the window of a second for four samples.
  for (let nowMs = 0; nowMs < 1_000; nowMs += 250) standing = next(standing, late, defaultThresholds, nowMs)
  assert.is(standing.level, 'normal')
  standing = next(standing, idle, defaultThresholds, 1_000)
  for (let nowMs = 2_000; nowMs < 2_000 + riseMs; nowMs += 250) {
    standing = next(standing, nowMs === 2_500 ? { ...late, memory: 0.99 } : late, defaultThresholds, nowMs)
    assert.is(standing.level, 'normal')
  }
  assert.is(next(standing, late, defaultThresholds, 2_000 + riseMs).level, 'overloaded')
})

test('whatever is measured: it never falls by more than a step, nor without a calm while', () => {
  const share = fc.double({ min: 0, max: 1.2, noNaN: true })
  const ms = fc.double({ min: 0, max: 2_000, noNaN: true })
  const measured = fc.record({
    loopDelayMs: ms,
    utilisation: share,
    memory: share,
    authenticationWaitMs: ms,
    commitMs: ms,
    connections: share,
  })
  fc.assert(
    fc.property(fc.array(measured, { minLength: 1, maxLength: 60 }), samples => {
      let standing: Standing = calm
      let changedMs = 0
      for (const [index, signals] of samples.entries()) {
        const nowMs = index * 250
        const before = standing
        standing = next(before, signals, defaultThresholds, nowMs)
        const lately = samples.slice(Math.max(0, index - riseMs / 250), index + 1)
        const levels = lately.map(each => loadLevels.indexOf(worst(each, defaultThresholds).level))
        if (lately.length > riseMs / 250 && isAtLeast(loadLevels[Math.min(...levels)] ?? 'normal', 'elevated'))
          assert.ok(isAtLeast(standing.level, 'elevated'), 'what stays shows')
        const steps = loadLevels.indexOf(before.level) - loadLevels.indexOf(standing.level)
        assert.ok(steps <= 1)
        if (steps === 1) assert.ok(nowMs - changedMs >= calmMs, `fell after ${nowMs - changedMs} ms`)
        if (steps !== 0) changedMs = nowMs
      }
    }),
  )
})

test.run()
