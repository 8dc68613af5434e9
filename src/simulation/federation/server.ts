import type { TraceEvent } from '../../actor/types.ts'
import type { NodeLimits } from '../../node/surroundings.ts'
import { type CpnsNode, createNode } from '../../node.ts'
import { CommitOutcomeUnknown, CommitRefused, CorruptRecord } from '../../ports/log-store.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Push } from '../../ports/push.ts'
import type { DiskFate } from '../disk.ts'
import type { Death, SimulatedHost } from '../host.ts'
import { hostileNetwork } from '../hostile.ts'
import { SimulatedLoadProbe } from '../load-probe.ts'
import type { Run } from '../run.ts'
import type { World } from '../world.ts'
import type { ServerCard, SimulatedOperator } from './operator.ts'

/** Hears of what happens to servers. Every member may be left out. */
export interface ServerEvents {
  /** A node was made, and is about to serve: to subscribe to what it tells. */
  made?(server: SimulatedServer, node: CpnsNode): void
  /** A run is over: by a crash, or in peace (`stopped`). The disk is as it is from now on. */
  ended?(server: SimulatedServer, how: Death | 'stopped'): void
  /** The run is about to be ended by a crash: the disk is still as it was. */
  crashing?(server: SimulatedServer, how: Death): void
  /** An actor of one of its nodes. */
  actor?(server: SimulatedServer, event: TraceEvent): void
}

export interface ServerOptions {
  readonly trusted: readonly SimulatedOperator[]
  readonly limits: NodeLimits
  readonly events: ServerEvents
  /** What it sends Web Push by; undefined: it sends none. */
  readonly push: Push | undefined
  /** Whether events of actors are told: that costs a tenth of the speed. */
  readonly traceActors: boolean
  /** Of its own operator's servers; all of them, if undefined. */
  readonly neighbours: readonly ServerId[] | undefined
}

/** What ends a process that does not come to serve: it is started again, and again, until the disk is another. */
const diskErrors = [CommitOutcomeUnknown, CommitRefused, CorruptRecord]
/** How long a supervisor waits before it starts a server again that has ended by itself. */
const supervisorDelayUs = 1_000_000

/** A production node on a simulated host: started, stopped, crashed and started again, as often as one likes. */
export class SimulatedServer {
  readonly operator: SimulatedOperator
  readonly card: ServerCard
  readonly host: SimulatedHost
  /** Whether what it sends to its peers is tampered with. */
  isHostile = false
  /** Whether a record on its disk was changed by the disk; until the disk is replaced. */
  isRotten = false
  /** Whether it is to stay down until somebody starts it. */
  isDown = false
  /** How busy it is. */
  readonly probe = new SimulatedLoadProbe()
  readonly #world: World
  readonly #options: ServerOptions
  #node: CpnsNode | undefined
  #isStopping = false
  /** Whether the present run's disk has failed: its process ends, and a supervisor starts another. */
  #hasFailed = false

  constructor(
    world: World,
    operator: SimulatedOperator,
    card: ServerCard,
    host: SimulatedHost,
    options: ServerOptions,
  ) {
    this.#world = world
    this.operator = operator
    this.card = card
    this.host = host
    this.#options = options
  }

  get name(): string {
    return this.host.name
  }

  /** The node, while one runs and serves. */
  get node(): CpnsNode | undefined {
    return this.#node
  }

  /** Whether it was told to stop, and has not yet. */
  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Boots the host and starts a node on it. A start that fails otherwise than by a later crash fails the simulation. */
  start(): void {
    const { trusted, limits, events, traceActors, neighbours, push } = this.#options
    this.#hasFailed = false
    this.isDown = false
    const ports = this.host.boot()
    const { run } = ports
    const { zip } = this.#world.production
    const { identity } = this.card
    const { secrets, manifest, subscribers } = this.operator
    const others = trusted.filter(({ id }) => id !== this.operator.id)
    const settings = {
      identity,
      secrets,
      manifest,
      pins: new Map<OperatorId, string>(others.map(({ id, fingerprint }) => [id, fingerprint])),
      peerManifests: others.map(other => other.manifest),
      limits,
      ...(neighbours && { neighbours }),
    }
    const { clock, random, crypto, store, media, searchIndex, listener, telemetry } = ports
    const nodePorts = {
      clock,
      random,
      crypto,
      store,
      searchIndex,
      media,
      network: hostileNetwork(ports.network(identity.server), {
        isHostile: () => this.isHostile,
        identity,
        crypto,
        random: this.#world.random('hostile', this.name, run.number),
      }),
      listener,
      keys: subscribers,
      ...(zip && { zip }),
      ...(push && { push }),
      probe: this.probe,
      telemetry,
      ...(traceActors && { trace: (event: TraceEvent) => events.actor?.(this, event) }),
    }
    const start = async () => {
      const node = await createNode(nodePorts, settings)
      events.made?.(this, node)
      node.failed.then(error => this.#failed(run, error))
      await node.start()
      await node.ready
      if (!this.#hasFailed) this.#node = node
    }
    start().catch(error => {
      if (run.isOver || this.#hasFailed) return
      if (diskErrors.some(kind => error instanceof kind)) this.#failed(run, error)
      else this.#world.scheduler.fail(new Error(`${this.name} did not start: ${error}`, { cause: error }))
    })
  }

  /** What `cpns start` and its supervisor do when the disk has failed. */
  #failed(run: Run, error: Error): void {
    if (run.isOver || this.#hasFailed) return
    this.#hasFailed = true
    this.#node = undefined
    this.#world.trace.note('failed', this.name, error.message)
    this.#world.scheduler.after(0, 'exit', () => {
      if (!run.isOver) this.crash({ of: 'process' })
    })
    this.#world.scheduler.after(supervisorDelayUs, 'supervise', () => {
      if (!this.host.run && !this.isDown) this.start()
    })
  }

  /** Ends the process without warning. Of a host on which none runs, only the disk and the machine are struck. */
  crash(how: Death): void {
    this.#options.events.crashing?.(this, how)
    this.#node = undefined
    this.#isStopping = false
    this.host.crash(how)
    this.#options.events.ended?.(this, how)
  }

  /** Stops in peace, as at SIGTERM. */
  stop(): void {
    const node = this.#node
    const { run } = this.host
    if (!node || !run) return
    this.#node = undefined
    this.#isStopping = true
    const ended = async () => {
      await node.drain()
      await node.stop()
    }
    ended().then(
      () => {
        if (run.isOver) return
        this.#isStopping = false
        this.host.shutDown()
        this.#options.events.ended?.(this, 'stopped')
      },
      error => this.#world.scheduler.fail(new Error(`${this.name} did not stop: ${error}`, { cause: error })),
    )
  }
}

/** What a crash does to the machine: with `keep` the process alone dies. */
export const deathOf = (disk: DiskFate): Death => (disk.kind === 'keep' ? { of: 'process' } : { of: 'machine', disk })
