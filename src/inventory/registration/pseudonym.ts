import { framed, fromBase64url, joined, toBase64url, utf8 } from '../../commands/framing.ts'
import { createOperatorSeal } from '../../commands/operator-seal.ts'
import { DecryptionFailed, type Hpke } from '../../ports/crypto.ts'
import type { OperatorId } from '../../ports/names.ts'

/*
 * Under which name a pre-shared key is asked for on the wire: never under the identity, and under a new one each time.
 *
 * - A PNE that has no other seals its identity to its operator's registration key (HPKE, mode Base): `I…`.
 * - With each answer its operator gives it the name for the next time, its identity sealed for the operator itself: `P…`.
 *
 * So no server keeps a list of names, each server of the operator understands the names that another gave, and nobody else
 * can tell that two names are one subscriber's. Both are of one length, whatever the identity is. Who puts a key of its
 * own in the place of the operator's reads the identity of a first contact, and learns what PN and PNE ID tell already.
 */

const sealedPrefix = 'I'
const givenPrefix = 'P'
const identityLabel = 'cpns registration identity v1'
const pseudonymLabel = 'cpns registration pseudonym v1'

/** An identity has at most 128 characters, each of one byte; the rest is zeros, which no identity contains. */
const paddedBytes = 128
const encBytes = 32

function padded(identity: string): Uint8Array {
  const bytes = utf8(identity)
  if (bytes.length > paddedBytes) throw new RangeError(`An identity has at most ${paddedBytes} bytes.`)
  return joined(bytes, new Uint8Array(paddedBytes - bytes.length))
}

const unpadded = (bytes: Uint8Array): string => new TextDecoder().decode(bytes).replace(/\0+$/, '')

/** What a first name is good for: one challenge, so that nobody who saw it can use it. */
export interface FirstContact {
  readonly operator: OperatorId
  readonly keyEpoch: number
  readonly challenge: string
}

const infoOf = ({ operator, keyEpoch, challenge }: FirstContact) =>
  framed(identityLabel, operator, `${keyEpoch}`, challenge)

/** The name for a first contact, made by the PNE. */
export async function firstPseudonym(
  hpke: Hpke,
  contact: FirstContact,
  recipientPublicKey: Uint8Array,
  identity: string,
): Promise<string> {
  const { enc, ciphertext } = await hpke.seal({
    recipientPublicKey,
    info: infoOf(contact),
    aad: new Uint8Array(0),
    plaintext: padded(identity),
  })
  return `${sealedPrefix}${toBase64url(joined(enc, ciphertext))}`
}

/** The operator's side. */
export interface Pseudonyms {
  /** The next name of a subscriber. @param nonce 12 bytes that serve for nothing else */
  next(identity: string, version: number, nonce: Uint8Array): string
  /** Whose name it is; `undefined` when it is nobody's, or was given under a key that is not in use any more. */
  identityOf(pskId: string, contact: FirstContact, registrationKey: Uint8Array): Promise<string | undefined>
}

export function createPseudonyms(
  operator: OperatorId,
  hpke: Hpke,
  options: Omit<Parameters<typeof createOperatorSeal>[0], 'purpose'>,
): Pseudonyms {
  const seal = createOperatorSeal({ ...options, purpose: pseudonymLabel })
  const bound = framed(pseudonymLabel, operator)

  async function opened(bytes: Uint8Array, contact: FirstContact, recipientPrivateKey: Uint8Array) {
    try {
      const { plaintext } = await hpke.open({
        recipientPrivateKey,
        enc: bytes.slice(0, encBytes),
        info: infoOf(contact),
        aad: new Uint8Array(0),
        ciphertext: bytes.slice(encBytes),
      })
      return plaintext
    } catch (error) {
      if (error instanceof DecryptionFailed) return undefined
      throw error
    }
  }

  return {
    next: (identity, version, nonce) => `${givenPrefix}${seal.seal(version, nonce, padded(identity), bound)}`,

    async identityOf(pskId, contact, registrationKey) {
      const rest = pskId.slice(1)
      if (pskId.startsWith(givenPrefix)) {
        const identity = seal.open(rest, bound)
        return identity && unpadded(identity)
      }
      const bytes = pskId.startsWith(sealedPrefix) ? fromBase64url(rest) : undefined
      const identity = bytes && (await opened(bytes, contact, registrationKey))
      return identity && unpadded(identity)
    },
  }
}
