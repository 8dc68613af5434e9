import { base64url } from 'multiformats/bases/base64'
import type { Crypto } from '../ports/crypto.ts'
import type { LogId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'

/*
 * A log's id says everything that Yjs needs to know of it: the log's items carry the clientID made from it, and its
 * registers lie in the root map that it names. An id is never used again, so neither is a clientID.
 */

const logIdBytes = 16
const encoder = new TextEncoder()

/** 128 random bits: a log that nobody has written yet. */
export const newLogId = (random: Random): LogId => base64url.baseEncode(random.bytes(logIdBytes)) as LogId

/**
 * The Yjs clientID of a log: the first 52 bits of SHA-256 over the id's 22 characters, a safe integer. Two logs of one
 * document may clash; the later one to arrive is refused.
 */
export function clientIdOf(log: LogId, crypto: Pick<Crypto, 'sha256'>): number {
  const digest = crypto.sha256(encoder.encode(log))
  const view = new DataView(digest.buffer, digest.byteOffset)
  return view.getUint32(0) * 2 ** 20 + (view.getUint32(4) >>> 12)
}
