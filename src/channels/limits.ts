/** What one operator keeps for applications, and how fast it takes it. */
export interface ChannelLimits {
  /** Open channels of one subscriber. */
  readonly maxChannels: number
  /** One message's content. */
  readonly maxBodyBytes: number
  /** Messages that wait in one channel. */
  readonly maxQueued: number
  /** What may wait in all channels of one subscriber together, each message counted with its content and {@link messageOverheadBytes}. */
  readonly maxQueuedBytes: number
  /** What is remembered of messages that no longer wait, in all channels of one subscriber; the ones that end first are forgotten. */
  readonly maxSettled: number
  /** The longest time to live; what asks for more gets this. */
  readonly maxTtlMs: number
  /** Messages to one channel: in the long run, and at once. */
  readonly channelPerSecond: number
  readonly channelBurst: number
  /** Messages of one application to all of its channels at one server. */
  readonly applicationPerSecond: number
  readonly applicationBurst: number
  /** Requests of application servers that are worked on at once. */
  readonly maxAtOnce: number
  /** Messages that a client has been given on its connection and has not acknowledged, in one channel: further ones wait. */
  readonly window: number
  readonly windowBytes: number
  /** What is not urgent waits for so long, or until something more urgent goes. */
  readonly patienceMs: number
  /** How long a sender waits to hear that a second server has its message. */
  readonly replicationMs: number
  readonly sweepEveryMs: number
}

/** What a message takes beside its content: names, times, register. */
export const messageOverheadBytes = 256

export const defaultChannelLimits: ChannelLimits = {
  maxChannels: 32,
  maxBodyBytes: 4_096,
  maxQueued: 256,
  maxQueuedBytes: 1024 * 1024,
  maxSettled: 2_048,
  maxTtlMs: 7 * 86_400_000,
  channelPerSecond: 5,
  channelBurst: 100,
  applicationPerSecond: 200,
  applicationBurst: 2_000,
  maxAtOnce: 256,
  window: 32,
  windowBytes: 64 * 1024,
  patienceMs: 15_000,
  replicationMs: 1_000,
  sweepEveryMs: 600_000,
}

/**
 * Servers' clocks differ: what a message leaves behind is remembered for so long beyond its end, in which none of them gives
 * the message any more.
 */
export const clockMarginMs = 300_000
