import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../fixtures/until.ts'
import { type Bench, type Figure, figureOf } from './bench.ts'
import type { ObserversAnswer, ObserversOrder } from './fan-out/observers.child.ts'
import { cpuMsOf, installPeers } from './fan-out/peer-process.ts'
import { unboundedFrames } from './overload/bench-server.ts'
import { type Child, startChild } from './overload/child.ts'
import * as servers from './writers/servers.ts'
import type { WritersAnswer, WritersOrder } from './writers/writers.child.ts'

/*
 * One document, very many observers, and writers that begin the next write as soon as one is acknowledged: how many writes a second reach
 * all observers. Thirty-two are under way at any time, eight of them together. Here one subscriber writes them all, who is allowed to.
 * All servers run at once, and take turns, round by round.
 */

const rounds = 5
const underWay = 32
const whole = { observers: 1_000, forMs: 3_000 }
const quick = { observers: 50, forMs: 500 }
const wantedTimes = 1.5

interface Entrant {
  readonly kind: servers.ServerKind
  readonly server: servers.RunningServer
  readonly writers: Child<WritersOrder, WritersAnswer>
  readonly observers: Child<ObserversOrder, ObserversAnswer>
  readonly rates: number[]
  readonly costsUs: number[]
}

const togetherOf = ({ protocol }: servers.ServerKind): number => (protocol === 'ours' ? 8 : 1)

export const fullSpeedBench: Bench = {
  name: 'full-speed',
  summary: `a document that ${whole.observers} clients observe, written as fast as it goes, beside other servers`,
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    await installPeers(progress)
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const entrants: Entrant[] = []
    try {
      for (const kind of await kinds(root)) {
        entrants.push(await enter(kind, scale.observers))
        progress(`${kind.name}: ${scale.observers} observers are there`)
      }
      // The first round has everything compiled.
      for (let round = 0; round <= rounds; round++)
        for (const entrant of entrants) {
          const { rate, costUs } = await measure(entrant, scale)
          progress(
            `round ${round}, ${entrant.kind.name}: ${rate.toFixed(0)} writes a second, ${costUs.toFixed(2)} µs for each at an observer`,
          )
          if (round === 0) continue
          entrant.rates.push(rate)
          entrant.costsUs.push(costUs)
        }
      return figures(entrants)
    } finally {
      for (const { kind, server, writers, observers } of entrants) {
        writers.end()
        observers.end()
        await server.kill()
        await kind.close()
      }
      await rm(root, { recursive: true, force: true })
    }
  },
}

const kinds = async (root: string): Promise<servers.ServerKind[]> => [
  await servers.ours(root, 1, undefined, unboundedFrames),
  await servers.hocuspocus(root),
  await servers.yWebsocket(),
  await servers.bare(),
]

async function enter(kind: servers.ServerKind, count: number): Promise<Entrant> {
  const server = await kind.start()
  const writers = startChild<WritersOrder, WritersAnswer>('../writers/writers.child.ts')
  const observers = startChild<ObserversOrder, ObserversAnswer>('../fan-out/observers.child.ts')
  const { protocol } = kind
  const { port } = server
  await writers.ask({ what: 'open', protocol, port, count: underWay / togetherOf(kind), isShared: true })
  const { approach } = await writers.ask({ what: 'end' })
  if (!approach) throw new Error(`Nobody can follow a document of ${kind.name}.`)
  await observers.ask({ what: 'open', port, count, ...approach })
  return { kind, server, writers, observers, rates: [], costsUs: [] }
}

async function measure({ kind, server, writers, observers }: Entrant, { observers: count, forMs }: typeof whole) {
  const cpuMs = await cpuMsOf(server.pid)
  const beganMs = performance.now()
  const { acknowledged } = await writers.ask({
    ...{ what: 'write', forMs, underWay: 1, everyMs: 0 },
    together: togetherOf(kind),
  })
  const { text = '' } = await writers.ask({ what: 'end' })
  await until(async () => (await observers.ask({ what: 'count', text })).told === count, {
    what: `${kind.name} has told all of the last write`,
    everyMs: 20,
    withinMs: 60_000,
  })
  const writes = acknowledged + 1
  const costUs = (1000 * ((await cpuMsOf(server.pid)) - cpuMs)) / (writes * count)
  return { rate: (1000 * writes) / (performance.now() - beganMs), costUs }
}

function figures(entrants: readonly Entrant[]): Figure[] {
  const [own, coalescing] = entrants
  if (!own || !coalescing) return []
  const times = own.rates.map((rate, round) => rate / (coalescing.rates[round] ?? Number.NaN))
  return [
    ...entrants.map(({ kind, rates }) => figureOf(`${kind.name}, writes that all observers have`, rates, '/s')),
    ...entrants.map(({ kind, costsUs }) =>
      figureOf(`${kind.name}, server CPU for a write at an observer`, costsUs, 'µs'),
    ),
    figureOf('this server’s writes beside hocuspocus’s', times, '×', { atLeast: wantedTimes }),
  ]
}
