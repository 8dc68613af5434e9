import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { PeerRefusal } from './greeting.ts'
import type { Peers } from './peers.ts'
import type { Quotas } from './quotas.ts'
import type { Trust } from './trust.ts'

/** Whom this server has links with: servers of operators that it trusts, unless they have misbehaved of late, or connect too often. */
export class Gate {
  readonly #own: OperatorId
  readonly #trust: Trust
  readonly #peers: Peers
  readonly #quotas: Pick<Quotas, 'mayConnect'>
  readonly #clock: Pick<Clock, 'elapsed'>
  /** Until when servers are cut off, by the clock's elapsed milliseconds. */
  readonly #cutOffs = new Map<ServerId, number>()

  constructor(
    own: OperatorId,
    trust: Trust,
    peers: Peers,
    quotas: Pick<Quotas, 'mayConnect'>,
    clock: Pick<Clock, 'elapsed'>,
  ) {
    this.#own = own
    this.#trust = trust
    this.#peers = peers
    this.#quotas = quotas
    this.#clock = clock
  }

  /** Keeps a server from connecting for a while. */
  cutOff(server: ServerId, durationMs: number): void {
    this.#cutOffs.set(server, this.#clock.elapsed() + durationMs)
  }

  /** Why there may be no link to a server; `undefined`: there may. */
  refuse(server: ServerId): PeerRefusal | undefined {
    if ((this.#cutOffs.get(server) ?? 0) > this.#clock.elapsed()) return 'cut-off'
    return this.#trust.refuse(server)
  }

  /** Asked for each connection, and counted: those that this server dials itself are not the peer's doing. */
  refuseConnection(server: ServerId): PeerRefusal | undefined {
    const refused = this.refuse(server)
    if (refused || this.#peers.stateOf(server) === 'connecting') return refused
    const [of] = this.#trust.operatorsOf(server)
    return of === undefined || of === this.#own || this.#quotas.mayConnect(of) ? undefined : 'quota-handshakes'
  }
}
