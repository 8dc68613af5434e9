/** A record of a replica: what `commit` is given, and `scan` gives back. Keys are printable ASCII, values JSON but not `null`. */
export interface ReplicaRecord {
  readonly key: string
  readonly value: unknown
}

/** A record to be put, or removed when `value` is `undefined`. Of two for one key the later counts. */
export interface ReplicaWrite {
  readonly key: string
  readonly value: unknown
}

/** Keys with `from <= key < to`, in order of their characters. */
export interface ReplicaRange {
  readonly from: string
  readonly to: string
  /** From the end on. */
  readonly backwards?: boolean
  /** So many at the most. */
  readonly limit?: number
}

/**
 * Where one device keeps its replica of one mailbox, with what its user has done and no server has heard of yet: so from a
 * crash in between it must neither lose a record nor keep half of a batch. One at a time has it open.
 */
export interface ReplicaStore {
  /** In the order of the keys; `undefined` where there is none. @throws {ReplicaFailed} */
  get(keys: readonly string[]): Promise<readonly unknown[]>
  /** @throws {ReplicaFailed} */
  scan(range: ReplicaRange): Promise<readonly ReplicaRecord[]>
  /**
   * Writes all or nothing, and resolves when it would survive the end of the process and, as far as the platform can say it, a
   * power cut. Called again only when the last call has settled.
   * @throws {ReplicaFailed} when it is not known to be stored: the disk is full, or gone.
   */
  commit(writes: readonly ReplicaWrite[]): Promise<void>
  /** Lets another one open it. What was begun is ended before. */
  close(): Promise<void>
}

/** Somebody has the replica open: another tab, another process, or this one. */
export class ReplicaInUse extends Error {
  override readonly name = 'ReplicaInUse'
}

/** The device's own store could not be opened, read or written; `cause` says what it said. */
export class ReplicaFailed extends Error {
  override readonly name = 'ReplicaFailed'
}
