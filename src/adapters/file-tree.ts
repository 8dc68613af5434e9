import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat, statfs, truncate, utimes } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type FileTree, NoRoom, Unreadable } from '../ports/file-tree.ts'
import { makeDurableFolder, syncFolder } from './files.ts'

export interface FileTreeOptions {
  /** Room that is left free on the disk, for the store of documents beside it. Default 256 MiB. */
  readonly reserveBytes?: number
  /** Milliseconds since 1970. Default: the system's. */
  readonly now?: () => number
}

const defaultReserveBytes = 256 * 1024 * 1024
/** After so many bytes written the free room is looked at again. */
const roomCheckBytes = 4 * 1024 * 1024
/** Folders that are being removed, out of everybody's sight. */
const rubbish = '.removed'

/**
 * A tree of files on the disk, readable for its owner alone. What a crash left of a removal is removed when it is opened.
 * @throws when the folder cannot be made
 */
export async function openFileTree(root: string, options: FileTreeOptions = {}): Promise<FileTree> {
  const { reserveBytes = defaultReserveBytes, now = Date.now } = options
  await makeDurableFolder(root)
  await rm(join(root, rubbish), { recursive: true, force: true })
  /** Bytes that may be written before the free room is looked at again. */
  let roomBytes = 0
  let removals = 0

  const at = (path: string): string => join(root, path)

  /** @throws {NoRoom} */
  async function claimRoom(bytes: number): Promise<void> {
    if (roomBytes < bytes) {
      const { bavail, bsize } = await statfs(root)
      const freeBytes = bavail * bsize - reserveBytes
      if (freeBytes < bytes) {
        throw new NoRoom(
          `The disk of ${root} is full but for the ${reserveBytes} bytes that are kept in reserve. Make room.`,
        )
      }
      roomBytes = Math.min(freeBytes, Math.max(bytes, roomCheckBytes))
    }
    roomBytes -= bytes
  }

  async function opened(path: string): Promise<FileHandle> {
    const flags = constants.O_WRONLY | constants.O_CREAT
    try {
      return await open(at(path), flags, 0o600)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') throw error
      await makeDurableFolder(dirname(at(path)))
      return open(at(path), flags, 0o600)
    }
  }

  return {
    async write(path, position, bytes) {
      await claimRoom(bytes.length)
      try {
        await using file = await opened(path)
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
          done += bytesWritten
        }
      } catch (error) {
        throw asNoRoom(error)
      }
    },

    async read(path, position, length) {
      await using file = await unlessAbsent(open(at(path), 'r'))
      if (!file) return undefined
      const bytes = new Uint8Array(length)
      let done = 0
      try {
        while (done < length) {
          const { bytesRead } = await file.read(bytes, done, length - done, position + done)
          if (bytesRead === 0) break
          done += bytesRead
        }
      } catch (error) {
        throw new Unreadable(`${path} cannot be read: ${error instanceof Error ? error.message : error}.`, {
          cause: error,
        })
      }
      return bytes.subarray(0, done)
    },

    async stat(path) {
      const found = await unlessAbsent(stat(at(path)))
      return found && { size: found.size, changedMs: Math.floor(found.mtimeMs) }
    },

    truncate: (path, size) => truncate(at(path), size),

    async touch(path) {
      const time = now() / 1000
      return (await unlessAbsent(utimes(at(path), time, time).then(() => true))) ?? false
    },

    async publish(from, to) {
      try {
        await using file = await open(at(from), 'r+')
        await file.utimes(now() / 1000, now() / 1000)
        await file.sync()
        await rename(at(from), at(to))
      } catch (error) {
        // After a failed fsync the system takes what it could not write for written: only the bytes' sender has them.
        await rm(at(from), { force: true })
        throw asNoRoom(error)
      }
      await syncFolder(dirname(at(to)))
    },

    async remove(path) {
      removals += 1
      await mkdir(at(rubbish), { recursive: true, mode: 0o700 })
      const hidden = join(at(rubbish), String(removals))
      if ((await unlessAbsent(rename(at(path), hidden).then(() => true))) === undefined) return
      await syncFolder(dirname(at(path)))
      await rm(hidden, { recursive: true, force: true, maxRetries: 3 })
      await syncFolder(at(rubbish))
    },

    list: async path => (await unlessAbsent(readdir(at(path)))) ?? [],
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined

const absent = new Set<unknown>(['ENOENT', 'ENOTDIR'])
const full = new Set<unknown>(['ENOSPC', 'EDQUOT', 'EFBIG'])

async function unlessAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work
  } catch (error) {
    if (absent.has(codeOf(error))) return undefined
    throw error
  }
}

const asNoRoom = (error: unknown): unknown =>
  full.has(codeOf(error)) ? new NoRoom('The disk is full. Make room.', { cause: error }) : error
