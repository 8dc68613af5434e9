/*
 * Property: the true difference of two clocks is never farther from the one that was measured than the uncertainty says, however
 * long either way takes, however far the clocks are apart, and while they drift as quartz does; and when one of them is set, the next
 * measurement says so. An alarm is raised once for a clock that is surely off, not for one that a slow way makes look so. It would fail
 * if the time in which an echo was held were forgotten, or an old measurement were trusted for too long.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { type ClockOffset, PeerClock } from '../../src/federation/peer-clock.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'

const test = suite('The clock of a peer')
const epochMs = 1_800_000_000_000
const maxSkewMs = 5 * 60_000

/** Clocks are read in whole milliseconds, so what two of them show differs from their difference by less than one. */
const grainMs = 1

class Side implements Clock {
  readonly telemetry = new RecordingTelemetry()
  readonly peer = new PeerClock('peer' as ServerId, this, this.telemetry, maxSkewMs)
  readonly #trueMs: () => number
  readonly #rate: number
  offsetMs: number

  constructor(trueMs: () => number, offsetMs: number, driftPpm: number) {
    this.#trueMs = trueMs
    this.offsetMs = offsetMs
    this.#rate = 1 + driftPpm / 1e6
  }

  now = (): number => Math.floor(this.wall)
  elapsed = (): number => this.#trueMs() * this.#rate
  after = (): never => assert.unreachable('nobody waits') as never

  get wall(): number {
    return epochMs + this.offsetMs + this.#trueMs() * this.#rate
  }
}

interface Delivery {
  readonly atMs: number
  readonly to: Side
  readonly beat: ReturnType<PeerClock['beat']>
}

/** Two servers that send each other beats over slow ways. */
class Pair {
  trueMs = 0
  readonly one: Side
  readonly other: Side
  #underWay: Delivery[] = []

  constructor(offsetMs: number, drifts: readonly [number, number]) {
    this.one = new Side(() => this.trueMs, 0, drifts[0])
    this.other = new Side(() => this.trueMs, offsetMs, drifts[1])
  }

  /** One of the two sends a beat, after a while; what has arrived by then was heard. */
  send(from: 'one' | 'other', afterMs: number, tookMs: number): void {
    this.pass(afterMs)
    const beat = this[from].peer.beat()
    this.#underWay.push({ atMs: this.trueMs + tookMs, to: from === 'one' ? this.other : this.one, beat })
  }

  /** @param heard is told after each beat that was heard */
  pass(ms: number, heard: (by: Side) => void = side => this.assertTrue(side)): void {
    const untilMs = this.trueMs + ms
    for (const delivery of this.#underWay.toSorted((a, b) => a.atMs - b.atMs)) {
      if (delivery.atMs > untilMs) break
      this.#underWay = this.#underWay.filter(each => each !== delivery)
      this.trueMs = Math.max(this.trueMs, delivery.atMs)
      const { clock, echo } = delivery.beat
      // As it comes over the wire.
      delivery.to.peer.heard(clock, echo && { clockMs: echo.clockMs, heldMs: Math.floor(echo.heldMs) })
      heard(delivery.to)
    }
    this.trueMs = untilMs
  }

  assertTrue(side: Side): void {
    const { skewMs, uncertaintyMs } = side.peer.offset as ClockOffset
    if (uncertaintyMs === undefined) return
    const other = side === this.one ? this.other : this.one
    const errorMs = Math.abs(other.wall - side.wall - skewMs)
    assert.ok(errorMs <= uncertaintyMs + grainMs, `${errorMs} ms off, ± ${uncertaintyMs} ms said`)
  }
}

const beat = fc.record({
  from: fc.constantFrom('one' as const, 'other' as const),
  afterMs: fc.oneof(fc.nat(50), fc.integer({ min: 100, max: 20_000 }), fc.double({ min: 0, max: 100, noNaN: true })),
  tookMs: fc.oneof(fc.nat(5), fc.nat(15_000), fc.double({ min: 0, max: 300, noNaN: true })),
})
const offset = fc.oneof(fc.integer({ min: -3_000, max: 3_000 }), fc.integer({ min: -1e9, max: 1e9 }))
const drift = fc.double({ min: -45, max: 45, noNaN: true })

test('what was measured is as true as it says', () => {
  fc.assert(
    fc.property(offset, drift, drift, fc.array(beat, { maxLength: 40 }), (offsetMs, one, other, beats) => {
      const pair = new Pair(offsetMs, [one, other])
      for (const { from, afterMs, tookMs } of beats) pair.send(from, afterMs, tookMs)
      pair.pass(20_000)
    }),
    { numRuns: 300 },
  )
})

test('a clock that is set is noticed with the next echo, unless the way is longer than it was set by', () => {
  fc.assert(
    fc.property(
      offset,
      fc.nat(200),
      fc.integer({ min: 2_000, max: 1e7 }),
      fc.boolean(),
      (offsetMs, wayMs, byMs, isBack) => {
        const pair = new Pair(offsetMs, [20, -20])
        const exchange = () => {
          pair.send('one', 5_000, wayMs)
          pair.send('other', 1_000, wayMs)
        }
        exchange()
        exchange()
        pair.pass(1_000)
        assert.ok(pair.one.peer.offset?.uncertaintyMs !== undefined)
        pair.other.offsetMs += isBack ? -byMs : byMs
        exchange()
        // Beats that were sent before are on their way still.
        pair.pass(1_000, () => {})
        pair.assertTrue(pair.one)
      },
    ),
    { numRuns: 200 },
  )
})

test('an alarm says how sure it is, is raised once, and again after the clock was right', () => {
  const pair = new Pair(0, [0, 0])
  const { one, other } = pair
  const exchange = (wayMs: number) => {
    pair.send('one', 5_000, wayMs)
    pair.pass(wayMs, () => {})
    pair.send('other', 1_000, wayMs)
    pair.pass(wayMs, () => {})
  }
  const alarms = () => one.telemetry.counter('cpns_clock_alarms_total')
  one.peer.greeted(other.now())
  assert.equal(one.peer.offset, { skewMs: 0 }, 'nothing was measured')
  exchange(10)
  assert.is(alarms(), 0)
  other.offsetMs = -maxSkewMs - 1_000
  exchange(10)
  exchange(10)
  assert.is(alarms(), 1)
  const [event] = one.telemetry.events('peer.clock-skew')
  assert.ok(Math.abs(Number(event?.skewMs) + maxSkewMs + 1_000) <= Number(event?.uncertaintyMs))
  assert.ok(Number(event?.uncertaintyMs) < 20)
  other.offsetMs = 0
  exchange(10)
  assert.is(alarms(), 1)
  other.offsetMs = maxSkewMs + 1_000
  exchange(10)
  assert.is(alarms(), 2)
  one.peer.greeted(other.now())
  exchange(10_000)
  assert.is(alarms(), 2, 'so slow a way leaves it open whether the clock is off by more than is borne')
})

test.run()
