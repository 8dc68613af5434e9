import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { drain } from './overload/drain.ts'
import { flood } from './overload/flood.ts'
import { idle } from './overload/idle.ts'
import { loss } from './overload/loss.ts'
import { floodPlot } from './overload/plot.ts'

export const overloadBench: Bench = {
  name: 'overload',
  summary:
    'five times the clients that a server can authenticate; a server killed, a server drained; what an idle client takes',
  async run(progress, { isQuick, draw }) {
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    try {
      const flooded = await flood(join(root, 'flood'), isQuick, progress)
      await draw('overload', floodPlot(flooded))
      return [
        ...flooded.figures,
        ...(await loss(join(root, 'loss'), isQuick, progress)),
        ...(await drain(join(root, 'drain'), isQuick, progress)),
        ...(await idle(join(root, 'idle'), isQuick, progress)),
      ]
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  },
}
