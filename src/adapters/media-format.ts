import { createHash, type Hash } from 'node:crypto'
import { z } from 'zod'
import { type FileTree, Unreadable } from '../ports/file-tree.ts'
import { MediaCorrupt, type MediaFacts, MediaGone, type MediaName } from '../ports/media-store.ts'

/*
 * The file of a blob: its bytes; then a SHA-256 for each chunk of them, so that any range can be verified without reading the
 * rest; then what is known of it, as JSON; last a fixed end that says where that begins, and that it is what was written.
 */

export const chunkBytes = 256 * 1024
const sumBytes = 32
const magic = new TextEncoder().encode('CPNSMED1')
/** Length of the JSON, its SHA-256, the magic. */
const endBytes = 4 + sumBytes + magic.length
/** An operator, a user and a media type are far shorter. */
const maxFactsBytes = 4_096

const factsSchema = z.strictObject({
  operator: z.string(),
  user: z.string(),
  hash: z.string(),
  size: z.int().min(0),
  type: z.string(),
  /** SHA-256 of all sums, base64url. */
  sums: z.string(),
})

/** What is known of a blob that is stored. */
export interface Footer extends MediaFacts {
  readonly sums: string
  readonly storedMs: number
}

const sha256 = (): Hash => createHash('sha256')
const digestOf = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = sha256()
  for (const part of parts) hash.update(part)
  return hash.digest()
}
const chunksOf = (size: number): number => Math.ceil(size / chunkBytes)

/** Hashes bytes as they come: the whole, and each chunk. */
export class Sums {
  readonly #whole = sha256()
  readonly #sums: Buffer[] = []
  #chunk = sha256()
  #chunkLength = 0
  #length = 0

  get length(): number {
    return this.#length
  }

  update(bytes: Uint8Array): void {
    this.#whole.update(bytes)
    this.#length += bytes.length
    for (let at = 0; at < bytes.length; ) {
      const part = bytes.subarray(at, at + chunkBytes - this.#chunkLength)
      this.#chunk.update(part)
      this.#chunkLength += part.length
      at += part.length
      if (this.#chunkLength === chunkBytes) this.#endChunk()
    }
  }

  /** Of all that came, in base64url. More may come. */
  hash(): string {
    return this.#whole.copy().digest('base64url')
  }

  /** What stands behind the bytes in a file of this name. Nothing may come any more. */
  footer({ operator, user, hash }: MediaName, { size, type }: MediaFacts): Uint8Array {
    if (this.#chunkLength > 0) this.#endChunk()
    const sums = Buffer.concat(this.#sums)
    const facts: z.infer<typeof factsSchema> = {
      operator,
      user,
      hash,
      size,
      type,
      sums: digestOf(sums).toString('base64url'),
    }
    const json = Buffer.from(JSON.stringify(facts))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(json.length)
    return Buffer.concat([sums, json, length, digestOf(json), magic])
  }

  #endChunk(): void {
    this.#sums.push(this.#chunk.digest())
    this.#chunk = sha256()
    this.#chunkLength = 0
  }
}

/** A blob's file, in a tree, under the name that it is expected to have. */
export class MediaFile {
  readonly #tree: FileTree
  readonly #path: string
  readonly #name: MediaName

  constructor(tree: FileTree, path: string, name: MediaName) {
    this.#tree = tree
    this.#path = path
    this.#name = name
  }

  /** `undefined` if there is no file. @throws {MediaCorrupt} when it does not say that it is this blob. */
  async footer(): Promise<Footer | undefined> {
    const file = await this.#tree.stat(this.#path)
    if (!file) return undefined
    if (file.size < endBytes) throw this.#corrupt()
    const end = await this.#read(file.size - endBytes, endBytes)
    const jsonBytes = end.readUInt32BE(0)
    if (!end.subarray(4 + sumBytes).equals(magic) || jsonBytes > Math.min(maxFactsBytes, file.size - endBytes)) {
      throw this.#corrupt()
    }
    const json = await this.#read(file.size - endBytes - jsonBytes, jsonBytes)
    if (!digestOf(json).equals(end.subarray(4, 4 + sumBytes))) throw this.#corrupt()
    const { operator, user, hash, size, type, sums } = factsSchema.parse(JSON.parse(json.toString()))
    const isThis = operator === this.#name.operator && user === this.#name.user && hash === this.#name.hash
    const bytes = size + chunksOf(size) * sumBytes + jsonBytes + endBytes
    if (!isThis || file.size !== bytes) throw this.#corrupt()
    return { size, type, sums, storedMs: file.changedMs }
  }

  /** Bytes of a range, each chunk verified before it is handed out. @throws {MediaCorrupt} {@link MediaGone} */
  async *chunks({ size, sums: expected }: Footer, from: number, to: number): AsyncGenerator<Uint8Array> {
    const sums = await this.#read(size, chunksOf(size) * sumBytes)
    if (digestOf(sums).toString('base64url') !== expected) throw this.#corrupt()
    for (let chunk = Math.floor(from / chunkBytes); chunk * chunkBytes < to; chunk++) {
      const begin = chunk * chunkBytes
      const bytes = await this.#read(begin, Math.min(chunkBytes, size - begin))
      const sum = sums.subarray(chunk * sumBytes, (chunk + 1) * sumBytes)
      if (!digestOf(bytes).equals(sum)) throw this.#corrupt()
      const part = bytes.subarray(Math.max(0, from - begin), to - begin)
      yield new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
    }
  }

  async #read(position: number, length: number): Promise<Buffer> {
    try {
      const bytes = await this.#tree.read(this.#path, position, length)
      if (!bytes) throw new MediaGone(this.#name.hash)
      if (bytes.length < length) throw this.#corrupt()
      return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    } catch (error) {
      throw error instanceof Unreadable ? this.#corrupt(error) : error
    }
  }

  #corrupt(cause?: unknown): MediaCorrupt {
    return new MediaCorrupt(this.#name.hash, { cause })
  }
}
