import type { Documents, Registers } from '../document/documents.ts'
import type { ClientConnection } from '../federation/command.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { ChannelLimits } from './limits.ts'
import { channelClosed, channelMessages } from './methods.ts'
import { type Waiting, waitingIn } from './queue.ts'
import { keys } from './records.ts'

/*
 * Gives what waits in a channel to the client that is here for it: each message once on a connection, in order, so many at a
 * time as the client keeps up with. What is not urgent waits a while for company, and goes with the first that is: urgency says
 * when, never in which order.
 */

export interface Delivery {
  /** From now on the channel's messages go to this connection, and to no other one at this server. */
  attach(document: DocumentId, channel: string, connection: ClientConnection): void
  /** The document has changed. */
  changed(document: DocumentId): void
  stop(): void
}

export interface DeliveryOptions {
  readonly documents: Pick<Documents, 'read'>
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly limits: Pick<ChannelLimits, 'window' | 'windowBytes' | 'patienceMs'>
}

export function createDelivery(options: DeliveryOptions): Delivery {
  const receivers = new Map<DocumentId, Map<string, Receiver>>()

  function leave(document: DocumentId, channel: string, receiver: Receiver): void {
    receiver.end()
    const ofDocument = receivers.get(document)
    if (ofDocument?.get(channel) !== receiver) return
    ofDocument.delete(channel)
    if (ofDocument.size === 0) receivers.delete(document)
  }

  return {
    attach(document, channel, connection) {
      const ofDocument = receivers.get(document) ?? new Map<string, Receiver>()
      receivers.set(document, ofDocument)
      const before = ofDocument.get(channel)
      if (before?.isOn(connection)) return before.look()
      before?.close('taken')
      const receiver = new Receiver(document, channel, connection, options)
      ofDocument.set(channel, receiver)
      connection.onEnd(() => leave(document, channel, receiver))
      receiver.look()
    },

    changed(document) {
      for (const receiver of receivers.get(document)?.values() ?? []) receiver.look()
    },

    stop() {
      for (const ofDocument of receivers.values()) for (const receiver of ofDocument.values()) receiver.end()
      receivers.clear()
    },
  }
}

/** After a document could not be read. */
const retryMs = 1_000

/** One channel on one connection. */
class Receiver {
  readonly #document: DocumentId
  readonly #channel: string
  readonly #connection: ClientConnection
  readonly #options: DeliveryOptions
  /** Given on this connection, and still waiting to be acknowledged: ids with what they weigh. */
  #given = new Map<string, number>()
  /** Not so while the client, which has just come or takes what it can, has not been given all that waited. */
  #isPatient = false
  #isLooking = false
  #hasChanged = false
  #hasEnded = false
  #cancel: Cancel | undefined

  constructor(document: DocumentId, channel: string, connection: ClientConnection, options: DeliveryOptions) {
    this.#document = document
    this.#channel = channel
    this.#connection = connection
    this.#options = options
  }

  end(): void {
    this.#hasEnded = true
    this.#cancel?.()
  }

  isOn(connection: ClientConnection): boolean {
    return this.#connection === connection
  }

  close(why: 'closed' | 'taken'): void {
    this.end()
    this.#connection.tell(channelClosed.method, { channel: this.#channel, why })
  }

  look(): void {
    this.#hasChanged = true
    if (this.#isLooking || this.#hasEnded) return
    this.#isLooking = true
    void this.#lookAgain().finally(() => {
      this.#isLooking = false
      if (this.#hasChanged) this.look()
    })
  }

  async #lookAgain(): Promise<void> {
    const { documents, clock, telemetry } = this.#options
    try {
      while (this.#hasChanged && !this.#hasEnded) {
        this.#hasChanged = false
        const registers = await documents.read(this.#document)
        if (this.#hasEnded) return
        if (registers.get(keys.channel(this.#channel))?.value === null) return this.close('closed')
        this.#give(registers, clock.now())
      }
    } catch (error) {
      telemetry.log('warn', 'channels.unreadable', { document: this.#document, message: String(error) })
      this.#later(retryMs)
    }
  }

  #give(registers: Registers, now: number): void {
    const waiting = waitingIn(registers, this.#channel, now)
    this.#given = new Map(waiting.flatMap(({ id, bytes }) => (this.#given.has(id) ? [[id, bytes]] : [])))
    const due = waiting.filter(({ id }) => !this.#given.has(id))
    if (this.#isPatient && due.length > 0 && due.every(isPatient)) {
      this.#wait()
      return
    }
    this.#cancel?.()
    this.#cancel = undefined
    const next = this.#within(due)
    this.#isPatient = next.length === due.length
    if (next.length === 0) return
    for (const { id, bytes } of next) this.#given.set(id, bytes)
    this.#connection.tell(channelMessages.method, { channel: this.#channel, messages: next.map(shapeAt(now)) })
    this.#options.telemetry.count('cpns_channel_messages_given_total', {}, next.length)
  }

  /** As many as the client may have at once; one in any case, if it has none. */
  #within(due: readonly Waiting[]): readonly Waiting[] {
    const { window, windowBytes } = this.#options.limits
    let count = this.#given.size
    let bytes = [...this.#given.values()].reduce((sum, each) => sum + each, 0)
    const next: Waiting[] = []
    for (const message of due) {
      count += 1
      bytes += message.bytes
      if (count > 1 && (count > window || bytes > windowBytes)) break
      next.push(message)
    }
    return next
  }

  #wait(): void {
    this.#cancel ??= this.#options.clock.after(this.#options.limits.patienceMs, () => {
      this.#cancel = undefined
      this.#isPatient = false
      this.look()
    })
  }

  #later(ms: number): void {
    if (this.#hasEnded) return
    this.#cancel?.()
    this.#cancel = this.#options.clock.after(ms, () => {
      this.#cancel = undefined
      this.look()
    })
  }
}

const isPatient = ({ urgency }: Waiting): boolean => urgency === 'low' || urgency === 'very-low'

const shapeAt =
  (now: number) =>
  ({ id, at, expires, urgency, topic, type, text, data }: Waiting) => ({
    ...{ id, at, expires, urgency, type },
    leftMs: expires - now,
    ...(topic !== undefined && { topic }),
    ...(text !== undefined && { text }),
    ...(data !== undefined && { data }),
  })
