import { readdir, readFile } from 'node:fs/promises'
import { Counter, Gauge, Histogram, Registry } from '@prometheus-io/client'

/*
 * The figures of a process as Prometheus takes them. What is counted for every command costs a look-up and an addition; everything
 * else is worked out when somebody asks.
 */

export type Labels = Readonly<Record<string, string>>

/** What a metric means. */
export interface Described {
  readonly kind: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly string[]
  /** Of a histogram: the upper bounds of its buckets, in its unit. */
  readonly buckets?: readonly number[]
}

/** One figure with one set of labels, as it stands. */
export interface Sample {
  readonly labels: Labels
  readonly value: number
}
export interface CounterSample extends Sample {
  readonly name: string
}

/** A sample as Prometheus writes it: `cpns_peer_refused_total{reason="revoked"}`. Values of labels are names, free of quotes. */
export function sampleName({ name, labels }: CounterSample): string {
  const pairs = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  return pairs.length === 0 ? name : `${name}{${pairs.sort().join(',')}}`
}

export interface Metrics {
  count(name: string, labels?: Labels, by?: number): void
  observe(name: string, value: number, labels?: Labels): void
  counters(): readonly CounterSample[]
  /** Has a gauge of the catalogue, or a counter that something else keeps, read when somebody asks. */
  read(name: string, samples: () => Iterable<Sample> | Promise<Iterable<Sample>>): void
  /** All of it, in the text format of Prometheus. */
  exposition(): Promise<{ readonly type: string; readonly text: string }>
}

export type Catalogue = Readonly<Record<string, Described>>

export function createMetrics(catalogue: Catalogue = {}): Metrics {
  const registry = new Registry()
  const counted = new Map<string, Map<string, { readonly labels: Labels; value: number }>>()
  const histograms = new Map<string, Histogram<string>>()
  for (const [name, described] of Object.entries(catalogue)) {
    if (described.kind === 'counter') expose(name, described)
    if (described.kind === 'histogram') histograms.set(name, histogramOf(registry, name, described))
  }

  function expose(name: string, described: Described): Map<string, { readonly labels: Labels; value: number }> {
    const samples = new Map<string, { readonly labels: Labels; value: number }>()
    counted.set(name, samples)
    new Counter({
      ...{ name, help: described.help, labelNames: described.labels, registers: [registry] },
      collect() {
        this.reset()
        for (const { labels, value } of samples.values()) this.inc(knownOf(labels, described), value)
      },
    })
    return samples
  }

  return {
    count(name, labels = {}, by = 1) {
      const samples = counted.get(name) ?? expose(name, undescribed('counter', labels))
      const id = idOf(labels)
      const sample = samples.get(id)
      if (sample) sample.value += by
      else samples.set(id, { labels: { ...labels }, value: by })
    },
    observe(name, value, labels = {}) {
      let histogram = histograms.get(name)
      if (!histogram) {
        histogram = histogramOf(registry, name, undescribed('histogram', labels))
        histograms.set(name, histogram)
      }
      histogram.observe(labels, value)
    },
    counters: () =>
      [...counted].flatMap(([name, samples]) => Array.from(samples.values(), sample => ({ name, ...sample }))),
    read(name, samples) {
      const described = catalogue[name]
      if (!described) throw new Error(`There is no metric ${name}.`)
      const { kind, help, labels } = described
      const about = { name, help, labelNames: labels, registers: [registry] }
      if (kind === 'gauge') {
        new Gauge({
          ...about,
          async collect() {
            this.reset()
            for (const { labels, value } of await samples()) this.set({ ...labels }, value)
          },
        })
        return
      }
      registry.removeSingleMetric(name)
      new Counter({
        ...about,
        async collect() {
          this.reset()
          for (const { labels, value } of await samples()) this.inc({ ...labels }, value)
        },
      })
    },
    exposition: async () => ({ type: registry.contentType, text: await registry.metrics() }),
  }
}

/** What is not in the catalogue is exported all the same. */
const undescribed = (kind: Described['kind'], labels: Labels): Described => ({
  ...{ kind, help: 'Not described.', labels: Object.keys(labels) },
})

const knownOf = (labels: Labels, described: Described): Record<string, string> =>
  Object.fromEntries(described.labels.map(name => [name, labels[name] ?? '']))

function idOf(labels: Labels): string {
  const names = Object.keys(labels)
  if (names.length > 1) names.sort()
  let id = ''
  for (const name of names) id += `${name}=${labels[name]}\n`
  return id
}

const histogramOf = (registry: Registry, name: string, { help, labels, buckets }: Described): Histogram<string> =>
  new Histogram({
    name,
    help,
    labelNames: [...labels],
    registers: [registry],
    ...(buckets && { buckets: [...buckets] }),
  })

/** The figures of this process that Prometheus' own libraries give under these names; some only on Linux. */
export const processCatalogue = {
  process_cpu_seconds_total: { kind: 'counter', help: 'Time that processors spent on this process.', labels: [] },
  process_start_time_seconds: { kind: 'gauge', help: 'When it began, in seconds since 1970.', labels: [] },
  process_resident_memory_bytes: { kind: 'gauge', help: 'Its memory.', labels: [] },
  process_open_fds: { kind: 'gauge', help: 'Files and connections that it has open.', labels: [] },
  process_max_fds: { kind: 'gauge', help: 'How many it may have open.', labels: [] },
  nodejs_heap_size_used_bytes: { kind: 'gauge', help: 'Memory of JavaScript in use.', labels: [] },
} as const satisfies Catalogue

const one = (value: number | undefined): readonly Sample[] => (value === undefined ? [] : [{ labels: {}, value }])

export function readProcess(metrics: Metrics): void {
  const startedMs = Date.now() - process.uptime() * 1_000
  const figures = {
    process_cpu_seconds_total: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    },
    process_start_time_seconds: () => startedMs / 1_000,
    process_resident_memory_bytes: () => process.memoryUsage.rss(),
    process_open_fds: openFiles,
    process_max_fds: openFilesLimit,
    nodejs_heap_size_used_bytes: () => process.memoryUsage().heapUsed,
  } satisfies Record<keyof typeof processCatalogue, () => number | undefined | Promise<number | undefined>>
  for (const [name, figure] of Object.entries(figures)) metrics.read(name, async () => one(await figure()))
}

/** How many files and connections this process has open; known on Linux alone. */
export const openFiles = (): Promise<number | undefined> =>
  readdir('/proc/self/fd').then(
    files => files.length,
    () => undefined,
  )

/** How many files this process may have open: Linux says it of a process; elsewhere nobody does without a shell. */
export async function openFilesLimit(): Promise<number | undefined> {
  const limits = await readFile('/proc/self/limits', 'utf8').catch(() => '')
  const [, soft] = /^Max open files\s+(\S+)/m.exec(limits) ?? []
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}
