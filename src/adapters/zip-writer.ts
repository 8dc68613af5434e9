import { crc32, createDeflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib'
import type { ZipEntry } from '../ports/zip-format.ts'
import { written } from './zlib-write.ts'

/*
 * Writes a ZIP archive (PKWARE APPNOTE 6.3.10) in one pass, always with the 64 bit records, so that it may be of any size and
 * hold any number of files. Small files are packed whole and have their lengths before them, so that a reader can get over a
 * damaged one; the others have them behind. The directory is kept packed until it is written: libraries keep an object for
 * each file, which is a gigabyte for a mailbox of a million.
 */

/** Larger files are packed piece by piece. */
const wholeBytes = 64 * 1024
const blockBytes = 64 * 1024
const version64 = 45
const methodDeflate = 8
const flagUtf8 = 0x0800
const flagLengthsBehind = 0x0008
const unknown32 = 0xffff_ffff
const unknown16 = 0xffff

export async function* writeZip(entries: AsyncIterable<ZipEntry>): AsyncGenerator<Uint8Array> {
  const directory = new Directory()
  let offset = 0
  for await (const entry of entries) {
    const start = offset
    const name = Buffer.from(entry.name, 'utf8')
    const packed = new Packed(entry)
    for await (const piece of packed.pieces(name)) {
      offset += piece.length
      yield piece
    }
    directory.add(name, entry.modified, packed, start)
  }
  for (const piece of directory.pieces(offset)) yield piece
}

class Packed {
  crc = 0
  sizeBytes = 0
  packedBytes = 0
  flags = flagUtf8
  readonly #entry: ZipEntry

  constructor(entry: ZipEntry) {
    this.#entry = entry
  }

  async *pieces(name: Buffer): AsyncGenerator<Uint8Array> {
    const source = this.#counted()
    try {
      yield* this.#packed(name, source)
    } finally {
      await source.return(undefined)
    }
  }

  async *#packed(name: Buffer, source: AsyncGenerator<Uint8Array, undefined>): AsyncGenerator<Uint8Array> {
    const first: Uint8Array[] = []
    while (this.sizeBytes <= wholeBytes) {
      const { value, done } = await source.next()
      if (done) {
        const packed = deflateRawSync(Buffer.concat(first))
        this.packedBytes = packed.length
        yield Buffer.concat([this.#header(name), packed])
        return
      }
      first.push(value)
    }
    this.flags |= flagLengthsBehind
    yield this.#header(name)
    for await (const packed of deflated(first, source)) {
      this.packedBytes += packed.length
      yield packed
    }
    yield this.#lengthsBehind()
  }

  async *#counted(): AsyncGenerator<Uint8Array, undefined> {
    for await (const bytes of this.#entry.bytes) {
      this.crc = crc32(bytes, this.crc)
      this.sizeBytes += bytes.length
      yield bytes
    }
  }

  #header(name: Buffer): Buffer {
    const { time, date } = dosTime(this.#entry.modified)
    const isBehind = (this.flags & flagLengthsBehind) !== 0
    const header = Buffer.alloc(30)
    header.writeUInt32LE(0x0403_4b50, 0)
    header.writeUInt16LE(version64, 4)
    header.writeUInt16LE(this.flags, 6)
    header.writeUInt16LE(methodDeflate, 8)
    header.writeUInt16LE(time, 10)
    header.writeUInt16LE(date, 12)
    header.writeUInt32LE(isBehind ? 0 : this.crc, 14)
    header.writeUInt32LE(isBehind ? unknown32 : this.packedBytes, 18)
    header.writeUInt32LE(isBehind ? unknown32 : this.sizeBytes, 22)
    header.writeUInt16LE(name.length, 26)
    const extra = isBehind ? extra64(0, 0) : Buffer.alloc(0)
    header.writeUInt16LE(extra.length, 28)
    return Buffer.concat([header, name, extra])
  }

  #lengthsBehind(): Buffer {
    const behind = Buffer.alloc(24)
    behind.writeUInt32LE(0x0807_4b50, 0)
    behind.writeUInt32LE(this.crc, 4)
    behind.writeBigUInt64LE(BigInt(this.packedBytes), 8)
    behind.writeBigUInt64LE(BigInt(this.sizeBytes), 16)
    return behind
  }
}

