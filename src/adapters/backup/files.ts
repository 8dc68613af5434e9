import { createReadStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises'
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { FileProblem, makeDurableFolder, makeFolderOf, syncFolder } from '../files.ts'
import { isInside } from './format.ts'

/** Names of the files in a folder and below, with `/`, in order; none if there is no such folder. Rubbish and drafts are left out. */
export async function* filesBelow(folder: string, below = ''): AsyncGenerator<string> {
  const entries = await readdir(join(folder, below), { withFileTypes: true }).catch(() => [])
  for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.name.startsWith('.') || entry.name.endsWith('.new')) continue
    if (entry.isDirectory()) yield* filesBelow(folder, name)
    else if (entry.isFile()) yield name
  }
}

/** The bytes of a file, piece by piece; `undefined` if it is not there (any more). */
export async function piecesOf(path: string): Promise<AsyncIterable<Uint8Array> | undefined> {
  try {
    const file = await open(path)
    return file.createReadStream({ highWaterMark: 256 * 1024 })
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined
    throw new FileProblem(`Cannot read ${path}: ${error instanceof Error ? error.message : error}.`)
  }
}

/** What a backup is written to. */
export interface Output {
  write(bytes: Uint8Array): Promise<void>
  /** Resolves when it is there, whole and durable. */
  finish(): Promise<void>
  /** Nothing is left of it. */
  discard(): Promise<void>
}

/** Readable for its owner alone; under its name only when it is whole. @throws {FileProblem} */
export async function outputFile(path: string): Promise<Output> {
  const draft = `${path}.new`
  await makeFolderOf(path)
  const file = await open(draft, 'w', 0o600).catch(error => {
    throw new FileProblem(`Cannot write ${path}: ${error instanceof Error ? error.message : error}.`)
  })
  return {
    async write(bytes) {
      for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten
    },
    async finish() {
      await file.sync()
      await file.close()
      await rename(draft, path)
      await syncFolder(dirname(resolve(path)))
    },
    async discard() {
      await file.close()
      await rm(draft, { force: true })
    },
  }
}

/** Standard output, as fast as it is taken. @throws {FileProblem} when who reads it goes away before the end */
export function outputStream(stream: NodeJS.WritableStream): Output {
  // Each write hears of it by itself.
  stream.on('error', () => {})
  return {
    write: bytes =>
      new Promise((done, failed) => {
        stream.write(bytes, error =>
          error
            ? failed(new FileProblem(`Cannot write to standard output: ${error.message}. The backup is not whole.`))
            : done(),
        )
      }),
    finish: async () => {},
    discard: async () => {},
  }
}

/** The bytes of a file, as they are wanted. @throws {FileProblem} when they are */
export async function* inputFile(path: string): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(path, { highWaterMark: 1024 * 1024 })
  } catch (error) {
    throw new FileProblem(`Cannot read ${path}: ${error instanceof Error ? error.message : error}.`)
  }
}

/** A folder that takes its name when everything is in it: nothing is half restored. */
export interface Draft {
  readonly path: string
  /** A file in it, for its owner alone. */
  file(name: string): Promise<Output>
  finish(): Promise<void>
  discard(): Promise<void>
}

/** @throws {FileProblem} when there is something in the folder already */
export async function draftOf(folder: string): Promise<Draft> {
  const path = resolve(folder)
  const there = await readdir(path).catch(() => [])
  if (there.length > 0)
    throw new FileProblem(`${folder} is not empty. Restore into a new folder, and put that in its place.`)
  const draft = `${path}.restoring`
  await rm(draft, { recursive: true, force: true })
  await makeDurableFolder(draft)
  return {
    path: draft,
    file: name => outputFile(join(draft, ...name.split('/')).replaceAll('/', sep)),
    async finish() {
      await rm(path, { recursive: true, force: true })
      await mkdir(dirname(path), { recursive: true })
      await rename(draft, path)
      await syncFolder(dirname(path))
    },
    discard: () => rm(draft, { recursive: true, force: true }),
  }
}

/** Where a file goes in a restored folder: where it was, if that is in the node's folder, else beside the rest. */
export function nameIn(home: string, path: string): string {
  const name = relative(home, path).split(sep).join('/')
  return !isAbsolute(name) && isInside(name) ? name : basename(path)
}
