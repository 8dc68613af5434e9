import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { until } from '../../fixtures/until.ts'
import { probe } from '../overload/bench-server.ts'
import { type Child, orders } from '../overload/child.ts'
import type { ProbeAnswer, ProbeOrder } from '../overload/loop-probe.ts'

/*
 * Servers of others, each in a process of its own, from packages that this project itself does not need: they are installed when a
 * benchmark first asks for them.
 */

export interface PeerProcess {
  readonly pid: number
  readonly port: number
  readonly probe: Child<ProbeOrder, ProbeAnswer>
  /** Resolves when it has ended: it is killed. */
  stop(): Promise<void>
}

const folder = fileURLToPath(new URL('../peers/', import.meta.url))

export async function installPeers(progress: (line: string) => void): Promise<void> {
  if (existsSync(`${folder}node_modules/.package-lock.json`)) return
  progress('installing the peers that are measured beside (once, about a minute) …')
  // Not `npm ci`, which fails where a registry lacks the optional binaries of a package; the lock file holds all the same.
  await promisify(execFile)('npm', ['install', '--no-save', '--no-audit', '--no-fund'], { cwd: folder })
}

/** @param script a file of the peers' folder */
export async function startPeer(
  script: string,
  environment: Readonly<Record<string, string>> = {},
  nodeOptions: readonly string[] = [],
): Promise<PeerProcess> {
  const port = await freePort()
  const child = spawn(process.execPath, [...nodeOptions, '--import', probe, `${folder}${script}`], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: String(port), ...environment },
  })
  const ended = new Promise<void>(resolve => void child.once('exit', () => resolve()))
  await until(() => child.exitCode !== null || answers(port), { what: `${script} listens`, withinMs: 30_000 })
  if (child.exitCode !== null || child.pid === undefined) throw new Error(`${script} ended with ${child.exitCode}.`)
  return {
    ...{ pid: child.pid, port, probe: orders<ProbeOrder, ProbeAnswer>(child, script) },
    stop() {
      child.kill('SIGKILL')
      return ended
    },
  }
}

async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  )
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        address && typeof address !== 'string' ? resolve(address.port) : reject(new Error('No port.')),
      )
    })
  })
}

/** As Linux counts it, of whatever the kernel was built with: `USER_HZ` is 100 everywhere that Node runs. */
const ticksPerSecond = 100

/** Milliseconds of processors that a process has had, all threads together, by the operating system's account. Linux only. */
export async function cpuMsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The name of the program, in brackets, may hold blanks.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user, system] = [Number(fields[11]), Number(fields[12])]
  return ((user + system) * 1000) / ticksPerSecond
}
