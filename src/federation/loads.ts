import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Peers } from './peers.ts'

/** How much of what it can take a server has, in percent, and when it said so, by the monotonic clock. */
export interface Load {
  readonly usedPercent: number
  readonly atMs: number
}

/** What servers tell one another of their load: this one's, and what was last heard of the others. */
export class Loads {
  readonly #heard = new Map<ServerId, Load>()
  readonly #peers: Peers
  readonly #isTold: (operator: OperatorId) => boolean
  readonly #clock: Pick<Clock, 'elapsed'>
  #usedPercent = 0

  /** @param isTold to whose servers this one says its load; to all others it has nothing free */
  constructor(peers: Peers, isTold: (operator: OperatorId) => boolean, clock: Pick<Clock, 'elapsed'>) {
    this.#peers = peers
    this.#isTold = isTold
    this.#clock = clock
    // What a server has said holds as long as its link.
    peers.subscribe(({ type, server }) => {
      if (type === 'down') this.#heard.delete(server)
    })
  }

  /** What a server of the operator is told. */
  toldTo(operator: OperatorId): number {
    return this.#isTold(operator) ? this.#usedPercent : 100
  }

  /** This server's load has changed: whoever is told of it hears so at once. */
  report(usedPercent: number): void {
    this.#usedPercent = usedPercent
    this.#peers.each((session, operator) => {
      if (this.#isTold(operator)) session.beat()
    })
  }

  heard(server: ServerId, usedPercent: number): void {
    this.#heard.set(server, { usedPercent, atMs: this.#clock.elapsed() })
  }

  /** Of an operator's servers, what each said last. */
  of(operator: OperatorId): ReadonlyMap<ServerId, Load> {
    return new Map([...this.#heard].filter(([server]) => this.#peers.operatorOf(server) === operator))
  }
}