/** `first`, then what `rest` still has; one piece after the other, so that neither side runs ahead. */
async function* deflated(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const deflate = createDeflateRaw({ chunkSize: blockBytes })
  const feeding = feed()
  try {
    for await (const packed of deflate) yield packed
    await feeding
  } finally {
    deflate.destroy()
    await feeding
  }

  async function feed(): Promise<void> {
    try {
      for (const bytes of first) await written(deflate, bytes)
      for await (const bytes of rest) await written(deflate, bytes)
      deflate.end()
    } catch (error) {
      deflate.destroy(error instanceof Error ? error : new Error(String(error)))
    }
  }
}

class Directory {
  #entries = 0
  #sizeBytes = 0
  readonly #blocks: Buffer[] = []
  #block: Buffer[] = []
  #blockBytes = 0

  add(name: Buffer, modified: number, packed: Packed, offset: number): void {
    const { time, date } = dosTime(modified)
    const extra = extra64(packed.sizeBytes, packed.packedBytes, offset)
    const record = Buffer.alloc(46)
    record.writeUInt32LE(0x0201_4b50, 0)
    record.writeUInt16LE(version64, 4)
    record.writeUInt16LE(version64, 6)
    record.writeUInt16LE(packed.flags, 8)
    record.writeUInt16LE(methodDeflate, 10)
    record.writeUInt16LE(time, 12)
    record.writeUInt16LE(date, 14)
    record.writeUInt32LE(packed.crc, 16)
    record.writeUInt32LE(unknown32, 20)
    record.writeUInt32LE(unknown32, 24)
    record.writeUInt16LE(name.length, 28)
    record.writeUInt16LE(extra.length, 30)
    record.writeUInt32LE(unknown32, 42)
    this.#entries += 1
    for (const piece of [record, name, extra]) {
      this.#sizeBytes += piece.length
      this.#blockBytes += piece.length
      this.#block.push(piece)
    }
    if (this.#blockBytes < blockBytes) return
    this.#blocks.push(deflateRawSync(Buffer.concat(this.#block)))
    this.#block = []
    this.#blockBytes = 0
  }

  *pieces(offset: number): Generator<Uint8Array> {
    for (const block of this.#blocks) yield inflateRawSync(block)
    yield Buffer.concat(this.#block)
    const end = Buffer.alloc(56 + 20 + 22)
    end.writeUInt32LE(0x0606_4b50, 0)
    end.writeBigUInt64LE(44n, 4)
    end.writeUInt16LE(version64, 12)
    end.writeUInt16LE(version64, 14)
    end.writeBigUInt64LE(BigInt(this.#entries), 24)
    end.writeBigUInt64LE(BigInt(this.#entries), 32)
    end.writeBigUInt64LE(BigInt(this.#sizeBytes), 40)
    end.writeBigUInt64LE(BigInt(offset), 48)
    end.writeUInt32LE(0x0706_4b50, 56)
    end.writeBigUInt64LE(BigInt(offset + this.#sizeBytes), 64)
    end.writeUInt32LE(1, 72)
    end.writeUInt32LE(0x0605_4b50, 76)
    end.writeUInt16LE(unknown16, 84)
    end.writeUInt16LE(unknown16, 86)
    end.writeUInt32LE(unknown32, 88)
    end.writeUInt32LE(unknown32, 92)
    yield end
  }
}

/** The 64 bit record of lengths and offset (APPNOTE 4.5.3). */
function extra64(...values: readonly number[]): Buffer {
  const extra = Buffer.alloc(4 + 8 * values.length)
  extra.writeUInt16LE(0x0001, 0)
  extra.writeUInt16LE(8 * values.length, 2)
  for (const [at, value] of values.entries()) extra.writeBigUInt64LE(BigInt(value), 4 + 8 * at)
  return extra
}

/** In UTC, two seconds apart, from 1980 to 2107: all that the format can say. */
function dosTime(ms: number): { time: number; date: number } {
  const at = new Date(Math.min(Math.max(ms, Date.UTC(1980)), Date.UTC(2107, 11, 31)))
  return {
    time: (at.getUTCHours() << 11) | (at.getUTCMinutes() << 5) | (at.getUTCSeconds() >> 1),
    date: ((at.getUTCFullYear() - 1980) << 9) | ((at.getUTCMonth() + 1) << 5) | at.getUTCDate(),
  }
}
