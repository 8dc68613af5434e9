import { mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Command, Option } from 'commander'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { exists } from '../adapters/files.ts'
import { serverIdentity } from '../adapters/identity.ts'
import { openLevelLogStore } from '../adapters/level-log-store.ts'
import { systemRandom } from '../adapters/random.ts'
import { type Capacity, measureCapacity, type Rate, writersAtOnce } from '../operations/capacity/measure.ts'
import { operatorId } from '../ports/names.ts'
import { durationOf } from './duration.ts'
import { jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'
import { formatTable } from './table.ts'

interface Asked {
  readonly on: string
  readonly for: number
  readonly json?: true
}

const [leastMs, mostMs] = [100, 600_000]

/** `cpns bench`: what this machine and its disk do for a server, to choose them by, or to see what has become of them. */
export function benchCommand(): Command {
  return new Command('bench')
    .description(
      'Measures what this machine and disk do for a server: durable writes, opening documents, signatures. In a folder of its own, which it removes; beside a node that runs, both are slower.',
    )
    .addOption(new Option('--on <folder>', 'a folder on the disk that is asked about').default('.'))
    .addOption(
      new Option('--for <duration>', 'how long each figure is measured').argParser(durationOf).default(2_000, '2s'),
    )
    .addOption(jsonOption())
    .action(async ({ on, for: milliseconds, json }: Asked) => {
      if (milliseconds < leastMs || milliseconds > mostMs)
        throw new Refused('Each figure takes between 100ms and 10m: say so with --for.')
      const capacity = await measured(resolve(on), milliseconds, json ? process.stderr : process.stdout)
      console.log(json ? JSON.stringify(capacity) : tableOf(capacity))
    })
}

async function measured(on: string, milliseconds: number, out: NodeJS.WriteStream): Promise<Capacity> {
  if (!(await exists(on))) throw new Refused(`There is no folder ${on}. Name one on the disk in question, with --on.`)
  const folder = await mkdtemp(join(on, '.cpns-bench-')).catch((error: Error) => {
    throw new Refused(`Nothing can be written in ${on} (${error.message}). Name another folder, with --on.`)
  })
  const crypto = nodeCrypto()
  const progress = liveProgress('Measuring', out)
  try {
    return await measureCapacity({
      identity: serverIdentity(operatorId('bench.example'), crypto.ed25519.generate().privateKey, crypto),
      open: () => openLevelLogStore(folder),
      ...{ crypto, clock: systemClock({ holdsProcess: true }), random: systemRandom(), milliseconds },
      told: what => progress.show(what),
    })
  } finally {
    progress.clear()
    await rm(folder, { recursive: true, force: true })
  }
}

const names: Readonly<Record<keyof Capacity, string>> = {
  writesOneByOne: 'durable writes, one after another',
  writesAtOnce: `durable writes, ${writersAtOnce} at once`,
  opens: 'documents opened',
  signatures: 'signatures made',
  verifications: 'signatures verified',
}

const tableOf = (capacity: Capacity): string =>
  formatTable(
    ['what', 'a second', 'each, median', '99 of 100 within'],
    (Object.keys(names) as (keyof Capacity)[]).map(key => [names[key], ...cellsOf(capacity[key])]),
    'Nothing was measured.',
  )

const cellsOf = ({ perSecond, p50Ms, p99Ms }: Rate): string[] => [
  Math.round(perSecond).toLocaleString('en'),
  ...[p50Ms, p99Ms].map(ms => `${ms < 0.1 ? ms.toFixed(3) : ms.toFixed(1)} ms`),
]
