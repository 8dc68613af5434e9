import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { type DocumentId, isLogId, type LogId, type ServerId } from '../ports/names.ts'
import { asDocumentId } from './names.ts'
import { delimited, MalformedEntry, noBytes, StrictFields, tag, varint } from './strict-fields.ts'

/*
 * The `Entry` message of `entry.proto`, by hand: every write passes through it. It is written in one way only, and nothing else is read.
 */

/** A log that this entry's log has copied up to and including `seq`, whose entry has `hash`. */
export interface Superseded {
  readonly log: LogId
  readonly seq: number
  readonly hash: Uint8Array
}

/** Entries of a log, below `length`, that a copy relied on. */
export interface Relied {
  readonly log: LogId
  readonly length: number
}

export interface Entry {
  readonly document: DocumentId
  readonly log: LogId
  readonly server: ServerId
  readonly seq: number
  /** Hash of the log's previous entry, 32 bytes; empty in the first. */
  readonly prev: Uint8Array
  /** A Yjs update, V1; empty when no register changes. */
  readonly update: Uint8Array
  readonly supersedes: readonly Superseded[]
  readonly after: readonly Relied[]
}

const hashBytes = 32
const maxDocumentIdLength = 1_024
/** Far below 2^32, so that a length always fits where a sequence number does. */
const maxSeq = 2 ** 31 - 1
/** What one entry may name: more logs than that no document has, as every restart and compaction adds just one. */
const maxNamedLogs = 2_048

const field = {
  document: tag(1, delimited),
  log: tag(2, delimited),
  server: tag(3, delimited),
  seq: tag(4, varint),
  prev: tag(5, delimited),
  update: tag(6, delimited),
  supersedes: tag(7, delimited),
  after: tag(8, delimited),
}
const superseded = { log: tag(1, delimited), seq: tag(2, varint), hash: tag(3, delimited) }
const relied = { log: tag(1, delimited), length: tag(2, varint) }
// --- writing

/** The fields that are the same in every entry of a log. */
export function encodeNames({ document, log, server }: Pick<Entry, 'document' | 'log' | 'server'>): Uint8Array {
  const writer = new BinaryWriter()
  writer.uint32(field.document).string(document)
  writer.uint32(field.log).string(log)
  writer.uint32(field.server).string(server)
  return writer.finish()
}

function encodeClaim({ supersedes, after }: Entry): Uint8Array {
  if (supersedes.length === 0 && after.length === 0) return noBytes
  const writer = new BinaryWriter()
  for (const { log, seq, hash } of supersedes) {
    writer.uint32(field.supersedes).fork().uint32(superseded.log).string(log)
    if (seq > 0) writer.uint32(superseded.seq).uint32(seq)
    writer.uint32(superseded.hash).bytes(hash).join()
  }
  for (const { log, length } of after) {
    writer.uint32(field.after).fork().uint32(relied.log).string(log)
    writer.uint32(relied.length).uint32(length).join()
  }
  return writer.finish()
}

/** An entry ready to be written, and the bytes that it will take. */
export interface Parts {
  readonly names: Uint8Array
  readonly seq: number
  readonly prev: Uint8Array
  readonly update: Uint8Array
  readonly claim: Uint8Array
  readonly bytes: number
}

export function partsOf(entry: Entry, names: Uint8Array): Parts {
  const { seq, prev, update } = entry
  const claim = encodeClaim(entry)
  const seqBytes = seq > 0 ? 1 + varintBytes(seq) : 0
  const bytes = names.length + seqBytes + fieldBytes(prev.length) + fieldBytes(update.length) + claim.length
  return { names, seq, prev, update, claim, bytes }
}

const fieldBytes = (length: number): number => (length > 0 ? 1 + varintBytes(length) + length : 0)

export function writeEntry(into: Uint8Array, from: number, parts: Parts): void {
  const at = writeBeforeUpdate(into, from, parts)
  into.set(parts.update, at)
  into.set(parts.claim, at + parts.update.length)
}

