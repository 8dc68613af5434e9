import { z } from 'zod'
import type { Subscriber } from '../ports/key-source.ts'

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

export const subscriberRecord = z.discriminatedUnion('kind', [
  z.strictObject({ identity, kind: z.literal('psk'), key: psk }),
  z.strictObject({ identity, kind: z.literal('ed25519'), publicKey }),
  z.strictObject({ identity, kind: z.literal('x25519'), publicKey }),
  z.strictObject({ identity, kind: z.literal('x509') }),
])
export type SubscriberRecord = z.infer<typeof subscriberRecord>

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'base64url'))
const text = (raw: Uint8Array) => Buffer.from(raw).toString('base64url')

export function subscriberOf(record: SubscriberRecord): Subscriber {
  switch (record.kind) {
    case 'psk':
      return { identity: record.identity, credential: { kind: 'psk', key: bytes(record.key) } }
    case 'ed25519':
    case 'x25519':
      return { identity: record.identity, credential: { kind: record.kind, publicKey: bytes(record.publicKey) } }
    case 'x509':
      return { identity: record.identity, credential: { kind: record.kind } }
  }
}

export function recordOf({ identity, credential }: Subscriber): SubscriberRecord {
  switch (credential.kind) {
    case 'psk':
      return { identity, kind: 'psk', key: text(credential.key) }
    case 'ed25519':
    case 'x25519':
      return { identity, kind: credential.kind, publicKey: text(credential.publicKey) }
    case 'x509':
      return { identity, kind: credential.kind }
  }
}

/** What may be printed of a subscriber: whatever is no secret. */
export function shownOf(record: SubscriberRecord): Readonly<Record<string, string>> {
  const { identity, kind } = record
  switch (record.kind) {
    case 'psk':
    case 'x509':
      return { identity, kind }
    case 'ed25519':
    case 'x25519':
      return { identity, kind, publicKey: record.publicKey }
  }
}
