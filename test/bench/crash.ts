import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, type Figure, median, spread } from './bench.ts'
import { folders, start } from './overload/bench-server.ts'
import { startChild } from './overload/child.ts'
import type { WritersAnswer, WritersOrder } from './writers/writers.child.ts'

/*
 * A server that is killed while many write to it as fast as it lets them: what it has acknowledged is there when it is started again. Each
 * writes to a document of its own, and has several writes under way, below what one client may send a second.
 */

const whole = { rounds: 5, writers: 64, forMs: 5_000 }
const quick = { rounds: 1, writers: 8, forMs: 1_000 }
const underWay = 4
const wantedPerSecond = 15_000

export const crashBench: Bench = {
  name: 'crash',
  summary: `kill -9 after ${whole.forMs / 1000} s of ${whole.writers} writers at full speed`,
  async run(progress, { isQuick }) {
    const { rounds, writers: count, forMs } = isQuick ? quick : whole
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const identities = Array.from({ length: count }, (_, index) => `client-${index}`)
    const [home] = await folders(root, 1, identities)
    if (!home) throw new Error('There is no server.')
    const writers = startChild<WritersOrder, WritersAnswer>('../writers/writers.child.ts')
    const rates: number[] = []
    let lost = 0
    let server = await start(home)
    try {
      await writers.ask({ what: 'open', port: server.port, count })
      for (let round = 1; round <= rounds; round++) {
        const writing = writers.ask({ what: 'write', forMs: 2 * forMs, underWay, everyMs: 0 })
        await delay(forMs)
        server.signal('SIGKILL')
        const { acknowledged } = await writing
        await server.log.ended
        server = await start(home)
        await writers.ask({ what: 'open', port: server.port, count })
        const { lost: missing } = await writers.ask({ what: 'check' })
        rates.push((acknowledged * 1000) / forMs)
        lost += missing
        progress(`round ${round}: ${acknowledged} writes acknowledged, of which ${missing} are lost`)
      }
      return figures(rates, lost)
    } finally {
      writers.end()
      server.signal('SIGKILL')
      await server.log.ended
      await home.link.close()
      await rm(root, { recursive: true, force: true })
    }
  },
}

const figures = (rates: readonly number[], lost: number): Figure[] => [
  { name: 'acknowledged writes lost to kill -9', value: lost, unit: 'writes', samples: rates.length, atMost: 0 },
  { name: 'acknowledged writes', value: median(rates), ...spread(rates), unit: '/s', atLeast: wantedPerSecond },
]
