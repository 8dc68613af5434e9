import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { processLoadProbe } from '../../src/adapters/load-probe.ts'

/* A stall of the event loop is found whether the process was busy before it or not; a process with nothing to do is let alone. */

const sampleMs = 250
const stallMs = 400
/** A timer every 100 ms begins to be late somewhere within the stall. */
const leastFoundMs = stallMs - 150

function stall(): void {
  const endMs = performance.now() + stallMs
  while (performance.now() < endMs);
}

test('a stall after a quiet time is found', async () => {
  const probe = processLoadProbe()
  await delay(sampleMs)
  probe.sample()
  stall()
  await delay(sampleMs)
  const { loopDelayMs } = probe.sample()
  probe.stop()
  assert.ok(loopDelayMs >= leastFoundMs, `${loopDelayMs} ms`)
})

test('a stall in a busy time is found', async () => {
  const probe = processLoadProbe()
  await delay(sampleMs)
  stall()
  await delay(sampleMs / 10)
  const first = probe.sample()
  await delay(sampleMs / 10)
  stall()
  await delay(sampleMs / 10)
  const second = probe.sample()
  probe.stop()
  assert.ok(first.utilisation > 0.5, `${first.utilisation}`)
  for (const { loopDelayMs } of [first, second]) assert.ok(loopDelayMs >= leastFoundMs, `${loopDelayMs} ms`)
})

test('idle time passes while there is nothing to do, and only then', async () => {
  const probe = processLoadProbe()
  const before = probe.idleMs()
  stall()
  const busy = probe.idleMs()
  await delay(sampleMs)
  const after = probe.idleMs()
  probe.stop()
  assert.is(busy, before)
  assert.ok(after - busy > sampleMs / 2 && after - busy <= sampleMs + stallMs, `${after - busy}`)
})

test('a process that has nothing to do is woken about ten times a second', async () => {
  const probe = processLoadProbe()
  await delay(sampleMs)
  probe.sample()
  const { loopCount: before } = performance.nodeTiming.uvMetricsInfo
  await delay(4 * sampleMs)
  const turns = performance.nodeTiming.uvMetricsInfo.loopCount - before
  probe.stop()
  assert.ok(turns < 50, `${turns} turns of the event loop`)
})

test.run()
