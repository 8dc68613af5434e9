import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench, Figure } from './bench.ts'
import { byDocuments } from './scaling/documents.ts'
import { byObjects } from './scaling/mailboxes.ts'
import { byObservers } from './scaling/observers.ts'
import { scalingPlot } from './scaling/plot.ts'
import { type Panel, slope } from './scaling/series.ts'
import { byPeers, restByDocuments } from './scaling/servers.ts'

/*
 * How cost grows: each figure is the exponent of the power law that lies closest to what was measured at several sizes. Nothing may
 * grow faster than linearly, and what has not changed may cost nothing, however much of it there is.
 */

const whole = {
  documents: [1_000, 10_000, 100_000, 1_000_000],
  restingDocuments: [10, 100, 1_000],
  peers: [2, 5, 10, 20, 50],
  observers: [1, 10, 100, 1_000, 10_000],
  objects: [2_000, 20_000, 200_000, 1_000_000],
}
const quick: typeof whole = {
  documents: [1_000, 10_000],
  restingDocuments: [10, 100],
  peers: [2, 4],
  observers: [1, 10],
  objects: [2_000, 10_000],
}

export const scalingBench: Bench = {
  name: 'scaling',
  summary: 'how cost grows with documents, peers, observers and messages: slopes on logarithmic axes',
  async run(progress, { isQuick, draw }) {
    const sizes = isQuick ? quick : whole
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    try {
      const documents = byDocuments(sizes.documents, progress)
      const panels: Panel[] = [
        documents.panel,
        {
          size: 'documents that nobody touches; what it costs each of two servers',
          series: [await restByDocuments(sizes.restingDocuments, progress)],
        },
        await byPeers(sizes.peers, progress),
        await byObservers(sizes.observers, root, progress),
        await byObjects(sizes.objects, root, progress),
      ]
      await draw('scaling', scalingPlot(panels))
      return [...panels.flatMap(figuresOf), documents.level]
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  },
}

const figuresOf = ({ size, series }: Panel): Figure[] =>
  series.map(({ what, unit, points, slopeAtMost }) => ({
    name: `${what} (${unit}), by ${size}`,
    value: slope(points),
    unit: 'slope',
    atMost: slopeAtMost,
  }))
