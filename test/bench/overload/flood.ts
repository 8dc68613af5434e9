import { setTimeout as delay } from 'node:timers/promises'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { type Figure, median, spread } from '../bench.ts'
import type { ArrivalsOrder, ArrivalsSecond } from './arrivals.child.ts'
import { type BenchServer, folders, start } from './bench-server.ts'
import { type Child, setApart, startChild } from './child.ts'
import { percentile, type Second } from './samples.ts'
import type { SessionsAnswer, SessionsOrder } from './sessions.child.ts'

/*
 * Five times as many clients want to authenticate as one server can serve, for a minute, each of them once, from an address of its
 * own; beside them clients that are there already read their Personal Networks. The same with and without overload control.
 * What the flood does to them is measured against a calm day, on which newcomers come at a quarter of the rate that the server can serve.
 */

/** What became of one run, second by second; 0 is when the flood began. */
export interface FloodRun {
  readonly floodSeconds: number
  readonly seconds: readonly {
    readonly at: number
    readonly begun: number
    readonly authenticated: number
    readonly p99Ms: number
  }[]
  readonly goodput: number
  /** Before the flood, and in it. */
  readonly calmP99Ms: number
  readonly sessionsP99Ms: number
  /** How late the sessions themselves were in the flood. */
  readonly latenessP99Ms: number
  readonly loopP99Ms: number
  /** Until newcomers and sessions are served as before. */
  readonly recoverySeconds: number
}

export interface FloodResult {
  readonly peak: number
  readonly offered: number
  readonly unloadedP99Ms: number
  readonly controlled: FloodRun
  readonly uncontrolled: FloodRun
  readonly figures: readonly Figure[]
}

/** How much of everything. */
export interface Scale {
  readonly sessions: number
  /** Of all sessions together. */
  readonly requestsPerSecond: number
  readonly calmSeconds: number
  readonly peakSeconds: number
  readonly floodSeconds: number
  readonly afterSeconds: number
}

const whole: Scale = {
  sessions: 100,
  requestsPerSecond: 200,
  calmSeconds: 15,
  peakSeconds: 8,
  floodSeconds: 60,
  afterSeconds: 20,
}
const quick: Scale = {
  sessions: 50,
  requestsPerSecond: 200,
  calmSeconds: 5,
  peakSeconds: 3,
  floodSeconds: 12,
  afterSeconds: 12,
}

/** Floods of the server with control, one after another: the figures are their medians. */
const rounds = { whole: 3, quick: 2 }

export const times = 5
const newcomers = 2_000
/** As long as the client of this repository waits for an answer. */
const patienceMs = 10_000
/** The peak is the best of these numbers of clients that authenticate at once, one after another. */
const together = [16, 64]
/** Of the peak, before and after the flood. */
const calmShare = 0.25

/** A server, and who comes to it. */
export interface Stage {
  readonly server: BenchServer
  readonly sessions: Child<SessionsOrder, SessionsAnswer>
  readonly arrivals: Child<ArrivalsOrder, ArrivalsSecond[]>
}

