import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { installPeers } from './fan-out/peer-process.ts'
import { nodeFlags } from './overload/bench-server.ts'
import { type Child, startChild } from './overload/child.ts'
import * as servers from './writers/servers.ts'
import type { WritersAnswer, WritersOrder } from './writers/writers.child.ts'

/*
 * Very many clients that are there and say nothing, each on a document of its own: what one takes of the server's memory, and what is left
 * of it when they have gone. Measured after garbage was collected, as how much more is in use with so many, and how much more is
 * resident. The documents are made in a life of the server before.
 */

const whole = { rounds: 5, clients: 5_000, returnWithinMs: 180_000 }
const quick = { rounds: 1, clients: 200, returnWithinMs: 3_000 }
/** The first few hundred have everything compiled and every pool filled. */
const warmUp = 300
const settleMs = 3_000
const wantedKiB = 20
const wantedPercent = 110

/** Of one client. */
interface Taken {
  readonly usedKiB: number
  readonly residentKiB: number
}

interface Entrant {
  readonly kind: servers.ServerKind
  readonly taken: Taken[]
  /** In use when they have left, % of before, and how long that took. */
  left?: { readonly percent: number; readonly afterS: number }
}

export const idleBench: Bench = {
  name: 'idle',
  summary: `${whole.clients} clients that say nothing on ${whole.clients} documents, beside other servers`,
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    await installPeers(progress)
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const entrants: Entrant[] = []
    try {
      for (const kind of await kinds(root, warmUp + scale.clients)) entrants.push({ kind, taken: [] })
      for (const { kind } of entrants) await makeDocuments(kind, warmUp + scale.clients)
      for (let round = 1; round <= scale.rounds; round++)
        for (const entrant of entrants) {
          const { usedKiB, residentKiB } = await measure(entrant, scale, round === scale.rounds)
          progress(
            `round ${round}, ${entrant.kind.name}: ${usedKiB.toFixed(1)} KiB each in use, ${residentKiB.toFixed(1)} resident`,
          )
        }
      return entrants.flatMap(figures)
    } finally {
      for (const { kind } of entrants) await kind.close()
      await rm(root, { recursive: true, force: true })
    }
  },
}

const kinds = async (root: string, count: number): Promise<servers.ServerKind[]> => [
  await servers.ours(root, count),
  await servers.bare(),
  await servers.yWebsocket(),
  await servers.hocuspocus(root),
]

async function makeDocuments(kind: servers.ServerKind, count: number): Promise<void> {
  const server = await kind.start()
  const clients = await come(kind, server, 0, count)
  clients.end()
  await server.kill()
}

async function come(kind: servers.ServerKind, server: servers.RunningServer, first: number, count: number) {
  const clients: Child<WritersOrder, WritersAnswer> = startChild('../writers/writers.child.ts')
  await clients.ask({ what: 'open', protocol: kind.protocol, port: server.port, count, first })
  await clients.ask({ what: 'follow' })
  return clients
}

async function measure(entrant: Entrant, scale: typeof whole, isLast: boolean): Promise<Taken> {
  const { kind } = entrant
  const server = await kind.start([...nodeFlags, '--expose-gc'])
  const settled = async () => {
    await delay(settleMs)
    return server.probe.ask({ what: 'collect' })
  }
  try {
    const first = await come(kind, server, 0, warmUp)
    const before = await settled()
    const clients = await come(kind, server, warmUp, scale.clients)
    const during = await settled()
    const each = (of: 'heapBytes' | 'residentBytes') => (during[of] - before[of]) / 1024 / scale.clients
    const taken = { usedKiB: each('heapBytes'), residentKiB: each('residentBytes') }
    entrant.taken.push(taken)
    clients.end()
    if (isLast) {
      const beganMs = performance.now()
      let percent = Number.POSITIVE_INFINITY
      do percent = (100 * (await settled()).heapBytes) / before.heapBytes
      while (percent > wantedPercent && performance.now() < beganMs + scale.returnWithinMs)
      entrant.left = { percent, afterS: (performance.now() - beganMs) / 1000 }
    }
    first.end()
    return taken
  } finally {
    await server.kill()
  }
}

function figures({ kind, taken, left }: Entrant): Figure[] {
  const isOwn = kind.protocol === 'ours'
  const [used, resident] = [taken.map(({ usedKiB }) => usedKiB), taken.map(({ residentKiB }) => residentKiB)]
  return [
    figureOf(`${kind.name}, idle connection, in use`, used, 'KiB'),
    figureOf(`${kind.name}, idle connection, resident`, resident, 'KiB', isOwn ? { atMost: wantedKiB } : {}),
    {
      name: `${kind.name}, in use after they have left`,
      value: left?.percent ?? Number.NaN,
      unit: '% of before',
      ...(isOwn && { atMost: wantedPercent }),
    },
    { name: `${kind.name}, until then`, value: left?.afterS ?? Number.NaN, unit: 's' },
  ]
}
