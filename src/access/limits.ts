/** What one client may take. Each bound is far above what an honest client needs, and low enough that many at once do no harm. */
export interface AccessLimits {
  /** Connections of all kinds, and of those the ones that have not authenticated yet. */
  readonly maxConnections: number
  readonly maxUnauthenticated: number
  /** From connecting to being authenticated; absolute. */
  readonly authenticationDeadlineMs: number
  /** Before authentication a client needs two frames of some hundred bytes. */
  readonly maxFramesUnauthenticated: number
  readonly maxFrameCharsUnauthenticated: number
  /** Frames per second in the long run, and how many may come at once: less than a mailbox holds. */
  readonly framesPerSecond: number
  readonly frameBurst: number
  /** Of one subscriber over all of its sessions here: frames per second in the long run, and sessions. */
  readonly framesPerSecondOfOne: number
  readonly maxSessionsOfOne: number
  /** Frames refused for their rate, or because they are no messages, before the connection is closed. */
  readonly maxStrikes: number
  /** Requests of one session that are being executed. */
  readonly maxInFlight: number
  /** Documents open on one session. */
  readonly maxChannels: number
  /** How often each connection is looked at; the resolution of the four durations below. */
  readonly tickMs: number
  /** After so long without a frame to the client it is sent one. y-websocket clients leave after 30 s without. */
  readonly keepAliveMs: number
  /** How often a document that is being read is checked against what its reader may read. */
  readonly recheckMs: number
  /** A reader may lag by this long, and beyond it must take what it is sent at this mean rate. */
  readonly slowReaderMs: number
  readonly slowReaderBytesPerSecond: number
  /** Bytes that may wait for a reader when the next frame is due. */
  readonly maxBufferedBytes: number
  /** How long a ticket is good. */
  readonly ticketMs: number
  /** How long a stopping server gives its clients to move to another one, if there is one. */
  readonly drainMs: number
  /** Media that are sent or received over HTTP at once, by all and by one subscriber. */
  readonly maxTransfers: number
  readonly maxTransfersOfOne: number
  /** How long a stopping server waits for its clients to close. */
  readonly stopMs: number
}

export const defaultLimits: AccessLimits = {
  maxConnections: 20_000,
  maxUnauthenticated: 1_000,
  authenticationDeadlineMs: 5_000,
  maxFramesUnauthenticated: 8,
  maxFrameCharsUnauthenticated: 4_096,
  framesPerSecond: 500,
  frameBurst: 1_000,
  framesPerSecondOfOne: 1_000,
  maxSessionsOfOne: 100,
  maxStrikes: 50,
  maxInFlight: 64,
  maxChannels: 256,
  tickMs: 5_000,
  keepAliveMs: 15_000,
  recheckMs: 60_000,
  slowReaderMs: 10_000,
  slowReaderBytesPerSecond: 32 * 1024,
  maxBufferedBytes: 1024 * 1024,
  ticketMs: 3_600_000,
  drainMs: 10_000,
  maxTransfers: 512,
  maxTransfersOfOne: 16,
  stopMs: 2_000,
}
