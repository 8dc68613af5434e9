import type { Registers } from '../../document/documents.ts'
import type { DocumentId } from '../../ports/names.ts'
import { SimulatedFederation } from '../federation/federation.ts'
import type { SimulatedServer } from '../federation/server.ts'
import type { Production } from '../production.ts'
import type { Seed } from '../random-streams.ts'
import { Collector } from '../report/collector.ts'
import type { RunData } from '../report/run-data.ts'
import type { Ending } from '../scheduler.ts'
import type { LogListener } from '../telemetry.ts'
import type { Checkpoint, TraceLine } from '../trace.ts'
import { World } from '../world.ts'
import { BareDocuments } from './bare-documents.ts'
import { type FaultRecord, Faults, hostileOperators } from './faults.ts'
import { assertHosts } from './hosts.ts'
import { differences, Invariants, type Violation } from './invariants.ts'
import { type Metrics, observationMetrics, operationMetrics, serverMetrics, Traffic } from './measures.ts'
import { Observations } from './observations.ts'
import { Population } from './population.ts'
import { drawn } from './profiles.ts'
import type { Scenario } from './schema.ts'
import {
  bandwidthOf,
  conditionsOf,
  hasFaultyDisks,
  limitsOf,
  machineOf,
  operatorPlans,
  topologyBetween,
  topologyWithin,
} from './surroundings.ts'
import { type Outcome, WorkloadDriver } from './workload.ts'

/** What became of a run; the first that applies. `unknown`: it ended before that could be said. */
export type Verdict =
  | { readonly verdict: true }
  | { readonly verdict: false; readonly why: 'invariant' | 'no-convergence' | 'expectation'; readonly what: string }
  | { readonly verdict: 'unknown'; readonly what: string }

export interface RunResult {
  readonly scenario: Scenario
  readonly seed: Seed
  readonly outcome: Verdict
  readonly violations: readonly Violation[]
  readonly metrics: Metrics
  /** What figures are drawn from. */
  readonly data: RunData
  readonly faults: readonly FaultRecord[]
  readonly hash: string
  readonly checkpoints: readonly Checkpoint[]
  readonly events: number
  readonly virtualMs: number
}

export type Phase = 'warm-up' | 'faults' | 'liveness' | 'checks'

export interface RunOptions {
  readonly production: Production
  readonly onLog?: LogListener
  readonly onTrace?: (line: TraceLine) => void
  /** Called every now and then. */
  readonly onProgress?: (progress: {
    readonly phase: Phase
    readonly virtualMs: number
    readonly events: number
  }) => void
}

/** How often progress is told, and how often convergence is looked for, in virtual time. */
const stepMs = 1_000
const convergencePollMs = 500
/** Networks must be established without faults within so long. */
const setUpWithinMs = 120_000
/** After the end, for what is read from nodes. */
const readWithinMs = 60_000

/** Something the scenario asks of a run that the run did not come to: it is then neither right nor wrong. */
class Unknown extends Error {
  override readonly name = 'Unknown'
}

/** Runs a scenario once. The same scenario, seed and program give the same result, on every machine. */
export async function runScenario(given: Scenario, seed: Seed, options: RunOptions): Promise<RunResult> {
  const run = await ScenarioRun.prepare(drawn(given, seed), seed, options)
  return run.result()
}

class ScenarioRun {
  readonly #scenario: Scenario
  readonly #seed: Seed
  readonly #options: RunOptions
  readonly #world: World
  readonly #federation: SimulatedFederation
  readonly #population: Population
  readonly #bare: BareDocuments
  readonly #hostile: ReadonlySet<string>
  readonly #observations: Observations
  readonly #invariants: Invariants
  readonly #faults: Faults
  readonly #traffic: Traffic
  readonly #collector: Collector
  readonly #workload: WorkloadDriver
  readonly #outcomes: Outcome[] = []
  readonly #metrics: Metrics = {}
  #phase: Phase = 'warm-up'
  #convergedMs: number | undefined

  static async prepare(scenario: Scenario, seed: Seed, options: RunOptions): Promise<ScenarioRun> {
    // What looks on is made after the federation, and hears of it from then on; nothing happens in between.
    const watching: { by?: Observations; collector?: Collector } = {}
    const world = new World({
      seed,
      production: options.production,
      conditions: conditionsOf(scenario, seed),
      bandwidth: name => bandwidthOf(scenario, name),
      shuffleTies: scenario.run.shuffleTies,
      onLog: line => {
        options.onLog?.(line)
        watching.by?.logged(line)
      },
      ...(options.onTrace && { trace: { listener: options.onTrace } }),
    })
    const operators = operatorPlans(scenario)
    const federation = await SimulatedFederation.create(world, {
      operators,
      ...(scenario.topology.between.type !== 'full' && { trust: topologyBetween(scenario, seed, operators.length) }),
      host: name => machineOf(scenario, seed, name),
      limits: name => limitsOf(scenario, name),
      topology: ({ name, servers }) => topologyWithin(scenario, seed, name, servers),
      traceActors: scenario.invariants.includes('bounded-mailboxes'),
      events: {
        made: (server, node) => {
          watching.by?.made(server, node)
          watching.collector?.made(server)
          node.documents.subscribe(notice => watching.collector?.took(server, notice))
        },
        crashing: (server, death) => {
          void watching.by?.crashing(server, death)
          watching.collector?.crashing(server)
        },
        actor: (server, event) => watching.by?.actor(server, event),
      },
    })
    assertHosts(federation, scenario)
    const run = new ScenarioRun(scenario, seed, options, world, federation)
    watching.by = run.#observations
    watching.collector = run.#collector
    return run
  }

