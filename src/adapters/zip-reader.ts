import { crc32, createInflateRaw } from 'node:zlib'
import type { ZipEvent, ZipLimits } from '../ports/zip-format.ts'
import { written } from './zlib-write.ts'

/*
 * Reads a ZIP archive (PKWARE APPNOTE 6.3.10) from its first byte to its last, as it comes over a network. A packed file says
 * itself where it ends, which the inflater tells exactly; libraries look for the bytes with which the next one begins, and
 * find them in the middle of a file now and then. A file that is not packed needs its length before it.
 */

const pieceBytes = 64 * 1024
const flagEncrypted = 0x0001
const flagLengthsBehind = 0x0008
const flagUtf8 = 0x0800
const unknown32 = 0xffff_ffff

type Problem = Extract<ZipEvent, { kind: 'problem' }>

class Unreadable extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.reason)
    this.problem = problem
  }
}

const unreadable = (of: Problem['of'], cause: Problem['cause'], reason: string) =>
  new Unreadable({ kind: 'problem', of, cause, reason })

interface LocalHeader {
  readonly flags: number
  readonly method: number
  readonly crc: number
  /** `undefined`: it is said behind the bytes. */
  readonly packedBytes: number | undefined
  readonly sizeBytes: number | undefined
  readonly is64: boolean
  readonly name: string
}

export async function* readZip(bytes: AsyncIterable<Uint8Array>, limits: ZipLimits): AsyncGenerator<ZipEvent> {
  const input = new Input(bytes)
  const room = { bytes: limits.maxBytes, entries: limits.maxEntries }
  try {
    if (!(await beginsLikeZip(input))) {
      throw unreadable('archive', 'not-an-archive', 'It does not begin like a ZIP archive.')
    }
    for (let header = await localHeader(input); header; header = await localHeader(input)) {
      room.entries -= 1
      if (room.entries < 0) {
        throw unreadable('archive', 'too-large', `It has more than ${limits.maxEntries} files; split it.`)
      }
      const isFolder = header.name.endsWith('/')
      if (!isFolder) yield { kind: 'entry', name: header.name }
      for await (const event of content(input, header, limits, room)) if (!isFolder) yield event
    }
    while (await input.next(pieceBytes)); // the directory: it says nothing that the files did not
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    yield error.problem
  } finally {
    await input.close()
  }
}

async function beginsLikeZip(input: Input): Promise<boolean> {
  const first = await input.peek(4)
  if (first.length < 4) return false
  return [0x0403_4b50, 0x0605_4b50, 0x0606_4b50].includes(first.readUInt32LE(0))
}

/** `undefined`: the directory begins. */
async function localHeader(input: Input): Promise<LocalHeader | undefined> {
  const signature = (await input.exactly(4)).readUInt32LE(0)
  if ([0x0201_4b50, 0x0606_4b50, 0x0605_4b50, 0x0807_4b50].includes(signature)) return undefined
  if (signature !== 0x0403_4b50) {
    throw unreadable('archive', 'damaged', 'Something else stands where the next file should begin.')
  }
  const fixed = await input.exactly(26)
  const flags = fixed.readUInt16LE(2)
  const name = await input.exactly(fixed.readUInt16LE(22))
  const extra = await input.exactly(fixed.readUInt16LE(24))
  const [size32, packed32] = [fixed.readUInt32LE(18), fixed.readUInt32LE(14)]
  const wide = wideLengths(extra, size32, packed32)
  const isBehind = (flags & flagLengthsBehind) !== 0
  return {
    flags,
    method: fixed.readUInt16LE(4),
    crc: fixed.readUInt32LE(10),
    sizeBytes: isBehind ? undefined : wide.size,
    packedBytes: isBehind ? undefined : wide.packed,
    is64: wide.is64,
    name: name.toString((flags & flagUtf8) !== 0 ? 'utf8' : 'latin1'),
  }
}

function wideLengths(extra: Buffer, size32: number, packed32: number) {
  let at = 0
  while (at + 4 <= extra.length) {
    const length = extra.readUInt16LE(at + 2)
    const field = extra.subarray(at + 4, at + 4 + length)
    at += 4 + length
    if (extra.readUInt16LE(at - 4 - length) !== 0x0001) continue
    let next = 0
    const take = (narrow: number) => {
      if (narrow !== unknown32 || next + 8 > field.length) return narrow
      next += 8
      return Number(field.readBigUInt64LE(next - 8))
    }
    return { size: take(size32), packed: take(packed32), is64: true }
  }
  return { size: size32, packed: packed32, is64: false }
}

interface Room {
  bytes: number
}

async function* content(input: Input, header: LocalHeader, limits: ZipLimits, room: Room): AsyncGenerator<ZipEvent> {
  const { packedBytes, method } = header
  const isReadable =
    (header.flags & flagEncrypted) === 0 && (method === 8 || (method === 0 && packedBytes !== undefined))
  if (!isReadable) {
    const reason = 'It is encrypted, or packed in a way that is not supported; pack it with plain “deflate”.'
    if (packedBytes === undefined) throw unreadable('archive', 'unsupported', reason)
    yield { kind: 'problem', of: 'entry', cause: 'unsupported', reason }
    await input.skip(packedBytes)
    return
  }
  const span = new Span(input, packedBytes)
  const count = { crc: 0, sizeBytes: 0 }
  try {
    for await (const bytes of method === 8 ? inflated(span) : span.pieces()) {
      count.crc = crc32(bytes, count.crc)
      count.sizeBytes += bytes.length
      room.bytes -= bytes.length
      if (room.bytes < 0) {
        throw unreadable('archive', 'too-large', `It unpacks to more than ${limits.maxBytes} bytes; split it.`)
      }
      if (count.sizeBytes > limits.maxEntryBytes) {
        throw unreadable('entry', 'too-large', `It unpacks to more than ${limits.maxEntryBytes} bytes.`)
      }
      yield { kind: 'bytes', bytes }
    }
    await verify(input, header, span, count)
  } catch (error) {
    // Where a file ends whose length is not said, only its bytes could tell.
    if (!(error instanceof Unreadable) || packedBytes === undefined) throw asOfArchive(error)
    yield error.problem
    if (error.problem.of === 'archive') return
  }
  await span.skipRest()
}

