import type { DiskFate } from '../../disk.ts'
import type { HostPorts } from '../../host.ts'
import type { Production } from '../../production.ts'
import type { Seed } from '../../random-streams.ts'
import { World } from '../../world.ts'
import { naiveReplica } from './naive-replica.ts'
import { identityOf, ourReplica } from './our-replica.ts'
import type { Inspection, Replica } from './replica.ts'

export const losses = ['unsynced', 'backup', 'lost'] as const
/** What the writer's disk has forgotten after the crash: what was not synced, all since a backup, everything. */
export type Loss = (typeof losses)[number]

/** The naive use of Yjs, or our document layer. */
export const replicaKinds = ['naive', 'ours'] as const
export type ReplicaKind = (typeof replicaKinds)[number]

export interface AmnesiaOptions {
  readonly kind: ReplicaKind
  readonly loss: Loss
  readonly writesBefore: number
  readonly writesAfter: number
  readonly seed: Seed
  readonly production: Production
}

export interface AmnesiaResult {
  readonly sameVersion: boolean
  readonly sameContent: boolean
  /** Acknowledged writes that neither replica holds at the end. */
  readonly lostWrites: number
  /** Keys that the writer holds at the end. */
  readonly held: number
  readonly traceHash: string
}

/** The simulation failed, or did not come to its end; the message says how. */
export class AmnesiaFailed extends Error {
  override readonly name = 'AmnesiaFailed'
}

const writer = 'writer'
const reader = 'reader'

const intervalMs = 40
/** Slower than the network: what is sent before it is synced arrives even if the power goes. */
const syncLatency = { dist: 'uniform', minMs: 12, maxMs: 30 } as const
const latency = { dist: 'uniform', minMs: 1, maxMs: 4 } as const
/** After the last write: the write has arrived at the reader, if it was sent, and is not on the disk yet. */
const crashAfterMs = 8
const downMs = 1_000
/** Rounds in which both replicas ask each other for what they lack, after the heal: for ever, as far as anybody can wait. */
const syncRounds = 60
const roundMs = 1_000

/**
 * A writer and a reader; the writer crashes and forgets, comes back while the network is cut, writes on, and then the two
 * have all the time in the world to become equal.
 *
 * @param options `writesAfter` is to be no less than `writesBefore`: if the reader held more under the reused client id than
 *   the writer, Yjs would notice, and draw another one at random (the contents differ all the same).
 */
export async function amnesia(options: AmnesiaOptions): Promise<AmnesiaResult> {
  const { kind, loss, writesBefore, writesAfter, seed, production } = options
  const world = new World({ seed, production, conditions: () => ({ latency, mode: 'stream' }) })
  const cast = new Cast(world, kind)
  const acknowledged = new Set<string>()
  const crashMs = writesBefore * intervalMs + (loss === 'unsynced' ? crashAfterMs : 2 * intervalMs)
  const backMs = crashMs + downMs
  const healMs = backMs + (writesAfter + 2) * intervalMs
  const endMs = healMs + (syncRounds + 1) * roundMs
  let fate: DiskFate = { kind: loss === 'lost' ? 'lose' : 'unsynced' }

  world.at(0, 'boot', () => cast.bootAll())
  for (let write = 1; write <= writesBefore; write++) {
    world.at(write * intervalMs, 'write', () => cast.replica(writer)?.write(`before-${write}`, 'old'))
  }
  if (loss === 'backup') {
    world.at((Math.ceil(writesBefore / 2) + 0.9) * intervalMs, 'backup', () => {
      fate = { kind: 'restore', backup: cast.host(writer).disk.backup() }
    })
  }
  let heal = () => {}
  world.at(crashMs, 'crash', () => {
    for (const key of cast.replica(writer)?.acknowledged ?? []) acknowledged.add(key)
    cast.host(writer).crash({ of: 'machine', disk: fate })
    heal = world.network.partition([[writer], [reader]])
  })
  world.at(backMs, 'boot', () => cast.boot(writer))
  for (let write = 1; write <= writesAfter; write++) {
    world.at(backMs + write * intervalMs, 'write', () => cast.replica(writer)?.write(`after-${write}`, 'new'))
  }
  world.at(healMs, 'heal', () => heal())
  for (let round = 1; round <= syncRounds; round++) {
    world.at(healMs + round * roundMs, 'sync', () => cast.syncAll())
  }
  const inspections = new Map<string, Inspection>()
  world.at(endMs, 'inspect', () => {
    for (const key of cast.replica(writer)?.acknowledged ?? []) acknowledged.add(key)
    for (const name of [writer, reader])
      cast
        .replica(name)
        ?.inspect()
        .then(seen => inspections.set(name, seen))
  })
  const ending = await world.run({ untilUs: (endMs + roundMs) * 1_000 })
  if (ending.kind === 'failed') throw new AmnesiaFailed(ending.error.message, { cause: ending.error })
  const [one, other] = [inspections.get(writer), inspections.get(reader)]
  if (!one || !other) throw new AmnesiaFailed('A replica did not answer at the end.')
  return {
    sameVersion: one.version === other.version,
    sameContent: JSON.stringify([...one.content]) === JSON.stringify([...other.content]),
    lostWrites: [...acknowledged].filter(key => !one.content.has(key) && !other.content.has(key)).length,
    held: one.content.size,
    traceHash: world.trace.hash,
  }
}

/** The two hosts, and the replica of either kind that runs on each. */
class Cast {
  readonly #world: World
  readonly #kind: ReplicaKind
  readonly #keys: ReadonlyMap<string, Uint8Array>
  readonly #replicas = new Map<string, Replica>()

  constructor(world: World, kind: ReplicaKind) {
    this.#world = world
    this.#kind = kind
    this.#keys = new Map([writer, reader].map(name => [name, world.random('amnesia', name).bytes(32)]))
    for (const name of [writer, reader]) world.host(name, { disk: { syncLatency } })
  }

  host(name: string) {
    const host = this.#world.hosts.get(name)
    if (!host) throw new RangeError(`There is no host "${name}".`)
    return host
  }

  /** The replica that runs; none while its host is down, or it loads. */
  replica(name: string): Replica | undefined {
    return this.host(name).run && this.#replicas.get(name)
  }

  bootAll(): void {
    for (const name of [writer, reader]) this.boot(name)
  }

  syncAll(): void {
    for (const name of [writer, reader]) this.replica(name)?.sync()
  }

  boot(name: string): void {
    this.#replicas.delete(name)
    const ports = this.host(name).boot()
    this.#start(name, ports).then(replica => this.#replicas.set(name, replica))
  }

  async #start(name: string, ports: HostPorts): Promise<Replica> {
    const peer = name === writer ? reader : writer
    if (this.#kind === 'naive') return naiveReplica(ports, peer, name === writer ? 1 : 2)
    const identity = (host: string) => identityOf(this.#keys.get(host) ?? new Uint8Array(32), ports.crypto)
    return ourReplica(ports, peer, identity(name), [identity(writer), identity(reader)])
  }
}
