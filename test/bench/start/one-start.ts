import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { watchLog } from '../../../examples/support/server-process.ts'
import { subprotocol } from '../../../src/access/protocol.ts'
import { cpuMsOf } from '../fan-out/peer-process.ts'
import { nodeFlags } from '../overload/bench-server.ts'
import { orders } from '../overload/child.ts'
import type { ProbeAnswer, ProbeOrder } from '../overload/loop-probe.ts'

/*
 * One start of the command as it is in the package, from the beginning of the process to its end. A client knocks until it is let in.
 */

export interface OneStart {
  /** From the beginning of the process until a client's websocket is open. */
  readonly servingMs: number
  /** Until the node has started altogether. */
  readonly readyMs: number
  /** All threads, until then. */
  readonly cpuMs: number
  /** The most that the process has had until then. */
  readonly residentMebibytes: number
  /** For how long at most the event loop did nothing else, from the first client on; with a probe in the process alone. */
  readonly blockedMs: number | undefined
}

const command = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
const probe = new URL('../overload/loop-probe.ts', import.meta.url).href
const knockEveryMs = 5
const readyWithinMs = 1_800_000

/** @param options.isProbed the probe is source text, so that the start takes longer by what that needs to be loaded */
export async function oneStart(home: ServerFolder, options: { readonly isProbed: boolean }): Promise<OneStart> {
  const { isProbed } = options
  const flags = [...nodeFlags, '--initial-heap-size=256', ...(isProbed ? ['--import', probe] : [])]
  const began = performance.now()
  const child = spawn(process.execPath, [...flags, command, 'start', '--config', home.config], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { PATH: process.env.PATH, HOME: home.folder },
  })
  const asked = orders<ProbeOrder, ProbeAnswer>(child, 'A server')
  const log = watchLog(child)
  const ready = log
    .seen('node.ready', ({ event }) => event === 'node.ready', readyWithinMs)
    .then(() => performance.now() - began)
  ready.catch(() => {})
  try {
    await opened(await urlOf(home), log.ended)
    const servingMs = performance.now() - began
    if (isProbed) await asked.ask({ what: 'begin' })
    const readyMs = await ready
    const blockedMs = isProbed ? (await asked.ask({ what: 'read' })).blockedMs : undefined
    const [cpuMs, residentMebibytes] = [await cpuMsOf(asked.pid), await peakMebibytes(asked.pid)]
    return { servingMs, readyMs, cpuMs, residentMebibytes, blockedMs }
  } finally {
    child.kill('SIGTERM')
    await log.ended
  }
}

async function urlOf({ config }: ServerFolder): Promise<string> {
  const [, port] = /^port = (\d+)$/m.exec(await readFile(config, 'utf8')) ?? []
  return `ws://127.0.0.1:${port}/v1/client`
}

async function opened(url: string, ended: Promise<unknown>): Promise<void> {
  let isOver = false
  ended.then(() => {
    isOver = true
  })
  while (!isOver) {
    if (await isOpened(url)) return
    await wait(knockEveryMs)
  }
  throw new Error('The server ended before it served.')
}

const isOpened = (url: string): Promise<boolean> =>
  new Promise(resolve => {
    const socket = new WebSocket(url, [subprotocol])
    socket.once('error', () => resolve(false))
    socket.once('open', () => {
      socket.terminate()
      resolve(true)
    })
  })

async function peakMebibytes(pid: number): Promise<number> {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kibibytes) / 1024
}
