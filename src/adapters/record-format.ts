import { createHash, hash } from 'node:crypto'
import {
  CorruptRecord,
  type IndexRecord,
  type LogHead,
  type RecordPlace,
  recordName,
  type StoredEntry,
} from '../ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../ports/names.ts'
import { UnknownFormat } from '../ports/stored-format.ts'
import type { KeyRange, Operation } from '../ports/table.ts'

/*
 * How the records of a log store lie in an ordered table of bytes, whatever keeps the table.
 *
 *   index   i <document>                        one per document
 *   entry   e <document> 0 <log> 0 <seq, 8 bytes big-endian>
 *   local   l <key>
 *   meta    m <name>                            of the store itself
 *
 * Names are UTF-8, so the order of keys is that of code points; document and log ids are ASCII and hold no zero byte.
 * A value is `<format version> <payload> <SHA-256>`, and the hash covers the key too: a record that the disk has changed,
 * or put under another key, is answered with CorruptRecord. Hash and value of a record come from one allocation.
 */

/**
 * Raised when a payload changes its layout; a record of a later version is refused, never guessed at. Since 2 an entry may carry a way to
 * a signature that it shares with others: what version 1 holds is read as it is.
 */
export const formatVersion = 2
/** Whether records of a version are read here. */
export const isReadable = (version: number): boolean => version >= 1 && version <= formatVersion

const indexKind = 0x69
const entryKind = 0x65
const localKind = 0x6c
const metaKind = 0x6d

const hashBytes = 32
const envelopeBytes = 1 + hashBytes

// --- keys

export const indexKey = (document: string): Uint8Array => namedKey(indexKind, document)
export const localKey = (key: string): Uint8Array => namedKey(localKind, key)
export const metaKey = (name: string): Uint8Array => namedKey(metaKind, name)

export function entryKey(document: string, log: string, seq: number): Uint8Array {
  const key = Buffer.allocUnsafe(entryKeyBytes(document, log))
  writeEntryKey(key, document, log, seq)
  return key
}

/** All records: no key begins with the byte 0xff. */
export const everything: KeyRange = { from: new Uint8Array(0), to: Uint8Array.of(0xff) }

/** Documents with `from <= id < to`. */
export const indexRange = (from: string, to: string): KeyRange => ({ from: indexKey(from), to: indexKey(to) })

/** The entries of a document, or of one of its logs from `seq` on. */
export function entryRange(document: string, log?: string, seq = 0): KeyRange {
  if (log !== undefined) return { from: entryKey(document, log, seq), to: entryPrefix(`${document}\0${log}`, 1) }
  return { from: entryPrefix(document, 0), to: entryPrefix(document, 1) }
}

/** All entries of the documents from `first` to `last`, both included. */
export const entriesRange = (first: string, last: string): KeyRange => ({
  from: entryPrefix(first, 0),
  to: entryPrefix(last, 1),
})

/** All entries of documents from `document` on. */
export const entriesFrom = (document: string): KeyRange => ({
  from: namedKey(entryKind, document),
  to: Uint8Array.of(entryKind + 1),
})

/** Behind all entries of a document. */
export const entriesAfter = (document: string): KeyRange => ({
  from: entryPrefix(document, 1),
  to: Uint8Array.of(entryKind + 1),
})

/** Local records whose key starts with `prefix`, behind `after` if given: no UTF-8 text contains the byte 0xff. */
export function localRange(prefix: string, after?: string): KeyRange {
  const first = localKey(prefix)
  const from = after === undefined ? first : localKey(`${after}\0`)
  return { from, to: Buffer.concat([first, Uint8Array.of(0xff)]) }
}

function namedKey(kind: number, name: string): Buffer {
  const key = Buffer.allocUnsafe(1 + Buffer.byteLength(name))
  key[0] = kind
  key.write(name, 1)
  return key
}

const entryPrefix = (name: string, end: number): Buffer =>
  Buffer.concat([namedKey(entryKind, name), Uint8Array.of(end)])

const entryKeyBytes = (document: string, log: string): number =>
  1 + Buffer.byteLength(document) + 1 + Buffer.byteLength(log) + 1 + 8

function writeEntryKey(into: Buffer, document: string, log: string, seq: number): number {
  let at = 0
  into[at++] = entryKind
  at += into.write(document, at)
  into[at++] = 0
  at += into.write(log, at)
  into[at++] = 0
  at = into.writeUInt32BE(Math.floor(seq / 2 ** 32), at)
  return into.writeUInt32BE(seq >>> 0, at)
}

/** The document that an entry's key names. */
export function documentIn(key: Uint8Array): DocumentId {
  const text = asBuffer(key)
  const end = text.indexOf(0, 1)
  return text.toString('utf8', 1, end < 0 ? text.length : end) as DocumentId
}

