import { Cryptography } from './crypto.ts'
import { type HostOptions, SimulatedHost } from './host.ts'
import { LeakGuard } from './leak-guard.ts'
import type { Bandwidth, LinkConditions } from './link.ts'
import { Messages } from './messages.ts'
import { SimulatedNetwork } from './network.ts'
import type { PeerContent } from './peer-stream.ts'
import type { Production } from './production.ts'
import { rng, type Seed } from './random-streams.ts'
import { type Ending, type RunOptions, Scheduler } from './scheduler.ts'
import { SharedRecords } from './shared-records.ts'
import type { SocketContent } from './socket.ts'
import type { LogListener } from './telemetry.ts'
import { Trace, type TraceOptions } from './trace.ts'
import { Transport } from './transport.ts'

export interface WorldOptions {
  readonly seed: Seed
  readonly production: Production
  /** The wall time at which the simulation begins, in milliseconds since 1970. Default: the start of 2026. */
  readonly epochMs?: number
  /** The conditions of each link, asked when it is first used. */
  readonly conditions?: (from: string, to: string) => LinkConditions
  /** What the links of a host share. */
  readonly bandwidth?: (host: string) => Bandwidth
  /** Draws the order of events at the same microsecond, which hides races when it is always that of setting. Default: no. */
  readonly shuffleTies?: boolean
  /** Fails the run when simulated code touches the real world. Default: yes. */
  readonly guard?: boolean
  readonly trace?: TraceOptions
  readonly onLog?: LogListener
}

const defaultEpochMs = Date.UTC(2026, 0, 1)

/** A simulated world: virtual time, a network, and hosts on it. The same seed and the same use give the same history. */
export class World {
  readonly seed: Seed
  readonly epochMs: number
  readonly production: Production
  readonly trace: Trace
  readonly scheduler: Scheduler
  readonly network: SimulatedNetwork
  readonly peers: Transport<PeerContent>
  readonly clients: Transport<SocketContent>
  readonly messages: Messages
  readonly cryptography: Cryptography
  readonly records = new SharedRecords()
  readonly onLog: LogListener | undefined
  readonly hosts = new Map<string, SimulatedHost>()

  constructor(options: WorldOptions) {
    const { seed, production, epochMs = defaultEpochMs, shuffleTies = false, guard = true } = options
    this.seed = seed
    this.epochMs = epochMs
    this.production = production
    this.onLog = options.onLog
    this.trace = new Trace(options.trace)
    this.scheduler = new Scheduler({
      trace: this.trace,
      ...(shuffleTies && { ties: rng(seed, 'ties') }),
      ...(guard && { watch: new LeakGuard(error => this.scheduler.fail(error)) }),
    })
    const conditions = options.conditions && { conditions: options.conditions }
    const bandwidth = options.bandwidth && { bandwidth: options.bandwidth }
    this.network = new SimulatedNetwork({ seed, scheduler: this.scheduler, ...conditions, ...bandwidth })
    this.peers = new Transport(this.network, 'peer')
    this.clients = new Transport(this.network, 'client')
    this.messages = new Messages(this.network)
    this.cryptography = new Cryptography(production.crypto, production.hpke, this.scheduler)
  }

  get nowMs(): number {
    return this.scheduler.nowUs / 1000
  }

  /** @throws {Error} when there is a host of this name. */
  host(name: string, options?: HostOptions): SimulatedHost {
    if (this.hosts.has(name)) throw new Error(`There is a host "${name}" already: give each its own name.`)
    const host = new SimulatedHost(this, name, options)
    this.hosts.set(name, host)
    return host
  }

  /** A stream of randomness of this world, by name. */
  random(...name: readonly (string | number)[]): ReturnType<typeof rng> {
    return rng(this.seed, ...name)
  }

  /** Lets `action` happen at a time, in milliseconds since the beginning: how scenarios act on the world. */
  at(timeMs: number, what: string, action: () => void): void {
    this.scheduler.at(Math.round(timeMs * 1000), what, action)
  }

  run(options?: RunOptions): Promise<Ending> {
    return this.scheduler.run(options)
  }
}
