import type { Clock } from '../ports/clock.ts'
import type { ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import {
  after,
  type Conduct,
  type ConductLimits,
  good,
  type LinkFault,
  linkFaults,
  type Sentence,
  sentence,
} from './conduct.ts'

/** The conduct of one peer over all lives of its link: its faults are named and weighed as they are found. */
export class PeerConduct {
  readonly #peer: ServerId
  readonly #limits: ConductLimits
  readonly #clock: Pick<Clock, 'elapsed'>
  readonly #telemetry: Pick<Telemetry, 'count' | 'log'>
  #conduct: Conduct = good

  constructor(
    peer: ServerId,
    limits: ConductLimits,
    clock: Pick<Clock, 'elapsed'>,
    telemetry: Pick<Telemetry, 'count' | 'log'>,
  ) {
    this.#peer = peer
    this.#limits = limits
    this.#clock = clock
    this.#telemetry = telemetry
  }

  /** What is to be done with the peer now. */
  get sentence(): Sentence {
    return sentence(this.#conduct, this.#clock.elapsed(), this.#limits)
  }

  weigh(fault: number): void {
    if (fault > 0) this.#conduct = after(this.#conduct, fault, this.#clock.elapsed(), this.#limits)
  }

  /** Names what the peer has done, before the link ends for it. */
  name(fault: LinkFault, detail: string): void {
    this.#telemetry.count('cpns_link_faults_total', { fault })
    this.#telemetry.log('warn', 'link.fault', { peer: this.#peer, fault, detail })
    this.weigh(linkFaults[fault])
  }

  /** The peer was cut off for a while: it has another chance, with less to lose. */
  pardon(): void {
    this.#conduct = { level: this.#limits.throttleLevel, atMs: this.#clock.elapsed() }
  }
}
