import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../fixtures/until.ts'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { bare, type Contestant, hocuspocus, ours, yWebsocket } from './fan-out/contestants.ts'
import type { ObserversAnswer, ObserversOrder } from './fan-out/observers.child.ts'
import { cpuMsOf, installPeers } from './fan-out/peer-process.ts'
import { type Child, startChild } from './overload/child.ts'

/*
 * One document, very many observers: what a write costs the server for each whom it is delivered to, beside servers for Yjs documents
 * and beside a server that only passes messages on. All of them run at once, and take turns, round by round: what disturbs the machine disturbs all.
 */

const writesPerSecond = 20
const rounds = 5
const whole = { observers: 1_000, seconds: 4, warmUp: 1_000 }
const quick = { observers: 100, seconds: 1, warmUp: 20 }
const wantedTimes = 1.1

interface Entrant {
  readonly contestant: Contestant
  readonly observers: Child<ObserversOrder, ObserversAnswer>
  readonly costsUs: number[]
}

export const fanOutBench: Bench = {
  name: 'fan-out',
  summary: `${writesPerSecond} writes a second to a document that ${whole.observers} clients observe, beside other servers`,
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    await installPeers(progress)
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const entrants: Entrant[] = []
    try {
      for (const begin of [() => ours(join(root, 'ours')), bare, () => yWebsocket(undefined), () => withFolder(root)]) {
        const contestant = await begin()
        const observers = startChild<ObserversOrder, ObserversAnswer>('../fan-out/observers.child.ts')
        entrants.push({ contestant, observers, costsUs: [] })
        // What runs all day has long been compiled.
        for (let write = 0; write < scale.warmUp; write++) await contestant.write()
        await gather(contestant, observers, scale.observers)
        progress(`${contestant.name}: ${scale.observers} observers are there`)
      }
      // The first round has everything compiled.
      for (let round = 0; round <= rounds; round++) {
        for (const entrant of entrants) {
          const costUs = await cost(entrant, scale)
          progress(`round ${round}, ${entrant.contestant.name}: ${costUs.toFixed(2)} µs`)
          if (round > 0) entrant.costsUs.push(costUs)
        }
      }
      return figures(entrants)
    } finally {
      for (const { contestant, observers } of entrants) {
        observers.end()
        await contestant.stop()
      }
      await rm(root, { recursive: true, force: true })
    }
  },
}

async function withFolder(root: string): Promise<Contestant> {
  const folder = join(root, 'peers')
  await mkdir(folder)
  return hocuspocus(folder)
}

async function gather(contestant: Contestant, observers: Entrant['observers'], count: number): Promise<void> {
  const { port, observer } = contestant
  const words = observer.words.map(word => Buffer.from(word).toString('base64'))
  await observers.ask({ what: 'open', port, path: observer.path, count, words })
}

/** Microseconds of processor that the server takes for each delivery. */
async function cost({ contestant, observers }: Entrant, scale: typeof whole): Promise<number> {
  const cpuMs = await cpuMsOf(contestant.pid)
  const writes = writesPerSecond * scale.seconds
  const written: Promise<string>[] = []
  for (let write = 0; write < writes; write++) {
    written.push(contestant.write())
    await delay(1000 / writesPerSecond)
  }
  const text = (await Promise.all(written)).at(-1) ?? ''
  await until(async () => (await observers.ask({ what: 'count', text })).told === scale.observers, {
    what: `${contestant.name} has told all of the last write`,
    everyMs: 20,
  })
  return (1000 * ((await cpuMsOf(contestant.pid)) - cpuMs)) / (writes * scale.observers)
}

function figures(entrants: readonly Entrant[]): Figure[] {
  const [own, least] = entrants
  if (!own || !least) return []
  const shares = own.costsUs.map((costUs, round) => costUs / (least.costsUs[round] ?? Number.NaN))
  return [
    ...entrants.map(({ contestant, costsUs }) =>
      figureOf(`${contestant.name}, server CPU for a delivery`, costsUs, 'µs'),
    ),
    figureOf('this server beside bare ws', shares, '×', { atMost: wantedTimes }),
  ]
}
