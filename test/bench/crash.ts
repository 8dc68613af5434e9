import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { installPeers } from './fan-out/peer-process.ts'
import { type Child, startChild } from './overload/child.ts'
import { appendLoop } from './writers/append-loop.ts'
import * as servers from './writers/servers.ts'
import type { WritersAnswer, WritersOrder } from './writers/writers.child.ts'

/*
 * A server that is killed while many write to it as fast as it lets them: what it has acknowledged is there when it is started again, and
 * of others what is there. Each writes to a document of its own, and has several writes under way, below what one client may send a
 * second. The limit of the rate is a file that does nothing but take as many at once, and make them durable.
 */

const whole = { rounds: 5, writers: 64, forMs: 5_000 }
const quick = { rounds: 1, writers: 8, forMs: 1_000 }
const underWay = 4
const wantedPerSecond = 15_000
/** y-websocket lets in before it has read its disk. */
const settleMs = 2_000

interface Entrant {
  readonly kind: servers.ServerKind
  server: servers.RunningServer
  readonly writers: Child<WritersOrder, WritersAnswer>
  readonly rates: number[]
  readonly lostPercent: number[]
}

export const crashBench: Bench = {
  name: 'crash',
  summary: `kill -9 after ${whole.forMs / 1000} s of ${whole.writers} writers at full speed, beside other servers`,
  async run(progress, { isQuick }) {
    const { rounds, writers: count, forMs } = isQuick ? quick : whole
    await installPeers(progress)
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const entrants: Entrant[] = []
    const limits: number[] = []
    try {
      for (const kind of await kinds(root, count)) {
        const server = await kind.start()
        const writers = startChild<WritersOrder, WritersAnswer>('../writers/writers.child.ts')
        entrants.push({ kind, server, writers, rates: [], lostPercent: [] })
        await writers.ask({ what: 'open', protocol: kind.protocol, port: server.port, count })
      }
      for (let round = 1; round <= rounds; round++) {
        for (const entrant of entrants) progress(`round ${round}, ${await crash(entrant, count, forMs)}`)
        limits.push(await appendLoop(join(root, 'limit'), count * underWay, forMs / 5))
        progress(`round ${round}, append loop: ${limits.at(-1)?.toFixed(0)} a second`)
      }
      return figures(entrants, limits)
    } finally {
      for (const { kind, server, writers } of entrants) {
        writers.end()
        await server.kill()
        await kind.close()
      }
      await rm(root, { recursive: true, force: true })
    }
  },
}

const kinds = async (root: string, count: number): Promise<servers.ServerKind[]> => [
  await servers.ours(root, count),
  await servers.yWebsocketOnDisk(root),
  await servers.hocuspocus(root),
  await servers.automerge(root),
]

/** Answers what became of it, in words. */
async function crash(entrant: Entrant, count: number, forMs: number): Promise<string> {
  const { kind, writers, rates, lostPercent } = entrant
  const writing = writers.ask({ what: 'write', forMs: 2 * forMs, underWay, everyMs: 0 })
  await delay(forMs)
  await entrant.server.kill()
  const { acknowledged } = await writing
  entrant.server = await kind.start()
  await writers.ask({ what: 'open', protocol: kind.protocol, port: entrant.server.port, count })
  await delay(settleMs)
  const { lost } = await writers.ask({ what: 'check' })
  rates.push((acknowledged * 1000) / forMs)
  lostPercent.push((100 * lost) / acknowledged)
  return `${kind.name}: ${acknowledged} writes acknowledged, of which ${lost} are lost`
}

function figures(entrants: readonly Entrant[], limits: readonly number[]): Figure[] {
  const [own] = entrants
  if (!own) return []
  return [
    ...entrants.map(({ kind, lostPercent }) => {
      const bound = kind === own.kind ? { atMost: 0 } : {}
      return figureOf(`${kind.name}, acknowledged writes lost to kill -9`, lostPercent, '%', bound)
    }),
    ...entrants.map(({ kind, rates }) => {
      const bound = kind === own.kind ? { atLeast: wantedPerSecond } : {}
      return figureOf(`${kind.name}, acknowledged writes`, rates, '/s', bound)
    }),
    figureOf('append loop with fsync, records', limits, '/s'),
    figureOf('this server beside the append loop', shares(own.rates, limits), '%'),
  ]
}

const shares = (values: readonly number[], limits: readonly number[]): number[] =>
  values.map((value, round) => (100 * value) / (limits[round] ?? Number.NaN))
