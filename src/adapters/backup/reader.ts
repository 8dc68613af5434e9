import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { signedBytes } from '../../ports/identity.ts'
import { publicKeyOf, type ServerId } from '../../ports/names.ts'
import { UnknownFormat } from '../../ports/stored-format.ts'
import { nodeCrypto } from '../crypto.ts'
import { isReadable, isRecordOfIndex, isWholeRecord, formatVersion as storeFormat } from '../record-format.ts'
import {
  BackupRefused,
  type BlockType,
  blockHash,
  blockHeaderBytes,
  blockTypes,
  type End,
  end,
  type FileBlock,
  fileBlock,
  formatVersion,
  type Header,
  hashBytes,
  header,
  magic,
  maxBlockBytes,
  type RawRecord,
  unpackRecords,
} from './format.ts'
import { Input } from './input.ts'
import { addDigest } from './writer.ts'

/** What a backup holds, in the order in which it is met. What comes before `end` is not proved to be all of it. */
export type BackupPart =
  | { readonly kind: 'header'; readonly header: Header }
  | { readonly kind: 'records'; readonly records: readonly RawRecord[] }
  | { readonly kind: 'file'; readonly file: FileBlock }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** All was read, is as it was written, and signed by the server that the header names. */
  | { readonly kind: 'end'; readonly end: End }

/**
 * Reads a backup, checking every block.
 * @throws {BackupRefused} when it is cut off, changed, or no backup; {@link UnknownFormat} when another release is needed
 */
export async function* readBackup(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<BackupPart> {
  const input = new Input(bytes)
  await readMagic(input)
  const counts = { records: 0, documents: 0, files: 0, bytes: 0 }
  const digest = createHash('sha256')
  let chain: Uint8Array = new Uint8Array(hashBytes)
  let by: Header | undefined
  let ended: End | undefined
  let place = 0
  let isInFile = false
  for (;;) {
    const before = chain
    const { type, payload, hash } = await readBlock(input, chain)
    chain = hash
    place = following(type, place, isInFile)
    switch (type) {
      case 'H':
        by = parsed(header, payload)
        if (!isReadable(by.storeFormat))
          throw new UnknownFormat('The store in this backup', by.storeFormat, storeFormat)
        yield { kind: 'header', header: by }
        break
      case 'R': {
        const records = unpackRecords(payload)
        for (const [key, value] of records) {
          if (!isWholeRecord(key, value)) throw changed()
          counts.records += 1
          counts.bytes += key.length + value.length
          if (!isRecordOfIndex(key)) continue
          counts.documents += 1
          addDigest(digest, key, value)
        }
        yield { kind: 'records', records }
        break
      }
      case 'F':
        isInFile = true
        counts.files += 1
        yield { kind: 'file', file: parsed(fileBlock, payload) }
        break
      case 'D':
        counts.bytes += payload.length
        yield { kind: 'data', bytes: payload }
        break
      case 'E':
        ended = parsed(end, payload)
        if (!isSame(ended, { ...counts, digest: digest.digest('hex') })) throw changed()
        break
      case 'S':
        if (!by || !ended || !isSigned(by, before, payload) || !(await input.isAtEnd())) throw changed()
        yield { kind: 'end', end: ended }
        return
    }
  }
}

async function readMagic(input: Input): Promise<void> {
  const found = await input.take(magic.length)
  if (found.equals(magic)) return
  const [, version] = /^cpns-backup\/(\d+)/.exec(found.toString('latin1')) ?? []
  if (version === undefined || Number(version) === formatVersion)
    throw new BackupRefused('This is no backup of cpns, or its beginning is lost.')
  throw new UnknownFormat('The backup', version, formatVersion)
}

async function readBlock(input: Input, before: Uint8Array) {
  const head = await input.take(blockHeaderBytes)
  const type = typeOf(head.toString('latin1', 0, 1))
  const length = head.readUInt32BE(1)
  if (!type || length > maxBlockBytes) throw changed()
  const payload = await input.take(length)
  const hash = blockHash(before, head, payload)
  if (!hash.equals(await input.take(hashBytes))) throw changed()
  return { type, payload, hash }
}

const typeOf = (text: string): BlockType | undefined => blockTypes.find(type => type === text)

/** The order of blocks; `place` is what has been met last. */
function following(type: BlockType, place: number, isInFile: boolean): number {
  const next = { H: 1, R: 2, F: 3, D: 3, E: 4, S: 5 }[type]
  const isFirst = (place === 0) === (type === 'H')
  if (!isFirst || next < place || (type === 'D' && !isInFile) || (type === 'S' && place !== 4)) throw changed()
  if (type === 'E' && place === 4) throw changed()
  return next
}

function isSigned({ server }: Header, hash: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKeyOf(server as ServerId)
  return nodeCrypto().ed25519.verify(key, signedBytes('cpns-backup-v1', hash), signature)
}

const isSame = (said: End, found: Omit<End, 'damaged'>): boolean =>
  (['records', 'documents', 'files', 'bytes', 'digest'] as const).every(name => said[name] === found[name])

function parsed<S extends z.ZodType>(schema: S, payload: Buffer): z.output<S> {
  try {
    return schema.parse(JSON.parse(payload.toString('utf8')))
  } catch {
    throw changed()
  }
}

const changed = (): BackupRefused =>
  new BackupRefused(
    'The backup is not as it was written: it was changed, or its disk has damaged it. Take another one.',
  )
