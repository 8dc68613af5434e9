import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import { maxPushBytes, type Push, type PushMessage, type PushOutcome, type PushSubscription } from '../ports/push.ts'
import type { Random } from '../ports/random.ts'

/** What came to a device, as it reads it. */
export interface PushedMessage extends Pick<PushMessage, 'payload' | 'ttlMs' | 'urgency' | 'topic'> {
  /** The clock's milliseconds. */
  readonly at: number
}

export interface SimulatedPushOptions {
  readonly clock: Clock
  readonly crypto: Pick<Crypto, 'sha256' | 'equal'>
  readonly random: Pick<Random, 'bytes'>
  /** From sending to the answer. */
  readonly delayMs: number
}

/** A device at its push service. */
export interface SimulatedPushDevice {
  readonly subscription: PushSubscription
  readonly received: readonly PushedMessage[]
  /** What the push service answers from now on: `delivered` as long as it is not told otherwise. */
  answer: PushOutcome
}

/**
 * The push services of a simulated world: they take what a server sends after `delayMs`, and hand it to the device that the
 * endpoint is of, if it was sent by whom the device subscribed to and is sealed to the device's keys.
 */
export class SimulatedPush implements Push {
  readonly #devices = new Map<string, { readonly device: PushedDevice; readonly senderKey: Uint8Array }>()
  readonly #options: SimulatedPushOptions

  constructor(options: SimulatedPushOptions) {
    this.#options = options
  }

  /** A new device, that hears from the sender with this key alone. */
  subscribe(senderKey: Uint8Array): SimulatedPushDevice {
    const { random } = this.#options
    const endpoint = `https://push.example/${Buffer.from(random.bytes(16)).toString('hex')}`
    const p256dh = Uint8Array.of(4, ...random.bytes(64))
    const device: PushedDevice = {
      subscription: { endpoint, p256dh, auth: random.bytes(16) },
      received: [],
      answer: { kind: 'delivered' },
    }
    this.#devices.set(endpoint, { device, senderKey })
    return device
  }

  senderKey(senderSecret: Uint8Array): Uint8Array {
    const { crypto } = this.#options
    return Uint8Array.of(4, ...crypto.sha256(senderSecret), ...crypto.sha256(crypto.sha256(senderSecret)))
  }

  objection(endpoint: string): string | undefined {
    return URL.parse(endpoint)?.protocol === 'https:' ? undefined : 'is not https'
  }

  send(message: PushMessage): Promise<PushOutcome> {
    if (message.payload.length > maxPushBytes) throw new RangeError(`A push message has at most ${maxPushBytes} bytes.`)
    const { clock, delayMs } = this.#options
    return new Promise(resolve => void clock.after(delayMs, () => resolve(this.#taken(message))))
  }

  #taken({ subscription, senderSecret, payload, ttlMs, urgency, topic }: PushMessage): PushOutcome {
    const { clock, crypto } = this.#options
    const { endpoint, p256dh, auth } = subscription
    if (this.objection(endpoint) !== undefined) return { kind: 'refused', reason: 'endpoint' }
    const found = this.#devices.get(endpoint)
    if (!found) return { kind: 'gone' }
    const { device, senderKey } = found
    if (!crypto.equal(senderKey, this.senderKey(senderSecret))) return { kind: 'refused', reason: 'status' }
    if (device.answer.kind !== 'delivered') return device.answer
    const isReadable = crypto.equal(p256dh, device.subscription.p256dh) && crypto.equal(auth, device.subscription.auth)
    if (isReadable)
      device.received.push({ at: clock.now(), payload, ttlMs, urgency, ...(topic !== undefined && { topic }) })
    return { kind: 'delivered' }
  }
}

interface PushedDevice extends SimulatedPushDevice {
  readonly received: PushedMessage[]
}
