import type { FaultRecord } from './faults.ts'
import type { Fault, Scenario } from './schema.ts'

/*
 * Smaller scenarios that fail in the same way, as delta debugging finds them (Zeller and Hildebrandt 2002): each step tries
 * something simpler and keeps it if it still fails. What is tried first takes away most.
 */

/** How a run failed: an invariant's name, or why else; `undefined` if it did not. And what went wrong in it. */
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
  readonly run: (scenario: Scenario) => Promise<Trial>
  /** Runs at most. */
  readonly tries: number
  /** Hears of each step: what was tried, and whether it was kept. */
  readonly step?: (what: string, kept: boolean) => void
}

/** @returns the smallest that was found; `undefined` when the scenario does not fail at all */
export async function shrunk({ scenario, run, tries, step }: ShrinkOptions): Promise<Scenario | undefined> {
  const first = await run(scenario)
  if (first.failure === undefined) return undefined
  let left = tries
  let smallest = scenario
  const keepIf = async ({ what, scenario: tried }: Candidate): Promise<boolean> => {
    left -= 1
    const kept = (await run(tried)).failure === first.failure
    step?.(what, kept)
    if (kept) smallest = tried
    return kept
  }
  const happened = settled(scenario, first.faults)
  if (happened) await keepIf(happened)
  for (let progress = true; progress && left > 0; ) {
    progress = false
    for (const next of candidates(smallest)) {
      if (left <= 0) break
      if (!(await keepIf(next))) continue
      progress = true
      break
    }
  }
  return smallest
}

/** The scenario with the faults as they happened, each at its time, instead of the chances of them. */
function settled(scenario: Scenario, records: readonly FaultRecord[]): Candidate | undefined {
  const faults = records.flatMap(({ again }) => again ?? [])
  if (faults.length === 0 || faults.length < records.length) return undefined
  return { what: `${faults.length} faults as they happened`, scenario: { ...scenario, faults } }
}

/** Simpler scenarios than this one, those that take away most first. */
export function* candidates(scenario: Scenario): Generator<Candidate> {
  for (const [what, faults] of parts<Fault>(scenario.faults))
    yield { what: `without ${what} faults`, scenario: { ...scenario, faults } }
  for (const [what, workload] of parts(scenario.workload)) {
    if (workload.length > 0) yield { what: `without ${what} of the workload`, scenario: { ...scenario, workload } }
  }
  const { run, networks, clients, documents, nodes, links } = scenario
  for (const share of [0.5, 0.8]) {
    const duration = Math.round(run.duration * share)
    if (duration >= 1_000) yield { what: `${duration} ms long`, scenario: { ...scenario, run: { ...run, duration } } }
  }
  for (const count of fewer(networks.count, 0))
    yield { what: `${count} networks`, scenario: { ...scenario, networks: { ...networks, count } } }
  for (const grantees of fewer(networks.grantees, 0)) {
    yield { what: `${grantees} grantees`, scenario: { ...scenario, networks: { ...networks, grantees } } }
  }
  for (const elements of fewer(networks.elements, 1)) {
    yield { what: `${elements} elements`, scenario: { ...scenario, networks: { ...networks, elements } } }
  }
  for (const readers of fewer(clients.readers, 0))
    yield { what: `${readers} readers`, scenario: { ...scenario, clients: { readers } } }
  for (const count of fewer(documents.count, 0))
    yield { what: `${count} documents`, scenario: { ...scenario, documents: { ...documents, count } } }
  for (const keys of fewer(documents.keys, 1))
    yield { what: `${keys} keys`, scenario: { ...scenario, documents: { ...documents, keys } } }
  yield* ofOperators(scenario)
  if (Object.values(nodes.limits).some(limits => limits)) {
    yield { what: 'usual limits', scenario: { ...scenario, nodes: { ...nodes, limits: {} } } }
  }
  if (Object.keys(nodes.clock).length > 0)
    yield { what: 'right clocks', scenario: { ...scenario, nodes: { ...nodes, clock: {} } } }
  if (Object.keys(nodes.disk).length > 0)
    yield { what: 'usual disks', scenario: { ...scenario, nodes: { ...nodes, disk: {} } } }
  if (Object.keys(links.default).length > 0)
    yield { what: 'usual links', scenario: { ...scenario, links: { ...links, default: {} } } }
  if (run.shuffleTies) yield { what: 'ties in order', scenario: { ...scenario, run: { ...run, shuffleTies: false } } }
}

function* ofOperators(scenario: Scenario): Generator<Candidate> {
  const { operators } = scenario
  if (Array.isArray(operators)) return
  for (const count of fewer(operators.count, 1))
    yield { what: `${count} operators`, scenario: { ...scenario, operators: { ...operators, count } } }
  for (const servers of fewer(operators.servers, 1))
    yield { what: `${servers} servers`, scenario: { ...scenario, operators: { ...operators, servers } } }
}

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
