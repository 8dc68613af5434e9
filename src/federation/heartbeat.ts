import type { Cancel, Clock } from '../ports/clock.ts'
import type { LinkLimits } from './limits.ts'

/** What a peer that is not there any more, or does nothing of its part, is found by. */
const idleness = {
  silent: 'The peer fell silent.',
  'takes-nothing': 'The peer takes nothing.',
  'answers-nothing': 'The peer does not answer.',
} as const

export interface HeartbeatOptions {
  /** Says something to the peer, so that it knows this side is there. */
  readonly beat: () => void
  /** For how long the peer has not taken what is being sent, and not answered what was asked. */
  readonly sendingMs: () => number
  readonly askingMs: () => number
  /** Called once, when the peer is idle for too long: nothing is said to it any more. */
  readonly failed: (fault: keyof typeof idleness, detail: string) => void
  readonly clock: Clock
  readonly limits: Pick<LinkLimits, 'heartbeatMs' | 'silenceMs' | 'askTimeoutMs'>
}

/** Says to a peer now and then that this side is there, and looks whether the peer is. */
export class Heartbeat {
  readonly #options: HeartbeatOptions
  /** Since when the next frame is awaited; `undefined` while this side is busy with the last. */
  #listeningMs: number | undefined
  #cancel: Cancel = () => {}

  constructor(options: HeartbeatOptions) {
    this.#options = options
    this.#wait()
  }

  /** The peer's next frame is awaited. */
  listening(): void {
    this.#listeningMs = this.#options.clock.elapsed()
  }

  /** A frame has come, and keeps this side busy: it is not the peer that is silent. */
  busy(): void {
    this.#listeningMs = undefined
  }

  end(): void {
    this.#cancel()
  }

  #wait(): void {
    const { clock, limits, beat, failed } = this.#options
    this.#cancel = clock.after(limits.heartbeatMs, () => {
      beat()
      const fault = this.#fault(clock.elapsed())
      if (fault === undefined) this.#wait()
      else failed(fault, idleness[fault])
    })
  }

  #fault(nowMs: number): keyof typeof idleness | undefined {
    const { limits, sendingMs, askingMs } = this.#options
    if (nowMs - (this.#listeningMs ?? nowMs) > limits.silenceMs) return 'silent'
    if (sendingMs() > limits.silenceMs) return 'takes-nothing'
    return askingMs() > limits.askTimeoutMs ? 'answers-nothing' : undefined
  }
}
