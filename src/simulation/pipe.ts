import type { Link } from './link.ts'
import type { SimulatedNetwork, Station } from './network.ts'
import type { Channel, Packet } from './packet.ts'
import type { Run } from './run.ts'
import { contentHash } from './trace.ts'

/** TCP's first and last wait before it repeats what was not acknowledged (RFC 6298; Linux's minimum). */
const firstRepeatUs = 200_000
const longestRepeatUs = 120_000_000
/** Linux breaks a connection that is not acknowledged after some 15 repeats, about 924 s. */
const giveUpAfterUs = 924_000_000

/** What a connection does with a packet that arrives. */
export type Sign = 'data' | 'connect' | 'accept' | 'refuse' | 'reset'

/** What is sent, before it is on its way. */
export interface Parcel<C> {
  readonly sign: Sign
  /** Left out in a refusal and in a reset, which have a reason instead. */
  readonly content?: C
  readonly reason?: string
  readonly about: string
  readonly bytes: number
  readonly frame?: Uint8Array | string | undefined
}

/** The receiving side of a pipe. */
export interface Mouth<C> {
  /**
   * The process that receives; `undefined` when nobody holds this end of the connection any more, so that the machine, if it
   * is up, answers with a reset.
   */
  receiver(sign: Sign): Run | undefined
  arrived(parcel: Parcel<C>): void
}

class Flight<C> implements Packet {
  readonly from: string
  readonly to: string
  readonly channel: Channel
  readonly parcel: Parcel<C>
  readonly sentUs: number
  arrivalUs = 0
  isLost = false

  constructor(link: Link, channel: Channel, parcel: Parcel<C>, sentUs: number) {
    this.from = link.from
    this.to = link.to
    this.channel = channel
    this.parcel = parcel
    this.sentUs = sentUs
  }

  get about(): string {
    return this.parcel.about
  }

  get bytes(): number {
    return this.parcel.bytes
  }

  get frame(): Uint8Array | string | undefined {
    return this.parcel.frame
  }
}

/**
 * One direction of a connection, as TCP has it: what is sent arrives in order, whole, or not at all from some point on;
 * nothing is lost in the middle. What the network loses is repeated, each time later, so that a partition looks like a stall
 * and, after the heal, goes on when the next repeat is due; a stall that lasts too long breaks the connection.
 */
export class Pipe<C> {
  readonly #network: SimulatedNetwork
  readonly #link: Link
  readonly #channel: Channel
  readonly #sender: Station
  readonly #senderBoot: number
  readonly #target: Station
  readonly #mouth: Mouth<C>
  readonly #broken: (reason: string) => void
  /** A queue whose head advances, lest `shift` move a long rest each time. */
  #queue: Flight<C>[] = []
  #head = 0
  /** What is awaited before the head of the queue is looked at again, by its number; 0 for nothing. */
  #waitsFor = 0
  #waits = 0
  #isOver = false
  #stalledSinceUs: number | undefined
  #repeats = 0
  /** Sent and not yet arrived. */
  undeliveredBytes = 0

  /** @param broken tells the sender that the connection is no more */
  constructor(
    network: SimulatedNetwork,
    channel: Channel,
    ends: { readonly sender: Station; readonly target: Station; readonly mouth: Mouth<C> },
    broken: (reason: string) => void,
  ) {
    this.#network = network
    this.#channel = channel
    this.#sender = ends.sender
    this.#senderBoot = ends.sender.boots
    this.#target = ends.target
    this.#mouth = ends.mouth
    this.#broken = broken
    this.#link = network.link(ends.sender.name, ends.target.name)
  }

  /** Whether anything more can be sent. */
  get isOver(): boolean {
    return this.#isOver
  }

