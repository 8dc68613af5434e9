import type { CounterSample } from '../../adapters/metrics.ts'
import type { Documents } from '../../document/documents.ts'
import type { CpnsNode } from '../../node.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Sample } from './shapes.ts'

export const sampleMs = 2_000
/** Five minutes. */
export const keptSamples = 150

/** What is measured. */
export interface SampledNode extends Pick<CpnsNode, 'status'> {
  readonly documents: Pick<Documents, 'subscribe'>
}

/** What has been counted since the node started. */
interface Totals {
  readonly elapsedMs: number
  readonly ownEntries: number
  readonly peerEntries: number
  readonly requests: number
  readonly refused: number
}

/** What a node does, as rates over the last minutes; kept whether or not somebody looks, so that whoever comes sees them. */
export interface Sampling {
  /** The oldest first. */
  readonly samples: readonly Sample[]
  /** Ends an interval. */
  sample(): void
  stop(): void
}

export function sampling(
  node: SampledNode,
  counters: () => readonly CounterSample[],
  clock: Pick<Clock, 'now' | 'elapsed'>,
): Sampling {
  const kept: Sample[] = []
  let ownEntries = 0
  let peerEntries = 0
  const stop = node.documents.subscribe(({ source, entries }) => {
    if (source === 'own') ownEntries += entries.length
    else peerEntries += entries.length
  })

  function totals(): Totals {
    const answered = counters().filter(({ name }) => name === 'cpns_access_requests_total')
    const sum = (samples: readonly CounterSample[]) => samples.reduce((all, { value }) => all + value, 0)
    const refused = answered.filter(({ labels }) => isRefusal(labels.status))
    return { elapsedMs: clock.elapsed(), ownEntries, peerEntries, requests: sum(answered), refused: sum(refused) }
  }
  let before = totals()

  return {
    samples: kept,
    sample() {
      const now = totals()
      const { connections, signals } = node.status()
      const { loopDelayMs, commitMs } = signals
      kept.push({ at: clock.now(), clients: connections, ...rates(before, now), loopDelayMs, commitMs })
      before = now
      if (kept.length > keptSamples) kept.shift()
    },
    stop,
  }
}

/** Statuses are those of HTTP. */
const isRefusal = (status: string | undefined): boolean => Number(status) >= 400

/** Per second. A clock that stands still makes no rate. */
export function rates(
  before: Totals,
  now: Totals,
): Pick<Sample, 'ownEntries' | 'peerEntries' | 'requests' | 'refused'> {
  const seconds = (now.elapsedMs - before.elapsedMs) / 1000
  const rate = (of: 'ownEntries' | 'peerEntries' | 'requests' | 'refused') =>
    seconds > 0 ? Math.round(((now[of] - before[of]) / seconds) * 10) / 10 : 0
  return {
    ownEntries: rate('ownEntries'),
    peerEntries: rate('peerEntries'),
    requests: rate('requests'),
    refused: rate('refused'),
  }
}
