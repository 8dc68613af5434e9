import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { WebSocket } from 'ws'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { watchLog } from '../../../examples/support/server-process.ts'
import { subprotocol } from '../../../src/access/protocol.ts'
import { cpuMsOf } from '../fan-out/peer-process.ts'
import { anonymousBytes } from '../held-memory.ts'
import { nodeFlags } from '../overload/bench-server.ts'
import { orders } from '../overload/child.ts'
import type { ProbeAnswer, ProbeOrder } from '../overload/loop-probe.ts'

/*
 * One start of the command as it is in the package, from the beginning of the process to its end. A client knocks until it is let in.
 */

const mebibyte = 1024 * 1024

export interface OneStart {
  /** From the beginning of the process until a client's websocket is open. */
  readonly servingMs: number
  /** Until the node has started altogether. */
  readonly readyMs: number
  /** All threads, until then. */
  readonly cpuMs: number
  /** The most that the process has had until then, but for pages of files, which the system may take back at any time. */
  readonly residentMebibytes: number
  /** How long clients who came one after another until then were kept waiting until their websocket was open: all but one in a hundred. */
  readonly openedP99Ms: number
  /** For how long at most the event loop did nothing else, from the first client on; with a probe in the process alone. */
  readonly blockedMs: number | undefined
}

const command = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))
const probe = new URL('../overload/loop-probe.ts', import.meta.url).href
const knockEveryMs = 5
/** Once it serves. */
const knockLaterMs = 20
const readyWithinMs = 1_800_000

/**
 * @param options.isProbed the probe is source text, so that the start takes longer by what that needs to be loaded
 * @param options.end the signal by which it ends
 */
export async function oneStart(
  home: ServerFolder,
  options: { readonly isProbed: boolean; readonly end?: 'SIGTERM' | 'SIGKILL' },
): Promise<OneStart> {
  const { isProbed, end = 'SIGTERM' } = options
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
  let isOver = false
  const over = () => {
    isOver = true
  }
  ready.then(over, over)
  const memory = new AnonymousMemory(asked.pid)
  try {
    const url = await urlOf(home)
    await opened(url, log.ended)
    const servingMs = performance.now() - began
    if (isProbed) await asked.ask({ what: 'begin' })
    const openedMs: number[] = []
    while (!isOver) {
      const beganMs = performance.now()
      if (await isOpened(url)) openedMs.push(performance.now() - beganMs)
      memory.look()
      await wait(knockLaterMs)
    }
    const readyMs = await ready
    const blockedMs = isProbed ? (await asked.ask({ what: 'read' })).blockedMs : undefined
    const cpuMs = await cpuMsOf(asked.pid)
    memory.look()
    openedMs.sort((a, b) => a - b)
    const openedP99Ms = openedMs[Math.floor(openedMs.length * 0.99)] ?? 0
    return { servingMs, readyMs, cpuMs, residentMebibytes: memory.mostMebibytes, openedP99Ms, blockedMs }
  } finally {
    child.kill(end)
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

/** Memory of a process that is not of files, and the most that was seen of it. */
export class AnonymousMemory {
  readonly #pid: number
  mostMebibytes = 0

  constructor(pid: number) {
    this.#pid = pid
  }

  /** Answers what it is now. */
  look(): number {
    const mebibytes = anonymousBytes(this.#pid) / mebibyte
    this.mostMebibytes = Math.max(this.mostMebibytes, mebibytes)
    return mebibytes
  }
}
