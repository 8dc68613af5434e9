import type { DocumentNotice } from '../../document/documents.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { FaultRecord } from '../scenario/faults.ts'
import { readDisk } from '../scenario/replicas.ts'
import type { Phase, RunResult } from '../scenario/run.ts'
import type { Outcome } from '../scenario/workload.ts'
import { account, syncKindOf } from './frame-classes.ts'
import { MessageWindow } from './message-window.ts'
import { quantile, ReplicaProgress } from './replica-progress.ts'
import {
  type Anomaly,
  type Latencies,
  type ReplicaSample,
  type RunData,
  type TrafficClass,
  trafficClasses,
} from './run-data.ts'
import { Timeline } from './timeline.ts'

/** Points of a distribution function, beside its maximum. */
const quantilePoints = 200
/** So many frames between two samples are a storm, if they are so many for each entry that was stored anywhere meanwhile. */
const stormFrames = 2_000
const stormFramesPerEntry = 25

/** Documents, with the operators whose servers are to hold them. */
export type Expectation = () => Iterable<readonly [document: DocumentId, operators: ReadonlySet<string>]>

/**
 * Looks on while a scenario runs, and keeps what its figures are drawn from. It acts on nothing: a run has the same
 * trace with it as without.
 */
export class Collector {
  readonly #federation: SimulatedFederation
  readonly #expected: Expectation
  readonly #progress = new ReplicaProgress()
  readonly #window: MessageWindow
  readonly #samples = new Timeline<ReplicaSample>(worst)
  /** The last sample, and the servers that served then, as long as all was current and nothing was heard of it since. */
  #still: { readonly serving: string; readonly sample: ReplicaSample } | undefined
  readonly #bytes = new Timeline<RunData['bytes'][number]>(sum)
  readonly #anomalies: Anomaly[] = []
  readonly #phases: { phase: Phase; fromMs: number; untilMs: number }[] = []
  readonly #replicas = new Map<DocumentId, number>()
  #byClass = noBytes()
  #syncFrames = 0
  #entriesStored = 0
  #framesSinceSample = 0
  #entriesSinceSample = 0
  #peakDiskBytes = 0

