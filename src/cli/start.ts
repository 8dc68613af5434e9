import { constants } from 'node:os'
import { Command } from 'commander'
import { storeCompiledCode } from '../adapters/compile-cache.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { type CounterSample, sampleName } from '../adapters/metrics.ts'
import type { Configuration } from '../operations/configuration-schema.ts'
import type { LaunchOptions, RunningNode } from '../operations/launch.ts'
import { trustKeptIn } from '../operations/trust-files.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, setOption } from './options.ts'
import { passphrase } from './passphrase.ts'
import { trustFiles } from './peer-trust.ts'

/** The exit code of a server that is to be started again (EX_TEMPFAIL of sysexits.h). */
const diskFailed = 75

/**
 * `cpns start`: serves until SIGINT, SIGTERM or `cpns drain`, then drains and ends cleanly with exit code 0; at a second signal it
 * ends at once. SIGHUP has it read its configuration again. When its disk fails it ends too, with exit code
 * 75: what is on the disk is known only after a restart, which is the supervisor's to do.
 *
 * @param more what a program that is built around it adds to the node's admin API
 */
export function startCommand(more: Omit<LaunchOptions, 'passphrase' | 'reread'> = {}): Command {
  return new Command('start')
    .description(
      'Runs the server. Logs are JSON lines on standard output; "node.serving" names the client URL, "node.ready" says when it has started altogether.',
    )
    .addOption(configOption())
    .addOption(setOption())
    .action(async ({ config, set }: { config: string; set: Record<string, string> }) => {
      const folder = await openNodeFolder(config, set)
      // Listened for from now on: a signal during the start waits for its end, so that what has begun ends in order.
      const interruption = interrupted()
      const started = Promise.withResolvers<RunningNode>()
      process.on('SIGHUP', () => void started.promise.then(reloaded))
      // Here, not above: the other commands need not load libp2p.
      const { launch } = await import('../operations/launch.ts')
      const lockedBy = passphrase()
      const keptTrust = trustKeptIn(trustFiles(folder), reread, nodeCrypto())
      const options = { keptTrust, ...more, reread, ...(lockedBy !== undefined && { passphrase: lockedBy }) }
      const node = await launch(folder.configuration, folder.at, options)
      started.resolve(node)
      node.ready.then(storeCompiledCode, () => {})
      // The node's own timers do not keep a process alive, and must not have to: it ends when it has stopped.
      const alive = setInterval(() => {}, 60_000)
      const { draining, telemetry } = node
      const begun = draining.begun.then(() => 'drain' as const)
      // What fails while it starts is told as what fails before; that it has started is no reason to end.
      const unstarted = node.ready.then(() => new Promise<never>(() => {}))
      const ending = await Promise.race([interruption, node.failed, begun, unstarted]).catch(async error => {
        clearInterval(alive)
        await node.stop()
        throw error
      })
      if (ending instanceof Error) failed(ending)
      else {
        telemetry.log('info', 'node.stopping', { by: ending })
        draining.begin({})
        // Where the disk fails meanwhile nothing can be handed over any more.
        const ended = await Promise.race([draining.done, node.failed])
        if (ended instanceof Error) failed(ended)
      }
      await node.stop()
      node.telemetry.log('info', 'node.counted', countsOf(node.telemetry.counters()))
      node.telemetry.log('info', 'node.stopped')
      clearInterval(alive)

      async function reread(): Promise<Configuration> {
        return (await openNodeFolder(config, set)).configuration
      }

      function failed(error: Error): void {
        process.exitCode = diskFailed
        telemetry.log('error', 'node.failed', { message: error.message })
      }
    })
}

/** What this run has counted, for whoever reads logs only. */
const countsOf = (samples: readonly CounterSample[]) =>
  Object.fromEntries(samples.map(sample => [sampleName(sample), sample.value]))

/** Who sends a signal reads in the log how it went. */
const reloaded = ({ reload }: RunningNode): Promise<unknown> => reload('SIGHUP').catch(() => {})

/** The signal to end. A second one ends at once, as people expect. */
function interrupted(): Promise<NodeJS.Signals> {
  return new Promise(resolve => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(128 + constants.signals[signal]))
        resolve(signal)
      })
    }
  })
}