/** The log and the sequence number that an entry's key names. */
export function positionIn(key: Uint8Array, document: string): { readonly log: LogId; readonly seq: number } {
  return entryPosition(asBuffer(key), document)
}

function entryPosition(key: Buffer, document: string): { log: LogId; seq: number } {
  const seqAt = key.length - 8
  const logAt = 1 + Buffer.byteLength(document) + 1
  return {
    log: key.toString('utf8', logAt, seqAt - 1) as LogId,
    seq: key.readUInt32BE(seqAt) * 2 ** 32 + key.readUInt32BE(seqAt + 4),
  }
}

// --- records to be put

export const removal = (key: Uint8Array): Operation => ({ key, value: undefined })

export function putEntry(document: string, entry: StoredEntry): Operation {
  const keyBytes = entryKeyBytes(document, entry.log)
  const record = Buffer.allocUnsafe(keyBytes + entry.bytes.length + envelopeBytes)
  writeEntryKey(record, document, entry.log, entry.seq)
  record.set(entry.bytes, keyBytes + 1)
  return sealed(record, keyBytes)
}

export function putLocal(key: string, value: Uint8Array): Operation {
  return putNamed(localKind, key, value)
}

export function putMeta(name: string, value: Uint8Array): Operation {
  return putNamed(metaKind, name, value)
}

function putNamed(kind: number, name: string, value: Uint8Array): Operation {
  const keyBytes = 1 + Buffer.byteLength(name)
  const record = Buffer.allocUnsafe(keyBytes + value.length + envelopeBytes)
  record[0] = kind
  record.write(name, 1)
  record.set(value, keyBytes + 1)
  return sealed(record, keyBytes)
}

/** Completes `key, (version), payload, (hash)`, of which key and payload have been written. */
function sealed(record: Buffer, keyBytes: number): Operation {
  record[keyBytes] = formatVersion
  const hashAt = record.length - hashBytes
  record.write(hash('sha256', record.subarray(0, hashAt), 'binary'), hashAt, 'latin1')
  return { key: record.subarray(0, keyBytes), value: record.subarray(keyBytes) }
}

/*
 * An index record, for speed without a schema: digest (32), epoch, number of heads, heads, number of superseded logs,
 * those. Numbers are varints, names are length and UTF-8; a head is log, server, length, hash (32), bytes, clock, forked (0|1).
 */
export function putIndex(record: IndexRecord): Operation {
  const keyBytes = 1 + Buffer.byteLength(record.document)
  const buffer = Buffer.allocUnsafe(keyBytes + envelopeBytes + indexBytesAtMost(record))
  buffer[0] = indexKind
  buffer.write(record.document, 1)
  const writer = new Writer(buffer, keyBytes + 1)
  writer.hash(record.digest)
  writer.number(record.epoch)
  writer.number(record.heads.length)
  for (const head of record.heads) {
    writer.text(head.log)
    writer.text(head.server)
    writer.number(head.length)
    writer.hash(head.hash)
    writer.number(head.bytes)
    writer.number(head.clock)
    writer.number(head.forked ? 1 : 0)
  }
  writer.number(record.superseded.length)
  for (const { log, seq } of record.superseded) {
    writer.text(log)
    writer.number(seq)
  }
  return sealed(buffer.subarray(0, writer.at + hashBytes), keyBytes)
}

const varintBytesAtMost = 8

function indexBytesAtMost({ heads, superseded }: IndexRecord): number {
  let bytes = hashBytes + 3 * varintBytesAtMost
  for (const head of heads) bytes += 3 * (head.log.length + head.server.length) + hashBytes + 6 * varintBytesAtMost
  for (const { log } of superseded) bytes += 3 * log.length + 2 * varintBytesAtMost
  return bytes
}

class Writer {
  at: number
  readonly #bytes: Buffer
  constructor(bytes: Buffer, at: number) {
    this.#bytes = bytes
    this.at = at
  }
  /** A varint of 7 bits per byte, least significant first; safe integers only. */
  number(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.#bytes[this.at++] = (rest % 0x80) | 0x80
      rest = Math.floor(rest / 0x80)
    }
    this.#bytes[this.at++] = rest
  }
  text(text: string): void {
    const length = Buffer.byteLength(text)
    this.number(length)
    this.at += this.#bytes.write(text, this.at)
  }
  hash(bytes: Uint8Array): void {
    if (bytes.length !== hashBytes) throw new RangeError(`A hash has ${hashBytes} bytes, not ${bytes.length}.`)
    this.#bytes.set(bytes, this.at)
    this.at += hashBytes
  }
}

// --- records that were read

