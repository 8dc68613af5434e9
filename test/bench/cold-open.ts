import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../fixtures/until.ts'
import { type Bench, type Figure, median } from './bench.ts'
import { amongMany } from './cold-open/among-many.ts'
import { networks } from './cold-open/networks.ts'
import {
  besideHocuspocus,
  beyondAuthentication,
  costOf,
  figuresOf,
  type Opening,
  opening,
  take,
  visit,
  visitors,
  type What,
  warmUp,
} from './cold-open/opening.ts'
import { cpuMsOf, installPeers } from './fan-out/peer-process.ts'
import { fillFolder } from './start/documents.ts'
import * as servers from './writers/servers.ts'

/*
 * A document that lies on the disk, and that nobody has looked at since the server was started, is opened over a new connection: until the whole
 * content is there, authentication included. Each document is opened once, in a life of the server that did not write it.
 */

const whole = { rounds: 5, opens: 1_000, warmUp: 500, documents: 1_000_000 }
const quick = { rounds: 1, opens: 100, warmUp: 50, documents: 3_000 }

/** automerge-repo takes a quarter of an hour to be given all documents: it has a tenth of them, which are opened as often in proportion. */
const fewer = 10

interface Entrant extends Opening {
  readonly kind: servers.ServerKind
  readonly server: servers.RunningServer
  /** How many it opens in a round, one by one and several at a time, and how many before. */
  readonly opens: number
  readonly unmeasured: number
}

export const coldOpenBench: Bench = {
  name: 'cold-open',
  summary:
    'a document on the disk is opened over a new connection, beside other servers, and among 1,000,000 documents',
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    await installPeers(progress)
    const { entrants, authenticationUs } = await besideOthers(scale, progress)
    const own = entrants[0]
    const hocuspocus = entrants.find(({ open }) => open === 'readHocuspocus')
    if (!own || !hocuspocus) throw new Error('There are this server and hocuspocus.')
    return [
      ...entrants.flatMap(entrant => figuresOf(entrant, entrant === own)),
      ...beyondAuthentication(own, authenticationUs),
      besideHocuspocus(own, round => hocuspocus.perSecond[round] ?? Number.NaN),
      ...(await amongMany(scale, median(hocuspocus.perSecond), progress)),
    ] satisfies Figure[]
  },
}

async function besideOthers({ rounds, opens: all, warmUp: before }: typeof whole, progress: (line: string) => void) {
  const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
  const entrants: Entrant[] = []
  const authenticationUs: number[] = []
  try {
    for (const { kind, open, fill, isSlow } of await kinds(root, before + 2 * rounds * all, progress)) {
      const [opens, unmeasured] = isSlow ? [all / fewer, before / fewer] : [all, before]
      const count = unmeasured + 2 * rounds * opens
      if (fill) await fillOverWire(kind, fill, count)
      const server = await kind.start()
      const entrant = { ...opening(kind.name, server, open), kind, server, opens, unmeasured }
      entrants.push(entrant)
      await warmUp(entrant, unmeasured)
      progress(`${kind.name}: ${count} documents are on the disk`)
    }
    for (let round = 1; round <= rounds; round++) {
      const firstOf = ({ opens, unmeasured }: Entrant) => unmeasured + 2 * (round - 1) * opens
      for (const entrant of entrants)
        progress(`round ${round}, ${await take(entrant, firstOf(entrant), entrant.opens)}`)
      const [own] = entrants
      if (own) authenticationUs.push((await costOf(own, 'authenticate', firstOf(own), own.opens)).cpuUs)
      progress(`round ${round}, authentication alone: ${authenticationUs.at(-1)?.toFixed(0)} µs`)
    }
    return { entrants, authenticationUs }
  } finally {
    for (const { kind, server, clients } of entrants) {
      clients.end()
      await server.kill()
      await kind.close()
    }
    await rm(root, { recursive: true, force: true })
  }
}

interface Contestant {
  readonly kind: servers.ServerKind
  readonly open: What
  /** Writes its documents, where a client has to. */
  readonly fill?: What
  readonly isSlow?: true
}

const kinds = async (root: string, count: number, progress: (line: string) => void): Promise<Contestant[]> => [
  { kind: await servers.ours(root, count, home => fillFolder(home, count, progress, networks)), open: 'open' },
  { kind: await servers.bare(), open: 'connect' },
  { kind: await servers.yWebsocketOnDisk(root), open: 'readYWebsocket', fill: 'writeYWebsocket' },
  { kind: await servers.hocuspocus(root), open: 'readHocuspocus', fill: 'writeHocuspocus' },
  { kind: await servers.automerge(root), open: 'readAutomerge', fill: 'writeAutomerge', isSlow: true },
]

async function fillOverWire(kind: servers.ServerKind, what: What, count: number): Promise<void> {
  const server = await kind.start()
  const clients = visitors()
  try {
    await visit(clients, { what, port: server.port, first: 0, count, atOnce: 16 })
    await untilAtRest(server.pid)
  } finally {
    clients.end()
    await server.kill()
  }
}

/** They make durable what they have acknowledged before. */
async function untilAtRest(pid: number): Promise<void> {
  const busyMsPerS = 50
  const isAtRest = async () => {
    const before = await cpuMsOf(pid)
    await delay(2_000)
    return (await cpuMsOf(pid)) - before < busyMsPerS * 2
  }
  await until(isAtRest, { what: 'a server is at rest', withinMs: 120_000 })
}
