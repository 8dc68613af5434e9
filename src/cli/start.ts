import { Command } from 'commander'
import { type CounterSample, sampleName } from '../adapters/telemetry.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, setOption } from './options.ts'
import { passphrase } from './passphrase.ts'

/** The exit code of a server that is to be started again (EX_TEMPFAIL of sysexits.h). */
const diskFailed = 75

/**
 * `cpns start`: serves until SIGINT or SIGTERM, then ends cleanly with exit code 0. When its disk fails it ends too, with exit code
 * 75: what is on the disk is known only after a restart, which is the supervisor's to do.
 */
export function startCommand(): Command {
  return new Command('start')
    .description('Runs the server. Logs are JSON lines on standard output; "node.ready" names the client URL.')
    .addOption(configOption())
    .addOption(setOption())
    .action(async ({ config, set }: { config: string; set: Record<string, string> }) => {
      const folder = await openNodeFolder(config, set)
      // Listened for from now on: a signal during the start waits for its end, so that what has begun ends in order.
      const interruption = interrupted()
      // Here, not above: the other commands need not load libp2p.
      const { launch } = await import('../operations/launch.ts')
      const node = await launch(folder.configuration, folder.at, passphrase())
      // The node's own timers do not keep a process alive, and must not have to: it ends when it has stopped.
      const alive = setInterval(() => {}, 60_000)
      const ending = await Promise.race([interruption, node.failed])
      if (ending instanceof Error) {
        process.exitCode = diskFailed
        node.telemetry.log('error', 'node.failed', { message: ending.message })
      } else node.telemetry.log('info', 'node.stopping', { signal: ending })
      await node.stop()
      node.telemetry.log('info', 'node.counted', countsOf(node.telemetry.counters()))
      node.telemetry.log('info', 'node.stopped')
      clearInterval(alive)
    })
}

/** What this run has counted, for whoever reads logs only. */
const countsOf = (samples: readonly CounterSample[]) =>
  Object.fromEntries(samples.map(sample => [sampleName(sample), sample.value]))

/** The signal to end. A second one ends at once, as people expect. */
function interrupted(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130))
        resolve(signal)
      })
    }
  })
}
