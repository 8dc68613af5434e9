import {
  type ChannelMessageShape,
  channelAcknowledge,
  channelClose,
  channelClosed,
  channelMessages,
  channelOpen,
} from '../channels/methods.ts'
import { fromBase64url, utf8 } from '../commands/framing.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import { RequestRefused } from './errors.ts'
import { backoffMs, isForGood, sleep } from './patience.ts'
import { Remembered } from './remembered.ts'
import type { Session } from './session.ts'

/*
 * An application's channel on a client: its application server sends through the operator's servers, and what it sent comes here,
 * in order, once, over whichever of them the client is connected to. Servers give a message until they know that it was
 * acknowledged; what comes again because a server did not know it yet is recognised, acknowledged again, and not handed out.
 *
 * While no server has room for the client, the application is told `direct`, to use its own server, and `back` afterwards.
 */

/** Where a channel has its connection: a session, or what keeps one. */
export type ChannelHome = Pick<Session, 'state' | 'call' | 'listen'>

export interface ChannelMessage {
  /** The same for the same message, wherever it comes from; follows from the idempotency key, if the sender gave one. */
  readonly id: string
  /** Milliseconds since 1970: when a server took it. */
  readonly at: number
  readonly expires: number
  readonly urgency: ChannelMessageShape['urgency']
  readonly topic: string | undefined
  /** The media type that the sender said. */
  readonly type: string
  readonly body: Uint8Array
  /** The content as text; what is no UTF-8 in it is replaced by U+FFFD. */
  text(): string
}

/** What the application server needs to send. Whoever has it can. */
export interface ChannelAddress {
  readonly channel: string
  /** Any of them, each at another server of the operator. */
  readonly urls: readonly string[]
  readonly credential: string
}

/** Hears of a channel. Every member but `message` may be left out. */
export interface ChannelListener {
  /**
   * One message after another, in order. It is acknowledged when this has returned or resolved. If it throws or rejects the same
   * message is handed in again, after a pause, and the later ones wait, until it has ended.
   */
  message(message: ChannelMessage): void | Promise<void>
  /** The channel is open, for the first time or under an address that has changed: tell the application server. */
  opened?(address: ChannelAddress): void
  /** No server of the operator has room: use this address, the one that was given on opening, until `back`. */
  direct?(address: string): void
  /** The channel is open again after `direct`. */
  back?(): void
  /** A message could not be dealt with: what `message` threw, and how often it was tried. */
  failed?(error: unknown, message: ChannelMessage, attempt: number): void
  /** For good: by the client, elsewhere by the subscriber, or refused. Nothing comes after. */
  closed?(why: string): void
}

export interface ChannelOptions {
  /** By convention the domain name of whoever runs the application's server. */
  readonly application: string
  /** This installation of the application, among those of the subscriber: each has a channel of its own. Default: `main`. */
  readonly instance?: string
  /** Where the application finds its own server while the operator has no room. */
  readonly direct: string
  readonly listener: ChannelListener
}

export type ChannelState = 'opening' | 'open' | 'direct' | 'closed'

export interface Channel {
  readonly state: ChannelState
  /** As last told by `opened`. */
  readonly address: ChannelAddress | undefined
  /** Has another credential made: those before are worth nothing from then on. @throws as {@link Session.call} */
  renew(): Promise<ChannelAddress>
  /** Closes the channel at the operator: what waits in it is dropped, its address is worth nothing. @throws as {@link Session.call} */
  close(): Promise<void>
  /** Leaves the channel open at the operator: what comes waits for the next time that this application opens it. */
  leave(): void
}

export interface ChannelPorts {
  readonly clock: Clock
  readonly crypto: Pick<ClientCrypto, 'randomBytes'>
}

const whys = {
  closed: 'The subscriber has closed the channel.',
  taken: 'Somebody else who is the subscriber has opened the channel. Give each an instance of its own.',
} as const

/** What was given and not yet dealt with. Servers give far less at once; a server that gives more is not listened to. */
const maxHeld = 1_024
/** Acknowledgements of one call. */
const maxAcknowledged = 128
const retry = { firstMs: 500, longestMs: 30_000 }

