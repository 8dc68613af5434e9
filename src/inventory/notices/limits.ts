/** What others may have this server tell its clients, and what may wait to be told at other servers. */
export interface NoticeLimits {
  /** Characters of a notice's params as JSON: notices say that something happened, not what there is to read. */
  readonly maxChars: number
  /** Notices in one request to another server. */
  readonly maxBatch: number
  /** Notices that may wait for one server; beyond it the oldest is dropped. */
  readonly maxWaiting: number
  /** Notices of all servers of another operator together. */
  readonly perOperatorPerSecond: number
  readonly perOperatorBurst: number
  /** Notices of one operator to one subscriber: fewer than make an honest reader a slow one, enough for the PNEs beside a gateway. */
  readonly perRecipientPerSecond: number
  readonly perRecipientBurst: number
}

export const defaultNoticeLimits: NoticeLimits = {
  maxChars: 4_096,
  maxBatch: 32,
  maxWaiting: 512,
  perOperatorPerSecond: 200,
  perOperatorBurst: 1_000,
  perRecipientPerSecond: 20,
  perRecipientBurst: 200,
}
