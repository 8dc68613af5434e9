import { X509Certificate } from 'node:crypto'
import { open, readFile, rm, stat, statfs } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { arch, availableParallelism, release as osRelease, platform, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import { askNode, NodeNotReached } from './control-socket.ts'
import { openFiles, openFilesLimit } from './metrics.ts'

/** What can be found out about the machine that a server runs on, and about its surroundings. */
export interface Host {
  /** Milliseconds since 1970. */
  now(): number
  /** Such as 24.11.0. */
  readonly nodeVersion: string
  /** What the machine is: its system, its processors, its memory in bytes. */
  machine(): { readonly system: string; readonly processors: number; readonly memoryBytes: number }
  /** How many files this process may have open; `undefined` where the system does not say. */
  openFilesLimit(): Promise<number | undefined>
  /** Bytes that a user may still write where a file is, or will be. */
  freeBytes(path: string): Promise<number>
  /** How long it takes to make a small write durable where a file is, or will be: the median of several, in milliseconds. */
  syncMs(path: string): Promise<number>
  /** Whether a server could listen there. */
  portUse(host: string, port: number): Promise<'free' | 'in use' | 'refused'>
  /** Whether a node answers at its socket, {@link askNode}. */
  runs(socket: string): Promise<boolean>
  /** Whether something listens there. */
  reaches(host: string, port: number): Promise<boolean>
  /** How far this clock is ahead of the one of whoever serves HTTP there, give or take a second; `undefined` when nobody answers. */
  clockAheadMs(url: string): Promise<number | undefined>
  /** When the first certificate of a PEM file runs out. @throws when it holds none */
  certificateEnds(file: string): Promise<number>
}

const patienceMs = 3_000
const syncs = 5

export const thisHost = (): Host => ({
  now: Date.now,
  nodeVersion: process.versions.node,
  machine: () => ({
    system: `${platform()} ${osRelease()} ${arch()}`,
    processors: availableParallelism(),
    memoryBytes: totalmem(),
  }),
  openFilesLimit,
  freeBytes,
  syncMs,
  portUse,
  runs,
  reaches,
  clockAheadMs,
  certificateEnds: async file => new X509Certificate(await readFile(file)).validToDate.getTime(),
})

/** Bytes that a user may still write where a file is, or will be. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(await standing(path))
  return bavail * bsize
}

interface Part {
  readonly limit: number
  readonly used: number
}

/** What the machine lets this process have, and how much of that it has; what is not known is left out. @param path on the disk */
export async function processLimits(
  path: string,
): Promise<{ readonly openFiles?: Part; readonly heapBytes: Part; readonly diskBytes: Part }> {
  const [{ blocks, bavail, bfree, bsize }, used, limit] = await Promise.all([
    statfs(await standing(path)),
    openFiles(),
    openFilesLimit(),
  ])
  const heap = getHeapStatistics()
  const taken = blocks - bfree
  return {
    ...(used !== undefined && limit !== undefined && Number.isFinite(limit) && { openFiles: { limit, used } }),
    heapBytes: { limit: heap.heap_size_limit, used: heap.used_heap_size },
    // What is kept back for the administrator of the machine is nobody else's.
    diskBytes: { limit: (taken + bavail) * bsize, used: taken * bsize },
  }
}

/** The folder itself, or the one above that is there already. */
async function standing(path: string): Promise<string> {
  const folder = resolve(path)
  const found = await stat(folder).catch(() => undefined)
  return found?.isDirectory() || dirname(folder) === folder ? folder : standing(dirname(folder))
}

async function syncMs(path: string): Promise<number> {
  const probe = join(await standing(path), `.cpns-probe-${process.pid}`)
  const file = await open(probe, 'w', 0o600)
  try {
    const tookMs: number[] = []
    for (let count = 0; count < syncs; count++) {
      const beganMs = performance.now()
      await file.write(new Uint8Array(4_096))
      await file.datasync()
      tookMs.push(performance.now() - beganMs)
    }
    return tookMs.sort((a, b) => a - b)[syncs >> 1] ?? 0
  } finally {
    await file.close()
    await rm(probe, { force: true })
  }
}

async function portUse(host: string, port: number): Promise<'free' | 'in use' | 'refused'> {
  const server = createServer()
  try {
    await settled(server, 'listening', () => server.listen({ host, port, exclusive: true }))
    return 'free'
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE' ? 'in use' : 'refused'
  } finally {
    server.close()
  }
}

async function runs(socket: string): Promise<boolean> {
  try {
    const { status, lines } = await askNode(socket, 'GET', '/livez')
    await Array.fromAsync(lines)
    return status === 200
  } catch (error) {
    if (error instanceof NodeNotReached) return false
    throw error
  }
}

async function reaches(host: string, port: number): Promise<boolean> {
  const socket = connect({ host, port, timeout: patienceMs })
  socket.once('timeout', () => socket.destroy(new Error('no answer')))
  return settled(socket, 'connect')
    .then(
      () => true,
      () => false,
    )
    .finally(() => socket.destroy())
}

/** Resolves at the event, rejects at an error. */
const settled = (emitter: Socket | Server, event: string, begin?: () => void): Promise<void> =>
  new Promise((resolve, reject) => {
    emitter.once(event, resolve)
    emitter.once('error', reject)
    begin?.()
  })

async function clockAheadMs(url: string): Promise<number | undefined> {
  const beganMs = Date.now()
  const answer = await fetch(url.replace(/^ws/, 'http'), {
    method: 'HEAD',
    redirect: 'manual',
    signal: AbortSignal.timeout(patienceMs),
  }).catch(() => undefined)
  const said = Date.parse(answer?.headers.get('date') ?? '')
  if (Number.isNaN(said)) return undefined
  // The field has whole seconds: it was said half a second after that, on average, and half way between question and answer.
  return (beganMs + Date.now()) / 2 - (said + 500)
}
