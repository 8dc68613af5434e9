import { overheadBytes, type Party } from './end.ts'
import type { Link } from './link.ts'
import type { SimulatedNetwork } from './network.ts'
import type { Packet, Verdict } from './packet.ts'
import { Pipe } from './pipe.ts'
import type { Run } from './run.ts'
import { contentHash } from './trace.ts'

/** Messages between hosts, without connections: what the nodes of a protocol study speak through. */
export interface Messenger {
  /**
   * Sends to a host by name. By the link's mode the message is on its own (it may be lost, doubled, overtaken or changed),
   * or one of a stream (in order, repeated until it arrives).
   *
   * @param about the kind of message, one of few words, by which observers tell messages apart
   */
  send(to: string, message: Uint8Array, about?: string): void
  /** Sets who hears of messages; those that come before are lost. */
  listen(receive: Receive): void
}

export type Receive = (from: string, message: Uint8Array) => void

interface Listening {
  readonly run: Run
  readonly receive: Receive
}

class Datagram implements Packet {
  readonly channel = 'study'
  readonly from: string
  readonly to: string
  readonly about: string
  readonly frame: Uint8Array
  readonly sentUs: number

  constructor({ from, to }: Link, frame: Uint8Array, about: string, sentUs: number) {
    this.from = from
    this.to = to
    this.frame = frame
    this.about = about
    this.sentUs = sentUs
  }

  get bytes(): number {
    return overheadBytes + this.frame.length
  }
}

/** The messengers of all hosts. */
export class Messages {
  readonly #network: SimulatedNetwork
  readonly #listening = new Map<string, Listening>()

  constructor(network: SimulatedNetwork) {
    this.#network = network
  }

  /** For one run of a process. */
  messenger(party: Party): Messenger {
    const { run, station } = party
    const pipes = new Map<string, Pipe<Uint8Array>>()
    return {
      send: (to, message, about = 'message') => {
        if (!run.admits()) return
        const link = this.#network.link(station.name, to)
        const copy = new Uint8Array(message)
        if (link.conditions.mode === 'datagram') {
          this.#throw(link, new Datagram(link, copy, about, this.#network.scheduler.nowUs))
          return
        }
        let pipe = pipes.get(to)
        if (!pipe || pipe.isOver) {
          pipe = this.#pipe(party, to)
          pipes.set(to, pipe)
        }
        pipe.send({ sign: 'data', content: copy, about, frame: copy, bytes: overheadBytes + copy.length })
      },
      listen: receive => {
        if (run.admits()) this.#listening.set(station.name, { run, receive })
      },
    }
  }

  /** A stream without a connection: when it breaks, the next message begins another. */
  #pipe({ station }: Party, to: string): Pipe<Uint8Array> {
    const mouth = {
      receiver: () => this.#listenerAt(to)?.run,
      arrived: ({ content }: { readonly content?: Uint8Array }) => {
        if (content) this.#listenerAt(to)?.receive(station.name, content)
      },
    }
    const ends = { sender: station, target: this.#network.station(to), mouth }
    return new Pipe(this.#network, 'study', ends, () => {})
  }

  #throw(link: Link, datagram: Datagram): void {
    const { scheduler } = this.#network
    const verdict = this.#network.sent(datagram, link)
    const departureUs = this.#departureUs(link, datagram, verdict)
    if (departureUs === undefined) return
    const heldBackUs = link.happens('reorder') ? link.latencyUs() : 0
    const travelUs = typeof verdict === 'object' ? verdict.deliverAfterUs : link.latencyUs()
    const changed = link.happens('corrupt') ? link.corrupted(datagram.frame) : datagram.frame
    const copies = link.happens('duplicate') ? 2 : 1
    for (let copy = 0; copy < copies; copy++) {
      const extraUs = copy === 0 ? heldBackUs : link.latencyUs()
      scheduler.at(departureUs + travelUs + extraUs, 'arrive', () => this.#arrive(datagram, changed))
    }
  }

  /** When it leaves; `undefined` when it never arrives. */
  #departureUs(link: Link, datagram: Datagram, verdict: Verdict): number | undefined {
    const { nowUs } = this.#network.scheduler
    const hasRoom = link.hasRoomFor(nowUs, datagram.bytes)
    const isLost = link.happens('loss')
    if (verdict !== 'drop' && hasRoom && !isLost) return link.departureUs(nowUs, datagram.bytes)
    this.#network.lost(datagram, verdict === 'drop' ? 'rule' : hasRoom ? 'link' : 'queue')
    return undefined
  }

  #arrive(datagram: Datagram, frame: Uint8Array): void {
    const { from, to } = datagram
    const cut = this.#network.cutBetween(from, to)
    const listening = this.#listenerAt(to)
    const again = () => this.#arrive(datagram, frame)
    if (cut?.cut.kind === 'partition') this.#network.lost(datagram, 'cut')
    else if (cut) cut.waiting.push(again)
    else if (!listening) this.#network.lost(datagram, 'nobody')
    else if (listening.run.standing === 'paused') listening.run.whenResumed(again)
    else this.#deliver(datagram, frame, listening)
  }

  #deliver(datagram: Datagram, frame: Uint8Array, listening: Listening): void {
    const { from, to, bytes } = datagram
    const { scheduler } = this.#network
    scheduler.trace.note('delivered', to, from, bytes, contentHash(frame))
    this.#network.delivered(datagram, scheduler.nowUs - datagram.sentUs)
    listening.receive(from, new Uint8Array(frame))
  }

  #listenerAt(host: string): Listening | undefined {
    const found = this.#listening.get(host)
    return found && !found.run.isOver ? found : undefined
  }
}
