import type { DiskBackup, DiskFate } from '../disk.ts'
import { drawUs } from '../distributions.ts'
import type { SimulatedFederation } from '../federation/federation.ts'
import { deathOf, type SimulatedServer } from '../federation/server.ts'
import type { SimulatedHost } from '../host.ts'
import type { Undo } from '../network.ts'
import type { RandomStream } from '../random-streams.ts'
import { hostsOf, machinesOf } from './hosts.ts'
import type { DiskFateName, Fault } from './schema.ts'

/** How long what a fault says nothing of lasts. */
const defaultDurationMs = 5_000
/** How often disks are backed up, when there is a crash that restores one; and how many backups of each are kept. */
const backupEveryMs = 10_000
const backupsKept = 4
/** How often a server that is asked to stop is looked at. */
const stopPollMs = 250

/** A fault as it happened, for reports. */
export interface FaultRecord {
  readonly kind: string
  readonly what: string
  readonly fromMs: number
  untilMs: number | undefined
  /** The fault as a scenario would say it, at its time and with its victims; left out when no scenario can say it. */
  readonly again?: Fault
}

/** Whom a fault strikes. */
interface Targeted {
  readonly targets?: readonly string[] | undefined
}

type Of<Kind extends Fault['kind']> = Extract<Fault, { kind: Kind }>

/**
 * Makes the faults of a scenario happen, each with its own stream of randomness, so that one more fault shifts no other.
 * {@link heal} ends them all and brings back whoever is down.
 */
export class Faults {
  /** Everything that happened, in order. */
  readonly records: FaultRecord[] = []
  readonly counts = new Map<string, number>()
  readonly #federation: SimulatedFederation
  readonly #open = new Set<Undo>()
  readonly #backups = new Map<SimulatedServer, DiskBackup[]>()
  /** Of full disks, as they were. */
  readonly #capacities = new Map<string, number>()
  #isOver = false
  #beganMs = 0

  readonly #began: (record: FaultRecord) => void

  /** @param began hears of each fault as it begins */
  constructor(federation: SimulatedFederation, began: (record: FaultRecord) => void) {
    this.#federation = federation
    this.#began = began
  }

  /** @param durationMs faults begin within so long from now */
  begin(faults: readonly Fault[], durationMs: number): void {
    this.#beganMs = this.#nowMs
    const endMs = this.#nowMs + durationMs
    if (faults.some(restores)) this.#keepBackups(endMs)
    for (const [index, fault] of faults.entries()) {
      const random = this.#federation.world.random('fault', index, fault.kind)
      this.#schedule(fault, random, this.#nowMs, endMs)
    }
  }

  /** Nothing goes wrong any more: networks are whole, disks have room, and every server runs. */
  heal(): void {
    this.#isOver = true
    for (const undo of [...this.#open]) undo()
    for (const server of this.#federation.servers) if (!server.host.run) server.start()
  }

  get #nowMs(): number {
    return this.#federation.world.nowMs
  }

  #schedule(fault: Fault, random: RandomStream, fromMs: number, endMs: number): void {
    const { at, every, poisson } = fault
    const delayMs = at ?? every ?? -Math.log(1 - random.fraction()) * (poisson ?? 0)
    const dueMs = Math.round((fromMs + delayMs) * 1000) / 1000
    if (dueMs > endMs) return
    this.#federation.world.at(dueMs, 'fault', () => {
      if (this.#isOver) return
      this.#happen(fault, random)
      if (at === undefined) this.#schedule(fault, random, dueMs, endMs)
    })
  }

