import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { LogEventName } from '../../src/ports/log-events.ts'
import type { LogLine } from '../../src/simulation/telemetry.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * A crash ends everything that a process had under way, and nothing of it reaches a port afterwards: timers do not fire,
 * promises do not settle, calls do nothing and are counted. The next run has its own randomness, on the same disk and under
 * the same clock. A host whose ports outlive the run fails here, as orphaned promises would write on the new run's disk.
 */

test('after a crash nothing of the old run happens, and what still calls is counted', async () => {
  const told: LogLine[] = []
  const world = new World({ seed: 1, production, onLog: line => told.push(line) })
  const host = world.host('a')
  const { clock, telemetry, store, sockets, listener, messenger, run } = host.boot()
  const happened: string[] = []
  world.at(0, 'life', () => {
    clock.after(20, () => happened.push('timer'))
    void store
      .commit({ documents: [], local: [{ key: 'k', value: new Uint8Array(1) }] })
      .then(() => happened.push('stored'))
    void sockets.connect('ws://10.0.0.9:80/', []).finally(() => happened.push('connected'))
    telemetry.log('info', 'node.ready')
  })
  world.at(0.5, 'crash', () => host.crash({ of: 'process' }))
  world.at(1, 'afterlife', () => {
    telemetry.log('info', 'node.stopped')
    telemetry.count('cpns_undead_total')
    clock.after(1, () => happened.push('timer'))
    messenger.send('b', new Uint8Array(1))
    void store.index('pn/a.example/x' as never).finally(() => happened.push('read'))
    void listener.listen(() => ({ accept: false, status: 403, reason: '' })).finally(() => happened.push('listening'))
    void sockets.connect('ws://10.0.0.9:80/', []).finally(() => happened.push('connected'))
  })
  assert.is((await world.run()).kind, 'idle')
  assert.equal(happened, [])
  assert.equal(
    told.map(({ event, host: name, run: number, timeUs }) => [event, name, number, timeUs]),
    [['node.ready', 'a', 1, 0]],
  )
  assert.is(host.record.counter('cpns_undead_total'), 0)
  assert.ok(run.isOver)
  assert.is(host.strays, 7)
})

test('one run at a time, each with its own number and randomness, on one disk and clock', async () => {
  const world = new World({ seed: 1, production })
  const host = world.host('a', { clock: { offsetMs: 500 } })
  const first = host.boot()
  assert.throws(() => host.boot(), /runs already/)
  assert.throws(() => world.host('a'), /a host "a" already/)
  const record = { key: 'k', value: Uint8Array.of(1) }
  world.at(0, 'commit', () => void first.store.commit({ documents: [], local: [record] }))
  await world.run({ untilUs: 1_000_000 })
  host.shutDown()
  const second = host.boot()
  assert.equal([first.run.number, second.run.number, host.run], [1, 2, second.run])
  assert.not.equal(first.random.bytes(8), second.random.bytes(8))
  assert.equal([second.clock.elapsed(), second.clock.now() - world.epochMs], [0, 1_500])
  assert.equal(await second.store.local('k'), record.value)
})

test('a host remembers its last log lines and adds up its counters, over all runs', () => {
  const world = new World({ seed: 1, production })
  const host = world.host('a')
  for (let run = 0; run < 2; run++) {
    const { telemetry } = host.boot()
    for (let line = 0; line < 500; line++) telemetry.log('debug', 'link.not-told', { run })
    telemetry.count('cpns_x_total', { b: '2', a: '1' })
    telemetry.count('cpns_x_total', { a: '1', b: '2' }, 5)
    telemetry.count('cpns_x_total')
    telemetry.count('cpns_xy_total')
    host.shutDown()
  }
  assert.is(host.record.lines.length, 200)
  assert.equal(host.record.lines.at(-1)?.fields, { run: 1 })
  assert.equal(
    [...host.record.counters],
    [
      ['cpns_x_total{a="1",b="2"}', 12],
      ['cpns_x_total', 2],
      ['cpns_xy_total', 2],
    ],
  )
  assert.is(host.record.counter('cpns_x_total'), 14)
})

test('log lines enter the trace', async () => {
  const hashOf = (event: LogEventName) => {
    const world = new World({ seed: 1, production })
    world.host('a').boot().telemetry.log('info', event)
    return world.trace.hash
  }
  assert.is(hashOf('link.up'), hashOf('link.up'))
  assert.is.not(hashOf('link.up'), hashOf('link.down'))
})

test.run()