/** A message that waits to be handed out, and when it ends by the clock's elapsed milliseconds: what day it is may be wrong here. */
interface Held {
  readonly message: ChannelMessage
  readonly endsMs: number
}

/** Opens a channel, as soon as there is a connection, and keeps it open over the loss of connections and servers. */
export const openChannel = (home: ChannelHome, ports: ChannelPorts, options: ChannelOptions): Channel =>
  new OpenChannel(home, ports, options)

class OpenChannel implements Channel {
  readonly #home: ChannelHome
  readonly #ports: ChannelPorts
  readonly #options: ChannelOptions
  readonly #listener: ChannelListener
  readonly #place: { readonly application: string; readonly instance: string }
  readonly #stop: () => void
  #state: ChannelState = 'opening'
  #address: ChannelAddress | undefined
  #generation = 0
  /** In order, not dealt with yet; the first one is being dealt with. */
  readonly #held = new Map<string, Held>()
  /** Dealt with, until they end: a server that does not know gives them again. */
  readonly #remembered = new Remembered()
  readonly #unacknowledged = new Set<string>()
  /** Came before the channel's own name was known. */
  #early: unknown[] = []
  #isHanding = false
  #isAcknowledging = false
  #cancelOpening: Cancel = () => {}
  #cancelAcknowledging: Cancel = () => {}

