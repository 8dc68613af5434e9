import { z } from 'zod'
import type { Crypto, KeyPair } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { Random } from '../ports/random.ts'
import { refuseLater } from '../ports/stored-format.ts'
import { FileProblem, jsonOf, readSecret, writeSecret } from './files.ts'

/*
 * An operator's keys as files. Root keys sign manifests and belong offline; a server's key is its libp2p identity; the
 * secrets are what all servers of the operator share.
 */

const bytes = (lengthBytes: number) =>
  z
    .base64url()
    .transform(text => new Uint8Array(Buffer.from(text, 'base64url')))
    .refine(raw => raw.length === lengthBytes, { error: `expected ${lengthBytes} bytes in base64url` })

/** Of each of these files. */
const formatVersion = 1

const keyFile = z.strictObject({
  version: z.literal(formatVersion),
  /** Signs: Ed25519 seed. */
  ed25519: bytes(32),
})

const serverKeyFile = keyFile.extend({
  /** Opens what other servers of the operator seal to this one: X25519. */
  exchange: z.strictObject({ publicKey: bytes(32), privateKey: bytes(32) }),
})

const secretsFile = z.strictObject({
  version: z.literal(formatVersion),
  registrationKeys: z
    .array(z.strictObject({ epoch: z.int().min(1), publicKey: bytes(32), privateKey: bytes(32) }))
    .min(1)
    .max(16),
  macKeys: z
    .array(z.strictObject({ version: z.int().min(1), key: bytes(32) }))
    .min(1)
    .max(16),
  cpnsIdKey: bytes(32),
})

/** A server's own keys. */
export interface ServerKeys {
  /** Ed25519 seed of the libp2p identity. */
  readonly privateKey: Uint8Array
  /** X25519, for bundles of secrets from the operator's other servers. */
  readonly exchange: KeyPair
}

/** JSON in which every byte string is base64url. */
const withBase64url = (value: unknown): string =>
  `${JSON.stringify(value, (_, part) => (part instanceof Uint8Array ? Buffer.from(part).toString('base64url') : part), 2)}\n`

async function read<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  return parsed(path, await readSecret(path), schema)
}

function parsed<T>(name: string, text: string, schema: z.ZodType<T>): T {
  const file = jsonOf(text)
  refuseLater(name, file, formatVersion)
  const { data } = schema.safeParse(file)
  if (data === undefined) throw new FileProblem(`${name} is not a key file of cpns; restore it from a backup.`)
  return data
}

/** @throws {FileProblem} when the file is missing, readable by others, or not a root key; {@link UnknownFormat} */
export const readRootKey = async (path: string): Promise<Uint8Array> => (await read(path, keyFile)).ed25519

export const writeRootKey = (path: string, privateKey: Uint8Array): Promise<void> =>
  writeSecret(path, withBase64url({ version: formatVersion, ed25519: privateKey }))

/** @throws {FileProblem} {@link UnknownFormat} */
export async function readServerKeys(path: string): Promise<ServerKeys> {
  const { ed25519, exchange } = await read(path, serverKeyFile)
  return { privateKey: ed25519, exchange }
}

export const writeServerKeys = (path: string, { privateKey, exchange }: ServerKeys): Promise<void> =>
  writeSecret(path, withBase64url({ version: formatVersion, ed25519: privateKey, exchange }))

/** @throws {FileProblem} {@link UnknownFormat} */
export const readOperatorSecrets = (path: string): Promise<OperatorSecrets> => read(path, secretsFile)

export const writeOperatorSecrets = (path: string, secrets: OperatorSecrets): Promise<void> =>
  writeSecret(path, formatOperatorSecrets(secrets))

export const formatOperatorSecrets = (secrets: OperatorSecrets): string =>
  withBase64url({ version: formatVersion, ...secrets })

/** @throws {FileProblem} when `text` is not what {@link formatOperatorSecrets} makes; {@link UnknownFormat} */
export const parseOperatorSecrets = (text: string): OperatorSecrets => parsed('The bundle', text, secretsFile)

/** Fresh secrets for a new operator. */
export async function generateOperatorSecrets(crypto: Crypto, random: Random): Promise<OperatorSecrets> {
  const registration = await crypto.hpke.generateKeyPair()
  return {
    registrationKeys: [{ epoch: 1, ...registration }],
    macKeys: [{ version: 1, key: random.bytes(32) }],
    cpnsIdKey: random.bytes(32),
  }
}
