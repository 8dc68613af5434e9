import { base58btc } from 'multiformats/bases/base58'

/*
 * The names that every layer shares, as branded strings: a plain string does not pass for one without going through
 * the parser beside it.
 */

declare const brand: unique symbol
type Branded<T, Name extends string> = T & { readonly [brand]: Name }

/** An operator: a lower-case domain name such as `a.example` or, for a realm, `eu.a.example`. */
export type OperatorId = Branded<string, 'OperatorId'>
/** A server: its libp2p PeerId in base58, an inlined Ed25519 public key (`12D3Koo…`). */
export type ServerId = Branded<string, 'ServerId'>
/** A document, by its path-like id; see `document/names.ts`. */
export type DocumentId = Branded<string, 'DocumentId'>
/** A log: 128 random bits, in base64url without padding (22 characters). */
export type LogId = Branded<string, 'LogId'>

/** A name that is not what it should be. The message says what was expected. */
export class InvalidName extends Error {
  override readonly name = 'InvalidName'
}

const operatorPattern = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$/
const logPattern = /^[A-Za-z0-9_-]{21}[AQgw]$/
const ed25519Prefix = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)

export const isOperatorId = (text: string): text is OperatorId => operatorPattern.test(text)
export const isLogId = (text: string): text is LogId => logPattern.test(text)

/** @throws {InvalidName} when `text` is not a lower-case domain name of two or more labels. */
export function operatorId(text: string): OperatorId {
  if (isOperatorId(text)) return text
  throw new InvalidName(`"${text}" is not an operator: use a lower-case domain name such as a.example.`)
}

export const isServerId = (text: string): text is ServerId => keyOf(text) !== undefined

/** @throws {InvalidName} when `text` is not the PeerId of an Ed25519 key. */
export function serverId(text: string): ServerId {
  publicKeyOf(text as ServerId)
  return text as ServerId
}

/** The server whose libp2p key is this Ed25519 public key (32 bytes). */
export function serverOfPublicKey(publicKey: Uint8Array): ServerId {
  const bytes = new Uint8Array(ed25519Prefix.length + publicKey.length)
  bytes.set(ed25519Prefix)
  bytes.set(publicKey, ed25519Prefix.length)
  return base58btc.baseEncode(bytes) as ServerId
}

/** Of servers whose entries come in thousands each is spelt out once. */
const keys = new Map<string, Uint8Array>()
const maxKeys = 1_024

/**
 * The Ed25519 public key (32 bytes) that a server's id inlines; not to be changed.
 * @throws {InvalidName} when `server` is not the PeerId of an Ed25519 key.
 */
export function publicKeyOf(server: ServerId): Uint8Array {
  const known = keys.get(server)
  if (known) return known
  const key = keyOf(server)
  if (!key) throw new InvalidName(`"${server}" is not a server: use the PeerId of an Ed25519 key (12D3Koo…).`)
  if (keys.size >= maxKeys) keys.clear()
  keys.set(server, key)
  return key
}

function keyOf(server: string): Uint8Array | undefined {
  const bytes = decode(server)
  const isKey = bytes?.length === 38 && ed25519Prefix.every((byte, index) => bytes[index] === byte)
  return isKey ? bytes.slice(6) : undefined
}

function decode(text: string): Uint8Array | undefined {
  if (text.length > 64) return undefined
  try {
    return base58btc.baseDecode(text)
  } catch {
    return undefined
  }
}
