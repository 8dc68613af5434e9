import { base64url } from 'multiformats/bases/base64'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, LogId, ServerId } from '../ports/names.ts'
import type { Version } from './documents.ts'
import type { Claim } from './ledger.ts'

/*
 * What this server remembers about a document beside its logs, as local records of the store:
 *
 *   claims/<document>                  what the logs held here claim to supersede
 *   receipt/<document>/<server>        the version that a server has said it holds
 *   evidence/<document>/<log>/<seq>    two entries that a server signed under one sequence number
 *   damage/<document>                  that the disk has damaged it, and what was held (`damage.ts`)
 *   aside/<document>/<log>/<seq>       an entry of a damaged document that is whole (`salvage.ts`)
 *
 * <document> is the SHA-256 of its id, which may be longer than a key. The store proves that nobody else changed them.
 */

export interface LocalKeys {
  /** What stands for the document in keys. */
  readonly name: string
  readonly claims: string
  readonly receipts: string
  receipt(server: ServerId): string
  readonly evidence: string
  evidenceOf(log: LogId, seq: number): string
  readonly aside: string
  asideOf(log: LogId, seq: number): string
}

/** All evidence against servers, of whatever document. */
export const evidencePrefix = 'evidence/'

export function localKeys(document: DocumentId, crypto: Pick<Crypto, 'sha256'>): LocalKeys {
  const name = base64url.baseEncode(crypto.sha256(new TextEncoder().encode(document)))
  const receipts = `receipt/${name}/`
  const evidence = `${evidencePrefix}${name}/`
  const aside = `aside/${name}/`
  return {
    name,
    claims: `claims/${name}`,
    receipts,
    receipt: server => receipts + server,
    evidence,
    evidenceOf: (log, seq) => `${evidence}${log}/${seq}`,
    aside,
    asideOf: (log, seq) => `${aside}${log}/${seq}`,
  }
}

const kinds: readonly string[] = ['claims', 'receipt', 'evidence', 'aside']

/** What stands for the document in the key of a record that can be made anew with it; `undefined` for any other key. */
export function documentPart(key: string): string | undefined {
  const [kind = '', name] = key.split('/')
  return kinds.includes(kind) ? name : undefined
}

/** The server that a receipt's key names. */
export const receiptServer = (key: string): ServerId => key.slice(key.lastIndexOf('/') + 1) as ServerId

export const encodeVersion = (version: Version): Uint8Array => encode([...version])
export const decodeVersion = (bytes: Uint8Array): Version => new Map(decode<[LogId, number][]>(bytes))

export function encodeClaims(claims: readonly Claim[]): Uint8Array {
  return encode(
    claims.map(claim => ({
      ...claim,
      supersedes: claim.supersedes.map(({ log, seq, hash }) => ({ log, seq, hash: base64url.baseEncode(hash) })),
    })),
  )
}

type StoredClaim = Omit<Claim, 'supersedes'> & {
  readonly supersedes: readonly { readonly log: LogId; readonly seq: number; readonly hash: string }[]
}

export function decodeClaims(bytes: Uint8Array): Claim[] {
  return decode<StoredClaim[]>(bytes).map(claim => ({
    ...claim,
    supersedes: claim.supersedes.map(({ log, seq, hash }) => ({ log, seq, hash: base64url.baseDecode(hash) })),
  }))
}

const encode = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const decode = <T>(bytes: Uint8Array): T => JSON.parse(new TextDecoder().decode(bytes))
