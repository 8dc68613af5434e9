import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { until } from '../fixtures/until.ts'
import { type Bench, type Figure, median, spread } from './bench.ts'
import type { VisitsAnswer, VisitsOrder } from './cold-open/clients.child.ts'
import { networks } from './cold-open/networks.ts'
import { cpuMsOf, installPeers } from './fan-out/peer-process.ts'
import { type Child, startChild } from './overload/child.ts'
import { fillFolder } from './start/documents.ts'
import * as servers from './writers/servers.ts'

/*
 * A document that lies on the disk, and that nobody has looked at since the server was started, is opened over a new connection: until the whole
 * content is there, authentication included. Each document is opened once, in a life of the server that did not write it.
 */

const whole = { rounds: 5, opens: 1_000, warmUp: 500 }
const quick = { rounds: 1, opens: 100, warmUp: 50 }
const manyAtOnce = 64
/** So long a server works on after its clients have left, at least. */
const settleMs = 500
const wanted = { cpuUs: 400, p50Ms: 0.6, p99Ms: 5 }

type What = VisitsOrder['what']

interface Entrant {
  readonly kind: servers.ServerKind
  readonly server: servers.RunningServer
  readonly clients: Child<VisitsOrder, VisitsAnswer>
  readonly open: What
  readonly p50Ms: number[]
  readonly p99Ms: number[]
  readonly cpuUs: number[]
  readonly perSecond: number[]
}

export const coldOpenBench: Bench = {
  name: 'cold-open',
  summary: 'a document on the disk is opened over a new connection, beside other servers',
  async run(progress, { isQuick }) {
    const { rounds, opens, warmUp } = isQuick ? quick : whole
    const count = warmUp + 2 * rounds * opens
    await installPeers(progress)
    const root = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const entrants: Entrant[] = []
    const authenticationUs: number[] = []
    try {
      for (const { kind, open, fill } of await kinds(root, count, progress)) {
        if (fill) await fillOverWire(kind, fill, count)
        const server = await kind.start()
        const clients = startChild<VisitsOrder, VisitsAnswer>('../cold-open/clients.child.ts')
        entrants.push({ kind, server, clients, open, p50Ms: [], p99Ms: [], cpuUs: [], perSecond: [] })
        await visit(clients, { what: open, port: server.port, first: 0, count: warmUp, atOnce: 1 })
        progress(`${kind.name}: ${count} documents are on the disk`)
      }
      for (let round = 1; round <= rounds; round++) {
        const first = warmUp + 2 * (round - 1) * opens
        for (const entrant of entrants) progress(`round ${round}, ${await take(entrant, first, opens)}`)
        const [own] = entrants
        if (own) authenticationUs.push((await costOf(own, 'authenticate', first, opens, 1)).cpuUs)
        progress(`round ${round}, authentication alone: ${authenticationUs.at(-1)?.toFixed(0)} µs`)
      }
      return figures(entrants, authenticationUs)
    } finally {
      for (const { kind, server, clients } of entrants) {
        clients.end()
        await server.kill()
        await kind.close()
      }
      await rm(root, { recursive: true, force: true })
    }
  },
}

interface Contestant {
  readonly kind: servers.ServerKind
  readonly open: What
  /** Writes its documents, where a client has to. */
  readonly fill?: What
}

const kinds = async (root: string, count: number, progress: (line: string) => void): Promise<Contestant[]> => [
  { kind: await servers.ours(root, count, home => fillFolder(home, count, progress, networks)), open: 'open' },
  { kind: await servers.bare(), open: 'connect' },
  { kind: await servers.yWebsocketOnDisk(root), open: 'readYWebsocket', fill: 'writeYWebsocket' },
  { kind: await servers.hocuspocus(root), open: 'readHocuspocus', fill: 'writeHocuspocus' },
  { kind: await servers.automerge(root), open: 'readAutomerge', fill: 'writeAutomerge' },
]

async function fillOverWire(kind: servers.ServerKind, what: What, count: number): Promise<void> {
  const server = await kind.start()
  const clients = startChild<VisitsOrder, VisitsAnswer>('../cold-open/clients.child.ts')
  await visit(clients, { what, port: server.port, first: 0, count, atOnce: 16 })
  await untilAtRest(server.pid)
  clients.end()
  await server.kill()
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

/** @throws when one of them did not get what it came for */
async function visit(clients: Child<VisitsOrder, VisitsAnswer>, order: VisitsOrder): Promise<VisitsAnswer> {
  const answer = await clients.ask(order)
  if (answer.failed > 0) throw new Error(`${answer.failed} of ${order.count} clients (${order.what}) were sent away.`)
  return answer
}

async function costOf({ server, clients }: Entrant, what: What, first: number, count: number, atOnce: number) {
  const before = await cpuMsOf(server.pid)
  const answer = await visit(clients, { what, port: server.port, first, count, atOnce })
  await delay(settleMs)
  return { ...answer, cpuUs: (1000 * ((await cpuMsOf(server.pid)) - before)) / count }
}

/** One turn; answers what came of it, in words. */
async function take(entrant: Entrant, first: number, opens: number): Promise<string> {
  const { kind, open } = entrant
  const { p50Ms, p99Ms, cpuUs } = await costOf(entrant, open, first, opens, 1)
  const { perSecond } = await costOf(entrant, open, first + opens, opens, manyAtOnce)
  entrant.p50Ms.push(p50Ms)
  entrant.p99Ms.push(p99Ms)
  entrant.cpuUs.push(cpuUs)
  entrant.perSecond.push(perSecond)
  const times = `p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(1)} ms`
  return `${kind.name}: ${times}, ${cpuUs.toFixed(0)} µs, ${perSecond.toFixed(0)} a second`
}

function figures(entrants: readonly Entrant[], authenticationUs: readonly number[]): Figure[] {
  const own = entrants[0]
  const hocuspocus = entrants.find(({ open }) => open === 'readHocuspocus')
  if (!own || !hocuspocus) return []
  const beyondUs = own.cpuUs.map((us, round) => us - (authenticationUs[round] ?? Number.NaN))
  const shares = own.perSecond.map((rate, round) => rate / (hocuspocus.perSecond[round] ?? Number.NaN))
  const of = (name: string, values: readonly number[], unit: string, atMost?: number): Figure => ({
    ...{ name, value: median(values), ...spread(values), unit },
    ...(atMost !== undefined && { atMost }),
  })
  return [
    ...entrants.flatMap(entrant => {
      const { kind, p50Ms, p99Ms, cpuUs, perSecond } = entrant
      const isOwn = entrant === own
      return [
        of(`${kind.name}, until the content is there, p50`, p50Ms, 'ms', isOwn ? wanted.p50Ms : undefined),
        of(`${kind.name}, until the content is there, p99`, p99Ms, 'ms', isOwn ? wanted.p99Ms : undefined),
        of(`${kind.name}, server CPU`, cpuUs, 'µs'),
        of(`${kind.name}, ${manyAtOnce} at a time`, perSecond, 'opens/s'),
      ]
    }),
    of('this server, server CPU of authentication alone', authenticationUs, 'µs'),
    of('this server, server CPU beyond authentication', beyondUs, 'µs', wanted.cpuUs),
    { ...of(`this server beside hocuspocus, ${manyAtOnce} at a time`, shares, '×'), atLeast: 1 },
  ]
}
