/** What a subscriber of an operator proves itself with. */
export type Credential =
  | { readonly kind: 'psk'; readonly key: Uint8Array }
  | { readonly kind: 'ed25519'; readonly publicKey: Uint8Array }
  /** Of a PNE: it registers with this key, and does nothing else with it. */
  | { readonly kind: 'x25519'; readonly publicKey: Uint8Array }
  /** Of a PNE: it registers with a certificate that names it, by an authority that its operator trusts. */
  | { readonly kind: 'x509' }

/**
 * What a subscriber may do at its operator beyond what belongs to it: `deposit` messages for any user, as a participating
 * function does; `provision` users, as an operator's own systems do; be let in as an `emergency` while a server is overloaded.
 */
export const subscriberRights = ['deposit', 'provision', 'emergency'] as const
export type SubscriberRight = (typeof subscriberRights)[number]

/** A subscriber: a user's application, a gateway, or a PNE. */
export interface Subscriber {
  /** Unique at the operator; 1–128 characters of `[A-Za-z0-9._@+-]`. */
  readonly identity: string
  readonly credential: Credential
  /** Left out: none. */
  readonly rights?: readonly SubscriberRight[]
}

/** Where an operator's subscribers and their secrets come from. Its answers never enter a document, a log or a trace. */
export interface KeySource {
  /** `undefined` if there is no such subscriber. @throws when the source cannot be reached. */
  find(identity: string): Promise<Subscriber | undefined>
}
