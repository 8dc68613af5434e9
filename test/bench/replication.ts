import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { until } from '../fixtures/until.ts'
import { type Bench, type Figure, figureOf } from './bench.ts'
import { serverFlags } from './overload/bench-server.ts'
import { type Child, startChild } from './overload/child.ts'
import type { ReplicationAnswer, ReplicationOrder } from './replication/server.child.ts'

/*
 * Two servers of one operator, each in a process of its own, on disks, over libp2p on loopback. First one writes as fast as its disk
 * takes it, and the other stores what comes; then an empty server takes the place of the other, and is filled. Beside them a bare
 * stream over the same network carries as many bytes between two such processes, a file is appended to, and a signature is checked alone. All of
 * it several times, by turns.
 */

type Server = Child<ReplicationOrder, ReplicationAnswer>

interface Scale {
  readonly rounds: number
  readonly documents: number
  readonly times: number
  readonly large: number
}

const whole: Scale = { rounds: 5, documents: 2_000, times: 10, large: 800 }
const quick: Scale = { rounds: 2, documents: 500, times: 5, large: 100 }
const smallBytes = 40
const largeBytes = 200_000
const mebibyte = 1024 * 1024
/** To a file. */
const appendedBytes = 32 * mebibyte
const frameBytes = [64 * 1024, 512 * 1024]
const withinMs = 300_000
/** Of the operator's manifest. */
const issued = Date.now() - 1_000

export const replicationBench: Bench = {
  name: 'replication',
  summary:
    'what one server writes another one stores as it comes; an empty server is filled, beside a bare libp2p stream',
  async run(progress, { isQuick }) {
    const scale = isQuick ? quick : whole
    const live = await withServers((servers, folder) => liveFigures(servers, folder, scale, progress))
    const filled = await withServers((servers, folder) => fillFigures(servers, folder, scale, progress))
    return [...live, ...filled]
  },
}