export async function flood(root: string, isQuick: boolean, progress: (line: string) => void): Promise<FloodResult> {
  const scale = isQuick ? quick : whole
  const existing = names('here', scale.sessions)
  const arriving = names('new', newcomers)
  const [home] = await folders(root, 1, [...existing, ...arriving])
  if (!home) throw new Error('There is no server.')
  const arrive = arrivalsOf(arriving)

  const measured = await on(home, { 'load.controlled': true }, existing, scale, async stage => {
    const unloadedP99Ms = await unloaded(stage, scale)
    progress(`unloaded: the sessions’ p99 is ${unloadedP99Ms.toFixed(1)} ms`)
    const peak = await peakOf(stage, scale, arrive, progress)
    const runs: FloodRun[] = []
    for (let round = isQuick ? rounds.quick : rounds.whole; round > 0; round--) {
      const run = await floodRun(stage, scale, peak, arrive)
      tell('with control', run, progress)
      runs.push(run)
    }
    return { unloadedP99Ms, peak, runs }
  })
  const { unloadedP99Ms, peak, runs } = measured
  const controlled = middle(runs)
  const ofAll = (value: (run: FloodRun) => number) => ({ value: median(runs.map(value)), ...spread(runs.map(value)) })
  const uncontrolled = await on(home, { 'load.controlled': false }, existing, scale, stage =>
    floodRun(stage, scale, peak, arrive),
  )
  tell('without', uncontrolled, progress)
  return {
    ...{ peak, offered: times * peak, unloadedP99Ms, controlled, uncontrolled },
    figures: [
      { name: 'peak, one server', value: peak, unit: 'authentications/s' },
      {
        name: `goodput at ${times} × the peak`,
        ...ofAll(({ goodput }) => (100 * goodput) / peak),
        unit: '% of the peak',
        atLeast: 90,
      },
      { name: 'the same without control', value: (100 * uncontrolled.goodput) / peak, unit: '% of the peak' },
      { name: 'existing sessions, nobody else there, p99', value: unloadedP99Ms, unit: 'ms' },
      { name: 'the same before the flood', ...ofAll(({ calmP99Ms }) => calmP99Ms), unit: 'ms' },
      { name: 'the same under the flood', ...ofAll(({ sessionsP99Ms }) => sessionsP99Ms), unit: 'ms' },
      { name: '… of that before it', ...ofAll(slowdown), unit: '×', atMost: 2 },
      { name: '… without control', value: slowdown(uncontrolled), unit: '×' },
      {
        name: 'requests written late by the benchmark itself, not counted, p99',
        ...ofAll(({ latenessP99Ms }) => latenessP99Ms),
        unit: 'ms',
      },
      {
        name: 'event loop delay under the flood, p99',
        ...ofAll(({ loopP99Ms }) => loopP99Ms),
        unit: 'ms',
        atMost: 100,
      },
      { name: 'the same without control', value: uncontrolled.loopP99Ms, unit: 'ms' },
      { name: 'recovery after the flood', ...ofAll(({ recoverySeconds }) => recoverySeconds), unit: 's', atMost: 10 },
      { name: 'the same without control', value: uncontrolled.recoverySeconds, unit: 's' },
    ],
  }
}

/** How many times as long sessions wait in the flood as before it. */
const slowdown = ({ sessionsP99Ms, calmP99Ms }: FloodRun): number => sessionsP99Ms / calmP99Ms

/** The one to be drawn: where sessions waited for the median of the times. @throws when there is none */
function middle(runs: readonly FloodRun[]): FloodRun {
  const run = runs.toSorted((a, b) => slowdown(a) - slowdown(b))[(runs.length - 1) >> 1]
  if (!run) throw new Error('There was no flood.')
  return run
}

export type Arrive = (stage: Stage, seconds: number, pace: ArrivalsOrder['pace']) => Promise<ArrivalsSecond[]>

export const arrivalsOf =
  (identities: readonly string[]): Arrive =>
  ({ server, arrivals }, seconds, pace) =>
    arrivals.ask({ port: server.port, identities, seconds, pace, patienceMs })

/** Authentications a second, at the best. */
export async function peakOf(
  stage: Stage,
  { peakSeconds }: Scale,
  arrive: Arrive,
  progress: (line: string) => void,
): Promise<number> {
  let peak = 0
  for (const clients of together) {
    const seconds = await arrive(stage, peakSeconds, { together: clients })
    // The first and the last second are not whole.
    const rate = median(seconds.slice(1, -1).map(({ authenticated }) => authenticated))
    peak = Math.max(peak, rate)
    progress(`${clients} at once: ${Math.round(rate)} authentications/s`)
  }
  return peak
}

export const names = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

export function tell(how: string, run: FloodRun, progress: (line: string) => void): void {
  progress(
    `${how}: ${Math.round(run.goodput)} authentications/s, the sessions’ p99 ${run.sessionsP99Ms.toFixed(1)} ms (before ${run.calmP99Ms.toFixed(1)}), ` +
      `event loop delay p99 ${run.loopP99Ms.toFixed(1)} ms, recovery ${run.recoverySeconds} s`,
  )
}

/** Starts a server for `work`, with sessions that are there already. */
export async function on<T>(
  home: ServerFolder,
  settings: Parameters<typeof start>[1],
  existing: readonly string[],
  { requestsPerSecond }: Scale,
  work: (stage: Stage) => Promise<T>,
): Promise<T> {
  const server = await start(home, settings)
  const sessions = startChild<SessionsOrder, SessionsAnswer>('sessions.child.ts')
  const arrivals = startChild<ArrivalsOrder, ArrivalsSecond[]>('arrivals.child.ts')
  setApart(server.pid, [sessions.pid, arrivals.pid])
  try {
    await sessions.ask({ what: 'open', port: server.port, identities: existing })
    await sessions.ask({ what: 'begin', perSecond: requestsPerSecond })
    return await work({ server, sessions, arrivals })
  } finally {
    arrivals.end()
    sessions.end()
    server.signal('SIGKILL')
    await server.log.ended
  }
}