/** Answers where the update's bytes are to follow. */
function writeBeforeUpdate(into: Uint8Array, from: number, { names, seq, prev, update }: Parts): number {
  into.set(names, from)
  let at = from + names.length
  if (seq > 0) {
    into[at] = field.seq
    at = writeVarint(into, at + 1, seq)
  }
  if (prev.length > 0) {
    into.set(prev, writeFieldLength(into, at, field.prev, prev))
    at += fieldBytes(prev.length)
  }
  return update.length > 0 ? writeFieldLength(into, at, field.update, update) : at
}

/** Answers where the value is to follow. */
function writeFieldLength(into: Uint8Array, at: number, tag: number, value: Uint8Array): number {
  into[at] = tag
  return writeVarint(into, at + 1, value.length)
}

/** Writes an unsigned number below 2^31; answers where it ends. */
export function writeVarint(into: Uint8Array, from: number, value: number): number {
  let at = from
  let rest = value
  for (; rest > 0x7f; rest >>>= 7) into[at++] = (rest & 0x7f) | 0x80
  into[at] = rest
  return at + 1
}

export function varintBytes(value: number): number {
  let bytes = 1
  for (let rest = value; rest > 0x7f; rest >>>= 7) bytes++
  return bytes
}
// --- reading

/** @throws {MalformedEntry} for what {@link writeEntry} would not have written */
export function decodeEntry(bytes: Uint8Array): Entry {
  const fields = new StrictFields(bytes)
  const document = asDocument(fields.text(field.document))
  const log = asLog(fields.text(field.log))
  const server = asServer(fields.text(field.server))
  const seq = asSeq(fields.number(field.seq))
  const prev = fields.bytes(field.prev)
  const update = fields.bytes(field.update)
  const supersedes = several(fields, field.supersedes, supersededFrom)
  const after = several(fields, field.after, reliedFrom)
  fields.end('Entry')
  if (prev.length !== (seq === 0 ? 0 : hashBytes))
    throw new MalformedEntry('The first entry of a log has no prev; every other has one of 32 bytes.')
  return { document, log, server, seq, prev, update, supersedes, after }
}

function several<T>(fields: StrictFields, tag: number, from: (each: StrictFields) => T): readonly T[] {
  const all: T[] = []
  while (fields.has(tag) && all.length < maxNamedLogs) all.push(from(new StrictFields(fields.bytes(tag))))
  return all
}

function supersededFrom(fields: StrictFields): Superseded {
  const log = asLog(fields.text(superseded.log))
  const seq = asSeq(fields.number(superseded.seq))
  const hash = fields.bytes(superseded.hash)
  fields.end('Supersede')
  if (hash.length !== hashBytes)
    throw new MalformedEntry(`A superseded log is named with a hash of ${hashBytes} bytes.`)
  return { log, seq, hash }
}

function reliedFrom(fields: StrictFields): Relied {
  const log = asLog(fields.text(relied.log))
  const length = asSeq(fields.number(relied.length))
  fields.end('Relied')
  if (length === 0) throw new MalformedEntry('A copy relies on a log only if it held something of it.')
  return { log, length }
}

function asDocument(text: string): DocumentId {
  if (text.length > maxDocumentIdLength) throw new MalformedEntry('The document id is too long.')
  try {
    return asDocumentId(text)
  } catch {
    throw new MalformedEntry('The document id is not one.')
  }
}

function asLog(text: string): LogId {
  if (isLogId(text)) return text
  throw new MalformedEntry('A log id is 128 bits in base64url.')
}

/** Only the length is looked at: whether such a server exists is the authorship's question, which knows the servers by name. */
function asServer(text: string): ServerId {
  if (text.length > 0 && text.length <= 64) return text as ServerId
  throw new MalformedEntry('The server is not a PeerId.')
}

function asSeq(seq: number): number {
  if (seq <= maxSeq) return seq
  throw new MalformedEntry(`A sequence number is at most ${maxSeq}.`)
}
