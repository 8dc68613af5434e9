import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { LinkConditions } from '../../src/simulation/link.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * Messages for protocol studies: as datagrams each is on its own, lost, doubled, overtaken or changed as often as the link
 * says; as a stream they come in order and all. Both carry copies. A network whose accidents are drawn from the latencies' stream
 * fails the comparison of a lossy run with a clean one.
 */

interface Heard {
  readonly number: number
  readonly atUs: number
  readonly bytes: Uint8Array
}

/** Sends numbered messages from a to b, one each millisecond; answers what b heard. */
async function exchange(
  conditions: LinkConditions,
  count = 1_000,
  act: (world: World) => void = () => {},
): Promise<{ heard: Heard[]; world: World }> {
  const world = new World({ seed: 'messages', production, conditions: () => conditions })
  const [a, b] = [world.host('a').boot(), world.host('b').boot()]
  const heard: Heard[] = []
  b.messenger.listen((from, bytes) => {
    assert.is(from, 'a')
    heard.push({ number: (bytes[0] ?? 0) * 256 + (bytes[1] ?? 0), atUs: world.scheduler.nowUs, bytes })
  })
  act(world)
  for (let number = 0; number < count; number++) {
    world.at(number, 'send', () => {
      const bytes = Uint8Array.of(number >>> 8, number & 0xff, 0, 0, 0, 0, 0, 0)
      a.messenger.send('b', bytes, 'number')
      bytes.fill(0xff)
    })
  }
  const ending = await world.run()
  assert.is(ending.kind, 'idle')
  return { heard, world }
}

const latency = { dist: 'uniform', minMs: 1, maxMs: 20 } as const
const numbers = (heard: readonly Heard[]) => heard.map(({ number }) => number)
const ascending = (list: readonly number[]) =>
  list.every((number, index) => index === 0 || number > (list[index - 1] ?? 0))

test('a stream: all, in order, once', async () => {
  const { heard } = await exchange({ latency, loss: 0.1, duplicate: 0.5, corrupt: 0.5, mode: 'stream' }, 300)
  assert.equal(
    numbers(heard),
    Array.from({ length: 300 }, (_, number) => number),
  )
})

test('datagrams overtake each other by their latencies alone', async () => {
  const { heard } = await exchange({ latency, mode: 'datagram' })
  assert.is(heard.length, 1_000)
  assert.not.ok(ascending(numbers(heard)))
  assert.ok(heard.every(({ number, atUs }) => atUs - number * 1000 >= 1_000 && atUs - number * 1000 <= 20_000))
})

test('loss and duplication happen as often as the link says', async () => {
  const lossy = await exchange({ latency, mode: 'datagram', loss: 0.2 })
  assert.ok(Math.abs(lossy.heard.length - 800) < 50, `${lossy.heard.length} of 1,000 arrived`)
  assert.is(lossy.world.network.link('a', 'b').lost, 1_000 - lossy.heard.length)
  const doubled = await exchange({ latency, mode: 'datagram', duplicate: 0.2 })
  assert.ok(Math.abs(doubled.heard.length - 1_200) < 50, `${doubled.heard.length} of 1,000 arrived`)
})

test('corruption changes one bit of one copy', async () => {
  const { heard } = await exchange({ latency, mode: 'datagram', corrupt: 0.3 })
  const changed = heard.filter(({ bytes, number }) => number >= 1_000 || bytes.subarray(2).some(byte => byte !== 0))
  assert.ok(changed.length > 150 && changed.length < 350, `${changed.length} of 1,000 were changed visibly`)
})

test('what is held back is overtaken', async () => {
  const constant = { dist: 'const', ms: 5 } as const
  assert.ok(ascending(numbers((await exchange({ latency: constant, mode: 'datagram' })).heard)))
  const { heard } = await exchange({ latency: constant, mode: 'datagram', reorder: 0.1 })
  assert.is(heard.length, 1_000)
  const late = heard.filter(({ number, atUs }) => atUs - number * 1000 === 10_000)
  assert.ok(late.length > 60 && late.length < 140, `${late.length} of 1,000 were held back`)
})

test('a lossier link keeps the latencies of the same seed', async () => {
  const [clean, lossy] = [
    await exchange({ latency, mode: 'datagram' }),
    await exchange({ latency, mode: 'datagram', corrupt: 0.5 }),
  ]
  assert.equal(
    clean.heard.map(({ atUs }) => atUs),
    lossy.heard.map(({ atUs }) => atUs),
  )
})

test('a queue that is full drops, and delays what it takes', async () => {
  const conditions = {
    latency: { dist: 'const', ms: 1 },
    mode: 'datagram',
    bytesPerSecond: 36_000,
    queueBytes: 720,
  } as const
  const { heard, world } = await exchange(conditions, 100) // 72 bytes each: 2 ms on the wire, one each ms
  assert.ok(heard.length > 50 && heard.length < 65, `${heard.length} of 100 arrived`)
  assert.ok(heard.every(({ number, atUs }) => atUs - number * 1000 <= 1_000 + 22_000))
  assert.is(world.network.link('a', 'b').lost, 100 - heard.length)
})

test('a partition loses datagrams that would arrive in it; a clog and a pause keep them', async () => {
  const datagrams = { latency: { dist: 'const', ms: 10 }, mode: 'datagram' } as const
  const between = (begin: (world: World) => () => void) => (world: World) => {
    world.at(50, 'fault', () => {
      const end = begin(world)
      world.at(80, 'end', end)
    })
  }
  const cut = await exchange(
    datagrams,
    100,
    between(world => world.network.partition([['a'], ['b']])),
  )
  const missing = Array.from({ length: 100 }, (_, number) => number).filter(
    number => !numbers(cut.heard).includes(number),
  )
  assert.equal(
    missing,
    Array.from({ length: 30 }, (_, index) => 40 + index),
  )
  const clogged = await exchange(
    datagrams,
    100,
    between(world => world.network.clog('a', 'b')),
  )
  const paused = await exchange(
    datagrams,
    100,
    between(world => {
      world.hosts.get('b')?.pause()
      return () => world.hosts.get('b')?.resume()
    }),
  )
  for (const { heard } of [clogged, paused]) {
    assert.is(heard.length, 100)
    assert.is(heard.filter(({ atUs }) => atUs === 80_000).length, 31)
  }
})

test('a host without a listener, or a process, hears nothing', async () => {
  const datagrams = { mode: 'datagram' } as const
  const { heard, world } = await exchange(datagrams, 100, world => {
    world.at(30, 'crash', () => world.hosts.get('b')?.crash({ of: 'process' }))
  })
  assert.is(heard.length, 29)
  assert.is(world.network.link('a', 'b').lost, 71)
})

test.run()
