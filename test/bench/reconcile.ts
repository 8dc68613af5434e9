import { NamedTree, walked } from '../federation/reconciliation/trees.ts'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { fillFigures } from './reconcile-fill.ts'
import { naiveExchange } from './reconcile-naive.ts'

/*
 * What it takes two servers to find the documents that differ between them: bytes of frames, round trips, processor time of either
 * side. Everything but the network is as in production: trees, frames, their checks. Beside it the same by a naive exchange of
 * state vectors. Then an empty server is filled over libp2p on loopback.
 */

/** Rounds of each kind. */
const walks = 5

const nameOf = (number: number): string =>
  `conversation/a.example/u-${String(number % 1_000).padStart(4, '0')}/c-${String(number).padStart(12, '0')}`

/** Processor milliseconds of this process until now, all threads together. */
const cpuMs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

function server(count: number): NamedTree {
  const tree = new NamedTree()
  for (let number = 0; number < count; number++) tree.put(nameOf(number), 1)
  tree.tree.refresh(Number.POSITIVE_INFINITY)
  return tree
}

interface Bounds {
  readonly bytes: number
  readonly roundTrips: number
  readonly cpuMs: number
}

/**
 * Walks several times, each time after `change`, so that the hashes above what differs have to be made; a figure for everything that
 * it took: the most bytes and round trips, the median of the processor time.
 */
function walkFigures(
  what: string,
  [a, b]: readonly [NamedTree, NamedTree],
  differ: number,
  most: Bounds,
  change: (round: number) => void = () => {},
): Figure[] {
  const rounds = Array.from({ length: walks }, (_, round) => {
    change(round)
    return walked(
      a,
      b,
      Uint8Array.from({ length: 8 }, (_, at) => at * 31 + round),
      cpuMs,
    )
  })
  const found = Math.min(...rounds.flatMap(({ driver, other }) => [driver.size, other.size]))
  const bytes = Math.max(...rounds.map(round => round.bytes))
  const roundTrips = Math.max(...rounds.map(round => round.roundTrips))
  const driverCosts = rounds.map(round => round.driverCost)
  const otherCosts = rounds.map(round => round.otherCost)
  return [
    {
      name: `${what}: found on both sides`,
      value: found,
      unit: 'documents',
      atLeast: differ,
    },
    { name: `${what}: bytes both ways`, value: bytes, unit: 'bytes', atMost: most.bytes },
    { name: `${what}: round trips`, value: roundTrips, unit: '', atMost: most.roundTrips },
    figureOf(`${what}: processor time, who drives`, driverCosts, 'ms', { atMost: most.cpuMs }),
    figureOf(`${what}: processor time, who answers`, otherCosts, 'ms', { atMost: most.cpuMs }),
  ]
}

export const reconcileBench: Bench = {
  name: 'reconcile',
  summary: 'finding what differs between two servers by hash tree, beside a naive exchange; filling an empty server',
  async run(progress, { isQuick }) {
    const figures: Figure[] = []
    for (const count of isQuick ? [100_000] : [100_000, 1_000_000]) figures.push(...compared(count, progress))
    figures.push(...(await fillFigures(progress, isQuick ? 10 : 1)))
    return figures
  },
}

function compared(count: number, progress: (line: string) => void): Figure[] {
  const began = cpuMs()
  const [a, b] = [server(count), server(count)]
  progress(`two trees of ${count} documents: ${Math.round((cpuMs() - began) / 2)} ms of processor time each`)
  const isLarge = count >= 1_000_000
  const changed = isLarge ? 1_000 : 100
  const figures: Figure[] = [
    {
      name: `${count} documents: memory for each, ids of ${nameOf(0).length} characters included`,
      value: (a.tree.bytes + a.leaves.bytes) / count,
      unit: 'bytes',
      atMost: 100,
    },
    ...walkFigures(`${count} equal`, [a, b], 0, { bytes: 2 * 1_024, roundTrips: 1, cpuMs: 100 }),
    ...walkFigures(`${count}, one different`, [a, b], 1, { bytes: 8 * 1_024, roundTrips: 5, cpuMs: 100 }, round =>
      b.put(nameOf(77), 2 + round),
    ),
  ]
  b.put(nameOf(77), 1)
  const most = isLarge
    ? { bytes: 1.5e6, roundTrips: 6, cpuMs: 2_000 }
    : { bytes: 100 * 1_024, roundTrips: 5, cpuMs: 30 }
  const changedBy = (round: number): void => {
    for (let number = 0; number < changed; number++) {
      a.put(nameOf((number * 997 + 3) % count), 100 + round)
      b.put(nameOf((number * 991 + 500) % count), 200 + round)
    }
  }
  figures.push(...walkFigures(`${count}, ${changed} changed on each side`, [a, b], changed, most, changedBy))
  const naive = naiveExchange(a.documents(), changed, cpuMs)
  figures.push(
    { name: `${count}, ${changed} changed on each side, naive: bytes`, value: naive.bytes, unit: 'bytes' },
    { name: `${count}, ${changed} changed on each side, naive: processor time, both`, value: naive.cost, unit: 'ms' },
  )
  return figures
}
