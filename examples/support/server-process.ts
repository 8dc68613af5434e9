import { type ChildProcess, execFile, type StdioOptions, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** The `cpns` command of this repository, run from source. */
const command = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** The same with the buttons of the story in its console. */
const withButtons = fileURLToPath(new URL('console-server.ts', import.meta.url))

/** What somebody at a console wants of the network between the servers. */
export type NetworkWish = 'cut' | 'heal'
const isWish = (message: unknown): message is NetworkWish => message === 'cut' || message === 'heal'

/** A console whose buttons cut and heal the network. */
export interface WithConsole {
  /** Where it is served, such as `127.0.0.1:4690`; port 0 takes any that is free. */
  readonly listen: string
  readonly wanted: (wish: NetworkWish) => void
}

/** One structured line of a server's log. */
export interface LogLine {
  /** ISO 8601, by the server's clock. */
  readonly time: string
  readonly level: string
  readonly event: string
  readonly fields?: Readonly<Record<string, unknown>>
}

/** Runs `cpns …` to its end and gives what it printed. @throws with what it printed to stderr when it fails. */
export async function cpns(...args: readonly string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [command, ...args], { env: environment() })
  return stdout
}

/** A server in a process of its own, watched through its log. */
export interface ServerProcess {
  readonly pid: number
  /** The websocket URL for clients, from the server's own announcement. */
  readonly clientUrl: string
  /** Where its admin API and its console are; `undefined` if it has them on its socket alone. */
  readonly adminUrl: string | undefined
  readonly log: readonly LogLine[]
  /** The first line, past or to come, that fits. @throws when none came in time, or the process ended. */
  seen(what: string, fits: (line: LogLine) => boolean, withinMs?: number): Promise<LogLine>
  /** Ends it: by default as an operator does, with its clean-up. Resolves with exit code or signal. */
  stop(signal?: NodeJS.Signals): Promise<number | NodeJS.Signals>
}

/**
 * Starts `cpns start --config FILE`, perhaps under another program (`strace …`), and waits until it is ready. It ends
 * with this process at the latest.
 *
 * @param console left out: it has none
 */
export async function startServer(
  config: string,
  wrapper: readonly string[] = [],
  console?: WithConsole,
): Promise<ServerProcess> {
  // What is shown with it holds on a machine that has much else to do, where a server would send clients away.
  const settings = ['--set', 'load.controlled=false', ...(console ? ['--set', `admin.listen=${console.listen}`] : [])]
  const what = console ? [withButtons] : [command, 'start']
  const [program, ...args] = [...wrapper, process.execPath, ...what, '--config', config, ...settings]
  // Under another program the server is in a group with it, so that signals reach it, and not the other one alone.
  const detached = wrapper.length > 0
  const stdio: StdioOptions = ['ignore', 'pipe', 'pipe', ...(console ? ['ipc' as const] : [])]
  const child = spawn(program as string, args, { stdio, env: environment(), detached })
  if (console) child.on('message', wish => isWish(wish) && console.wanted(wish))
  const watch = watchLog(child)
  const send = (signal: NodeJS.Signals) => (detached ? signalGroup(child, signal) : child.kill(signal))
  const kill = () => void send('SIGKILL')
  process.once('exit', kill)
  watch.ended.then(() => process.off('exit', kill))
  const ready = await watch
    .seen('node.ready', line => line.event === 'node.ready', 120_000)
    .catch(error => {
      kill()
      throw error
    })

  return {
    pid: child.pid as number,
    clientUrl: String(ready.fields?.clientUrl),
    adminUrl: typeof ready.fields?.adminUrl === 'string' ? ready.fields.adminUrl : undefined,
    log: watch.log,
    seen: watch.seen,
    async stop(signal = 'SIGTERM') {
      send(signal)
      return watch.ended
    },
  }
}

function signalGroup({ pid, exitCode, signalCode }: ChildProcess, signal: NodeJS.Signals): void {
  if (pid !== undefined && exitCode === null && signalCode === null) process.kill(-pid, signal)
}

/** No settings of the caller's shell may reach the servers. */
export const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('CPNS_')))

export function watchLog(child: ChildProcess) {
  const log: LogLine[] = []
  const noise: string[] = []
  const waiting = new Set<(line: LogLine | undefined) => void>()
  const ended = new Promise<number | NodeJS.Signals>(resolve => {
    // Not at "exit": the last lines of its log may still be on their way then.
    child.once('close', (code, signal) => resolve(signal ?? code ?? -1))
  })
  createInterface({ input: child.stderr as NodeJS.ReadableStream }).on('line', line => noise.push(line))
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', text => {
    const line = parseLine(text)
    if (!line) return void noise.push(text)
    log.push(line)
    for (const notify of waiting) notify(line)
  })
  ended.then(() => {
    for (const notify of waiting) notify(undefined)
  })

  const seen = (what: string, fits: (line: LogLine) => boolean, withinMs = 60_000): Promise<LogLine> => {
    const past = log.find(fits)
    if (past) return Promise.resolve(past)
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(deadline)
        waiting.delete(notify)
        finish()
      }
      const fail = (why: string) =>
        settle(() =>
          reject(
            new Error(
              `${why} while waiting for ${what}.\n${[...noise, ...log.slice(-10).map(line => JSON.stringify(line))].join('\n')}`,
            ),
          ),
        )
      const deadline = setTimeout(() => fail(`Nothing came within ${withinMs} ms`), withinMs)
      const notify = (line: LogLine | undefined) => {
        if (!line) fail('The server ended')
        else if (fits(line)) settle(() => resolve(line))
      }
      waiting.add(notify)
      if (child.exitCode !== null || child.signalCode !== null) fail('The server ended')
    })
  }
  return { log, seen, ended }
}

function parseLine(text: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && 'event' in value ? (value as LogLine) : undefined
  } catch {
    return undefined
  }
}
