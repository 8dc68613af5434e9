import { fanOut } from '../../../src/federation/reconciliation/place.ts'
import { NamedTree, walked } from '../../federation/reconciliation/trees.ts'
import { type Figure, spread } from '../bench.ts'
import { constant, linear, type Panel } from './series.ts'

/*
 * Two servers meet again that hold the same documents, or all but a hundred on each side: trees, frames and their checks are those of
 * production, without a network.
 */

const changed = 100
/** The mean of so many, by the clock: the system's accounts are too coarse for microseconds. */
const walks = { equal: 200, changed: 20 }
/** Beside reconnecting with nothing changed, a hundred that have leave more to be read where each has a neighbourhood of its own. */
const byDepth = 0.25
/** A place that is told, with its hashes, and what is told of its neighbours below. */
const bytesOfLevel = 100

/** The panel, and what each changed document takes on each level of the tree: bytes grow with the levels, of which there is a logarithm, and no power. */
export function byDocuments(
  sizes: readonly number[],
  progress: (line: string) => void,
): { readonly panel: Panel; readonly level: Figure } {
  const measured = sizes.map(size => {
    const values = reconnected(size)
    progress(
      `${size} documents: ${values.equalUs.toFixed(0)} µs when nothing has changed, ${values.changedUs.toFixed(0)} µs for ${changed} changed`,
    )
    return { size, ...values }
  })
  const points = (value: (each: (typeof measured)[number]) => number) =>
    measured.map(each => ({ size: each.size, value: value(each) }))
  const panel: Panel = {
    size: 'documents that two servers hold that meet again',
    series: [
      {
        what: 'nothing has changed',
        unit: 'µs',
        points: points(({ equalUs }) => equalUs),
        slopeAtMost: constant,
      },
      {
        what: `${changed} changed, each side`,
        unit: 'µs',
        points: points(({ changedUs }) => changedUs),
        slopeAtMost: byDepth,
      },
      {
        what: `${changed} changed, each side`,
        unit: 'bytes',
        points: points(({ bytes }) => bytes),
        slopeAtMost: byDepth,
      },
      { what: 'memory of a tree', unit: 'bytes', points: points(({ treeBytes }) => treeBytes), slopeAtMost: linear },
    ],
  }
  const ofLevel = measured.map(({ size, bytes }) => bytes / (2 * changed * (Math.log(size) / Math.log(fanOut))))
  const level: Figure = {
    name: `${changed} changed, each side: bytes for each of them and level of the tree, the most`,
    ...{ value: Math.max(...ofLevel), unit: 'bytes', ...spread(ofLevel), atMost: bytesOfLevel },
  }
  return { panel, level }
}

function reconnected(size: number) {
  const [a, b] = [server(size), server(size)]
  const equal = walk(a, b, walks.equal, () => {})
  const differing = walk(a, b, walks.changed, round => {
    for (let number = 0; number < changed; number++) {
      a.put(nameOf((number * 997 + 3) % size), 100 + round)
      b.put(nameOf((number * 991 + 500) % size), 200 + round)
    }
  })
  return {
    equalUs: equal.costUs,
    changedUs: differing.costUs,
    bytes: differing.bytes,
    treeBytes: a.tree.bytes + a.leaves.bytes,
  }
}

/** What both sides together take for a walk, in the mean. */
function walk(a: NamedTree, b: NamedTree, rounds: number, change: (round: number) => void) {
  let [costUs, bytes] = [0, 0]
  for (let round = 0; round < rounds; round++) {
    change(round)
    const salt = Uint8Array.from({ length: 8 }, (_, at) => at * 31 + round)
    const found = walked(a, b, salt, () => performance.now() * 1_000)
    costUs += (found.driverCost + found.otherCost) / rounds
    bytes += found.bytes / rounds
  }
  return { costUs, bytes }
}

function server(size: number): NamedTree {
  const tree = new NamedTree()
  for (let number = 0; number < size; number++) tree.put(nameOf(number), 1)
  tree.tree.refresh(Number.POSITIVE_INFINITY)
  return tree
}

const nameOf = (number: number): string => `conversation/a.example/u-${number % 1_000}/c-${number}`