  #happen(fault: Fault, random: RandomStream): void {
    const targets = () => this.#targets('targets' in fault ? fault : {}, random)
    switch (fault.kind) {
      case 'partition':
        this.#partition(fault, random)
        break
      case 'isolate':
        this.#isolate(fault, random)
        break
      case 'clog':
        this.#clog(fault, random)
        break
      case 'reset':
        this.#reset(fault, random)
        break
      case 'swizzle':
        this.#swizzle(fault, random)
        break
      case 'linkLoss':
        this.#linkLoss(fault, random)
        break
      case 'crash':
        for (const server of targets()) this.#crash(server, fault, random)
        break
      case 'restart':
        for (const server of targets()) this.#restart(server, fault)
        break
      case 'pause':
        for (const host of this.#machines(fault, random)) this.#pause(host, fault)
        break
      case 'clockJump':
        for (const host of this.#machines(fault, random)) {
          const { name } = host
          host.clock.jump(fault.by)
          const again: Fault = { kind: 'clockJump', by: fault.by, targets: [name] }
          this.#record('clockJump', `${name} by ${fault.by} ms`, again).untilMs = this.#nowMs
        }
        break
      case 'diskFull':
        for (const server of targets()) this.#fillDisk(server, fault)
        break
      case 'syncFailure':
        for (const { host, name } of targets()) {
          host.disk.failNextSync()
          this.#record('syncFailure', name, { kind: 'syncFailure', targets: [name] }).untilMs = this.#nowMs
        }
        break
      case 'bitRot':
        for (const server of targets()) this.#rot(server, fault)
        break
      case 'churn':
        this.#churn(fault, random)
        break
      case 'hostile':
        this.#turnHostile(fault)
    }
  }

  // --- the network

