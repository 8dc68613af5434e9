import { setTimeout as delay } from 'node:timers/promises'
import { type BenchServer, folders, start } from './bench-server.ts'
import { type Child, startChild } from './child.ts'
import type { CrowdAnswer, CrowdOrder } from './crowd.child.ts'

/** Three servers of one operator, and a crowd of clients spread over them. */
export interface CrowdStage {
  readonly clients: number
  readonly servers: readonly [BenchServer, BenchServer, BenchServer]
  readonly crowd: Child<CrowdOrder, CrowdAnswer>
}

/** @param spread how many clients each server has */
export async function withCrowd<T>(
  root: string,
  spread: readonly [number, number, number],
  progress: (line: string) => void,
  work: (stage: CrowdStage) => Promise<T>,
): Promise<T> {
  const clients = spread[0] + spread[1] + spread[2]
  const identities = Array.from({ length: clients }, (_, index) => `client-${index}`)
  const homes = await folders(root, 3, identities)
  const servers: BenchServer[] = []
  const crowd = startChild<CrowdOrder, CrowdAnswer>('crowd.child.ts')
  try {
    for (const home of homes) servers.push(await start(home))
    const [one, two, three] = servers
    if (!one || !two || !three) throw new Error('A server is missing.')
    for (const { log } of servers) await linkedWithOthers(log)
    progress(`three servers stand; ${clients} clients connect`)
    const ports = servers.map(({ port }) => port)
    await crowd.ask({ what: 'open', ports, spread, identities })
    // Who was turned away for a moment is at another server than was meant.
    const { byPort } = await crowd.ask({ what: 'look' })
    progress(`they are in: ${Object.values(byPort).join(', ')}`)
    return await work({ clients, servers: [one, two, three], crowd })
  } finally {
    crowd.end()
    for (const { signal } of servers) signal('SIGKILL')
    for (const { home } of servers) await home.link.close()
    await Promise.all(servers.map(({ log }) => log.ended))
  }
}

async function linkedWithOthers(log: BenchServer['log']): Promise<void> {
  const isFirst = new Set<unknown>()
  await log.seen(
    'links to both others',
    ({ event, fields }) => {
      if (event === 'link.up') isFirst.add(fields?.peer)
      return isFirst.size === 2
    },
    60_000,
  )
}

/** Looks until it holds. @throws when it does not within the time */
export async function look(
  { crowd }: CrowdStage,
  what: string,
  holds: (answer: CrowdAnswer) => boolean,
  withinMs: number,
): Promise<CrowdAnswer> {
  const untilMs = performance.now() + withinMs
  const without: number[] = []
  for (;;) {
    const answer = await crowd.ask({ what: 'look' })
    without.push(...answer.withoutMs)
    if (holds(answer)) return { ...answer, withoutMs: without }
    if (performance.now() > untilMs) {
      throw new Error(`${what}: not within ${withinMs} ms, but ${JSON.stringify(answer.byPort)}.`)
    }
    await delay(100)
  }
}
