/** Who speaks: servers with each other, clients with servers, or the nodes of a protocol study. */
export type Channel = 'peer' | 'client' | 'study'

/** What travels over a link, as rules and observers see it. */
export interface Packet {
  readonly from: string
  readonly to: string
  readonly channel: Channel
  /** The protocol of a peer's stream, `websocket`, or the kind of a study's message; `connect`, `close` and the like for what holds a connection up. */
  readonly about: string
  /** On the wire, framing included. */
  readonly bytes: number
  /** The frame inside; `undefined` for what holds a connection up. Not to be changed. */
  readonly frame: Uint8Array | string | undefined
}

/**
 * A rule's answer: no opinion; arrive after so long, whatever the link's latency; or be lost. A stream repeats what is lost.
 */
export type Verdict = 'pass' | 'drop' | { readonly deliverAfterUs: number }

/** Asked when a packet is sent, in the order of installation; the first answer that is not `pass` counts. */
export type Rule = (packet: Packet) => Verdict

/** Hears of packets, in order. Must not act on the simulation. */
export interface Observer {
  sent?(packet: Packet): void
  /** @param travelUs since it was sent */
  delivered?(packet: Packet, travelUs: number): void
  lost?(packet: Packet, why: 'link' | 'rule' | 'queue' | 'cut' | 'nobody'): void
}