  constructor(federation: SimulatedFederation, expected: Expectation) {
    this.#federation = federation
    this.#expected = expected
    const { world, servers } = federation
    this.#window = new MessageWindow(servers.map(({ name }) => name))
    world.network.observe({
      sent: packet => {
        account(packet, this.#byClass)
        if (packet.frame instanceof Uint8Array && syncKindOf(packet.frame) && packet.channel === 'peer') {
          this.#framesSinceSample += 1
        }
      },
      delivered: (packet, travelUs) => this.#window.passed(packet, world.nowMs - travelUs / 1000, world.nowMs),
      lost: packet => this.#window.passed(packet, world.nowMs, undefined),
    })
  }

  /** When the last entry was written by its author. */
  get lastWriteMs(): number {
    return this.#progress.lastWriteMs
  }

  /** A node of the server is about to serve. */
  made(server: SimulatedServer): void {
    const { world } = this.#federation
    this.#window.mark(server.name, world.nowMs, 'starts')
    this.#still = undefined
    this.#progress.serves(server.name, world.nowMs)
    // What a disk says that has changed it is not read: its replicas count as they were before.
    if (server.host.runs.length === 1 || server.isRotten) return
    void readDisk(server, world.production).then(({ indexes }) => {
      this.#still = undefined
      this.#progress.restarted(server.name, indexes)
    })
  }

  crashing(server: SimulatedServer): void {
    this.#window.mark(server.name, this.#federation.world.nowMs, 'crashes')
  }

  took(server: SimulatedServer, notice: DocumentNotice): void {
    const { nowMs } = this.#federation.world
    this.#still = undefined
    this.#progress.took(server.name, notice, nowMs, this.#replicasOf(notice.document))
    this.#entriesSinceSample += notice.entries.length
    if (notice.source === 'own' && notice.entries.length > 0) this.#window.mark(server.name, nowMs, 'writes')
  }

  phase(phase: Phase): void {
    const { nowMs } = this.#federation.world
    const last = this.#phases.at(-1)
    if (last) last.untilMs = nowMs
    this.#phases.push({ phase, fromMs: nowMs, untilMs: nowMs })
    if (phase === 'faults') this.#window.begin(nowMs)
  }

  /** A fault has begun. */
  fault(record: FaultRecord): void {
    this.#window.fault(record.fromMs)
  }

  /** To be called every second or so of virtual time, between two events. */
  sample(): void {
    const { world, servers } = this.#federation
    const serving = servers.filter(({ node }) => node)
    this.#samples.add(this.#sampled(serving))
    this.#bytes.add({ timeMs: world.nowMs, byClass: this.#byClass })
    this.#byClass = noBytes()
    if (this.#framesSinceSample > Math.max(stormFrames, stormFramesPerEntry * this.#entriesSinceSample)) {
      const what = `${this.#framesSinceSample} frames of sync, and ${this.#entriesSinceSample} entries stored`
      this.#anomalies.push({ kind: 'storm', what, timeMs: world.nowMs })
    }
    this.#syncFrames += this.#framesSinceSample
    this.#entriesStored += this.#entriesSinceSample
    this.#framesSinceSample = 0
    this.#entriesSinceSample = 0
    for (const { host } of servers) this.#peakDiskBytes = Math.max(this.#peakDiskBytes, host.disk.usedBytes)
  }

  /** Where all replicas were current and nothing was heard of any since, they are as they were: at rest nobody looks through all of them. */
  #sampled(serving: readonly SimulatedServer[]): ReplicaSample {
    const { world, servers } = this.#federation
    const names = serving.map(({ name }) => name).join(' ')
    const still = this.#still
    this.#still = undefined
    const sample =
      still?.serving === names
        ? { ...still.sample, timeMs: world.nowMs }
        : this.#progress.sample(world.nowMs, this.#present(serving), serving.length / servers.length)
    if (sample.lacks.max === 0) this.#still = { serving: names, sample }
    return sample
  }

