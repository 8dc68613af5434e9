import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Bench } from './bench.ts'
import { drain } from './overload/drain.ts'
import { flood } from './overload/flood.ts'
import { idle } from './overload/idle.ts'
import { keySourceFlood } from './overload/key-source.ts'
import { loss } from './overload/loss.ts'
import { floodPlot } from './overload/plot.ts'

export const overloadBench: Bench = {
  name: 'overload',
  summary:
    'five times the clients that a server can authenticate, and that its source of keys can answer for; a server killed, a server drained; what an idle client takes',
  async run(progress, { isQuick, draw }) {
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    try {
      const flooded = await flood(join(root, 'flood'), isQuick, progress)
      await draw('overload', floodPlot(flooded, 'a server can authenticate'))
      const scarce = await keySourceFlood(join(root, 'keys'), isQuick, progress)
      await draw('key-source', floodPlot(scarce, 'the operator’s key server can answer for'))
      return [
        ...flooded.figures,
        ...scarce.figures,
        ...(await loss(join(root, 'loss'), isQuick, progress)),
        ...(await drain(join(root, 'drain'), isQuick, progress)),
        ...(await idle(join(root, 'idle'), isQuick, progress)),
      ]
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  },
}