  constructor(home: ChannelHome, ports: ChannelPorts, options: ChannelOptions) {
    this.#home = home
    this.#ports = ports
    this.#options = options
    this.#listener = options.listener
    const { application, instance = 'main' } = options
    this.#place = { application, instance }
    this.#stop = home.listen({
      state: () => this.#follow(),
      notification: (method, params) => this.#told(method, params),
    })
    this.#follow()
  }

  get state(): ChannelState {
    return this.#state
  }

  get address(): ChannelAddress | undefined {
    return this.#address
  }

  // --- the connection

  #follow(): void {
    if (this.#state === 'closed') return
    const { state } = this.#home
    switch (state.kind) {
      case 'connected':
        void this.#open(1)
        return
      case 'connecting':
        if (state.isDirect) this.#goDirect()
        else if (this.#state === 'open') this.#state = 'opening'
        return
      case 'closed':
        this.#end(state.why)
    }
  }

  #goDirect(): void {
    if (this.#state === 'direct') return
    this.#state = 'direct'
    this.#listener.direct?.(this.#options.direct)
  }

  /** On every connection anew, so that messages are given there; what a server had not heard of the channel, it hears so. */
  async #open(attempt: number): Promise<void> {
    this.#cancelOpening()
    try {
      await this.#openWith({})
    } catch (error) {
      if (this.#state === 'closed' || this.#home.state.kind !== 'connected') return
      // At a server of another operator the client is a guest, and the channel not known.
      if (error instanceof RequestRefused && error.reason === 'ELSEWHERE') return this.#goDirect()
      if (error instanceof RequestRefused && isForGood(error)) return this.#end(error.message)
      const pauseMs = backoffMs(attempt, this.#ports.crypto, retry)
      this.#cancelOpening = this.#ports.clock.after(pauseMs, () => void this.#open(attempt + 1))
    }
  }

  async #openWith(more: { readonly renew?: number }): Promise<ChannelAddress | undefined> {
    const { channel, urls, credential, generation } = await this.#home.call(channelOpen, { ...this.#place, ...more })
    if (this.#state === 'closed') return undefined
    const address = { channel, urls, credential }
    const isOther = !isSame(address, this.#address)
    this.#address = address
    this.#generation = generation
    const wasDirect = this.#state === 'direct'
    this.#state = 'open'
    if (isOther) this.#listener.opened?.(address)
    if (wasDirect) this.#listener.back?.()
    for (const params of this.#early.splice(0)) this.#take(params)
    void this.#acknowledge(1)
    return address
  }

  #told(method: string, params: unknown): void {
    if (this.#state === 'closed') return
    if (method === channelMessages.method) {
      if (this.#address) this.#take(params)
      else if (this.#early.length < maxHeld) this.#early.push(params)
    }
    if (method !== channelClosed.method) return
    const closed = channelClosed.params.safeParse(params)
    if (closed.success && closed.data.channel === this.#address?.channel) this.#end(whys[closed.data.why])
  }

  // --- messages

  #take(params: unknown): void {
    const given = channelMessages.params.safeParse(params)
    if (!given.success || given.data.channel !== this.#address?.channel) return
    for (const message of given.data.messages) {
      const endsMs = this.#ports.clock.elapsed() + message.leftMs
      if (this.#remembered.has(message.id)) this.#dealtWithBefore(message.id, endsMs)
      else if (this.#held.size < maxHeld && !this.#held.has(message.id))
        this.#held.set(message.id, { message: messageOf(message), endsMs })
    }
    void this.#acknowledge(1)
    void this.#handOut()
  }

  async #handOut(): Promise<void> {
    if (this.#isHanding) return
    this.#isHanding = true
    for (;;) {
      const [next] = this.#held.values()
      if (!next || this.#state === 'closed') break
      if (await this.#dealtWith(next)) {
        this.#dealtWithBefore(next.message.id, next.endsMs)
        void this.#acknowledge(1)
      }
      this.#held.delete(next.message.id)
    }
    this.#isHanding = false
  }

  #dealtWithBefore(id: string, endsMs: number): void {
    this.#remembered.add(id, endsMs, this.#ports.clock.elapsed())
    this.#unacknowledged.add(id)
  }

  /** Tries until it is dealt with, or has ended. */
  async #dealtWith({ message, endsMs }: Held): Promise<boolean> {
    const { clock, crypto } = this.#ports
    for (let attempt = 1; this.#state !== 'closed' && clock.elapsed() < endsMs; attempt++) {
      try {
        await this.#listener.message(message)
        return true
      } catch (error) {
        this.#listener.failed?.(error, message, attempt)
        await sleep(clock, backoffMs(attempt, crypto, retry))
      }
    }
    return false
  }

  /** Everything that is to be acknowledged, one call after another; what fails, is said again on the next connection. */
  async #acknowledge(attempt: number): Promise<void> {
    if (this.#isAcknowledging || this.#state !== 'open') return
    this.#isAcknowledging = true
    try {
      while (this.#unacknowledged.size > 0 && this.#address && this.#state === 'open') {
        const messages = [...this.#unacknowledged].slice(0, maxAcknowledged)
        await this.#home.call(channelAcknowledge, { channel: this.#address.channel, messages })
        for (const id of messages) this.#unacknowledged.delete(id)
      }
    } catch (error) {
      if (error instanceof RequestRefused && isForGood(error)) this.#unacknowledged.clear()
      else this.#acknowledgeLater(attempt)
    } finally {
      this.#isAcknowledging = false
    }
  }

  #acknowledgeLater(attempt: number): void {
    const { clock, crypto } = this.#ports
    this.#cancelAcknowledging()
    this.#cancelAcknowledging = clock.after(
      backoffMs(attempt, crypto, retry),
      () => void this.#acknowledge(attempt + 1),
    )
  }

  // --- the end

  async renew(): Promise<ChannelAddress> {
    const renewed = await this.#openWith(this.#generation > 0 ? { renew: this.#generation } : {})
    return renewed ?? Promise.reject(new Error('The channel was closed meanwhile.'))
  }

  async close(): Promise<void> {
    const { channel } = this.#address ?? (await this.#home.call(channelOpen, this.#place))
    await this.#home.call(channelClose, { channel })
    this.#end('Closed by the client.')
  }

  leave(): void {
    this.#end('Left by the client.')
  }

  #end(why: string): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#stop()
    this.#cancelOpening()
    this.#cancelAcknowledging()
    this.#held.clear()
    this.#listener.closed?.(why)
  }
}

const isSame = (a: ChannelAddress, b: ChannelAddress | undefined): boolean =>
  a.channel === b?.channel && a.credential === b.credential && isSameSet(a.urls, b.urls)

/** Each server names itself first. */
const isSameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every(url => b.includes(url))

function messageOf({ id, at, expires, urgency, topic, type, text, data }: ChannelMessageShape): ChannelMessage {
  const body = text === undefined ? (fromBase64url(data ?? '') ?? new Uint8Array(0)) : utf8(text)
  return { id, at, expires, urgency, topic, type, body, text: () => text ?? new TextDecoder().decode(body) }
}
