import { setTimeout as delay } from 'node:timers/promises'
import { defaultLimits } from '../../../src/access/limits.ts'
import type { Figure } from '../bench.ts'
import { start } from './bench-server.ts'
import { look, withCrowd } from './crowd.ts'

/*
 * Ten thousand clients on three servers, some of them writing, and one server is killed: how long until all are on the others; and
 * whether each message that was acknowledged is there afterwards, once. What the killed server alone had stored comes back with
 * it, so that is looked for when it runs again.
 */

const writeBeforeMs = 5_000
const withinMs = 120_000

export async function loss(root: string, isQuick: boolean, progress: (line: string) => void): Promise<Figure[]> {
  const spread = isQuick ? ([200, 200, 200] as const) : ([3_334, 3_333, 3_333] as const)
  const writers = isQuick ? 20 : 100
  return withCrowd(root, spread, progress, async stage => {
    const { clients, crowd, servers } = stage
    const [victim, heir, other] = servers
    await crowd.ask({ what: 'write', writers })
    await delay(writeBeforeMs)
    const lost = (await crowd.ask({ what: 'look' })).byPort[victim.port] ?? 0
    victim.signal('SIGKILL')
    const killedMs = performance.now()
    await victim.log.ended
    let most = 0
    await look(
      stage,
      'all clients on the other servers',
      ({ connected, byPort }) => {
        most = Math.max(most, byPort[heir.port] ?? 0, byPort[other.port] ?? 0)
        return connected === clients && byPort[victim.port] === undefined
      },
      withinMs,
    )
    const movedSeconds = (performance.now() - killedMs) / 1000
    progress(`${lost} clients lost their server; all were on the others after ${movedSeconds.toFixed(1)} s`)
    await delay(writeBeforeMs)
    const { acknowledged } = await crowd.ask({ what: 'stopWriting' })
    const back = await start(victim.home)
    try {
      const counted = await settled(() => crowd.ask({ what: 'count', port: heir.port }))
      progress(`${acknowledged} messages acknowledged, ${counted.lost} lost, ${counted.doubled} doubled`)
      return [
        {
          name: `${clients} clients, one of three servers killed: all on the others`,
          value: movedSeconds,
          unit: 's',
          atMost: 30,
        },
        { name: 'most clients of one server', value: most, unit: 'clients', atMost: defaultLimits.maxConnections },
        { name: 'messages acknowledged meanwhile', value: acknowledged, unit: 'messages', atLeast: writers },
        { name: 'acknowledged messages lost', value: counted.lost, unit: 'messages', atMost: 0 },
        { name: 'messages delivered twice', value: counted.doubled, unit: 'messages', atMost: 0 },
      ]
    } finally {
      back.signal('SIGKILL')
      await back.log.ended
    }
  })
}

const settleMs = 30_000

/** Servers that were apart need a while to have what the other one has. */
async function settled<T extends { readonly lost: number }>(count: () => Promise<T>): Promise<T> {
  const untilMs = performance.now() + settleMs
  for (;;) {
    const counted = await count()
    if (counted.lost === 0 || performance.now() > untilMs) return counted
    await delay(1_000)
  }
}
