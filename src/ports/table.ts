/** A record to be put, or removed when `value` is `undefined`. */
export interface Operation {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
}

export type TableRecord = readonly [key: Uint8Array, value: Uint8Array]

/** Keys with `from <= key < to`, in order of bytes. */
export interface KeyRange {
  readonly from: Uint8Array
  readonly to: Uint8Array
}

/**
 * An ordered table of bytes that writes batches atomically: what a log store needs of a disk. Production and simulation
 * differ below it, so that group commit and the format of records are the same code in both.
 */
export interface Table {
  /**
   * Resolves when all operations, in their order, would survive a power cut. Rejects with `CommitRefused` when nothing
   * of them was stored; with anything else when that is not known. Called again only when the last call has settled.
   *
   * @param erased what the operations remove of these ranges is to leave the files too, soon and in the background, and also if the
   *   process ends before: it was not only outdated. A table whose files never hold more than its records has nothing to do for it.
   */
  write(operations: readonly Operation[], erased?: readonly KeyRange[]): Promise<void>
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** Records of the range, some at a time, in order of key, as they are when the iteration begins. */
  records(range: KeyRange): AsyncIterable<readonly TableRecord[]>
  /** The keys alone. */
  keys(range: KeyRange): AsyncIterable<readonly Uint8Array[]>
  close(): Promise<void>
}
