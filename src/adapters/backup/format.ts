import { createHash } from 'node:crypto'
import { z } from 'zod'
import { isOperatorId, isServerId } from '../../ports/names.ts'

/*
 * The format of a backup, read and written front to back, in memory of a few blocks:
 *
 *   cpns-backup/1\n
 *   blocks      <type, 1 byte> <length, 4 bytes big-endian> <payload> <SHA-256>
 *
 * The hash of a block covers the hash before it, its type, its length and its payload: what was cut off, changed, left out or put
 * elsewhere does not fit any more. The blocks are, in this order:
 *
 *   H  header, JSON
 *   R  records of the store, as they are stored: <length of key, 4> <length of value, 4> <key> <value>, again and again
 *   F  a file begins, JSON; D: its bytes, in order
 *   E  end, JSON: what was in it
 *   S  Ed25519 signature over the hash of the end, by the server that the header names
 */

export const formatVersion = 1
export const magic = Buffer.from(`cpns-backup/${formatVersion}\n`)
export const hashBytes = 32
export const blockHeaderBytes = 5
/** Blocks are written of about so much. */
export const blockBytes = 1024 * 1024
/** More is not read into memory for one block; no record is longer. */
export const maxBlockBytes = 64 * 1024 * 1024

export const blockTypes = ['H', 'R', 'F', 'D', 'E', 'S'] as const
export type BlockType = (typeof blockTypes)[number]

export const header = z.strictObject({
  /** Version of the program that wrote it. */
  release: z.string().max(64),
  /** Version of the format of the records. */
  storeFormat: z.int(),
  operator: z.string().refine(isOperatorId),
  server: z.string().refine(isServerId),
  /** Milliseconds since 1970: of the store nothing later is in it. */
  takenMs: z.int(),
  /** Where the store stood in the node's folder. */
  data: z.string().max(4_096).refine(isInside),
})
export type Header = z.output<typeof header>

/** `sealed`: readable with the passphrase alone. */
export const sections = ['media', 'settings', 'sealed'] as const
export const fileBlock = z.strictObject({
  section: z.enum(sections),
  /** Path in the node's folder, with `/`. */
  name: z.string().min(1).max(4_096).refine(isInside),
})
export type FileBlock = z.output<typeof fileBlock>

/** Whether a path stays in the folder that it is of. */
export function isInside(path: string): boolean {
  return !/^[/\\]|[\\\0:]/.test(path) && path.split('/').every(part => part !== '' && part !== '.' && part !== '..')
}

export const end = z.strictObject({
  records: z.int().min(0),
  documents: z.int().min(0),
  files: z.int().min(0),
  bytes: z.int().min(0).describe('Of records and files.'),
  /** SHA-256, hexadecimal, over id and digest of each document in order: equal for equal content. */
  digest: z.string(),
  /** Records that the disk had damaged, and that are not in it: the first of them. */
  damaged: z.array(z.string()),
})
export type End = z.output<typeof end>

/** A file that is no backup, or not the one that was made. The message says what is wrong and what to do. */
export class BackupRefused extends Error {
  override readonly name = 'BackupRefused'
}

export function blockHash(before: Uint8Array, head: Uint8Array, payload: Uint8Array): Buffer {
  return createHash('sha256').update(before).update(head).update(payload).digest()
}

export function blockHead(type: BlockType, length: number): Buffer {
  const head = Buffer.allocUnsafe(blockHeaderBytes)
  head.write(type, 0, 'latin1')
  head.writeUInt32BE(length, 1)
  return head
}

export type RawRecord = readonly [key: Uint8Array, value: Uint8Array]

/** Several records as one payload. */
export function packRecords(records: readonly RawRecord[]): Buffer {
  return Buffer.concat(
    records.flatMap(([key, value]) => {
      const lengths = Buffer.allocUnsafe(8)
      lengths.writeUInt32BE(key.length, 0)
      lengths.writeUInt32BE(value.length, 4)
      return [lengths, key, value]
    }),
  )
}

/** @throws {BackupRefused} */
export function unpackRecords(payload: Buffer): RawRecord[] {
  const records: RawRecord[] = []
  for (let at = 0; at < payload.length; ) {
    const valueAt = at + 8 <= payload.length ? at + 8 + payload.readUInt32BE(at) : Number.POSITIVE_INFINITY
    const next = valueAt <= payload.length ? valueAt + payload.readUInt32BE(at + 4) : Number.POSITIVE_INFINITY
    if (next > payload.length) throw new BackupRefused('The backup holds a block of records that is none.')
    records.push([payload.subarray(at + 8, valueAt), payload.subarray(valueAt, next)])
    at = next
  }
  return records
}

/** Records in payloads of about {@link blockBytes}. */
export async function* packed(records: AsyncIterable<RawRecord>): AsyncGenerator<Buffer> {
  let batch: RawRecord[] = []
  let bytes = 0
  for await (const record of records) {
    batch.push(record)
    bytes += record[0].length + record[1].length + 8
    if (bytes < blockBytes) continue
    yield packRecords(batch)
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield packRecords(batch)
}