  private constructor(
    scenario: Scenario,
    seed: Seed,
    options: RunOptions,
    world: World,
    federation: SimulatedFederation,
  ) {
    this.#scenario = scenario
    this.#seed = seed
    this.#options = options
    this.#world = world
    this.#federation = federation
    this.#population = new Population(federation, scenario)
    this.#bare = new BareDocuments(federation, scenario)
    const hostile = hostileOperators(scenario.faults)
    this.#hostile = hostile
    const isDiskFaulty = scenario.faults.some(({ kind }) => ['diskFull', 'syncFailure', 'bitRot'].includes(kind))
    this.#observations = new Observations(federation, (invariant, what) => this.#invariants.violated(invariant, what), {
      isDiskFaulty: isDiskFaulty || hasFaultyDisks(scenario),
      hostile,
    })
    this.#invariants = new Invariants(
      federation,
      this.#population,
      this.#observations,
      new Set(scenario.invariants),
      hostile,
    )
    this.#collector = new Collector(federation, () => this.#expected())
    this.#faults = new Faults(federation, record => this.#collector.fault(record))
    this.#traffic = new Traffic(federation)
    const { acknowledged, secrets } = {
      acknowledged: this.#observations.acknowledged.bind(this.#observations),
      secrets: this.#observations.secrets,
    }
    this.#workload = new WorkloadDriver(federation, { population: this.#population, bare: this.#bare }, scenario, {
      acknowledged,
      over: outcome => this.#outcomes.push(outcome),
      read: () => {},
      secret: bytes => secrets.add(bytes),
    })
  }

  async result(): Promise<RunResult> {
    const failure = await this.#phases().then(
      () => undefined,
      (error: unknown) => error,
    )
    const { trace, scheduler } = this.#world
    Object.assign(this.#metrics, operationMetrics(this.#outcomes), observationMetrics(this.#observations))
    Object.assign(this.#metrics, this.#traffic.metrics(), serverMetrics(this.#federation))
    Object.assign(this.#metrics, this.#collector.metrics(this.#outcomes.length))
    if (this.#convergedMs !== undefined) {
      this.#metrics['convergence.afterLastWriteMs'] = Math.max(0, this.#convergedMs - this.#collector.lastWriteMs)
    }
    for (const [label, count] of this.#faults.counts) this.#metrics[`fault.${label}`] = count
    const outcome = this.#verdict(failure)
    const told = { scenario: this.#scenario, seed: this.#seed, outcome, faults: this.#faults.records }
    return {
      data: this.#collector.data(told, { visibilityMs: this.#observations.visibilityMs, operations: this.#outcomes }),
      scenario: this.#scenario,
      seed: this.#seed,
      outcome,
      violations: this.#invariants.violations,
      metrics: this.#metrics,
      faults: this.#faults.records,
      hash: trace.hash,
      checkpoints: trace.checkpoints,
      events: scheduler.events,
      virtualMs: this.#world.nowMs,
    }
  }

  async #phases(): Promise<void> {
    const { run, liveness, faults } = this.#scenario
    this.#enter('warm-up')
    this.#federation.start()
    this.#population.begin(this.#observations.readers)
    await this.#pass(run.warmup)
    const isReady = await this.#passUntil(() => this.#population.isReady, setUpWithinMs)
    if (!isReady) throw new Unknown('The networks could not be established without faults: is the scenario possible?')

    this.#enter('faults')
    this.#faults.begin(faults, run.duration)
    this.#workload.begin(run.duration)
    await this.#pass(run.duration)

    this.#enter('liveness')
    this.#workload.end()
    const healedMs = this.#world.nowMs
    this.#world.at(this.#world.nowMs, 'heal', () => this.#faults.heal())
    const left = await this.#converged(liveness.within)
    if (left.length > 0) throw new NoConvergence(left, liveness.within)
    this.#metrics['convergence.afterHealMs'] = this.#world.nowMs - healedMs
    this.#convergedMs = this.#world.nowMs

    this.#enter('checks')
    this.#clients()
    await this.#invariants.atEnd((server, document) => this.#read(server, document))
  }

  #enter(phase: Phase): void {
    this.#phase = phase
    this.#collector.phase(phase)
  }

  /** Documents, with the operators whose servers hold them as the scenario sets it up. */
  *#expected(): Generator<readonly [DocumentId, ReadonlySet<string>]> {
    for (const network of this.#population.networks) {
      const operators = new Set<string>(this.#population.participants(network).map(({ id }) => id))
      for (const document of this.#population.documentsOf(network)) yield [document, operators]
    }
    for (const { document, operator } of this.#bare.all) yield [document, new Set<string>([operator.id])]
  }

  /** Until nothing is under way and all replicas are the same, twice in a row. Resolves with what still differs. */
  async #converged(withinMs: number): Promise<string[]> {
    const endMs = this.#world.nowMs + withinMs
    let calm = 0
    for (;;) {
      await this.#pass(convergencePollMs)
      const left = await this.#unfinished()
      calm = left.length === 0 ? calm + 1 : 0
      if (calm === 2) return []
      if (this.#world.nowMs >= endMs) return left
    }
  }

  async #unfinished(): Promise<string[]> {
    const down = this.#federation.servers.filter(({ node }) => !node).map(({ name }) => `${name} does not serve`)
    const { underWay } = this.#workload
    const waiting = underWay > 0 ? [`${underWay} operations are under way`] : []
    return [
      ...down,
      ...waiting,
      ...(await differences(this.#federation, {
        population: this.#population,
        bare: this.#bare,
        hostile: this.#hostile,
      })),
    ]
  }

  /** Every client has come back by itself. */
  #clients(): void {
    for (const { host, opened } of this.#federation.clients) {
      if (opened?.state.kind !== 'closed') continue
      this.#invariants.violated('no-actor-errors', `${host.name} gave up its session: ${opened.state.why}`)
    }
  }

  /** What a node has in memory. */
  async #read(server: SimulatedServer, document: DocumentId): Promise<Registers> {
    let read: Registers | undefined
    this.#world.at(this.#world.nowMs, 'read', () => {
      server.node?.documents.read(document).then(
        registers => {
          read = registers
        },
        error => this.#world.scheduler.fail(new Error(`${server.name} cannot read ${document}: ${error}`)),
      )
    })
    await this.#passUntil(() => read !== undefined, readWithinMs)
    if (!read) throw new Unknown(`${server.name} did not answer a question for ${document}.`)
    return read
  }

  /** Lets virtual time pass. */
  async #pass(durationMs: number): Promise<void> {
    const endMs = this.#world.nowMs + durationMs
    while (this.#world.nowMs < endMs) {
      const untilMs = Math.min(endMs, this.#world.nowMs + stepMs)
      this.#heed(await this.#world.run({ untilUs: Math.round(untilMs * 1000), maxEvents: this.#eventsLeft }))
      this.#collector.sample()
      this.#options.onProgress?.({
        phase: this.#phase,
        virtualMs: this.#world.nowMs,
        events: this.#world.scheduler.events,
      })
    }
  }

  async #passUntil(when: () => boolean, withinMs: number): Promise<boolean> {
    if (when()) return true
    const untilUs = Math.round((this.#world.nowMs + withinMs) * 1000)
    this.#heed(await this.#world.run({ untilUs, when, maxEvents: this.#eventsLeft }))
    return when()
  }

  get #eventsLeft(): number {
    return Math.max(0, this.#scenario.run.maxEvents - this.#world.scheduler.events)
  }

  #heed(ending: Ending): void {
    if (ending.kind === 'failed') throw ending.error
    if (ending.kind === 'exhausted') {
      throw new Unknown(`${this.#scenario.run.maxEvents} events have happened, and it goes on: raise run.maxEvents.`)
    }
  }

  #verdict(failure: unknown): Verdict {
    const [violation] = this.#invariants.violations
    if (violation) return { verdict: false, why: 'invariant', what: `${violation.invariant}: ${violation.what}` }
    if (failure instanceof NoConvergence) return { verdict: false, why: 'no-convergence', what: failure.message }
    if (failure instanceof Unknown) return { verdict: 'unknown', what: failure.message }
    if (failure) return { verdict: false, why: 'invariant', what: `the run failed: ${stackOf(failure)}` }
    const missed = this.#missed()
    return missed === undefined ? { verdict: true } : { verdict: false, why: 'expectation', what: missed }
  }

  /** The first expectation that was missed. */
  #missed(): string | undefined {
    const { sometimes, expect } = this.#scenario
    const never = sometimes.find(label => !this.#metrics[label] && !this.#faults.counts.get(label))
    if (never !== undefined) return `${never} never happened`
    for (const [metric, { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY }] of Object.entries(expect)) {
      const value = this.#metrics[metric]
      if (value === undefined) return `${metric} was not measured`
      if (value < min || value > max) return `${metric} is ${value}, not within ${min} to ${max}`
    }
    return undefined
  }
}

/** After the heal not everybody came to agree. */
class NoConvergence extends Error {
  override readonly name = 'NoConvergence'
  constructor(left: readonly string[], withinMs: number) {
    super(
      `${withinMs} ms after the heal: ${left.slice(0, 5).join('\n')}${left.length > 5 ? `\nand ${left.length - 5} more` : ''}`,
    )
  }
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error))
