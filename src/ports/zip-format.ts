/** ZIP archives, written and read in one pass: nothing but a piece of a file is in memory at a time. */
export interface ZipFormat {
  /**
   * The bytes of an archive. Each entry is taken, with all its bytes, before the next is asked for. What is kept of an entry
   * until the end, for the directory, is some 40 bytes.
   */
  write(entries: AsyncIterable<ZipEntry>): AsyncIterable<Uint8Array>
  /**
   * What lies in an archive, in the order of its bytes; its directory at the end is not needed. Checksums are verified.
   * Never throws for what the archive holds: that is a problem.
   */
  read(bytes: AsyncIterable<Uint8Array>, limits: ZipLimits): AsyncIterable<ZipEvent>
}

export interface ZipEntry {
  /** `/` between folders; unique in the archive. At most 65,535 bytes of UTF-8. */
  readonly name: string
  /** Milliseconds since 1970. */
  readonly modified: number
  readonly bytes: AsyncIterable<Uint8Array>
}

export interface ZipLimits {
  /** Of one entry, unpacked. */
  readonly maxEntryBytes: number
  /** Of all entries, unpacked. */
  readonly maxBytes: number
  readonly maxEntries: number
}

/** Between an `entry` and the next `entry` lie its bytes, and `problem` if it is not what was packed. */
export type ZipEvent =
  | { readonly kind: 'entry'; readonly name: string }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  | {
      readonly kind: 'problem'
      /** `archive`: nothing comes after it. */
      readonly of: 'entry' | 'archive'
      readonly cause: 'not-an-archive' | 'damaged' | 'truncated' | 'too-large' | 'unsupported'
      readonly reason: string
    }
