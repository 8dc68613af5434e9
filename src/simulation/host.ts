import type { ClientListener, SocketFactory } from '../ports/client-sockets.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto, Crypto } from '../ports/crypto.ts'
import type { HttpClient } from '../ports/http-client.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { MediaStore } from '../ports/media-store.ts'
import type { ServerId } from '../ports/names.ts'
import type { PeerNetwork } from '../ports/peer-network.ts'
import type { Random } from '../ports/random.ts'
import type { SearchIndex } from '../ports/search-index.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { simulatedListener, simulatedSockets } from './client-sockets.ts'
import { type ClockModel, HostClock, simulatedClock } from './clock.ts'
import { type DiskFate, type DiskModel, SimulatedDisk } from './disk.ts'
import { SimulatedFiles } from './files.ts'
import { simulatedHttp } from './http.ts'
import type { Messenger } from './messages.ts'
import type { Station } from './network.ts'
import { simulatedPeerNetwork } from './peer-network.ts'
import { rng } from './random-streams.ts'
import { Run } from './run.ts'
import { ofRun, SimulatedSearchIndex } from './search-index.ts'
import { Recorder } from './telemetry.ts'
import type { World } from './world.ts'

export interface HostOptions {
  readonly clock?: ClockModel
  readonly disk?: DiskModel
}

/**
 * The ports of one run of one process. When the run is over they are dead: they do
 * nothing, never answer, and count who called.
 */
export interface HostPorts {
  readonly run: Run
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly clientCrypto: ClientCrypto
  readonly store: LogStore
  readonly media: MediaStore
  readonly searchIndex: SearchIndex
  /** The peer network of the server with this id. @param server fixes the id at the first call */
  network(server: ServerId): PeerNetwork
  readonly listener: ClientListener
  readonly sockets: SocketFactory
  readonly http: HttpClient
  /** For protocol studies. */
  readonly messenger: Messenger
  readonly telemetry: Telemetry
}

/** What ends a run. */
export type Death =
  /** The process alone dies; its operating system closes its connections, and the disk keeps what was written. */
  | { readonly of: 'process' }
  /** The machine loses power, or burns: silence, and the disk as told. It is down until the next boot. */
  | { readonly of: 'machine'; readonly disk: DiskFate }

/**
 * A machine with a name, an address, a clock and a disk, on which one process runs at a time. A crash ends the run, and with
 * it everything that the process had under way; the next boot is another run on the same disk.
 */
export class SimulatedHost {
  readonly name: string
  readonly clock: HostClock
  readonly disk: SimulatedDisk
  readonly files: SimulatedFiles
  readonly searchIndex = new SimulatedSearchIndex()
  readonly record: Recorder
  /** Every run so far. */
  readonly runs: Run[] = []
  readonly #world: World
  readonly #station: Station

  constructor(world: World, name: string, options: HostOptions = {}) {
    this.#world = world
    this.name = name
    this.#station = world.network.station(name)
    this.clock = new HostClock(options.clock ?? {}, world.epochMs)
    this.disk = new SimulatedDisk({
      scheduler: world.scheduler,
      host: name,
      random: rng(world.seed, 'disk', name),
      shared: world.records,
      ...(options.disk && { model: options.disk }),
    })
    this.files = new SimulatedFiles({
      scheduler: world.scheduler,
      random: rng(world.seed, 'files', name),
      ...(options.disk && { model: options.disk }),
    })
    this.record = new Recorder(world.scheduler, name, world.onLog)
  }

  get address(): string {
    return this.#station.address
  }

  /** The run now, if there is one. */
  get run(): Run | undefined {
    const last = this.runs.at(-1)
    return last?.isOver ? undefined : last
  }

  /** Calls that reached ports of runs that were over: 0, unless something outlives its process. */
  get strays(): number {
    return this.runs.reduce((sum, { strays }) => sum + strays, 0)
  }

  /** Starts the machine if it is down, and a process on it. @throws {Error} when one runs already. */
  boot(): HostPorts {
    if (this.run) throw new Error(`${this.name} runs already: end that run first.`)
    const run = new Run(this.name, this.runs.length + 1)
    this.runs.push(run)
    if (!this.#station.isUp) this.#station.boots += 1
    this.#station.isUp = true
    this.#note('booted')
    return this.#ports(run)
  }

  /** Ends the run. Without one, only the disk and the machine are struck. */
  crash(death: Death): void {
    this.#note('crashed')
    if (death.of === 'machine') this.#station.isUp = false
    this.#end(death.of === 'machine' ? death.disk : { kind: 'keep' })
  }

  /** Ends a run whose process has finished by itself: to be called when its node has stopped. */
  shutDown(): void {
    this.#note('shut-down')
    this.#end({ kind: 'keep' })
  }

  /** Stops the process, as a long collection of garbage or a debugger does: its clock goes on, it does not. */
  pause(): void {
    this.#note('paused')
    this.run?.pause()
  }

  resume(): void {
    const { run } = this
    if (!run) return
    this.#note('resumed')
    run.resume()
    this.#world.scheduler.resume(run)
  }

  #end(fate: DiskFate): void {
    const { run } = this
    run?.end()
    if (run) this.#world.scheduler.resume(run)
    this.disk.settle(fate)
    this.files.settle(fate)
  }

  #ports(run: Run): HostPorts {
    const { scheduler, peers, clients, messages, cryptography, production, seed } = this.#world
    const party = { station: this.#station, run }
    const place = { scheduler, transport: clients, party }
    const stream = (purpose: string) => rng(seed, 'host', this.name, run.number, purpose)
    const clock = simulatedClock(scheduler, this.clock, run)
    let network: PeerNetwork | undefined
    return {
      run,
      clock,
      random: stream('random'),
      crypto: cryptography.ofServer(stream('crypto')),
      clientCrypto: cryptography.ofClient(stream('client-crypto')),
      store: production.logStore(this.disk.open(run)),
      media: production.mediaStore(this.files.open(run, clock.now)),
      searchIndex: ofRun(this.searchIndex, run),
      network: server => {
        network ??= simulatedPeerNetwork(peers, party, server)
        return network
      },
      listener: simulatedListener(place),
      sockets: simulatedSockets(place),
      http: simulatedHttp(place),
      messenger: messages.messenger(party),
      telemetry: this.record.telemetry(run),
    }
  }

  #note(kind: string): void {
    this.#world.scheduler.trace.note(kind, this.name, '', this.runs.length)
  }
}
