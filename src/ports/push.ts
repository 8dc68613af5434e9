/** Where a device takes notifications from its push service: what the service gave it (RFC 8030), and its keys (RFC 8291). */
export interface PushSubscription {
  /** An https URL that is a secret: who has it can send to it. */
  readonly endpoint: string
  /** The device's P-256 public key, an uncompressed point of 65 bytes. */
  readonly p256dh: Uint8Array
  /** The device's authentication secret, 16 bytes. */
  readonly auth: Uint8Array
}

export interface PushMessage {
  readonly subscription: PushSubscription
  /** The secret of the key that the subscription was made for; see {@link Push.senderKey}. */
  readonly senderSecret: Uint8Array
  /** Sealed to the device on its way: the push service cannot read it. At most {@link maxPushBytes}. */
  readonly payload: Uint8Array
  /** How long the push service is to keep it for a device that cannot be reached. */
  readonly ttlMs: number
  readonly urgency: 'very-low' | 'low' | 'normal' | 'high'
  /** Of several messages with one topic the push service keeps the last: 1 to 32 characters of base64url. */
  readonly topic?: string
}

export type PushOutcome =
  /** The push service has taken it; whether it reaches the device is not known. */
  | { readonly kind: 'delivered' }
  /** The subscription has ended for good: forget it. */
  | { readonly kind: 'gone' }
  /** Not now. `afterMs` as far as the push service says. */
  | { readonly kind: 'retry'; readonly reason: PushFailure; readonly afterMs?: number }
  /** It would not help to send it again. */
  | { readonly kind: 'refused'; readonly reason: PushFailure }

/** In one word, fit for a counter's label. None of them says where it was sent. */
export type PushFailure = 'endpoint' | 'address' | 'keys' | 'unreachable' | 'timeout' | 'busy' | 'status'

/** A record of RFC 8291 with its overhead is 4,096 bytes at the most. */
export const maxPushBytes = 3_993

/** Bytes of a sender's secret: enough above 256 bits that every P-256 key comes out as often (FIPS 186-5, A.2.1). */
export const senderSecretBytes = 48

/**
 * Web Push (RFC 8030): sends sealed messages to whatever push services devices name. Endpoints come from clients, so they are
 * hostile: an adapter reaches nothing but public addresses over TLS, follows no redirect, and bounds time and answer.
 */
export interface Push {
  /** The P-256 public key (RFC 8292, "applicationServerKey"; 65 bytes) that belongs to a secret. */
  senderKey(senderSecret: Uint8Array): Uint8Array
  /** Why nothing would ever be sent to this endpoint, as far as it shows without asking anybody; `undefined` if it may be. */
  objection(endpoint: string): string | undefined
  /** Never throws for what the endpoint, its keys or its push service are like. */
  send(message: PushMessage): Promise<PushOutcome>
}