  #partition({ groups, oneWay = false, for: forMs }: Of<'partition'>, random: RandomStream): void {
    const split = groups?.map(group => hostsOf(this.#federation, group)) ?? this.#randomSplit(random)
    const undo = this.#federation.world.network.partition(split, { oneWay })
    this.#last('partition', split.map(group => group.join(' ')).join(' | '), forMs, undo, {
      kind: 'partition',
      groups: split,
      oneWay,
    })
  }

  #randomSplit(random: RandomStream): string[][] {
    const names = random.shuffled(this.#federation.servers.map(({ name }) => name))
    const at = 1 + random.below(Math.max(1, names.length - 1))
    return [names.slice(0, at), names.slice(at)]
  }

  #isolate({ direction = 'both', for: forMs, ...fault }: Of<'isolate'>, random: RandomStream): void {
    const hosts = this.#machines(fault, random).map(({ name }) => name)
    const undo = this.#federation.world.network.isolate(hosts, direction)
    this.#last('isolate', `${hosts.join(' ')} ${direction}`, forMs, undo, {
      kind: 'isolate',
      targets: hosts,
      direction,
    })
  }

  #clog({ from, to, for: forMs }: Of<'clog'>, random: RandomStream): void {
    const names = this.#federation.servers.map(({ name }) => name)
    const [one = '', other = ''] = random.shuffled(names)
    const [sender, receiver] = [from ?? one, to ?? other]
    const undo = this.#federation.world.network.clog(sender, receiver)
    this.#last('clog', `${sender} → ${receiver}`, forMs, undo, { kind: 'clog', from: sender, to: receiver })
  }

  /** Whoever watches the connections at a firewall forgets them. */
  #reset({ from, to }: Of<'reset'>, random: RandomStream): void {
    const { world, servers } = this.#federation
    const [one = '', other = ''] = random.shuffled(servers.map(({ name }) => name))
    const [near, far] = [from ?? one, to ?? other]
    for (const here of hostsOf(this.#federation, [near])) {
      for (const there of hostsOf(this.#federation, [far])) {
        world.peers.reset(here, there)
        world.clients.reset(here, there)
      }
    }
    this.#record('reset', `${near} – ${far}`, { kind: 'reset', from: near, to: far }).untilMs = this.#nowMs
  }

  /** FoundationDB's swizzle-clogging: servers fall silent one after another, and come back in another order. */
  #swizzle({ count, for: forMs = defaultDurationMs }: Of<'swizzle'>, random: RandomStream): void {
    const { world, servers } = this.#federation
    const chosen = random.shuffled(servers).slice(0, count ?? 1 + random.below(servers.length))
    for (const { name } of chosen) {
      const [one, other] = [random.fraction() * forMs, random.fraction() * forMs].sort((a, b) => a - b)
      world.at(roundMs(this.#nowMs + (one ?? 0)), 'fault', () => {
        if (this.#isOver) return
        const undo = world.network.cut({ kind: 'clog', separates: (from, to) => from === name || to === name })
        this.#last('swizzle', name, Math.max(1, (other ?? 0) - (one ?? 0)), undo)
      })
    }
  }

  #linkLoss({ loss, for: forMs }: Of<'linkLoss'>, random: RandomStream): void {
    const undo = this.#federation.world.network.install(({ channel }) =>
      channel === 'peer' && random.chance(loss) ? 'drop' : 'pass',
    )
    this.#last('linkLoss', `${loss}`, forMs, undo, { kind: 'linkLoss', loss })
  }

  // --- servers

  /** Each of the servers is up and down by turns, for as long as is drawn each time, and up at the end. */
  #churn({ targets, up, down, for: forMs }: Of<'churn'>, random: RandomStream): void {
    const { world } = this.#federation
    let isOver = false
    for (const server of this.#targets({ targets: targets ?? ['*'] }, random)) {
      const own = world.random('churn', this.records.length, server.name)
      const leave = () => {
        if (isOver || this.#isOver) return
        const absenceMs = drawUs(down, own) / 1000
        if (server.node) {
          server.isDown = true
          server.crash({ of: 'process' })
          this.#last('absence', server.name, Math.max(1, absenceMs), () => this.#revive(server))
        }
        world.at(roundMs(this.#nowMs + absenceMs + drawUs(up, own) / 1000), 'fault', leave)
      }
      world.at(roundMs(this.#nowMs + drawUs(up, own) / 1000), 'fault', leave)
    }
    const undo = () => {
      isOver = true
    }
    this.#last('churn', targets?.join(' ') ?? 'all servers', forMs, undo, {
      kind: 'churn',
      up,
      down,
      ...(targets && { targets }),
    })
  }

  #turnHostile({ operators, for: forMs }: Of<'hostile'>): void {
    const servers = this.#federation.servers.filter(({ operator }) => operators.includes(operator.id))
    for (const server of servers) server.isHostile = true
    const undo = () => {
      for (const server of servers) server.isHostile = false
    }
    this.#last('hostile', operators.join(' '), forMs, undo, { kind: 'hostile', operators })
  }

  #crash(server: SimulatedServer, { disk, for: forMs }: Of<'crash'>, random: RandomStream): void {
    const name = typeof disk === 'string' ? disk : random.pick(disk)
    const fate = this.#fateOf(server, name, random)
    if (!server.node || !fate) return
    server.isDown = true
    server.crash(deathOf(fate))
    this.#last('crash', `${server.name} ${fate.kind}`, forMs, () => this.#revive(server), {
      kind: 'crash',
      targets: [server.name],
      disk: fate.kind,
    })
    this.#count(`crash.${fate.kind}`)
  }

  #fateOf(server: SimulatedServer, name: DiskFateName, random: RandomStream): DiskFate | undefined {
    if (name !== 'restore') return { kind: name }
    const backups = this.#backups.get(server) ?? []
    return backups.length > 0 ? { kind: 'restore', backup: random.pick(backups) } : undefined
  }

  #restart(server: SimulatedServer, { for: forMs }: Of<'restart'>): void {
    if (!server.node) return
    server.isDown = true
    server.stop()
    this.#last('restart', server.name, forMs, () => this.#revive(server), { kind: 'restart', targets: [server.name] })
  }

  /** Starts a server that is down; one that is still stopping, as soon as it has. */
  #revive(server: SimulatedServer): void {
    if (server.node) return
    if (!server.host.run) server.start()
    else if (server.isStopping)
      this.#federation.world.at(this.#nowMs + stopPollMs, 'revive', () => this.#revive(server))
  }

  #pause(host: SimulatedHost, { for: forMs }: Of<'pause'>): void {
    const { name } = host
    const server = this.#federation.servers.find(each => each.host === host)
    if ((server && !server.node) || host.run?.standing !== 'running') return
    host.pause()
    this.#last('pause', name, forMs, () => host.resume(), { kind: 'pause', targets: [name] })
  }

  /** The node has no way to mend a disk by itself: as it says, its operator puts in another, and the peers fill it. */
  #rot(server: SimulatedServer, { for: forMs }: Of<'bitRot'>): void {
    if (server.isRotten || !server.host.disk.rot()) return
    server.isRotten = true
    const undo = () => {
      const wasUp = server.host.run !== undefined && !server.isDown
      server.crash(deathOf({ kind: 'lose' }))
      server.isRotten = false
      if (wasUp) server.start()
    }
    this.#last('bitRot', server.name, forMs, undo, { kind: 'bitRot', targets: [server.name] })
  }

  #fillDisk({ host, name }: SimulatedServer, { for: forMs }: Of<'diskFull'>): void {
    const { disk } = host
    if (this.#capacities.has(name)) return
    this.#capacities.set(name, disk.capacityBytes)
    disk.capacityBytes = Math.min(disk.capacityBytes, disk.usedBytes)
    const undo = () => {
      disk.capacityBytes = this.#capacities.get(name) ?? Number.POSITIVE_INFINITY
      this.#capacities.delete(name)
    }
    this.#last('diskFull', name, forMs, undo, { kind: 'diskFull', targets: [name] })
  }

  #keepBackups(endMs: number): void {
    for (const server of this.#federation.servers) {
      const kept = this.#backups.get(server) ?? []
      kept.push(server.host.disk.backup())
      this.#backups.set(server, kept.slice(-backupsKept))
    }
    const nextMs = this.#nowMs + backupEveryMs
    if (nextMs < endMs) this.#federation.world.at(nextMs, 'backup', () => this.#keepBackups(endMs))
  }

  // --- who, and for how long

  #targets({ targets }: Targeted, random: RandomStream): SimulatedServer[] {
    if (!targets) return [random.pick(this.#federation.servers)]
    const hosts = new Set(hostsOf(this.#federation, targets))
    return this.#federation.servers.filter(({ name }) => hosts.has(name))
  }

  /** Clients too, if they are named. */
  #machines(fault: Targeted, random: RandomStream): SimulatedHost[] {
    const servers = this.#targets(fault, random).map(({ host }) => host)
    const clients = fault.targets?.filter(name => name.includes('@')) ?? []
    return [...servers, ...machinesOf(this.#federation, clients)]
  }

  #last(kind: string, what: string, forMs: number | undefined, undo: Undo, again?: Fault): void {
    const record = this.#record(kind, what, again && { ...again, for: forMs })
    const end = () => {
      if (!this.#open.delete(end)) return
      record.untilMs = this.#nowMs
      undo()
    }
    this.#open.add(end)
    this.#federation.world.at(roundMs(this.#nowMs + (forMs ?? defaultDurationMs)), 'recover', end)
  }

  #record(kind: string, what: string, again?: Fault): FaultRecord {
    const at = roundMs(this.#nowMs - this.#beganMs)
    const record: FaultRecord = {
      kind,
      what,
      fromMs: this.#nowMs,
      untilMs: undefined,
      ...(again && { again: { ...again, at } }),
    }
    this.records.push(record)
    this.#began(record)
    this.#count(kind)
    this.#federation.world.trace.note('fault', kind, what)
    return record
  }

  #count(label: string): void {
    this.counts.set(label, (this.counts.get(label) ?? 0) + 1)
  }
}

/** Operators that do harm at some time of a scenario: of what is theirs nothing can be asked. */
export const hostileOperators = (faults: readonly Fault[]): ReadonlySet<string> =>
  new Set(faults.flatMap(fault => (fault.kind === 'hostile' ? fault.operators : [])))

/** Events happen at whole microseconds. */
const roundMs = (ms: number): number => Math.round(ms * 1000) / 1000

const restores = (fault: Fault): boolean =>
  fault.kind === 'crash' && (fault.disk === 'restore' || (Array.isArray(fault.disk) && fault.disk.includes('restore')))
