import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { cpuMsOf, installPeers } from './fan-out/peer-process.ts'
import { type Child, startChild } from './overload/child.ts'
import * as servers from './writers/servers.ts'
import type { WritersAnswer, WritersOrder } from './writers/writers.child.ts'

/*
 * Very many documents, each with one who writes and one who observes: what a write costs the server from the command to the frame
 * at the observer, all threads and the disk's part counted. Servers run at once, and take turns, round by round; the one of automerge-repo
 * by itself after the others, since it does not keep up, and would go on working in their turns.
 */

const rounds = 5
const whole = { documents: 2_000, everyMs: 4_000, forMs: 8_000 }
const quick = { documents: 50, everyMs: 200, forMs: 1_000 }
const wantedUs = 80

interface Entrant {
  readonly kind: servers.ServerKind
  readonly server: servers.RunningServer
  readonly writers: Child<WritersOrder, WritersAnswer>
  readonly costsUs: number[]
  readonly toldMs: number[]
  readonly acknowledgedMs: number[]
}

export const documentsBench: Bench = {
  name: 'documents',
  summary: `${whole.documents} documents, a writer and an observer each, beside other servers`,
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    const count = scale.documents
    await installPeers(progress)
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const entrants: Entrant[] = []
    try {
      for (const together of [await kinds(root, count), [await servers.automerge(root)]])
        entrants.push(...(await race(together, scale, progress)))
      return figures(entrants)
    } finally {
      await rm(root, { recursive: true, force: true })
    }
  },
}

async function race(
  kinds: readonly servers.ServerKind[],
  scale: typeof whole,
  progress: (line: string) => void,
): Promise<Entrant[]> {
  const entrants: Entrant[] = []
  try {
    for (const kind of kinds) {
      entrants.push(await enter(kind, scale.documents))
      progress(`${kind.name}: ${scale.documents} writers and observers are there`)
    }
    // The first round has everything compiled.
    for (let round = 0; round <= rounds; round++)
      for (const entrant of entrants)
        progress(`round ${round}, ${entrant.kind.name}: ${await take(entrant, scale, round > 0)}`)
    return entrants
  } finally {
    for (const { kind, server, writers } of entrants) {
      writers.end()
      await server.kill()
      await kind.close()
    }
  }
}

async function enter(kind: servers.ServerKind, count: number): Promise<Entrant> {
  const server = await kind.start()
  const writers = startChild<WritersOrder, WritersAnswer>('../writers/writers.child.ts')
  await writers.ask({ what: 'open', protocol: kind.protocol, port: server.port, count })
  await writers.ask({ what: 'observe' })
  return { kind, server, writers, costsUs: [], toldMs: [], acknowledgedMs: [] }
}

/** One turn; answers what came of it, in words. */
async function take(entrant: Entrant, { forMs, everyMs }: typeof whole, isCounted: boolean): Promise<string> {
  const { server, writers, costsUs } = entrant
  const cpuMs = await cpuMsOf(server.pid)
  const { told, toldMs, acknowledgedMs } = await writers.ask({ what: 'write', forMs, underWay: 1, everyMs })
  const costUs = (1000 * ((await cpuMsOf(server.pid)) - cpuMs)) / told
  // Of one that has fallen far behind, none.
  if (isCounted && told > 0) {
    costsUs.push(costUs)
    entrant.toldMs.push(toldMs)
    entrant.acknowledgedMs.push(acknowledgedMs)
  }
  return `${told} delivered, ${costUs.toFixed(0)} µs each, after ${toldMs.toFixed(1)} ms`
}

const kinds = async (root: string, count: number): Promise<servers.ServerKind[]> => [
  await servers.ours(root, count),
  await servers.bare(),
  await servers.yWebsocket(),
  await servers.yWebsocketOnDisk(root),
  await servers.hocuspocus(root),
]

const inMemory = 2

function figures(entrants: readonly Entrant[]): Figure[] {
  const [own] = entrants
  const memory = entrants[inMemory]
  if (!own || !memory) return []
  const shares = own.toldMs.map((ms, round) => ms / (memory.toldMs[round] ?? Number.NaN))
  return [
    ...entrants.map(({ kind, costsUs }) => {
      const bound = kind === own.kind ? { atMost: wantedUs } : {}
      return figureOf(`${kind.name}, server CPU for a write delivered`, costsUs, 'µs', bound)
    }),
    ...entrants.map(({ kind, toldMs }) => figureOf(`${kind.name}, until its observer is told, p50`, toldMs, 'ms')),
    figureOf('this server’s p50 beside y-websocket’s in memory', shares, '×', { atMost: 1 }),
    figureOf('this server, until a write is acknowledged, p50', own.acknowledgedMs, 'ms'),
  ]
}
