/** What a file is like. */
export interface FileFacts {
  readonly size: number
  /** When it was last written or touched, milliseconds since 1970. */
  readonly changedMs: number
}

/**
 * Files in folders, below one root. Paths are relative, their parts joined by `/`; folders appear with their first file.
 * Nothing is held open between calls: a file may be removed or replaced between any two of them.
 */
export interface FileTree {
  /**
   * Writes bytes at a position, at most at the file's end; makes the file if there is none. Not durable, not atomic: after a
   * crash any of it may be missing.
   * @throws {NoRoom} when it does not fit; any of it may have been written.
   */
  write(path: string, position: number, bytes: Uint8Array): Promise<void>
  /** Bytes from a position on: fewer than asked at the file's end, `undefined` if there is no file. @throws {Unreadable} */
  read(path: string, position: number, length: number): Promise<Uint8Array | undefined>
  stat(path: string): Promise<FileFacts | undefined>
  /** Cuts what stands behind `size`. */
  truncate(path: string, size: number): Promise<void>
  /** Sets when it was changed to now. Returns whether it is there. */
  touch(path: string): Promise<boolean>
  /**
   * Gives a file its final name, in place of what stood there. Resolves when its content and its name would survive a power
   * cut; a crash before leaves the old name or the new one, and under the new one nothing but the whole content.
   * @throws {NoRoom} and whatever else the disk refuses: the file is then removed.
   */
  publish(from: string, to: string): Promise<void>
  /** Removes a file, or a folder with all that is in it: at once for readers, for good when it resolves. */
  remove(path: string): Promise<void>
  /** Names of what is in a folder, in no order; none if there is no folder. */
  list(path: string): Promise<readonly string[]>
}

/** The disk is full, or its reserve is reached. */
export class NoRoom extends Error {
  override readonly name = 'NoRoom'
}

/** The disk does not give back what was stored. */
export class Unreadable extends Error {
  override readonly name = 'Unreadable'
}
