/** How long presence holds, and how much of it there may be. */
export interface PresenceLimits {
  /** How long a report holds: three heartbeats of a gateway. */
  readonly holdsMs: number
  /** How long it is remembered when somebody was last seen. */
  readonly keptMs: number
  /** How long a server tells another what changes without being asked again, and how long what it told is believed. */
  readonly leaseMs: number
  /** How often the asking server asks again: several times in a lease. */
  readonly renewMs: number
  /** How often what has ended is looked for: the resolution of the durations above. */
  readonly tickMs: number
  /** How long changes are gathered before other servers, and before clients, are told. */
  readonly gatherMs: number
  /** How long a query waits for other servers. */
  readonly answerMs: number
  /** Elements that one server may speak of in one Personal Network. */
  readonly maxEntries: number
  /** Personal Networks in one request between servers, and elements in it, all together. */
  readonly maxNetworksPerRequest: number
  readonly maxEntriesPerRequest: number
  /** Personal Networks that a subscriber may watch, that this server may watch, and that one other server may. */
  readonly maxWatchedBySubscriber: number
  readonly maxWatched: number
  readonly maxLeasesPerServer: number
  /** Calls of one subscriber. */
  readonly callsPerSecond: number
  readonly callBurst: number
  /** Requests about presence of all servers of another operator. */
  readonly perOperatorPerSecond: number
  readonly perOperatorBurst: number
}

export const defaultPresenceLimits: PresenceLimits = {
  holdsMs: 60_000,
  keptMs: 3_600_000,
  leaseMs: 30_000,
  renewMs: 10_000,
  tickMs: 5_000,
  gatherMs: 300,
  answerMs: 1_500,
  maxEntries: 2_048,
  maxNetworksPerRequest: 64,
  maxEntriesPerRequest: 1_024,
  maxWatchedBySubscriber: 128,
  maxWatched: 20_000,
  maxLeasesPerServer: 20_000,
  callsPerSecond: 20,
  callBurst: 200,
  perOperatorPerSecond: 200,
  perOperatorBurst: 1_000,
}
