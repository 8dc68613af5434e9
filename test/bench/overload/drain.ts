import type { Figure } from '../bench.ts'
import { look, withCrowd } from './crowd.ts'
import { percentile } from './samples.ts'

/*
 * One of three servers is told to stop, as an operator does it, while it has its share of the clients: how long each client is
 * without a session, between the loss of the old one and the beginning of the new one.
 */

const withinMs = 120_000

export async function drain(root: string, isQuick: boolean, progress: (line: string) => void): Promise<Figure[]> {
  const spread = isQuick ? ([200, 40, 40] as const) : ([5_000, 1_000, 1_000] as const)
  return withCrowd(root, spread, progress, async stage => {
    const { clients, servers } = stage
    const [leaving] = servers
    const before = (await stage.crowd.ask({ what: 'look' })).byPort[leaving.port] ?? 0
    const beganMs = performance.now()
    leaving.signal('SIGTERM')
    const { withoutMs } = await look(
      stage,
      'all clients elsewhere',
      ({ byPort, connected }) => byPort[leaving.port] === undefined && connected === clients,
      withinMs,
    )
    const code = await leaving.log.ended
    const tookSeconds = (performance.now() - beganMs) / 1000
    const p99 = percentile(withoutMs, 0.99)
    progress(`${before} clients left in ${tookSeconds.toFixed(1)} s; the server ended with ${code}`)
    return [
      { name: `drain of ${before} clients: without a session, p99`, value: p99, unit: 'ms', atMost: 2_000 },
      { name: 'the same, the longest', value: Math.max(...withoutMs), unit: 'ms' },
      { name: 'until the server has ended', value: tookSeconds, unit: 's' },
    ]
  })
}
