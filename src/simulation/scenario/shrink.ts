import type { FaultRecord } from './faults.ts'
import type { RunResult } from './run.ts'
import type { Fault, Scenario } from './schema.ts'

/*
 * Smaller scenarios that fail in the same way, as delta debugging finds them (Zeller and Hildebrandt 2002): each step tries
 * something simpler and keeps it if it still fails.
 */

/** How a run failed, in the way of {@link failureOf}; `undefined` if it did not. And what went wrong in it. */
export interface Trial {
  readonly failure: string | undefined
  readonly faults: readonly FaultRecord[]
}

/** Something simpler to try, and what it takes away. */
export interface Candidate {
  readonly what: string
  readonly scenario: Scenario
}

export interface ShrinkOptions {
  readonly scenario: Scenario
  /** Runs it. Several may go on at once. */
  readonly run: (scenario: Scenario) => Promise<Trial>
  /** Runs at most, after the first. */
  readonly tries: number
  /** Candidates that are run at once. Default: 1. */
  readonly jobs?: number
  /** Asked before each further run. */
  readonly goesOn?: () => boolean
  /** Hears of each step: what was tried, and whether it was kept. */
  readonly step?: (what: string, kept: boolean) => void
}

/**
 * The kind of a failure, so that one is not taken for another: the first invariant that was violated, what the run threw, the
 * label or metric that was missed, or that there was no convergence. Undecided is no failure.
 */
export function failureOf({ outcome, violations }: Pick<RunResult, 'outcome' | 'violations'>): string | undefined {
  if (outcome.verdict !== false) return undefined
  const { why, what } = outcome
  if (why === 'expectation') return `expectation of ${what.split(' ')[0]}`
  if (why === 'no-convergence') return why
  return violations[0]?.invariant ?? /^the run failed: (\w+)/.exec(what)?.[1] ?? why
}

/** @returns the smallest that was found; `undefined` when the scenario does not fail at all */
export async function shrunk(options: ShrinkOptions): Promise<Scenario | undefined> {
  const { scenario, run, tries, jobs = 1, goesOn = () => true, step } = options
  const first = await run(scenario)
  if (first.failure === undefined) return undefined
  let left = tries
  let smallest = scenario
  /** Keeps the first of the candidates that fails in the same way. Answers whether there was one. */
  const keepFirst = async (from: Iterable<Candidate>): Promise<boolean> => {
    const waiting = from[Symbol.iterator]()
    for (;;) {
      const wave = goesOn() ? taken(waiting, Math.min(jobs, left)) : []
      if (wave.length === 0) return false
      left -= wave.length
      const trials = await Promise.all(wave.map(each => run(each.scenario)))
      for (const [index, { what, scenario: tried }] of wave.entries()) {
        const kept = trials[index]?.failure === first.failure
        step?.(what, kept)
        if (!kept) continue
        smallest = tried
        return true
      }
    }
  }
  const happened = settled(scenario, first.faults)
  if (happened) await keepFirst([happened])
  for (let before: Scenario | undefined; before !== smallest; ) {
    before = smallest
    // What was in vain a moment ago is rarely of use now: each dimension is followed to its end before the next.
    for (const simpler of dimensions) while (await keepFirst(simpler(smallest)));
  }
  return smallest
}

/** The next of them, at most so many. */
function taken<T>(from: Iterator<T>, most: number): T[] {
  const some: T[] = []
  while (some.length < most) {
    const next = from.next()
    if (next.done) return some
    some.push(next.value)
  }
  return some
}

/** The scenario with the faults as they happened, each at its time, instead of the chances of them. */
function settled(scenario: Scenario, records: readonly FaultRecord[]): Candidate | undefined {
  const faults = records.flatMap(({ again }) => again ?? [])
  if (faults.length === 0 || faults.length < records.length) return undefined
  return { what: `${faults.length} faults as they happened`, scenario: { ...scenario, faults } }
}

