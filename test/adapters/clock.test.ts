/*
 * Property: the system's clock never calls early, never at once and never after a cancel, takes delays longer than the
 * platform's timers do, and does not keep the process alive. It would fail if a timeout could come before its time, or if
 * a wait of a month ended at once, as a plain setTimeout does.
 */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../src/adapters/clock.ts'
import { until } from '../fixtures/until.ts'

const clock = systemClock()
const monthMs = 30 * 24 * 60 * 60 * 1_000

test('a timer never fires early by the monotonic clock', async () => {
  const earliness: number[] = []
  for (let n = 0; n < 200; n++) {
    const delayMs = n / 7
    const startMs = clock.elapsed()
    clock.after(delayMs, () => earliness.push(startMs + delayMs - clock.elapsed()))
  }
  assert.is(earliness.length, 0, 'nothing fires at once')
  await until(() => earliness.length === 200, { what: 'all timers fire' })
  assert.ok(Math.max(...earliness) <= 0)
})

test('a cancelled timer stays silent; to cancel again does nothing', async () => {
  const fired: string[] = []
  const cancel = clock.after(1, () => fired.push('cancelled'))
  clock.after(20, () => fired.push('later'))
  cancel()
  cancel()
  await until(() => fired.length > 0, { what: 'the later timer fires' })
  assert.equal(fired, ['later'])
  cancel()
})

test('a delay beyond the reach of platform timers does not end at once', async () => {
  const fired: string[] = []
  const cancels = [monthMs, Number.POSITIVE_INFINITY].map(ms => clock.after(ms, () => fired.push(`${ms}`)))
  clock.after(30, () => fired.push('soon'))
  await until(() => fired.length > 0, { what: 'the short timer fires' })
  assert.equal(fired, ['soon'])
  for (const cancel of cancels) cancel()
})

test('now is integral wall time, elapsed is monotonic', () => {
  assert.ok(Number.isInteger(clock.now()))
  assert.ok(Math.abs(clock.now() - Date.now()) < 60_000)
  let last = clock.elapsed()
  for (let n = 0; n < 1_000; n++) {
    const next = clock.elapsed()
    assert.ok(next >= last)
    last = next
  }
})

test('a pending timer does not keep the process alive', async () => {
  const source = new URL('../../src/adapters/clock.ts', import.meta.url).href
  const script = `import { systemClock } from '${source}'; systemClock().after(${monthMs}, () => {})`
  const { stderr } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 60_000,
  })
  assert.is(stderr, '')
})

test.run()
