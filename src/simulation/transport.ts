import { End, overheadBytes, type Party } from './end.ts'
import type { SimulatedNetwork, Station, Undo } from './network.ts'
import type { Channel } from './packet.ts'
import { type Mouth, type Parcel, Pipe } from './pipe.ts'
import type { Run } from './run.ts'

/** Somebody who wants to connect. Exactly one of the two answers is to be given, at once or later. */
export interface Attempt<C> {
  readonly hello: C
  readonly remote: Station
  /** Answers; the end is open from now on. `undefined` when the other side has gone meanwhile. */
  accept(answer: C): End<C> | undefined
  refuse(reason: string): void
}

/** A connection could not be had; the message says why. */
export class NotConnected extends Error {
  override readonly name = 'NotConnected'
}

/** The port has a listener already. */
export class PortTaken extends Error {
  override readonly name = 'PortTaken'
}

interface Listening<C> {
  readonly party: Party
  readonly answer: (attempt: Attempt<C>) => void
}

export interface ConnectOptions {
  /** Round trips until the connection stands: TCP's, and those of the handshakes above it. */
  readonly roundTrips: number
  readonly timeoutUs: number
}

/** Connections of one kind between all hosts. `C` is what they carry. */
export class Transport<C> {
  readonly #network: SimulatedNetwork
  readonly #channel: Channel
  readonly #listening = new Map<string, Listening<C>>()
  readonly #ends = new Map<Run, Set<End<C>>>()

  constructor(network: SimulatedNetwork, channel: Channel) {
    this.#network = network
    this.#channel = channel
  }

