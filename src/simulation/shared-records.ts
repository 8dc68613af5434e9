import type { DiskRecord } from './sorted-records.ts'

/** Records remembered for sharing; forgetting one costs memory, not correctness. */
const recordsRemembered = 65_536

/**
 * Lets the disks of all hosts share records that are equal: what a thousand replicas store is held once. A
 * record's key is shared too, which is often the longer half of it.
 */
export class SharedRecords {
  #recent = new Map<string, DiskRecord>()
  #older = new Map<string, DiskRecord>()

  /** A record with this name and value, that is nobody's to change. */
  record(name: string, value: Uint8Array): DiskRecord {
    const known = this.#recent.get(name) ?? this.#older.get(name)
    const record =
      known && equal(known.value, value) ? known : { name: known?.name ?? name, value: new Uint8Array(value) }
    this.#recent.set(record.name, record)
    if (this.#recent.size >= recordsRemembered) {
      this.#older = this.#recent
      this.#recent = new Map()
    }
    return record
  }
}

const equal = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && Buffer.compare(a, b) === 0
