import { spawn } from 'node:child_process'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type ServerFolder, serverFolder } from '../../../examples/support/operators.ts'
import { environment, watchLog } from '../../../examples/support/server-process.ts'
import { countsBuffersAsHeap } from '../../../src/cli/heap.ts'
import { type Child, orders } from './child.ts'
import type { ProbeAnswer, ProbeOrder } from './loop-probe.ts'
import { operator, pskOf } from './raw-client.ts'

/*
 * Servers as operators run them, `cpns start` in processes of their own with the options of `examples/deploy/cpns.service`, each with
 * a probe in it; and subscribers in any number.
 */

/** Those of the service, without those that the command brings. */
export const nodeFlags = ['--max-semi-space-size=8']
/** The first line of the command, which a shell would read. */
const commandFlags = ['--initial-heap-size=256']
/** All that a server has, for programs that are one without the command, which sets the last of them itself. */
export const serverFlags = [...nodeFlags, ...commandFlags, countsBuffersAsHeap]

/** For one client that does as much as it can: what one may send otherwise would be measured. */
export const unboundedFrames = { 'clients.framesOfSession': 100_000, 'clients.framesOfOne': 1_000_000 }

export interface BenchServer {
  readonly home: ServerFolder
  readonly pid: number
  readonly port: number
  readonly probe: Child<ProbeOrder, ProbeAnswer>
  readonly log: ReturnType<typeof watchLog>
  readonly signal: (signal: NodeJS.Signals) => void
}

const command = fileURLToPath(new URL('../../../src/cli/main.ts', import.meta.url))
export const probe = new URL('loop-probe.ts', import.meta.url).href

export async function folders(root: string, count: number, subscribers: readonly string[]): Promise<ServerFolder[]> {
  const founder = await serverFolder(join(root, 'server-0'), operator)
  const all = [founder]
  while (all.length < count) all.push(await serverFolder(join(root, `server-${all.length}`), operator, founder))
  for (const { folder } of all) await writeSubscribers(folder, subscribers)
  return all
}

/** Many at once: a file of the older, plain form, which is read as long as there is no key beside it. */
export async function writeSubscribers(folder: string, identities: readonly string[]): Promise<void> {
  const subscribers = identities.map(identity => ({
    identity,
    kind: 'psk',
    key: Buffer.from(pskOf(identity)).toString('base64url'),
    rights: ['provision', 'deposit'],
  }))
  await rm(join(folder, 'keys/subscribers.key'), { force: true })
  await writeFile(join(folder, 'subscribers.json'), JSON.stringify({ version: 1, subscribers }), { mode: 0o600 })
}

export async function start(
  home: ServerFolder,
  settings: Readonly<Record<string, string | boolean | number>> = {},
  nodeOptions: readonly string[] = [],
  readyWithinMs = 60_000,
): Promise<BenchServer> {
  const set = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`])
  const child = spawn(
    process.execPath,
    [
      ...nodeFlags,
      ...commandFlags,
      ...nodeOptions,
      '--import',
      probe,
      command,
      'start',
      '--config',
      home.config,
      ...set,
    ],
    { stdio: ['ignore', 'pipe', 'pipe', 'ipc'], env: environment() },
  )
  const log = watchLog(child)
  const asked = orders<ProbeOrder, ProbeAnswer>(child, 'A server')
  const ready = await log.seen('node.ready', ({ event }) => event === 'node.ready', readyWithinMs)
  const { port } = new URL(String(ready.fields?.clientUrl))
  return { home, pid: child.pid ?? 0, port: Number(port), probe: asked, log, signal: signal => void child.kill(signal) }
}