  send(parcel: Parcel<C>, extraUs = 0): void {
    if (this.#isOver) return
    const { nowUs } = this.#network.scheduler
    const flight = new Flight(this.#link, this.#channel, parcel, nowUs)
    const last = this.#queue.at(-1)
    this.#launch(flight, extraUs)
    if (last) flight.arrivalUs = Math.max(flight.arrivalUs, last.arrivalUs)
    this.#queue.push(flight)
    this.undeliveredBytes += flight.bytes
    this.#await()
  }

  /** Forgets what has not arrived yet. */
  clear(): void {
    this.#queue = []
    this.#head = 0
    this.#waitsFor = 0
    this.undeliveredBytes = 0
  }

  /** Nothing arrives any more. */
  end(): void {
    this.#isOver = true
    this.clear()
  }

  /** Puts a packet on the wire, for the first time or again. */
  #launch(flight: Flight<C>, extraUs: number): void {
    const { scheduler } = this.#network
    const verdict = this.#network.sent(flight, this.#link)
    const departureUs = this.#link.departureUs(scheduler.nowUs, flight.bytes)
    const travelUs = typeof verdict === 'object' ? verdict.deliverAfterUs : this.#link.latencyUs()
    flight.arrivalUs = departureUs + travelUs + extraUs
    flight.isLost = verdict === 'drop' || this.#link.happens('loss')
    if (flight.isLost) this.#network.lost(flight, verdict === 'drop' ? 'rule' : 'link')
  }

  #await(): void {
    const next = this.#queue[this.#head]
    if (!next || this.#waitsFor > 0) return
    const { scheduler } = this.#network
    const goOn = this.#wait()
    scheduler.at(Math.max(scheduler.nowUs, next.arrivalUs), 'arrive', goOn)
  }

  /** What is to be called when the wait is over; without effect when it was given up meanwhile. */
  #wait(): () => void {
    this.#waits += 1
    const wait = this.#waits
    this.#waitsFor = wait
    return () => {
      if (this.#waitsFor !== wait) return
      this.#waitsFor = 0
      this.#arrive()
    }
  }

  #arrive(): void {
    const flight = this.#queue[this.#head]
    if (!flight || this.#isOver) return
    const reception = this.#reception(flight)
    switch (reception.kind) {
      case 'early':
        this.#await()
        break
      case 'waits':
        reception.until(this.#wait())
        break
      case 'lost':
        this.#network.lost(flight, 'cut')
        this.#repeat(flight)
        break
      case 'was-lost':
        this.#repeat(flight)
        break
      case 'nobody':
        this.#bounce(flight)
        break
      case 'welcome':
        this.#deliver(flight)
    }
  }

  /** What awaits a packet at the far end now. */
  #reception(flight: Flight<C>): Reception {
    if (flight.arrivalUs > this.#network.scheduler.nowUs) return { kind: 'early' }
    if (flight.isLost) return { kind: 'was-lost' }
    const cut = this.#network.cutBetween(flight.from, flight.to)
    if (cut?.cut.kind === 'partition' || !this.#target.isUp) return { kind: 'lost' }
    if (cut) return { kind: 'waits', until: goOn => cut.waiting.push(goOn) }
    const receiver = this.#mouth.receiver(flight.parcel.sign)
    if (!receiver) return { kind: 'nobody' }
    if (receiver.standing === 'paused') return { kind: 'waits', until: goOn => receiver.whenResumed(goOn) }
    return { kind: 'welcome' }
  }

  #deliver(flight: Flight<C>): void {
    const { scheduler } = this.#network
    this.#take(flight)
    this.#stalledSinceUs = undefined
    this.#repeats = 0
    const digest = flight.frame === undefined ? 0 : contentHash(flight.frame)
    scheduler.trace.note('delivered', flight.to, flight.from, flight.bytes, digest)
    this.#network.delivered(flight, scheduler.nowUs - flight.sentUs)
    this.#await()
    this.#mouth.arrived(flight.parcel)
  }

  #take(flight: Flight<C>): void {
    this.#head += 1
    this.undeliveredBytes -= flight.bytes
    if (this.#head === this.#queue.length) this.clear()
    else if (this.#head >= 1_024) {
      this.#queue = this.#queue.slice(this.#head)
      this.#head = 0
    }
  }

  /** The packet did not get through. The sender's machine repeats it, as long as it knows of the connection. */
  #repeat(flight: Flight<C>): void {
    const { scheduler } = this.#network
    const isForgotten = !this.#sender.isUp || this.#sender.boots !== this.#senderBoot
    // A reset is sent once. Whoever misses it hears of the end when it next sends something.
    if (flight.parcel.sign === 'reset' || isForgotten) {
      this.end()
      return
    }
    this.#stalledSinceUs ??= scheduler.nowUs
    if (scheduler.nowUs - this.#stalledSinceUs >= giveUpAfterUs) {
      this.end()
      this.#broken('the peer has not answered for too long')
      return
    }
    const waitUs = Math.min(longestRepeatUs, firstRepeatUs * 2 ** this.#repeats)
    this.#repeats += 1
    const goOn = this.#wait()
    scheduler.after(waitUs, 'repeat', () => {
      if (this.#queue[this.#head] === flight) this.#launch(flight, 0)
      goOn()
    })
  }

  /** Nobody holds the other end: its machine says so. An answer that is cut off is given to the repeat. */
  #bounce(flight: Flight<C>): void {
    if (flight.parcel.sign === 'reset') {
      this.end()
      return
    }
    this.#network.lost(flight, 'nobody')
    if (this.#network.isCut(flight.to, flight.from)) {
      this.#repeat(flight)
      return
    }
    this.end()
    const back = this.#network.link(flight.to, flight.from)
    this.#network.scheduler.after(back.latencyUs(), 'bounce', () => {
      this.#broken(
        flight.parcel.sign === 'connect' ? 'nobody listens there' : 'the peer knows nothing of the connection',
      )
    })
  }
}

type Reception =
  | { readonly kind: 'early' | 'lost' | 'was-lost' | 'nobody' | 'welcome' }
  | { readonly kind: 'waits'; readonly until: (goOn: () => void) => void }
