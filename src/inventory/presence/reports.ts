import type { Principal } from '../../federation/command.ts'
import type { Clock } from '../../ports/clock.ts'
import type { NetworkName } from '../view.ts'
import { type Entry, entryKey } from './entries.ts'
import type { PresenceLimits } from './limits.ts'

/** What somebody has just said of an element. */
export type Report = Pick<Entry, 'of' | 'operator' | 'id' | 'state'>

interface Heard {
  entry: Entry
  /** The revision at which it last changed. */
  revision: number
  /** Who said it: with its last connection it ends. */
  by: string
  heardMs: number
}

interface Reported {
  readonly name: NetworkName
  /** The last of its changes. */
  revision: number
  /** Who was heard longest ago first. */
  readonly entries: Map<string, Heard>
}

/** What changed after a revision, the earliest first, up to the revision that is named. */
export interface Changes {
  readonly revision: number
  readonly entries: readonly Entry[]
}

/**
 * What the clients of this server have said of who is there. An element is reachable as long as it was heard within
 * `holdsMs` and whoever said so is attached; then it is known as unreachable for `keptMs`.
 *
 * Every change has a revision, so that another server can be told what it lacks. Repetitions change nothing.
 */
export class Reports {
  readonly #clock: Clock
  readonly #limits: PresenceLimits
  readonly #changed: (name: NetworkName) => void
  readonly #networks = new Map<string, Reported>()
  /** The networks in which each reporter has said something. */
  readonly #byReporter = new Map<string, Set<string>>()
  /** One count for all: a network that is forgotten and comes again goes on with greater ones. */
  #revision = 0

  constructor(clock: Clock, limits: PresenceLimits, changed: (name: NetworkName) => void) {
    this.#clock = clock
    this.#limits = limits
    this.#changed = changed
  }

  hear(name: NetworkName, reporter: Principal, reports: readonly Report[]): void {
    const key = networkKey(name)
    const { home, pnId } = name
    const network = this.#networks.get(key) ?? { name: { home, pnId }, revision: 0, entries: new Map<string, Heard>() }
    this.#networks.set(key, network)
    const by = reporterKey(reporter)
    this.#byReporter.set(by, (this.#byReporter.get(by) ?? new Set()).add(key))
    const before = network.revision
    for (const report of reports) this.#note(network, by, report)
    this.#shorten(network)
    if (network.revision > before) this.#changed(name)
  }

  #note(network: Reported, by: string, { of, operator, id, state }: Report): void {
    const key = entryKey({ of, operator, id })
    const present = network.entries.get(key)
    const entry = { of, operator, id, state, isReachable: true, lastSeen: this.#clock.now() }
    const isNews = !present?.entry.isReachable || present.entry.state !== state
    const revision = isNews ? this.#next(network) : present.revision
    network.entries.delete(key)
    network.entries.set(key, { entry, revision, by, heardMs: this.#clock.elapsed() })
  }

  /** Elements come and go: of too many those that were heard longest ago are forgotten. */
  #shorten({ entries }: Reported): void {
    for (const key of entries.keys()) {
      if (entries.size <= this.#limits.maxEntries) return
      entries.delete(key)
    }
  }

  /** The last connection of a reporter has ended: what it said holds no more. */
  gone(reporter: Principal): void {
    const by = reporterKey(reporter)
    const networks = this.#byReporter.get(by) ?? []
    this.#byReporter.delete(by)
    for (const key of networks) this.#lose(key, heard => heard.by === by)
  }

  /** Looks for what has ended. */
  tick(): void {
    const nowMs = this.#clock.elapsed()
    const { holdsMs, keptMs } = this.#limits
    for (const [key, network] of this.#networks) {
      // They stand in the order in which they were heard: where the first holds, all do.
      const [first] = network.entries.values()
      if (first && nowMs - first.heardMs < holdsMs) continue
      this.#lose(key, heard => nowMs - heard.heardMs >= holdsMs)
      for (const [entry, { heardMs }] of network.entries) {
        if (nowMs - heardMs >= keptMs) network.entries.delete(entry)
      }
      if (network.entries.size === 0) this.#networks.delete(key)
    }
    for (const [by, networks] of this.#byReporter) {
      for (const key of networks) if (!this.#networks.has(key)) networks.delete(key)
      if (networks.size === 0) this.#byReporter.delete(by)
    }
  }

  #lose(key: string, hasEnded: (heard: Heard) => boolean): void {
    const network = this.#networks.get(key)
    if (!network) return
    const before = network.revision
    for (const heard of network.entries.values()) {
      if (!heard.entry.isReachable || !hasEnded(heard)) continue
      heard.entry = { ...heard.entry, isReachable: false }
      heard.revision = this.#next(network)
    }
    if (network.revision > before) this.#changed(network.name)
  }

  #next(network: Reported): number {
    network.revision = ++this.#revision
    return network.revision
  }

  isEmpty(): boolean {
    return this.#networks.size === 0
  }

  /** Everything said in a network. */
  entries(name: NetworkName): ReadonlyMap<string, Entry> {
    const heard = this.#networks.get(networkKey(name))?.entries ?? new Map<string, Heard>()
    return new Map([...heard].map(([key, { entry }]) => [key, entry]))
  }

  /** At most `max` entries; whoever has them and asks again gets the next. */
  since(name: NetworkName, revision: number, max: number): Changes {
    const network = this.#networks.get(networkKey(name))
    if (!network || network.revision <= revision) return { revision, entries: [] }
    const later = [...network.entries.values()]
      .filter(heard => heard.revision > revision)
      .sort((a, b) => a.revision - b.revision)
    const told = later.slice(0, max)
    const last = later.length > max ? told.at(-1)?.revision : network.revision
    return { revision: last ?? revision, entries: told.map(({ entry }) => entry) }
  }
}

export const networkKey = ({ home, pnId }: NetworkName): string => `${home}/${pnId}`
const reporterKey = ({ operator, identity }: Principal): string => `${operator} ${identity}`
