/*
 * The records of a simulated disk, in order of key. Keys are strings of one-byte characters, whose order is that of their bytes.
 * Records never change, so that disks that hold the same can share them, and a copy of a disk costs pointers.
 */

export interface DiskRecord {
  readonly name: string
  readonly value: Uint8Array
}

/** A chunk that grows beyond it is split: an insertion moves so many pointers at the most. */
const chunkLength = 256

export class SortedRecords {
  /** Never empty, but for the only one of an empty table. */
  #chunks: DiskRecord[][] = [[]]
  #size = 0
  #bytes = 0

  constructor(copied?: SortedRecords) {
    if (!copied) return
    this.#chunks = copied.#chunks.map(chunk => chunk.slice())
    this.#size = copied.#size
    this.#bytes = copied.#bytes
  }

  get size(): number {
    return this.#size
  }

  /** Bytes of keys and values. */
  get bytes(): number {
    return this.#bytes
  }

  get(name: string): DiskRecord | undefined {
    const chunk = this.#chunks[this.#chunkOf(name)] ?? []
    const found = chunk[firstAtOrAfter(chunk, name)]
    return found?.name === name ? found : undefined
  }

  /** The record at a position, from 0. */
  at(position: number): DiskRecord | undefined {
    let left = position
    for (const chunk of this.#chunks) {
      if (left < chunk.length) return chunk[left]
      left -= chunk.length
    }
    return undefined
  }

  put(record: DiskRecord): void {
    const index = this.#chunkOf(record.name)
    const chunk = this.#chunks[index] ?? []
    const at = firstAtOrAfter(chunk, record.name)
    const old = chunk[at]
    if (old?.name === record.name) {
      chunk[at] = record
      this.#bytes += record.value.length - old.value.length
      return
    }
    chunk.splice(at, 0, record)
    this.#size += 1
    this.#bytes += bytesOf(record)
    if (chunk.length > chunkLength) this.#chunks.splice(index + 1, 0, chunk.splice(chunkLength >>> 1))
  }

  remove(name: string): void {
    const index = this.#chunkOf(name)
    const chunk = this.#chunks[index] ?? []
    const at = firstAtOrAfter(chunk, name)
    const old = chunk[at]
    if (old?.name !== name) return
    chunk.splice(at, 1)
    this.#size -= 1
    this.#bytes -= bytesOf(old)
    if (chunk.length === 0 && this.#chunks.length > 1) this.#chunks.splice(index, 1)
  }

  /** Records with `from <= name < to`, as they are now. */
  range(from: string, to: string): DiskRecord[] {
    const found: DiskRecord[] = []
    for (let index = this.#chunkOf(from); index < this.#chunks.length; index++) {
      const chunk = this.#chunks[index] ?? []
      const start = found.length === 0 ? firstAtOrAfter(chunk, from) : 0
      const end = firstAtOrAfter(chunk, to)
      for (let at = start; at < end; at++) found.push(chunk[at] as DiskRecord)
      if (end < chunk.length) break
    }
    return found
  }

  *[Symbol.iterator](): Generator<DiskRecord> {
    for (const chunk of this.#chunks) yield* chunk
  }

  /** The last chunk that begins at or before `name`, else the first. */
  #chunkOf(name: string): number {
    let low = 0
    let high = this.#chunks.length
    while (high - low > 1) {
      const middle = (low + high) >>> 1
      if ((this.#chunks[middle]?.[0]?.name ?? '') <= name) low = middle
      else high = middle
    }
    return low
  }
}

const bytesOf = ({ name, value }: DiskRecord): number => name.length + value.length

function firstAtOrAfter(records: readonly DiskRecord[], name: string): number {
  let low = 0
  let high = records.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((records[middle]?.name ?? '') < name) low = middle + 1
    else high = middle
  }
  return low
}
