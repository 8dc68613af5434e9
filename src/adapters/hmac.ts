import { hash } from 'node:crypto'

/*
 * HMAC-SHA-256 (RFC 2104), written out over node's one-shot hash. A registration takes some thirty of them, and each
 * `createHmac` with its key makes three objects that the garbage collector must hand back to C++ one by one: that cost more
 * than the hashing itself. This makes none.
 */

/** Of SHA-256: what is hashed goes in by so many at a time. */
const blockBytes = 64
const hashBytes = 32
const innerPad = 0x36
const outerPad = 0x5c

/** The key may have any length; one that is longer than a block is hashed first, as the RFC has it. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Buffer {
  const short = key.length > blockBytes ? sha256(key) : key
  let lengthBytes = blockBytes
  for (const part of parts) lengthBytes += part.length
  const inner = new Uint8Array(lengthBytes).fill(innerPad, 0, blockBytes)
  const outer = new Uint8Array(blockBytes + hashBytes).fill(outerPad, 0, blockBytes)
  for (let at = 0; at < short.length; at++) {
    const byte = short[at] ?? 0
    inner[at] = byte ^ innerPad
    outer[at] = byte ^ outerPad
  }
  let at = blockBytes
  for (const part of parts) {
    inner.set(part, at)
    at += part.length
  }
  outer.set(sha256(inner), blockBytes)
  return sha256(outer)
}

const sha256 = (bytes: Uint8Array): Buffer => hash('sha256', bytes, 'buffer')
