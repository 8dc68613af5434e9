import type { SimulatedFederation } from '../federation/federation.ts'
import type { Observations } from './observations.ts'
import type { Outcome } from './workload.ts'

/** Numbers by name: `register.ok`, `register.p99Ms`, `convergence.afterHealMs`, `bytes.peer./cpns/sync/1`, … */
export type Metrics = Record<string, number>

/** Counts packets by what they are about, from the beginning of a run. */
export class Traffic {
  readonly #bytes = new Map<string, number>()
  readonly #packets = new Map<string, number>()

  constructor({ world }: SimulatedFederation) {
    world.network.observe({
      sent: ({ channel, about, bytes }) => {
        const name = `${channel}.${about}`
        this.#bytes.set(name, (this.#bytes.get(name) ?? 0) + bytes)
        this.#packets.set(name, (this.#packets.get(name) ?? 0) + 1)
      },
    })
  }

  metrics(): Metrics {
    const named = (prefix: string, counts: ReadonlyMap<string, number>) =>
      [...counts].map(([name, count]) => [`${prefix}.${name}`, count] as const)
    return Object.fromEntries([...named('bytes', this.#bytes), ...named('packets', this.#packets)])
  }
}

/** What operations have come to, and how long they took. */
export function operationMetrics(outcomes: readonly Outcome[]): Metrics {
  const metrics: Metrics = {}
  for (const [operation, of] of Map.groupBy(outcomes, outcome => outcome.operation)) {
    for (const { result } of of) metrics[`${operation}.${result}`] = (metrics[`${operation}.${result}`] ?? 0) + 1
    const durations = of.filter(({ result }) => result === 'ok').map(({ fromMs, untilMs }) => untilMs - fromMs)
    Object.assign(metrics, quantiles(`${operation}.`, durations))
  }
  return metrics
}

export function observationMetrics({ visibilityMs, readers, peakMailbox, overflows }: Observations): Metrics {
  return {
    ...quantiles('visibility.', visibilityMs),
    'readers.sights': readers.sights,
    'readers.olderElsewhere': readers.regressions.filter(({ elsewhere }) => elsewhere).length,
    'mailbox.peak': peakMailbox,
    'mailbox.overflows': overflows,
  }
}

/** Sums of the servers' own counters, and what their disks did. */
export function serverMetrics({ servers }: SimulatedFederation): Metrics {
  const metrics: Metrics = {}
  const add = (name: string, by: number) => {
    metrics[name] = (metrics[name] ?? 0) + by
  }
  for (const { host } of servers) {
    for (const [name, value] of host.record.counters) add(name, value)
    add('disk.syncs', host.disk.syncs)
    add('disk.bytesWritten', host.disk.bytesWritten)
    add('strays', host.strays)
  }
  return metrics
}

function quantiles(prefix: string, values: readonly number[]): Metrics {
  if (values.length === 0) return {}
  const sorted = values.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
  return { [`${prefix}p50Ms`]: at(0.5), [`${prefix}p99Ms`]: at(0.99), [`${prefix}maxMs`]: at(1) }
}
