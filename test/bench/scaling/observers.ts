import { join } from 'node:path'
import { until } from '../../fixtures/until.ts'
import { median } from '../bench.ts'
import { type Contestant, ours } from '../fan-out/contestants.ts'
import type { ObserversAnswer, ObserversOrder } from '../fan-out/observers.child.ts'
import { cpuMsOf } from '../fan-out/peer-process.ts'
import { unboundedFrames } from '../overload/bench-server.ts'
import { type Child, startChild } from '../overload/child.ts'
import { linear, type Panel } from './series.ts'

/** One document of one server, in a process of its own, and more and more clients that observe it. */

type Observers = Child<ObserversOrder, ObserversAnswer>

const warmUpWrites = 1_000
const rounds = 5
/** In a round: accounts are in hundredths of a second, and a write to few takes little. */
const writesFor = (observers: number): number => Math.max(20, Math.round(2_000 / Math.sqrt(observers)))

export async function byObservers(
  sizes: readonly number[],
  root: string,
  progress: (line: string) => void,
): Promise<Panel> {
  const contestant = await ours(join(root, 'observers'), unboundedFrames)
  const observers = startChild<ObserversOrder, ObserversAnswer>('../fan-out/observers.child.ts')
  try {
    for (let write = 0; write < warmUpWrites; write++) await contestant.write()
    const points: { readonly size: number; readonly value: number }[] = []
    let there = 0
    for (const size of sizes) {
      await gather(contestant, observers, size - there)
      there = size
      const costs: number[] = []
      for (let round = 0; round <= rounds; round++) costs.push(await costUs(contestant, observers, size))
      points.push({ size, value: median(costs.slice(1)) })
      progress(`${size} observers: ${points.at(-1)?.value.toFixed(0)} µs a write`)
    }
    return {
      size: 'observers of a document',
      series: [{ what: 'a write, told to all', unit: 'µs', points, slopeAtMost: linear }],
    }
  } finally {
    observers.end()
    await contestant.stop()
  }
}

async function gather({ port, observer }: Contestant, observers: Observers, count: number): Promise<void> {
  const words = observer.words.map(word => Buffer.from(word).toString('base64'))
  await observers.ask({ what: 'open', port, path: observer.path, count, words })
}

/** Microseconds of processor that the server takes for a write, one after another. */
async function costUs(contestant: Contestant, observers: Observers, size: number): Promise<number> {
  const writes = writesFor(size)
  const before = await cpuMsOf(contestant.pid)
  let text = ''
  for (let write = 0; write < writes; write++) text = await contestant.write()
  await until(async () => (await observers.ask({ what: 'count', text })).told === size, {
    what: 'all have been told of the last write',
    everyMs: 20,
  })
  return (1000 * ((await cpuMsOf(contestant.pid)) - before)) / writes
}
