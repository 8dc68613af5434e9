import { framed, fromBase64url, toBase64url } from '../commands/framing.ts'
import type { NetworkName } from '../inventory/view.ts'
import { type ClientCrypto, DecryptionFailed } from '../ports/crypto.ts'

/*
 * Content for the members of a service group: sealed under the key that `group.key` gives, and naming its generation, so
 * that whoever opens it knows which key to ask for. AES-256-GCM; the group and the generation are bound in, so content does
 * not pass for another group's, or for another time's.
 *
 * Ask for the key shortly before sealing: who has left since the key was given can still read what is sealed under it. The
 * nonce is random: one key is good for 2^32 pieces of content (NIST SP 800-38D, section 8.3).
 */

/** Which group. */
export interface GroupName extends NetworkName {
  readonly groupId: string
}

/** As `group.key` answers. */
export interface GroupKey {
  readonly generation: string
  /** 32 bytes, base64url. */
  readonly key: string
}

/** Sealed content; JSON, so that it travels in whatever carries text. Everything but `generation` is base64url. */
export interface SealedGroupContent {
  readonly generation: string
  readonly nonce: string
  readonly sealed: string
}

const nonceBytes = 12
const keyBytes = 32

/** @throws {RangeError} when the key is not one of `group.key`. */
export async function sealGroupContent(
  crypto: Pick<ClientCrypto, 'aesGcmSeal' | 'randomBytes'>,
  group: GroupName,
  { generation, key }: GroupKey,
  plaintext: Uint8Array,
): Promise<SealedGroupContent> {
  const secret = fromBase64url(key)
  if (secret?.length !== keyBytes) throw new RangeError(`A group key has ${keyBytes} bytes, in base64url.`)
  const nonce = crypto.randomBytes(nonceBytes)
  const sealed = await crypto.aesGcmSeal(secret, nonce, plaintext, boundIn(group, generation))
  return { generation, nonce: toBase64url(nonce), sealed: toBase64url(sealed) }
}

/** @throws {DecryptionFailed} when it was not sealed for this group under this key, or was changed. */
export async function openGroupContent(
  crypto: Pick<ClientCrypto, 'aesGcmOpen'>,
  group: GroupName,
  { generation, key }: GroupKey,
  content: SealedGroupContent,
): Promise<Uint8Array> {
  const [secret, nonce, sealed] = [key, content.nonce, content.sealed].map(fromBase64url)
  const isWhole = secret?.length === keyBytes && nonce?.length === nonceBytes
  if (content.generation !== generation || !isWhole || !sealed) throw new DecryptionFailed()
  return crypto.aesGcmOpen(secret, nonce, sealed, boundIn(group, generation))
}

const boundIn = ({ home, pnId, groupId }: GroupName, generation: string): Uint8Array =>
  framed('cpns group content v1', home, pnId, groupId, generation)