/** @throws {CorruptRecord} {UnknownFormat} */
export function readEntry(document: DocumentId, key: Uint8Array, value: Uint8Array): StoredEntry {
  const { log, seq } = entryPosition(asBuffer(key), document)
  const payload = opened(key, value, () => ({ kind: 'entry', document, log, seq }))
  return { log, seq, bytes: plain(payload) }
}

/** @throws {CorruptRecord} {UnknownFormat} */
export function readLocal(key: Uint8Array, value: Uint8Array): { readonly key: string; readonly value: Uint8Array } {
  const name = nameIn(key)
  return { key: name, value: plain(opened(key, value, () => ({ kind: 'local', key: name }))) }
}

/** @throws {CorruptRecord} {UnknownFormat} */
export function readMeta(key: Uint8Array, value: Uint8Array): Uint8Array {
  return plain(opened(key, value, () => ({ kind: 'meta', name: nameIn(key) })))
}

/** @throws {CorruptRecord} {UnknownFormat} */
export function readIndex(key: Uint8Array, value: Uint8Array): IndexRecord {
  const document = nameIn(key) as DocumentId
  const reader = new Reader(opened(key, value, () => ({ kind: 'index', document })))
  const digest = reader.hash()
  const epoch = reader.number()
  const heads = Array.from({ length: reader.number() }, () => readHead(reader))
  const superseded = Array.from({ length: reader.number() }, () => ({
    log: reader.text() as LogId,
    seq: reader.number(),
  }))
  return { document, heads, superseded, digest, epoch }
}

function readHead(reader: Reader): LogHead {
  const head = {
    log: reader.text() as LogId,
    server: reader.text() as ServerId,
    length: reader.number(),
    hash: reader.hash(),
    bytes: reader.number(),
    clock: reader.number(),
  }
  return reader.number() === 1 ? { ...head, forked: true } : head
}

export const isRecordOfIndex = (key: Uint8Array): boolean => key[0] === indexKind

/** Whether a record, of whatever kind and version, is as it was written. */
export function isWholeRecord(key: Uint8Array, value: Uint8Array): boolean {
  const hashAt = value.length - hashBytes
  return hashAt >= 1 && isHashed(key, asBuffer(value), hashAt)
}

/** How a person names the record with this key. */
export function recordNameIn(key: Uint8Array): string {
  if (key[0] === entryKind) {
    const document = documentIn(key)
    return recordName({ kind: 'entry', document, ...positionIn(key, document) })
  }
  if (key[0] === indexKind) return recordName({ kind: 'index', document: documentIn(key) })
  return recordName(key[0] === localKind ? { kind: 'local', key: nameIn(key) } : { kind: 'meta', name: nameIn(key) })
}

/** The payload, once its hash has been found right; the names it holds were checked before it was written. */
function opened(key: Uint8Array, value: Uint8Array, place: () => RecordPlace): Buffer {
  const hashAt = value.length - hashBytes
  const bytes = asBuffer(value)
  if (hashAt < 1 || !isHashed(key, bytes, hashAt)) throw new CorruptRecord(place())
  const [version = 0] = bytes
  if (!isReadable(version)) throw new UnknownFormat(`Stored record ${recordName(place())}`, version, formatVersion)
  return bytes.subarray(1, hashAt)
}

/** Above this a copy costs more than what a hash in one go saves. */
const copiedAtMostBytes = 4_096

/** Whether the hash in a value is that of the key and what stands before it. As text Node makes and compares one in half the time. */
const isHashed = (key: Uint8Array, value: Buffer, hashAt: number): boolean =>
  hashOf(key, value.subarray(0, hashAt)) === value.toString('latin1', hashAt)

function hashOf(key: Uint8Array, value: Uint8Array): string {
  if (value.length > copiedAtMostBytes) return createHash('sha256').update(key).update(value).digest('binary')
  const hashed = Buffer.allocUnsafe(key.length + value.length)
  hashed.set(key)
  hashed.set(value, key.length)
  return hash('sha256', hashed, 'binary')
}

class Reader {
  #at = 0
  readonly #bytes: Buffer
  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }
  number(): number {
    let value = 0
    let scale = 1
    for (;;) {
      const byte = this.#bytes[this.#at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
  }
  text(): string {
    const length = this.number()
    this.#at += length
    return this.#bytes.toString('utf8', this.#at - length, this.#at)
  }
  hash(): Uint8Array {
    this.#at += hashBytes
    return plain(this.#bytes.subarray(this.#at - hashBytes, this.#at))
  }
}

const nameIn = (key: Uint8Array): string => asBuffer(key).toString('utf8', 1)

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** Callers get a Uint8Array, not Node's Buffer whose `slice` means something else. */
const plain = (bytes: Buffer): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
