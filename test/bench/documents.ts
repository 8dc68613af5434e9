import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bench, median, spread } from './bench.ts'
import { cpuMsOf } from './fan-out/peer-process.ts'
import { folders, start } from './overload/bench-server.ts'
import { startChild } from './overload/child.ts'
import type { WritersAnswer, WritersOrder } from './writers/writers.child.ts'

/*
 * Very many documents, each with one who writes and one who observes: what a write costs the server from the command to the frame
 * at the observer, all threads and the disk's part counted.
 */

const rounds = 5
const whole = { documents: 2_000, everyMs: 4_000, forMs: 8_000 }
const quick = { documents: 50, everyMs: 200, forMs: 1_000 }
const wantedUs = 80

export const documentsBench: Bench = {
  name: 'documents',
  summary: `${whole.documents} documents, a writer and an observer each`,
  async run(progress, { isQuick }) {
    const { documents: count, everyMs, forMs } = isQuick ? quick : whole
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const identities = Array.from({ length: count }, (_, index) => `client-${index}`)
    const [home] = await folders(root, 1, identities)
    if (!home) throw new Error('There is no server.')
    const server = await start(home)
    const writers = startChild<WritersOrder, WritersAnswer>('../writers/writers.child.ts')
    const costsUs: number[] = []
    const latenciesMs: number[] = []
    try {
      await writers.ask({ what: 'open', port: server.port, count })
      await writers.ask({ what: 'observe' })
      progress(`${count} writers and observers are there`)
      // The first round has everything compiled.
      for (let round = 0; round <= rounds; round++) {
        const cpuMs = await cpuMsOf(server.pid)
        const { told, medianMs } = await writers.ask({ what: 'write', forMs, underWay: 1, everyMs })
        const costUs = (1000 * ((await cpuMsOf(server.pid)) - cpuMs)) / told
        progress(`round ${round}: ${told} writes delivered, ${costUs.toFixed(0)} µs each`)
        if (round === 0) continue
        costsUs.push(costUs)
        latenciesMs.push(medianMs)
      }
      return [
        {
          name: `server CPU for a write delivered, ${count} documents`,
          value: median(costsUs),
          ...spread(costsUs),
          unit: 'µs',
          atMost: wantedUs,
        },
        { name: 'until it is acknowledged, p50', value: median(latenciesMs), ...spread(latenciesMs), unit: 'ms' },
      ]
    } finally {
      writers.end()
      server.signal('SIGKILL')
      await server.log.ended
      await home.link.close()
      await rm(root, { recursive: true, force: true })
    }
  },
}