function asOfArchive(error: unknown): unknown {
  return error instanceof Unreadable ? new Unreadable({ ...error.problem, of: 'archive' }) : error
}

async function verify(
  input: Input,
  { crc, packedBytes, sizeBytes, is64 }: LocalHeader,
  span: Span,
  count: { crc: number; sizeBytes: number },
): Promise<void> {
  const damaged = unreadable('entry', 'damaged', 'Its bytes are not those that were packed.')
  if (packedBytes !== undefined) {
    if (span.leftBytes !== 0 || sizeBytes !== count.sizeBytes || crc !== count.crc) throw damaged
    return
  }
  const first = await input.exactly(4)
  const isSigned = first.readUInt32LE(0) === 0x0807_4b50
  const crcBehind = (isSigned ? await input.exactly(4) : first).readUInt32LE(0)
  const lengths = await input.exactly(is64 ? 16 : 8)
  const sizeBehind = is64 ? Number(lengths.readBigUInt64LE(8)) : lengths.readUInt32LE(4)
  if (crcBehind !== count.crc || sizeBehind !== count.sizeBytes) throw damaged
}

/** @throws {Unreadable} */
async function* inflated(span: Span): AsyncGenerator<Uint8Array> {
  const inflate = createInflateRaw({ chunkSize: pieceBytes })
  const feeding = feed()
  try {
    for await (const bytes of inflate) yield bytes
  } catch (error) {
    throw error instanceof Unreadable ? error : unreadable('entry', 'damaged', 'Its bytes cannot be unpacked.')
  } finally {
    inflate.destroy()
    await feeding
  }

  async function feed(): Promise<void> {
    try {
      while (true) {
        const piece = await span.next()
        if (!piece) return void inflate.end() // which fails if there should be more
        const before = inflate.bytesWritten
        await written(inflate, piece)
        const taken = inflate.bytesWritten - before
        if (taken === piece.length) continue
        span.unread(piece.subarray(taken))
        return
      }
    } catch (error) {
      inflate.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

/** The packed bytes of one file: as many as were said, or as many as are asked for. */
class Span {
  leftBytes: number
  readonly #input: Input

  constructor(input: Input, packedBytes: number | undefined) {
    this.#input = input
    this.leftBytes = packedBytes ?? Number.POSITIVE_INFINITY
  }

  async next(): Promise<Buffer | undefined> {
    if (this.leftBytes === 0) return undefined
    const piece = await this.#input.next(Math.min(pieceBytes, this.leftBytes))
    if (!piece) throw truncated()
    this.leftBytes -= piece.length
    return piece
  }

  unread(bytes: Buffer): void {
    this.#input.unread(bytes)
    this.leftBytes += bytes.length
  }

  async *pieces(): AsyncGenerator<Uint8Array> {
    for (let piece = await this.next(); piece; piece = await this.next()) yield piece
  }

  async skipRest(): Promise<void> {
    if (this.leftBytes === Number.POSITIVE_INFINITY) return
    while (await this.next());
  }
}

const truncated = () => unreadable('archive', 'truncated', 'It ends in the middle of a file; transfer it again.')

/** Bytes in the pieces in which they are wanted. */
class Input {
  #piece: Buffer = Buffer.alloc(0)
  readonly #source: AsyncIterator<Uint8Array>

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#source = bytes[Symbol.asyncIterator]()
  }

  /** At least one byte, at most `maxBytes`; `undefined` at the end. */
  async next(maxBytes: number): Promise<Buffer | undefined> {
    while (this.#piece.length === 0) {
      const { value, done } = await this.#source.next()
      if (done) return undefined
      this.#piece = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    }
    const taken = this.#piece.subarray(0, maxBytes)
    this.#piece = this.#piece.subarray(taken.length)
    return taken
  }

  unread(bytes: Buffer): void {
    this.#piece = this.#piece.length === 0 ? bytes : Buffer.concat([bytes, this.#piece])
  }

  /** Fewer at the end. */
  async peek(lengthBytes: number): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let left = lengthBytes; left > 0; left = lengthBytes - pieces.reduce((sum, { length }) => sum + length, 0)) {
      const piece = await this.next(left)
      if (!piece) break
      pieces.push(piece)
    }
    const taken = Buffer.concat(pieces)
    this.unread(taken)
    return taken
  }

  async exactly(lengthBytes: number): Promise<Buffer> {
    const taken = await this.peek(lengthBytes)
    if (taken.length < lengthBytes) throw truncated()
    this.#piece = this.#piece.subarray(lengthBytes)
    return taken
  }

  async skip(lengthBytes: number): Promise<void> {
    for (let left = lengthBytes; left > 0; ) {
      const piece = await this.next(Math.min(left, pieceBytes))
      if (!piece) throw truncated()
      left -= piece.length
    }
  }

  async close(): Promise<void> {
    await this.#source.return?.()
  }
}
