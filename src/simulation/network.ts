import { type Bandwidth, Link, type LinkConditions, Wire } from './link.ts'
import type { Observer, Packet, Rule, Verdict } from './packet.ts'
import type { Seed } from './random-streams.ts'
import type { Run } from './run.ts'
import type { Scheduler } from './scheduler.ts'

/** Takes back what it was returned for; calling it again does nothing. */
export type Undo = () => void

/**
 * Hosts between which nothing passes. A `partition` loses what would arrive (a stream repeats it, and gives up after long
 * enough); a `clog` keeps it, and lets all of it through when it is lifted.
 */
export interface Cut {
  readonly kind: 'partition' | 'clog'
  separates(from: string, to: string): boolean
}

/** A host as the network knows it. */
export interface Station {
  readonly name: string
  /** IPv4. */
  readonly address: string
  /** The process that runs on it now; over when it has died. */
  run: Run | undefined
  /** Whether the machine is up: a machine that is up answers for a process that has died, one that is down is silent. */
  isUp: boolean
  /** How often it was started: what its operating system knew of connections ends with each. */
  boots: number
}

export interface NetworkOptions {
  readonly seed: Seed
  readonly scheduler: Scheduler
  /** The conditions of a link, asked when its first packet is sent. Default: those of {@link LinkConditions}. */
  readonly conditions?: (from: string, to: string) => LinkConditions
  /** What a host's links share. Default: nothing. */
  readonly bandwidth?: (host: string) => Bandwidth
}

interface StandingCut {
  readonly cut: Cut
  readonly waiting: (() => void)[]
}

/**
 * The network between all hosts: one link for each ordered pair that talks, cuts that act when a packet is to arrive, rules
 * that act when it is sent, observers, and counts. What runs over it (peers, websockets, messages of studies) sees one model.
 */
export class SimulatedNetwork {
  readonly scheduler: Scheduler
  readonly #seed: Seed
  readonly #conditions: (from: string, to: string) => LinkConditions
  readonly #bandwidth: (host: string) => Bandwidth
  readonly #wires = new Map<string, { readonly up: Wire | undefined; readonly down: Wire | undefined }>()
  readonly #stations = new Map<string, Station>()
  readonly #byAddress = new Map<string, Station>()
  readonly #links = new Map<string, Map<string, Link>>()
  readonly #cuts = new Set<StandingCut>()
  readonly #rules = new Set<Rule>()
  readonly #observers = new Set<Observer>()

  constructor({ seed, scheduler, conditions = () => ({}), bandwidth = () => ({}) }: NetworkOptions) {
    this.#bandwidth = bandwidth
    this.#seed = seed
    this.scheduler = scheduler
    this.#conditions = conditions
  }

  /** The station of a host, made at the first call, with the next free address of 10.0.0.0/8. */
  station(name: string): Station {
    const known = this.#stations.get(name)
    if (known) return known
    const number = this.#stations.size + 1
    const address = `10.${number >>> 16}.${(number >>> 8) & 0xff}.${number & 0xff}`
    const station: Station = { name, address, run: undefined, isUp: true, boots: 1 }
    this.#stations.set(name, station)
    this.#byAddress.set(address, station)
    return station
  }

  stationAt(address: string): Station | undefined {
    return this.#byAddress.get(address)
  }

  link(from: string, to: string): Link {
    let links = this.#links.get(from)
    if (!links) {
      links = new Map()
      this.#links.set(from, links)
    }
    let link = links.get(to)
    if (!link) {
      const wires = [this.#wiresOf(from).up, this.#wiresOf(to).down].filter(wire => wire !== undefined)
      link = new Link(this.#seed, from, to, this.#conditions(from, to), wires)
      links.set(to, link)
    }
    return link
  }

  #wiresOf(host: string) {
    const known = this.#wires.get(host)
    if (known) return known
    const { upBytesPerSecond, downBytesPerSecond } = this.#bandwidth(host)
    const wire = (bytesPerSecond: number | undefined) =>
      bytesPerSecond === undefined ? undefined : new Wire(bytesPerSecond)
    const wires = { up: wire(upBytesPerSecond), down: wire(downBytesPerSecond) }
    this.#wires.set(host, wires)
    return wires
  }

  /** The links that have carried something. */
  *links(): Generator<Link> {
    for (const links of this.#links.values()) yield* links.values()
  }

  install(rule: Rule): Undo {
    this.#rules.add(rule)
    return () => this.#rules.delete(rule)
  }

  observe(observer: Observer): Undo {
    this.#observers.add(observer)
    return () => this.#observers.delete(observer)
  }

  /** Lets nothing arrive that the cut separates, from now on, also what is under way. */
  cut(cut: Cut): Undo {
    const standing: StandingCut = { cut, waiting: [] }
    this.#cuts.add(standing)
    return () => {
      if (!this.#cuts.delete(standing)) return
      for (const release of standing.waiting) this.scheduler.after(0, 'unclog', release)
    }
  }

  /** Groups that hear nothing of one another. Hosts in no group hear everybody. With `oneWay`, the first group is still heard. */
  partition(groups: readonly (readonly string[])[], { oneWay = false } = {}): Undo {
    const groupOf = new Map(groups.flatMap((hosts, group) => hosts.map(host => [host, group] as const)))
    return this.cut({
      kind: 'partition',
      separates(from, to) {
        const [fromGroup, toGroup] = [groupOf.get(from), groupOf.get(to)]
        if (fromGroup === undefined || toGroup === undefined || fromGroup === toGroup) return false
        return !oneWay || fromGroup !== 0
      },
    })
  }

  /** Hosts that nobody hears, or that hear nobody, or both. */
  isolate(hosts: readonly string[], direction: 'in' | 'out' | 'both' = 'both'): Undo {
    const isolated = new Set(hosts)
    return this.cut({
      kind: 'partition',
      separates: (from, to) => (direction !== 'in' && isolated.has(from)) || (direction !== 'out' && isolated.has(to)),
    })
  }

  /** Holds back what goes from one host to another. */
  clog(from: string, to: string): Undo {
    return this.cut({ kind: 'clog', separates: (sender, receiver) => sender === from && receiver === to })
  }

  /** Whether a packet could arrive now. */
  isCut(from: string, to: string): boolean {
    return this.cutBetween(from, to) !== undefined
  }

  /** The first cut in the way. A partition counts before a clog. */
  cutBetween(from: string, to: string): StandingCut | undefined {
    if (this.#cuts.size === 0) return undefined
    let clog: StandingCut | undefined
    for (const standing of this.#cuts) {
      if (!standing.cut.separates(from, to)) continue
      if (standing.cut.kind === 'partition') return standing
      clog ??= standing
    }
    return clog
  }

  /** Counts a packet as sent, and asks the rules about it. */
  sent(packet: Packet, link: Link): Verdict {
    link.packets += 1
    link.bytes += packet.bytes
    for (const observer of this.#observers) observer.sent?.(packet)
    for (const rule of this.#rules) {
      const verdict = rule(packet)
      if (verdict !== 'pass') return verdict
    }
    return 'pass'
  }

  delivered(packet: Packet, travelUs: number): void {
    for (const observer of this.#observers) observer.delivered?.(packet, travelUs)
  }

  lost(packet: Packet, why: Parameters<NonNullable<Observer['lost']>>[1]): void {
    this.link(packet.from, packet.to).lost += 1
    this.scheduler.trace.note('lost', packet.to, packet.from, packet.bytes)
    for (const observer of this.#observers) observer.lost?.(packet, why)
  }
}