  *#present(serving: readonly SimulatedServer[]): Generator<readonly [DocumentId, string[]]> {
    for (const [document, operators] of this.#expected()) {
      yield [document, serving.filter(({ operator }) => operators.has(operator.id)).map(({ name }) => name)]
    }
  }

  /** How many servers are to hold a document. */
  #replicasOf(document: DocumentId): number {
    if (this.#replicas.size === 0) {
      for (const [each, operators] of this.#expected()) {
        this.#replicas.set(each, this.#federation.servers.filter(({ operator }) => operators.has(operator.id)).length)
      }
    }
    return this.#replicas.get(document) ?? 0
  }

  /** Numbers by name, for `metrics.json`. */
  metrics(operations: number): Record<string, number> {
    const { points } = this.#samples
    const least = points.length > 0 ? points.reduce(worst) : undefined
    return {
      'replicas.leastCurrent': least?.current ?? 1,
      'staleness.maxMs': least?.staleMs.max ?? 0,
      'staleness.maxEntries': least?.lacks.max ?? 0,
      'everywhere.p50Ms': quantile([...this.#progress.everywhereMs], 0.5),
      'everywhere.p99Ms': quantile([...this.#progress.everywhereMs], 0.99),
      'frames.sync': this.#syncFrames,
      'frames.perEntryStored': this.#entriesStored > 0 ? this.#syncFrames / this.#entriesStored : 0,
      'frames.perOperation': operations > 0 ? this.#syncFrames / operations : 0,
      'peak.diskBytes': this.#peakDiskBytes,
      anomalies: this.#anomalies.length + this.#progress.anomalies.length,
    }
  }

  data(
    result: Pick<RunResult, 'scenario' | 'seed' | 'outcome' | 'faults'>,
    measured: { readonly visibilityMs: readonly number[]; readonly operations: readonly Outcome[] },
  ): RunData {
    const { world, servers } = this.#federation
    const { scenario, seed, outcome, faults } = result
    const hosts = servers.map(({ name }) => name)
    const last = this.#phases.at(-1)
    if (last) last.untilMs = world.nowMs
    const diverged = outcome.verdict === false && outcome.why === 'no-convergence'
    const spaceTime = this.#window.result()
    return {
      name: scenario.name,
      description: scenario.description,
      seed,
      durationMs: world.nowMs,
      verdict: outcome.verdict === true ? 'ok' : outcome.what,
      phases: this.#phases,
      faults,
      hosts,
      replicas: this.#samples.points,
      latencies: [
        latencies('visibility', measured.visibilityMs),
        latencies('everywhere', this.#progress.everywhereMs),
        ...operationLatencies(measured.operations),
      ].filter(({ count }) => count > 0),
      bytes: this.#bytes.points,
      ...this.#links(hosts),
      ...(spaceTime && { spaceTime }),
      anomalies: [
        ...this.#progress.anomalies,
        ...this.#anomalies,
        ...(diverged ? [{ kind: 'final-divergence' as const, what: outcome.what, timeMs: world.nowMs }] : []),
      ].toSorted((a, b) => a.timeMs - b.timeMs),
    }
  }

  #links(hosts: readonly string[]): Pick<RunData, 'linkBytes' | 'linkPackets'> {
    const places = new Map(hosts.map((host, at) => [host, at]))
    const linkBytes = hosts.map(() => hosts.map(() => 0))
    const linkPackets = hosts.map(() => hosts.map(() => 0))
    for (const { from, to, bytes, packets } of this.#federation.world.network.links()) {
      const [row, column] = [places.get(from), places.get(to)]
      if (row === undefined || column === undefined) continue
      const [bytesRow, packetsRow] = [linkBytes[row], linkPackets[row]]
      if (bytesRow) bytesRow[column] = bytes
      if (packetsRow) packetsRow[column] = packets
    }
    return { linkBytes, linkPackets }
  }
}

const noBytes = (): Record<TrafficClass, number> => ({
  payload: 0,
  metadata: 0,
  reconciliation: 0,
  requests: 0,
  clients: 0,
})

/** What was seen from the earlier one on until the later one was over: of each number the worst. */
const worst = (earlier: ReplicaSample, later: ReplicaSample): ReplicaSample => ({
  timeMs: earlier.timeMs,
  current: Math.min(earlier.current, later.current),
  serving: Math.min(earlier.serving, later.serving),
  staleMs: {
    p50: Math.max(earlier.staleMs.p50, later.staleMs.p50),
    p90: Math.max(earlier.staleMs.p90, later.staleMs.p90),
    p99: Math.max(earlier.staleMs.p99, later.staleMs.p99),
    max: Math.max(earlier.staleMs.max, later.staleMs.max),
  },
  lacks: {
    p50: Math.max(earlier.lacks.p50, later.lacks.p50),
    p99: Math.max(earlier.lacks.p99, later.lacks.p99),
    max: Math.max(earlier.lacks.max, later.lacks.max),
  },
})

/** What was sent up to the later one. */
const sum = (earlier: RunData['bytes'][number], later: RunData['bytes'][number]): RunData['bytes'][number] => {
  const byClass = noBytes()
  for (const each of trafficClasses) byClass[each] = earlier.byClass[each] + later.byClass[each]
  return { timeMs: later.timeMs, byClass }
}

function operationLatencies(operations: readonly Outcome[]): Latencies[] {
  const succeeded = operations.filter(({ result }) => result === 'ok')
  return [...Map.groupBy(succeeded, ({ operation }) => operation)].map(([operation, of]) =>
    latencies(
      operation,
      of.map(({ fromMs, untilMs }) => untilMs - fromMs),
    ),
  )
}

function latencies(what: string, values: readonly number[]): Latencies {
  const sorted = values.toSorted((a, b) => a - b)
  const points = Math.min(sorted.length, quantilePoints)
  const quantiles = Array.from({ length: points === 0 ? 0 : points + 1 }, (_, point) => {
    const at = Math.min(sorted.length - 1, Math.floor((point / points) * sorted.length))
    return [point / points, Math.round((sorted[at] ?? 0) * 1000) / 1000] as const
  })
  return { what, count: sorted.length, quantiles }
}
