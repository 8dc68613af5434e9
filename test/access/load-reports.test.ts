/*
 * Property: while a server has too much to do, servers of other operators are asked again and again to keep back a share of what
 * they forward to it, a greater one the worse it is, and told at once when it is over. Fails when an overloaded server says
 * nothing, or says nothing of its recovery.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { LoadLevel } from '../../src/access/load/level.ts'
import type { LoadMonitor } from '../../src/access/load/monitor.ts'
import { createLoadReports } from '../../src/access/load/reports.ts'
import type { Reduction } from '../../src/federation/reductions.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'

const test = suite('load reports')

test('the worse the level, the more is kept back, until it has fallen', () => {
  const clock = new ManualClock()
  const asked: (Reduction | undefined)[] = []
  let level: LoadLevel = 'normal'
  let changed = (_level: LoadLevel) => {}
  const monitor = {
    get level() {
      return level
    },
    get freeCapacity() {
      return level === 'normal' ? 1 : 0
    },
    subscribe(listener: (level: LoadLevel) => void) {
      changed = listener
      return () => {}
    },
  } as Partial<LoadMonitor> as LoadMonitor
  const federation = { loads: () => new Map(), reportLoad() {}, reduce: (less?: Reduction) => void asked.push(less) }
  const reports = createLoadReports({ monitor, federation, urlsOf: () => [], clock })
  reports.start()
  const become = (next: LoadLevel) => {
    level = next
    changed(next)
  }
  become('elevated')
  clock.advance(3_000)
  assert.equal(asked, [])
  const percents: number[] = []
  for (const worse of ['overloaded', 'shedding', 'draining'] as const) {
    become(worse)
    percents.push(asked.at(-1)?.percent ?? 0)
    const before = asked.length
    clock.advance(3_000)
    assert.is(asked.length, before + 3, 'said again every second, before the five seconds are over')
  }
  assert.ok(percents.every((percent, index) => percent > (percents[index - 1] ?? 0)))
  become('normal')
  assert.is(asked.at(-1), undefined)
  const { length } = asked
  clock.advance(3_000)
  assert.is(asked.length, length)
  reports.stop()
})

test.run()