/** Ways in which a scenario can be simpler, each with what takes away most first. */
const dimensions: readonly ((scenario: Scenario) => Iterable<Candidate>)[] = [
  function* ofFaults(scenario) {
    for (const [what, faults] of parts<Fault>(scenario.faults))
      yield { what: `without ${what} faults`, scenario: { ...scenario, faults } }
  },
  function* ofWorkload(scenario) {
    for (const [what, workload] of parts(scenario.workload)) {
      if (workload.length > 0) yield { what: `without ${what} of the workload`, scenario: { ...scenario, workload } }
    }
  },
  function* ofDuration(scenario) {
    for (const share of [0.5, 0.8]) {
      const duration = Math.round(scenario.run.duration * share)
      const run = { ...scenario.run, duration }
      if (duration >= 1_000) yield { what: `${duration} ms long`, scenario: { ...scenario, run } }
    }
  },
  function* ofOperators(scenario) {
    const { operators } = scenario
    if (Array.isArray(operators)) return
    for (const count of fewer(operators.count, 1))
      yield { what: `${count} operators`, scenario: { ...scenario, operators: { ...operators, count } } }
    for (const servers of fewer(operators.servers, 1))
      yield { what: `${servers} servers`, scenario: { ...scenario, operators: { ...operators, servers } } }
  },
  function* ofNetworks(scenario) {
    const { networks, clients } = scenario
    for (const count of fewer(networks.count, 0))
      yield { what: `${count} networks`, scenario: { ...scenario, networks: { ...networks, count } } }
    for (const grantees of fewer(networks.grantees, 0))
      yield { what: `${grantees} grantees`, scenario: { ...scenario, networks: { ...networks, grantees } } }
    for (const elements of fewer(networks.elements, 1))
      yield { what: `${elements} elements`, scenario: { ...scenario, networks: { ...networks, elements } } }
    for (const readers of fewer(clients.readers, 0))
      yield { what: `${readers} readers`, scenario: { ...scenario, clients: { ...clients, readers } } }
  },
  function* ofDocuments(scenario) {
    const { documents } = scenario
    for (const count of fewer(documents.count, 0))
      yield { what: `${count} documents`, scenario: { ...scenario, documents: { ...documents, count } } }
    for (const keys of fewer(documents.keys, 1))
      yield { what: `${keys} keys`, scenario: { ...scenario, documents: { ...documents, keys } } }
  },
  function* ofSurroundings(scenario) {
    const { nodes, links, run } = scenario
    if (nodes.overrides.length > 0)
      yield { what: 'all nodes alike', scenario: { ...scenario, nodes: { ...nodes, overrides: [] } } }
    if (Object.keys(nodes.bandwidth).length > 0)
      yield { what: 'room on all wires', scenario: { ...scenario, nodes: { ...nodes, bandwidth: {} } } }
    if (Object.values(nodes.limits).some(limits => limits))
      yield { what: 'usual limits', scenario: { ...scenario, nodes: { ...nodes, limits: {} } } }
    if (Object.keys(nodes.clock).length > 0)
      yield { what: 'right clocks', scenario: { ...scenario, nodes: { ...nodes, clock: {} } } }
    if (Object.keys(nodes.disk).length > 0)
      yield { what: 'usual disks', scenario: { ...scenario, nodes: { ...nodes, disk: {} } } }
    if (Object.keys(links.default).length > 0)
      yield { what: 'usual links', scenario: { ...scenario, links: { ...links, default: {} } } }
    if (run.shuffleTies) yield { what: 'ties in order', scenario: { ...scenario, run: { ...run, shuffleTies: false } } }
  },
]

/** Simpler scenarios than this one. */
export const candidates = (scenario: Scenario): Candidate[] => dimensions.flatMap(simpler => [...simpler(scenario)])

/** Less than `count`, the least first. */
function* fewer(count: number, least: number): Generator<number> {
  const tried = new Set([least, Math.floor(count / 2), count - 1])
  for (const each of tried) if (each >= least && each < count) yield each
}

/** The list without parts of it: first all, then a half, a quarter, … down to single items. */
function* parts<T>(all: readonly T[]): Generator<readonly [what: string, rest: T[]]> {
  for (let size = all.length; size >= 1; size = Math.floor(size / 2)) {
    for (let from = 0; from < all.length; from += size) {
      const rest = [...all.slice(0, from), ...all.slice(from + size)]
      yield [
        size === all.length ? 'all' : `${from + 1} to ${Math.min(all.length, from + size)} of the ${all.length}`,
        rest,
      ]
    }
  }
}