/** How long existing sessions wait while nobody else comes. */
export async function unloaded({ sessions }: Stage, { calmSeconds }: Scale): Promise<number> {
  // What runs for the first times is compiled meanwhile.
  await delay(calmSeconds * 1000)
  await sessions.ask({ what: 'read' })
  await delay(calmSeconds * 1000)
  const { latencies } = await sessions.ask({ what: 'read' })
  return percentile(all(latencies), 0.99)
}

const all = (seconds: readonly Second[]) => seconds.flatMap(({ valuesMs }) => valuesMs)

/** A calm time, the flood, and what comes after it. */
export async function floodRun(
  stage: Stage,
  { calmSeconds, floodSeconds, afterSeconds }: Scale,
  peak: number,
  arrive: Arrive,
): Promise<FloodRun> {
  const { sessions, server } = stage
  const calm = { perSecond: calmShare * peak }
  await sessions.ask({ what: 'read' })
  const before = await arrive(stage, calmSeconds, calm)
  const early = await sessions.ask({ what: 'read' })
  await server.probe.ask({ what: 'begin' })
  const beganSecond = Math.floor(Date.now() / 1000)
  const during = await arrive(stage, floodSeconds, { perSecond: times * peak })
  const flooded = await sessions.ask({ what: 'read' })
  const probed = await server.probe.ask({ what: 'read' })
  const endedSecond = Math.floor(Date.now() / 1000)
  const after = await arrive(stage, afterSeconds, calm)
  const late = await sessions.ask({ what: 'read' })

  const calmP99Ms = percentile(all(early.latencies), 0.99)
  const latencies = new Map<number, number[]>()
  for (const { second, valuesMs } of [early, flooded, late].flatMap(({ latencies }) => latencies))
    latencies.set(second, [...(latencies.get(second) ?? []), ...valuesMs])
  const seconds = joined([...before, ...during, ...after], latencies, beganSecond)
  const served = during.reduce((sum, { authenticated }) => sum + authenticated, 0)
  return {
    floodSeconds,
    seconds,
    goodput: served / floodSeconds,
    calmP99Ms,
    sessionsP99Ms: percentile(all(flooded.latencies), 0.99),
    latenessP99Ms: percentile(all(flooded.lateness), 0.99),
    loopP99Ms: percentile(all(probed.loopDelays), 0.99),
    recoverySeconds: recovery(
      seconds.filter(({ at }) => at > endedSecond - beganSecond),
      2 * calmP99Ms,
    ),
  }
}

/** A second in which one phase ends and the next begins is in both. */
function joined(
  arrivals: readonly ArrivalsSecond[],
  latencies: ReadonlyMap<number, readonly number[]>,
  beganSecond: number,
): FloodRun['seconds'] {
  const counts = new Map<number, { begun: number; authenticated: number }>()
  for (const { second, begun, authenticated } of arrivals) {
    const known = counts.get(second) ?? { begun: 0, authenticated: 0 }
    counts.set(second, { begun: known.begun + begun, authenticated: known.authenticated + authenticated })
  }
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([second, count]) => ({
      at: second - beganSecond,
      ...count,
      p99Ms: percentile(latencies.get(second) ?? [], 0.99),
    }))
}

const steadySeconds = 3
const servedShare = 0.9

/** The first second from which on, for some time, newcomers come in and sessions are answered as fast as they were wanted to. */
function recovery(after: FloodRun['seconds'], wantedP99Ms: number): number {
  const isWell = ({ begun, authenticated, p99Ms }: FloodRun['seconds'][number]) =>
    authenticated >= servedShare * begun && p99Ms <= wantedP99Ms
  const first = after.findIndex((_, index) => {
    const following = after.slice(index, index + steadySeconds)
    return following.length === steadySeconds && following.every(isWell)
  })
  return first < 0 ? Number.POSITIVE_INFINITY : first
}
