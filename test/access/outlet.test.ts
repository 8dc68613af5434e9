import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { defaultLimits } from '../../src/access/limits.ts'
import { createOutlet } from '../../src/access/outlet.ts'
import { tokenBucket } from '../../src/federation/token-bucket.ts'
import type { Socket } from '../../src/ports/client-sockets.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'

/*
 * A connection's sending half knows a slow reader from a slow line, and breaks silence in time; a token bucket lets
 * through what it says and no more. It fails if a reader that takes nothing is kept, if one that takes a large document
 * slowly is not, or if any schedule of requests gets more through than the rate allows.
 */
const test = suite('outlet and token bucket')

const limits = {
  ...defaultLimits,
  maxBufferedBytes: 1_000,
  slowReaderMs: 10_000,
  slowReaderBytesPerSecond: 100,
  keepAliveMs: 15_000,
}

function outlet() {
  const clock = new ManualClock()
  const sent: (string | Uint8Array)[] = []
  const closed: { code: number; reason: string }[] = []
  const wire = { bufferedBytes: 0 }
  const socket: Socket = {
    send: frame => sent.push(frame),
    bufferedBytes: () => wire.bufferedBytes,
    close: (code, reason) => closed.push({ code, reason }),
    listen: () => {},
  }
  return { clock, sent, closed, wire, outlet: createOutlet(socket, clock, limits) }
}

test('a reader that takes nothing is closed after ten seconds, though little waits', () => {
  const { clock, closed, wire, outlet: out } = outlet()
  out.send('hello')
  wire.bufferedBytes = 5
  clock.advance(10_000)
  out.tick('alive')
  assert.equal(closed, [])
  clock.advance(100)
  out.tick('alive')
  assert.is(closed[0]?.code, 4151)
})

test('a frame larger than what may wait goes out, and its reader has the time that it takes', () => {
  const { clock, sent, closed, wire, outlet: out } = outlet()
  const document = new Uint8Array(5_000)
  out.send(document)
  wire.bufferedBytes = 5_000
  clock.advance(59_000)
  out.tick('alive')
  assert.equal(closed, [], '5,000 bytes at 100 a second, and ten seconds of grace')
  wire.bufferedBytes = 0
  out.tick('alive')
  out.send('next')
  assert.is(sent.at(-1), 'next')
  clock.advance(11_000)
  wire.bufferedBytes = 4
  out.tick('alive')
  assert.is(closed[0]?.code, 4151, 'what was taken before buys no time after')
})

test('too much waiting closes before more is queued, and nothing goes out after', () => {
  const { sent, closed, wire, outlet: out } = outlet()
  out.send('first')
  wire.bufferedBytes = 1_006
  out.send('second')
  out.send('third')
  assert.equal(sent, ['first'])
  assert.is(closed.length, 1)
  assert.is(out.closing, 'slowReader')
})

test('silence is broken in time, and only silence', () => {
  const { clock, sent, outlet: out } = outlet()
  const tick = (ms: number) => {
    clock.advance(ms)
    out.tick('alive')
  }
  for (let round = 0; round < 2; round++) tick(5_000)
  assert.equal(sent, [])
  tick(5_000)
  assert.equal(sent, ['alive'])
  clock.advance(10_000)
  out.send('news')
  tick(10_000)
  assert.equal(sent, ['alive', 'news'])
  tick(5_000)
  assert.equal(sent, ['alive', 'news', 'alive'])
})

test('closes once, with a reason that fits a close frame', () => {
  const { closed, outlet: out } = outlet()
  out.close('notAuthorised', 'ü'.repeat(200))
  out.close('internal', 'again')
  assert.is(closed.length, 1)
  const [{ code, reason } = { code: 0, reason: '' }] = closed
  assert.is(code, 4135)
  assert.ok(new TextEncoder().encode(reason).length <= 123)
  assert.match(reason, /^ü{50,}…$/)
})

test('no schedule gets more through a bucket than burst and rate allow; waiting as told always does', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 3_000 }), { maxLength: 200 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 50 }), fc.integer({ min: 1, max: 20 }), (pauses, rate, burst) => {
      let nowMs = 1_000
      const bucket = tokenBucket(rate, burst, nowMs)
      let passed = 0
      for (const pause of pauses) {
        nowMs += pause
        const waitMs = bucket.take(nowMs)
        if (waitMs === 0) passed += 1
        assert.ok(waitMs >= 0 && waitMs <= Math.ceil(1_000 / rate))
        assert.ok(passed <= burst + ((nowMs - 1_000) * rate) / 1_000 + 1e-5 * passed)
      }
      while (bucket.take(nowMs) === 0);
      nowMs += bucket.take(nowMs)
      assert.is(bucket.take(nowMs), 0)
    }),
    { examples: [[[0, 4, 57], 1, 3]] },
  )
})

test.run()
