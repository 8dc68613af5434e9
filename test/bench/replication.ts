import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../../examples/support/cuttable-link.ts'
import { until } from '../fixtures/until.ts'
import type { Bench, Figure } from './bench.ts'
import { nodeFlags } from './overload/bench-server.ts'
import { type Child, startChild } from './overload/child.ts'
import type { ReplicationAnswer, ReplicationOrder } from './replication/server.child.ts'

/*
 * Two servers of one operator, each in a process of its own, on disks, over libp2p on loopback. First one writes as fast as its disk
 * takes it, and the other stores what comes; then an empty server takes the place of the other, and is filled. Beside them a bare
 * stream over the same network carries as many bytes between two such processes, a file is appended to, and a signature is checked alone.
 */

type Server = Child<ReplicationOrder, ReplicationAnswer>

interface Scale {
  readonly documents: number
  readonly times: number
  readonly large: number
}

const whole: Scale = { documents: 2_000, times: 30, large: 800 }
const quick: Scale = { documents: 500, times: 10, large: 100 }
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

const begun = (): Server => startChild<ReplicationOrder, ReplicationAnswer>('../replication/server.child.ts', nodeFlags)

const look = (server: Server) => server.ask({ what: 'look' })

async function liveFigures(
  [writer, storer]: readonly [Server, Server],
  folder: string,
  { documents, times }: Scale,
  progress: (line: string) => void,
): Promise<Figure[]> {
  const ports = [await freePort(), await freePort()] as const
  await writer.ask({ what: 'start', number: 0, issued, ports, folder: join(folder, 'writer') })
  await storer.ask({ what: 'start', number: 1, issued, ports, folder: join(folder, 'storer') })
  await until(async () => (await look(writer)).isUp && (await look(storer)).isUp, { what: 'the link' })
  // Once beforehand, so that all of it is compiled.
  await writer.ask({ what: 'write', documents, atOnce: documents, times: 5, bytes: smallBytes })
  await until(async () => (await look(storer)).entries >= documents * 5, { what: 'the first entries', withinMs })

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
  const seconds = (performance.now() - beganMs) / 1000
  const cpuUs = ((after.cpuMs - before.cpuMs) * 1000) / count
  const { verifyUs = Number.NaN } = await storer.ask({ what: 'verify' })
  progress(
    `${count} entries were written in ${Math.round(written.tookMs)} ms, and stored after ${Math.round(seconds * 1000)} ms`,
  )
  return [
    { name: 'live: entries that the writer made durable', value: count / (written.tookMs / 1000), unit: 'entries/s' },
    { name: 'live: entries that the other server stored', value: count / seconds, unit: 'entries/s', atLeast: 20_000 },
    { name: 'live: CPU of the server that stores', value: cpuUs, unit: 'µs/entry', atMost: 45 },
    { name: 'live: of which a signature checked alone takes', value: verifyUs, unit: 'µs' },
  ]
}

async function fillFigures(
  [full, bare]: readonly [Server, Server],
  folder: string,
  { large }: Scale,
  progress: (line: string) => void,
): Promise<Figure[]> {
  const bytes = large * largeBytes
  const rates: number[] = []
  for (const each of frameBytes) {
    const port = await freePort()
    await bare.ask({ what: 'receive', port })
    const { tookMs } = await full.ask({ what: 'send', port, bytes, frameBytes: each })
    rates.push(bytes / mebibyte / (tookMs / 1000))
  }
  const bareRate = Math.max(...rates)
  const appended = await bare.ask({ what: 'append', folder, bytes: appendedBytes })
  const diskRate = appendedBytes / mebibyte / (appended.tookMs / 1000)
  progress(`a bare stream: ${Math.round(bareRate)} MiB/s; a file: ${Math.round(diskRate)} MiB/s`)

  const ports = [await freePort(), await freePort()] as const
  await full.ask({ what: 'start', number: 0, issued, ports, folder: join(folder, 'full') })
  await full.ask({ what: 'write', documents: large, atOnce: 50, times: 1, bytes: largeBytes })
  const empty = begun()
  try {
    await empty.ask({ what: 'start', number: 1, issued, ports, folder: join(folder, 'empty') })
    const first = await until(
      async () => {
        const answer = await look(empty)
        return answer.entries > 0 ? answer : undefined
      },
      { what: 'the first entry', everyMs: 5 },
    )
    const beganMs = performance.now()
    const resident: number[] = []
    const last = await until(
      async () => {
        const answer = await look(empty)
        resident.push(answer.residentBytes / mebibyte)
        return answer.entries >= large ? answer : undefined
      },
      { what: 'the last entry', withinMs, everyMs: 20 },
    )
    const seconds = (performance.now() - beganMs) / 1000
    const count = large - first.entries
    const rate = (count * largeBytes) / mebibyte / seconds
    progress(
      `an empty server: ${Math.round(rate)} MiB/s, ${((last.cpuMs - first.cpuMs) / count).toFixed(2)} ms of processor for each document`,
    )
    const middle = resident.length >>> 1
    return [
      { name: `catch-up, ${large} entries of ${largeBytes} bytes: bare libp2p stream`, value: bareRate, unit: 'MiB/s' },
      { name: 'catch-up: a file appended to, 4 MiB at a time, each durable', value: diskRate, unit: 'MiB/s' },
      {
        name: 'catch-up: CPU of the empty server',
        value: ((last.cpuMs - first.cpuMs) * mebibyte) / (count * largeBytes),
        unit: 'ms/MiB',
      },
      { name: 'catch-up: entry bytes', value: rate, unit: 'MiB/s' },
      { name: 'catch-up: of the bare stream', value: (100 * rate) / bareRate, unit: '%', atLeast: 50 },
      {
        name: 'catch-up: memory, second half above the first',
        value: Math.max(...resident.slice(middle)) - Math.max(...resident.slice(0, middle)),
        unit: 'MiB',
        atMost: 48,
      },
    ]
  } finally {
    empty.end()
  }
}
