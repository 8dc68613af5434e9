import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { environment, type LogLine, watchLog } from './server-process.ts'

/** A device in a process of its own: what it says, line by line. It ends with this process at the latest. */
export interface DeviceProcess {
  /** What it has said so far. */
  readonly log: readonly LogLine[]
  /** The first line, past or to come, that fits. @throws when none came in time, or the process ended. */
  seen(what: string, fits: (line: LogLine) => boolean, withinMs?: number): Promise<LogLine>
  /** How many lines of this event it has said. */
  count(event: string): number
  /** Resolves when it has ended. */
  stop(signal?: NodeJS.Signals): Promise<unknown>
}

/** Starts one of the programs beside this file. What it needs to know, its keys among it, it is told on its input. */
export function startDevice(program: 'gateway-program' | 'pne-program', told: object): DeviceProcess {
  const file = fileURLToPath(new URL(`./${program}.ts`, import.meta.url))
  const child = spawn(process.execPath, [file], { stdio: ['pipe', 'pipe', 'pipe'], env: environment() })
  const watch = watchLog(child)
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  void watch.ended.then(() => process.off('exit', kill))
  // A program that ends before it has read is told of by whoever waits for what it says.
  child.stdin.on('error', () => {})
  child.stdin.end(JSON.stringify(told))
  return {
    log: watch.log,
    seen: watch.seen,
    count: event => watch.log.filter(line => line.event === event).length,
    stop(signal = 'SIGTERM') {
      child.kill(signal)
      return watch.ended
    },
  }
}
