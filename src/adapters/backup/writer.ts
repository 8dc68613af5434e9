import { createHash } from 'node:crypto'
import type { ServerIdentity } from '../../ports/identity.ts'
import {
  isRecordOfIndex,
  isWholeRecord,
  readIndex,
  recordNameIn,
  formatVersion as storeFormat,
} from '../record-format.ts'
import { version as release } from '../release.ts'
import {
  type BlockType,
  blockBytes,
  blockHash,
  blockHead,
  type End,
  type FileBlock,
  type Header,
  hashBytes,
  magic,
  packed,
  type RawRecord,
} from './format.ts'

/** A file that goes into a backup. */
export interface BackupFile extends FileBlock {
  /** Its bytes; `undefined` when it is not there any more. */
  read(): Promise<AsyncIterable<Uint8Array> | undefined>
}

export interface BackupSources {
  readonly identity: ServerIdentity
  readonly takenMs: number
  /** Where the store stands in the node's folder. */
  readonly data: string
  /** All records of the store as they are stored at one moment, damaged ones too. */
  readonly records: AsyncIterable<RawRecord>
  readonly files: AsyncIterable<BackupFile> | Iterable<BackupFile>
  readonly told: (progress: Pick<End, 'records' | 'files' | 'bytes'>) => void
}

const damagedAtMost = 1_000

/**
 * Writes a backup, block after block; each is awaited, so that memory stays flat. Damaged records are left out and named.
 * @throws what the sources or `write` throw: what was written then is no backup, and is refused as cut off
 */
export async function writeBackup(
  { identity, takenMs, data, records, files, told }: BackupSources,
  write: (bytes: Uint8Array) => Promise<void>,
): Promise<End> {
  let chain: Uint8Array = new Uint8Array(hashBytes)
  async function block(type: BlockType, payload: Uint8Array): Promise<void> {
    const head = blockHead(type, payload.length)
    chain = blockHash(chain, head, payload)
    await write(Buffer.concat([head, payload, chain]))
  }
  const json = (type: BlockType, value: object) => block(type, Buffer.from(JSON.stringify(value)))

  const counts = { records: 0, documents: 0, files: 0, bytes: 0 }
  const damaged: string[] = []
  const digest = createHash('sha256')

  async function* whole(): AsyncGenerator<RawRecord> {
    for await (const [key, value] of records) {
      if (!isWholeRecord(key, value)) {
        if (damaged.length < damagedAtMost) damaged.push(recordNameIn(key))
        continue
      }
      counts.records += 1
      counts.bytes += key.length + value.length
      if (isRecordOfIndex(key)) {
        counts.documents += 1
        addDigest(digest, key, value)
      }
      yield [key, value]
    }
  }

  await write(magic)
  const { operator, server } = identity
  await json('H', { release, storeFormat, operator, server, takenMs, data } satisfies Header)
  for await (const payload of packed(whole())) {
    await block('R', payload)
    told(counts)
  }
  for await (const { section, name, read } of files) {
    const bytes = await read()
    if (!bytes) continue
    await json('F', { section, name } satisfies FileBlock)
    for await (const piece of bytes) {
      for (let at = 0; at < piece.length; at += blockBytes) await block('D', piece.subarray(at, at + blockBytes))
      counts.bytes += piece.length
      told(counts)
    }
    counts.files += 1
  }
  const end: End = { ...counts, digest: digest.digest('hex'), damaged }
  await json('E', end)
  await block('S', identity.sign('cpns-backup-v1', chain))
  return end
}

/** What the content of all documents is told by: their ids and digests, in order of id. */
export function addDigest(into: ReturnType<typeof createHash>, key: Uint8Array, value: Uint8Array): void {
  const { document, digest } = readIndex(key, value)
  into.update(document).update('\0').update(digest)
}