  /** @throws {PortTaken} */
  listen(party: Party, port: number, answer: (attempt: Attempt<C>) => void): Undo {
    const place = placeOf(party.station, port)
    if (this.#listenerAt(place))
      throw new PortTaken(`Another program listens on port ${port} of ${party.station.name}.`)
    const listening = { party, answer }
    this.#listening.set(place, listening)
    return () => {
      if (this.#listening.get(place) === listening) this.#listening.delete(place)
    }
  }

  /** Resolves when the connection stands. @throws {NotConnected} */
  connect(
    party: Party,
    to: { readonly address: string; readonly port: number },
    hello: C,
    options: ConnectOptions,
  ): Promise<{ readonly end: End<C>; readonly answer: C }> {
    const { scheduler } = this.#network
    const { promise, resolve, reject } = Promise.withResolvers<{ end: End<C>; answer: C }>()
    const target = this.#network.stationAt(to.address)
    // An address that nobody has is as silent as a machine that is down.
    if (!target) {
      scheduler.after(
        options.timeoutUs,
        'timeout',
        () => reject(new NotConnected('the address does not answer')),
        party.run,
      )
      return promise
    }
    const handshake = new Handshake(this, this.#network, this.#channel, party, target, to.port)
    const { end } = handshake
    const timer = scheduler.after(options.timeoutUs, 'timeout', () => fail('it does not answer'), party.run)
    const fail = (reason: string) => {
      timer.cancel()
      end.abort(reason)
      reject(new NotConnected(reason))
    }
    handshake.answered = answer => {
      timer.cancel()
      resolve({ end, answer })
    }
    end.events = { arrived: () => {}, broken: reason => fail(reason) }
    handshake.start(hello, options.roundTrips)
    return promise
  }

  /** An end that belongs to a run, and goes with it. */
  end(party: Party, remote: Station, out: Pipe<C>): End<C> {
    const end = new End(party, remote, out, gone => this.#ends.get(party.run)?.delete(gone))
    let ends = this.#ends.get(party.run)
    if (!ends) {
      ends = new Set()
      this.#ends.set(party.run, ends)
      party.run.whenOver(() => this.#died(party))
    }
    ends.add(end)
    return end
  }

  /** All connections between two hosts are gone, at both ends at once, with whatever is under way. */
  reset(one: string, other: string): void {
    const ends = [...this.#ends.values()].flatMap(each => [...each])
    for (const end of ends) {
      const [near, far] = [end.party.station.name, end.remote.name]
      if ((near === one && far === other) || (near === other && far === one)) end.break(wasReset)
    }
  }

  /** Who listens at a port of a station, if his process lives. */
  listenerAt(station: Station, port: number): Listening<C> | undefined {
    return this.#listenerAt(placeOf(station, port))
  }

  #listenerAt(place: string): Listening<C> | undefined {
    const found = this.#listening.get(place)
    if (!found?.party.run.isOver) return found
    this.#listening.delete(place)
    return undefined
  }

  /** The operating system of a process that died ends its connections; that of a machine that lost power says nothing. */
  #died({ run, station }: Party): void {
    for (const end of this.#ends.get(run) ?? []) {
      if (station.isUp) end.finish('the process has ended')
      else end.close()
    }
    this.#ends.delete(run)
  }
}

const placeOf = (station: Station, port: number): string => `${station.name}:${port}`

/** A connection from the first packet on: two pipes, and the ends that come to hold them. */
class Handshake<C> {
  readonly end: End<C>
  answered: (answer: C) => void = () => {}
  #far: End<C> | undefined
  readonly #transport: Transport<C>
  readonly #network: SimulatedNetwork
  readonly #port: number
  readonly #party: Party
  readonly #target: Station
  readonly #out: Pipe<C>
  readonly #back: Pipe<C>

  constructor(
    transport: Transport<C>,
    network: SimulatedNetwork,
    channel: Channel,
    party: Party,
    target: Station,
    port: number,
  ) {
    this.#transport = transport
    this.#network = network
    this.#party = party
    this.#target = target
    this.#port = port
    const there = { sender: party.station, target, mouth: this.#farMouth() }
    const back = { sender: target, target: party.station, mouth: this.#nearMouth() }
    this.#out = new Pipe(network, channel, there, why => this.end.break(why))
    this.#back = new Pipe(network, channel, back, why => this.#far?.break(why))
    this.end = transport.end(party, target, this.#out)
  }

  /** The first packet carries what the later ones of the handshake would, and takes as long as all of them. */
  start(hello: C, roundTrips: number): void {
    const there = this.#network.link(this.#party.station.name, this.#target.name)
    const back = this.#network.link(this.#target.name, this.#party.station.name)
    let extraUs = 0
    for (let trip = 1; trip < roundTrips; trip++) extraUs += there.latencyUs() + back.latencyUs()
    this.#out.send({ sign: 'connect', content: hello, about: 'connect', bytes: overheadBytes }, extraUs)
  }

  #farMouth(): Mouth<C> {
    return {
      receiver: sign => {
        if (sign === 'connect') return this.#transport.listenerAt(this.#target, this.#port)?.party.run
        return this.#far?.isOpen ? this.#far.party.run : undefined
      },
      arrived: parcel => {
        if (parcel.sign === 'connect') this.#ask(parcel)
        else if (parcel.sign === 'reset') this.#far?.break(parcel.reason ?? wasReset)
        else if (parcel.content !== undefined) this.#far?.events?.arrived(parcel.content)
      },
    }
  }

  #nearMouth(): Mouth<C> {
    return {
      receiver: () => (this.end.isOpen ? this.#party.run : undefined),
      arrived: parcel => {
        if (parcel.sign === 'refuse' || parcel.sign === 'reset') this.end.break(parcel.reason ?? wasReset)
        else if (parcel.content === undefined) return
        else if (parcel.sign === 'accept') this.answered(parcel.content)
        else this.end.events?.arrived(parcel.content)
      },
    }
  }

  #ask({ content }: Parcel<C>): void {
    const listening = this.#transport.listenerAt(this.#target, this.#port)
    if (!listening || content === undefined) return
    const far = this.#transport.end(listening.party, this.#party.station, this.#back)
    this.#far = far
    listening.answer({
      hello: content,
      remote: this.#party.station,
      accept: answer => {
        if (!far.isOpen) return undefined
        this.#back.send({ sign: 'accept', content: answer, about: 'accept', bytes: overheadBytes })
        return far
      },
      refuse: reason => {
        if (!far.isOpen) return
        far.close()
        this.#back.send({ sign: 'refuse', reason, about: 'refuse', bytes: overheadBytes })
      },
    })
  }
}

const wasReset = 'the peer has reset the connection'