async function withServers<T>(work: (servers: readonly [Server, Server], folder: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
  const servers = [begun(), begun()] as const
  try {
    return await work(servers, folder)
  } finally {
    for (const server of servers) server.end()
    await rm(folder, { recursive: true, force: true })
  }
}

const begun = (): Server =>
  startChild<ReplicationOrder, ReplicationAnswer>('../replication/server.child.ts', serverFlags)

const look = (server: Server) => server.ask({ what: 'look' })

async function liveFigures(
  [writer, storer]: readonly [Server, Server],
  folder: string,
  { rounds, documents, times }: Scale,
  progress: (line: string) => void,
): Promise<Figure[]> {
  const ports = [await freePort(), await freePort()] as const
  await writer.ask({ what: 'start', number: 0, issued, ports, folder: join(folder, 'writer') })
  await storer.ask({ what: 'start', number: 1, issued, ports, folder: join(folder, 'storer') })
  await until(async () => (await look(writer)).isUp && (await look(storer)).isUp, { what: 'the link' })
  // Once beforehand, so that all of it is compiled.
  await writer.ask({ what: 'write', documents, atOnce: documents, times: 5, bytes: smallBytes })
  await until(async () => (await look(storer)).entries >= documents * 5, { what: 'the first entries', withinMs })

  const [written, stored, cpuUs, verifyUs]: [number[], number[], number[], number[]] = [[], [], [], []]
  for (let round = 1; round <= rounds; round++) {
    const live = await liveRound([writer, storer], documents, times)
    written.push(live.writtenPerSecond)
    stored.push(live.storedPerSecond)
    cpuUs.push(live.cpuUs)
    verifyUs.push((await storer.ask({ what: 'verify' })).verifyUs ?? Number.NaN)
    const rates = `${Math.round(live.writtenPerSecond)} entries/s written, ${Math.round(live.storedPerSecond)} stored`
    progress(
      `round ${round}: ${rates} at ${Math.round(live.cpuUs)} µs, of which a signature ${Math.round(verifyUs.at(-1) ?? 0)}`,
    )
  }
  return [
    figureOf('live: entries that the writer made durable', written, 'entries/s'),
    figureOf('live: entries that the other server stored', stored, 'entries/s', { atLeast: 20_000 }),
    figureOf('live: CPU of the server that stores', cpuUs, 'µs/entry', { atMost: 45 }),
    figureOf('live: of which a signature checked alone takes', verifyUs, 'µs'),
  ]
}

async function liveRound([writer, storer]: readonly [Server, Server], documents: number, times: number) {
  const before = await look(storer)
  const beganMs = performance.now()
  const written = await writer.ask({ what: 'write', documents, atOnce: documents, times, bytes: smallBytes })
  const count = documents * times
  const after = await until(
    async () => {
      const answer = await look(storer)
      return answer.entries >= before.entries + count ? answer : undefined
    },
    { what: 'all entries', withinMs, everyMs: 20 },
  )
  return {
    writtenPerSecond: (1000 * count) / written.tookMs,
    storedPerSecond: (1000 * count) / (performance.now() - beganMs),
    cpuUs: ((after.cpuMs - before.cpuMs) * 1000) / count,
  }
}

interface Filled {
  readonly mebibytesPerSecond: number
  readonly cpuMsPerMebibyte: number
  /** By how much the most memory of the second half is above that of the first. */
  readonly growthMebibytes: number
}

async function fillFigures(
  [full, bare]: readonly [Server, Server],
  folder: string,
  { rounds, large }: Scale,
  progress: (line: string) => void,
): Promise<Figure[]> {
  const ports = [await freePort(), await freePort()] as const
  await full.ask({ what: 'start', number: 0, issued, ports, folder: join(folder, 'full') })
  await full.ask({ what: 'write', documents: large, atOnce: 50, times: 1, bytes: largeBytes })
  const [streams, files, fills]: [number[], number[], Filled[]] = [[], [], []]
  for (let round = 1; round <= rounds; round++) {
    const stream = await bareStream(bare, large * largeBytes)
    const appended = await bare.ask({ what: 'append', folder, bytes: appendedBytes })
    const file = appendedBytes / mebibyte / (appended.tookMs / 1000)
    const filled = await fillRound(ports, join(folder, `empty-${round}`), large)
    streams.push(stream)
    files.push(file)
    fills.push(filled)
    const beside = `a bare stream: ${Math.round(stream)} MiB/s; a file: ${Math.round(file)} MiB/s`
    progress(`round ${round}: ${beside}; an empty server: ${Math.round(filled.mebibytesPerSecond)} MiB/s`)
  }
  const rates = fills.map(({ mebibytesPerSecond }) => mebibytesPerSecond)
  const shares = rates.map((rate, round) => (100 * rate) / (streams[round] ?? Number.NaN))
  const costs = fills.map(({ cpuMsPerMebibyte }) => cpuMsPerMebibyte)
  const growth = fills.map(({ growthMebibytes }) => growthMebibytes)
  return [
    figureOf('catch-up: bare libp2p stream', streams, 'MiB/s'),
    figureOf('catch-up: a file appended to, 4 MiB at a time, each durable', files, 'MiB/s'),
    figureOf('catch-up: CPU of the empty server', costs, 'ms/MiB'),
    figureOf(`catch-up: entry bytes`, rates, 'MiB/s'),
    figureOf('catch-up: of the bare stream', shares, '%', { atLeast: 50 }),
    figureOf('catch-up: memory without pages of files, second half above the first', growth, 'MiB', { atMost: 48 }),
  ]
}

/** MiB per second between two processes, in the frames that are fastest. */
async function bareStream(receiver: Server, bytes: number): Promise<number> {
  const sender = begun()
  try {
    const rates: number[] = []
    for (const each of frameBytes) {
      const port = await freePort()
      await receiver.ask({ what: 'receive', port })
      const { tookMs } = await sender.ask({ what: 'send', port, bytes, frameBytes: each })
      rates.push(bytes / mebibyte / (tookMs / 1000))
    }
    return Math.max(...rates)
  } finally {
    sender.end()
  }
}

/** Fills a server that has nothing; from the first entry on, when the two have found each other. */
async function fillRound(ports: readonly [number, number], folder: string, documents: number): Promise<Filled> {
  const empty = begun()
  try {
    await empty.ask({ what: 'start', number: 1, issued, ports, folder })
    const first = await until(
      async () => {
        const answer = await look(empty)
        return answer.entries > 0 ? answer : undefined
      },
      { what: 'the first entry', withinMs, everyMs: 5 },
    )
    const beganMs = performance.now()
    const held: number[] = []
    const last = await until(
      async () => {
        const answer = await look(empty)
        held.push(answer.heldBytes / mebibyte)
        return answer.entries >= documents ? answer : undefined
      },
      { what: 'the last entry', withinMs, everyMs: 20 },
    )
    const seconds = (performance.now() - beganMs) / 1000
    const mebibytes = ((documents - first.entries) * largeBytes) / mebibyte
    const middle = held.length >>> 1
    return {
      mebibytesPerSecond: mebibytes / seconds,
      cpuMsPerMebibyte: (last.cpuMs - first.cpuMs) / mebibytes,
      growthMebibytes: Math.max(...held.slice(middle)) - Math.max(...held.slice(0, middle)),
    }
  } finally {
    empty.end()
    await rm(folder, { recursive: true, force: true })
  }
}
