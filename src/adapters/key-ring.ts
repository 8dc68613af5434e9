import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { z } from 'zod'
import { refuseLater } from '../ports/stored-format.ts'
import { FileProblem, jsonOf, readSecret, writeSecret } from './files.ts'

/*
 * The keys that a file of secrets is encrypted under: a file of its own, mode 0600, so that a copy or a backup of the
 * other tells nothing. The last key is used; one before it is there only while the file is being written anew under the
 * last (see `subscriber-store.ts`), so that after a crash at any moment one of the keys fits.
 *
 * With a passphrase the keys are themselves encrypted, under a key that scrypt (RFC 7914) makes of it.
 */

export interface RingKey {
  /** Tells which key a file was encrypted under; says nothing of the key. */
  readonly id: string
  /** 32 bytes, AES-256. */
  readonly key: Uint8Array
}
export type KeyRing = readonly [RingKey, ...RingKey[]]

const bytes = (lengthBytes: number) =>
  z
    .base64url()
    .transform(text => new Uint8Array(Buffer.from(text, 'base64url')))
    .refine(raw => raw.length === lengthBytes)

const nonceBytes = 12
const tagBytes = 16
const saltBytes = 16

const ringKeys = z
  .array(z.strictObject({ id: z.string().min(1).max(32), key: bytes(32) }))
  .min(1)
  .max(16)
const formatVersion = 1
const plainRing = z.strictObject({ version: z.literal(formatVersion), keys: ringKeys })
const lockedRing = z.strictObject({
  version: z.literal(formatVersion),
  // Bounded, so that nobody who can write the file makes a server take all memory that there is.
  scrypt: z.strictObject({ salt: bytes(saltBytes), log2Cost: z.int().min(14).max(20) }),
  sealed: z.base64url(),
})
const ringFile = z.union([plainRing, lockedRing])

/** OWASP's first choice of 2023: N = 2^17, r = 8, p = 1; 128 MiB and some 0.3 s for each guess. */
const log2Cost = 17
const blockSize = 8
const ringLabel = 'cpns key ring v1'

export const newRingKey = (): RingKey => ({ id: randomBytes(8).toString('base64url'), key: randomBytes(32) })

/**
 * @throws {FileProblem} when the file is missing, readable by others, no key ring, or locked by another passphrase than
 *   this one, or by none; {@link UnknownFormat} when a later release wrote it
 */
export async function readKeyRing(path: string, passphrase?: string): Promise<KeyRing> {
  const file = parsed(path, await readSecret(path), ringFile)
  if ('keys' in file) return ringOf(path, file.keys)
  if (passphrase === undefined) {
    throw new FileProblem(`${path} is locked by a passphrase; give it in the environment as CPNS_PASSPHRASE.`)
  }
  const key = await stretched(passphrase, file.scrypt.salt, file.scrypt.log2Cost)
  const opened = openText(key, file.sealed, ringLabel)
  if (opened === undefined) {
    throw new FileProblem(`${path} was locked by another passphrase than CPNS_PASSPHRASE, or was changed since.`)
  }
  return ringOf(path, parsed(path, opened, ringKeys))
}

/** @param passphrase locks the file; without one, only its mode protects it */
export async function writeKeyRing(path: string, ring: KeyRing, passphrase?: string): Promise<void> {
  const keys = ring.map(({ id, key }) => ({ id, key: Buffer.from(key).toString('base64url') }))
  if (passphrase === undefined) {
    await writeSecret(path, `${JSON.stringify({ version: formatVersion, keys }, undefined, 2)}\n`)
    return
  }
  const salt = randomBytes(saltBytes)
  const sealed = sealText(await stretched(passphrase, salt, log2Cost), JSON.stringify(keys), ringLabel)
  const file = { version: formatVersion, scrypt: { salt: salt.toString('base64url'), log2Cost }, sealed }
  await writeSecret(path, `${JSON.stringify(file, undefined, 2)}\n`)
}

const lockedText = z.strictObject({
  scrypt: z.strictObject({ salt: bytes(saltBytes), log2Cost: z.int().min(14).max(20) }),
  sealed: z.base64url(),
})

/** A text that only this passphrase opens, as JSON; `label` says what it is. */
export async function lockText(passphrase: string, text: string, label: string): Promise<string> {
  const salt = randomBytes(saltBytes)
  const sealed = sealText(await stretched(passphrase, salt, log2Cost), text, label)
  return JSON.stringify({ scrypt: { salt: salt.toString('base64url'), log2Cost }, sealed })
}

/** `undefined` when it was locked by another passphrase, or changed since. */
export async function unlockText(passphrase: string, locked: string, label: string): Promise<string | undefined> {
  const { data } = lockedText.safeParse(jsonOf(locked))
  return data && openText(await stretched(passphrase, data.scrypt.salt, data.scrypt.log2Cost), data.sealed, label)
}

/** AES-256-GCM under a fresh nonce, in base64url; `label` says what it is, and opens nothing else. */
export function sealText(key: Uint8Array, text: string, label: string): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(label))
  return Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

/** `undefined` when it was not made with this key and label, or was changed since. */
export function openText(key: Uint8Array, sealed: string, label: string): string | undefined {
  const raw = Buffer.from(sealed, 'base64url')
  if (raw.length < nonceBytes + tagBytes || !endsCanonically(sealed)) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, raw.subarray(0, nonceBytes), { authTagLength: tagBytes })
  decipher.setAAD(Buffer.from(label)).setAuthTag(raw.subarray(-tagBytes))
  const text = decipher.update(raw.subarray(nonceBytes, -tagBytes))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return text.toString('utf8')
}

/** The last character of base64url may have bits that say nothing: they are zero, or somebody has changed them. */
function endsCanonically(text: string): boolean {
  const end = text.slice(-(text.length % 4 || 4))
  return Buffer.from(end, 'base64url').toString('base64url') === end
}

const scrypted = promisify<string, Uint8Array, number, object, Buffer>(scrypt)
const stretched = (passphrase: string, salt: Uint8Array, log2: number) =>
  scrypted(passphrase.normalize('NFKC'), salt, 32, { N: 2 ** log2, r: blockSize, maxmem: 2 ** (log2 + 11) })

function ringOf(path: string, keys: z.infer<typeof ringKeys>): KeyRing {
  const [first, ...rest] = keys
  if (!first) throw new FileProblem(`${path} holds no key; restore it from a backup.`)
  return [first, ...rest]
}

function parsed<T>(path: string, text: string, schema: z.ZodType<T>): T {
  const file = jsonOf(text)
  refuseLater(path, file, formatVersion)
  const { data } = schema.safeParse(file)
  if (data === undefined) throw new FileProblem(`${path} is not a key file of cpns; restore it from a backup.`)
  return data
}
