import type { ClientIdentity } from '../../client/authenticate.ts'
import { RequestRefused } from '../../client/errors.ts'
import { isOpen } from '../../client/patience.ts'
import { openSession, type Session, type SessionOptions } from '../../client/session.ts'
import type { MethodSpec } from '../../federation/command.ts'
import type { HostPorts, SimulatedHost } from '../host.ts'
import type { World } from '../world.ts'
import { clientUrlOf, type SimulatedOperator } from './operator.ts'

/** How long a client waits before it tries to connect for the first time again; afterwards the SDK sees to that. */
const retryMs = 1_000

/** How often a command whose outcome is open is repeated, so long after the last time. */
const repetitions = 8
const repeatAfterMs = 1_000

/** A subscriber of an operator on a host of its own, with the SDK as an application has it. */
export class SimulatedClient {
  readonly operator: SimulatedOperator
  readonly identity: ClientIdentity
  readonly host: SimulatedHost
  readonly ports: HostPorts
  readonly #options: SessionOptions
  #session: Session | undefined
  #connecting: Promise<Session> | undefined

  /** @param attachTo the servers that it may use, by their place among its operator's, the preferred one first */
  constructor(world: World, operator: SimulatedOperator, name: string, hostName: string, attachTo: readonly number[]) {
    this.operator = operator
    this.host = world.host(hostName)
    this.ports = this.host.boot()
    const cards = attachTo.flatMap(index => operator.servers[index] ?? [])
    this.identity = {
      operator: operator.id,
      identity: name,
      credential: { kind: 'psk', key: operator.keyOf(name) },
      servers: operator.servers.map(({ identity }) => identity.server),
    }
    this.#options = { ...this.identity, urls: cards.map(clientUrlOf) }
  }

  get name(): string {
    return this.identity.identity
  }

  get sockets() {
    return this.ports.sockets
  }

  get clientPorts() {
    const { sockets, clientCrypto, clock } = this.ports
    return { sockets, crypto: clientCrypto, clock }
  }

  /** The session, connected as soon as that is possible; afterwards the SDK keeps it up. */
  session(): Promise<Session> {
    this.#connecting ??= this.#connect()
    return this.#connecting
  }

  /** The session, if it was connected once. */
  get opened(): Session | undefined {
    return this.#session
  }

  async #connect(): Promise<Session> {
    for (;;) {
      try {
        this.#session = await openSession(this.clientPorts, this.#options)
        return this.#session
      } catch {
        // The operator's servers may be down, or not reachable: an application tries again too.
        await this.pause(retryMs)
      }
    }
  }

  /** Gives a command, and repeats it as it was while its outcome is open, or there is too much to do. */
  async insist<P, R>(spec: MethodSpec<P, R>, params: P): Promise<R> {
    const session = await this.session()
    for (let repetition = 1; ; repetition++) {
      try {
        return await session.call(spec, params)
      } catch (error) {
        const isForNow = isOpen(error) || (error instanceof RequestRefused && [429, 503, 504].includes(error.status))
        if (!isForNow || repetition > repetitions) throw error
        await this.pause(repeatAfterMs)
      }
    }
  }

  /** By its own clock. */
  pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      this.ports.clock.after(ms, resolve)
    })
  }
}
