import { z } from 'zod'
import { type Subscriber, type SubscriberRight, subscriberRights } from '../ports/key-source.ts'

/*
 * A subscriber as JSON, in the operator's own file and in the answers of its key server alike: bytes are base64url.
 */

export const identityPattern = /^[A-Za-z0-9._@+-]{1,128}$/

const identity = z.string().regex(identityPattern, { error: 'an identity is 1 to 128 of A-Z a-z 0-9 . _ @ + -' })
const key = (isLong: (lengthBytes: number) => boolean, what: string) =>
  z.base64url().refine(text => isLong(Buffer.from(text, 'base64url').length), { error: what })
/** Longer ones are hashed down by every use, so nobody gains by them. */
const longestPskBytes = 1_024
const psk = key(
  length => length >= 32 && length <= longestPskBytes,
  `a pre-shared key has 32 to ${longestPskBytes} bytes`,
)
const publicKey = key(length => length === 32, 'a public key has 32 bytes')

/** Of what opens sessions; what only registers a PNE has none. */
const rights = z.array(z.enum(subscriberRights)).max(subscriberRights.length).optional()

export const subscriberRecord = z.discriminatedUnion('kind', [
  z.strictObject({ identity, kind: z.literal('psk'), key: psk, rights }),
  z.strictObject({ identity, kind: z.literal('ed25519'), publicKey, rights }),
  z.strictObject({ identity, kind: z.literal('x25519'), publicKey }),
  z.strictObject({ identity, kind: z.literal('x509') }),
])
export type SubscriberRecord = z.infer<typeof subscriberRecord>

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
const text = (raw: Uint8Array) => Buffer.from(raw).toString('base64url')

/** Each right once, in one order; none is left out, so that a subscriber and its record are written in one way. */
const granted = (rights: readonly SubscriberRight[] = []): { rights?: SubscriberRight[] } =>
  rights.length > 0 ? { rights: subscriberRights.filter(right => rights.includes(right)) } : {}

export function subscriberOf(record: SubscriberRecord): Subscriber {
  const { identity } = record
  switch (record.kind) {
    case 'psk':
      return { identity, credential: { kind: 'psk', key: bytes(record.key) }, ...granted(record.rights) }
    case 'ed25519':
      return {
        identity,
        credential: { kind: 'ed25519', publicKey: bytes(record.publicKey) },
        ...granted(record.rights),
      }
    case 'x25519':
      return { identity, credential: { kind: 'x25519', publicKey: bytes(record.publicKey) } }
    case 'x509':
      return { identity, credential: { kind: 'x509' } }
  }
}

export function recordOf({ identity, credential, rights }: Subscriber): SubscriberRecord {
  switch (credential.kind) {
    case 'psk':
      return { identity, kind: 'psk', key: text(credential.key), ...granted(rights) }
    case 'ed25519':
      return { identity, kind: 'ed25519', publicKey: text(credential.publicKey), ...granted(rights) }
    case 'x25519':
      return { identity, kind: 'x25519', publicKey: text(credential.publicKey) }
    case 'x509':
      return { identity, kind: 'x509' }
  }
}

export interface ShownSubscriber {
  readonly identity: string
  readonly kind: SubscriberRecord['kind']
  readonly publicKey?: string
  readonly rights?: readonly SubscriberRight[]
}

/** What may be printed of a subscriber: whatever is no secret. */
export function shownOf(record: SubscriberRecord): ShownSubscriber {
  const { identity, kind } = record
  switch (record.kind) {
    case 'psk':
      return { identity, kind, ...granted(record.rights) }
    case 'ed25519':
      return { identity, kind, publicKey: record.publicKey, ...granted(record.rights) }
    case 'x25519':
      return { identity, kind, publicKey: record.publicKey }
    case 'x509':
      return { identity, kind }
  }
}
