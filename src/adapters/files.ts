import { unwatchFile, watchFile } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'

/** A file that could not be read or written, with what to do about it. */
export class FileProblem extends Error {
  override readonly name = 'FileProblem'
}

/** @throws {FileProblem} when there is no such file or it may not be read. */
export async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw problem('read', path, error)
  }
}

/** A text as JSON; `undefined` when it is none: then it is for a schema to say what was expected. */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Reads a file that holds a secret.
 * @throws {FileProblem} also when others than its owner may read it: a key that was readable is no longer a secret.
 */
export async function readSecret(path: string): Promise<string> {
  const text = await readText(path)
  const { mode } = await stat(path)
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new FileProblem(`${path} can be read by others (mode ${(mode & 0o777).toString(8)}); run: chmod 600 ${path}`)
  }
  return text
}

/** Replaces a file at once and durably: after a crash there is the old text or the new, never a part. */
export async function writeText(path: string, text: string, mode = 0o644): Promise<void> {
  const draft = `${path}.new`
  await makeFolderOf(path)
  try {
    const file = await open(draft, 'w', mode)
    try {
      await file.writeFile(text)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(draft, path)
    await syncFolder(dirname(path))
  } catch (error) {
    throw problem('write', path, error)
  }
}

/** The folder that a file is to stand in, for its owner alone if it is new. @throws {FileProblem} */
export async function makeFolderOf(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(error => {
    throw problem('write', path, error)
  })
}

/** Makes a folder, for its owner alone, and the names of all that are new above it durable: an fsync says nothing of those. */
export async function makeDurableFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o700 })
  if (first === undefined) return
  for (let made = resolve(path); made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made))
}

/** That a file has taken another's name is durable only when its folder is. Windows opens no folders. */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Removes a file, if there is one. @throws {FileProblem} */
export async function removeFile(path: string): Promise<void> {
  await rm(path, { force: true }).catch(error => {
    throw problem('remove', path, error)
  })
}

/** Only its owner may read it: mode 0600. */
export const writeSecret = (path: string, text: string): Promise<void> => writeText(path, text, 0o600)

/** Paths of the files in a folder that end so, by name; none if there is no such folder. */
export async function filesIn(folder: string, ending: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names
    .filter(name => name.endsWith(ending))
    .sort()
    .map(name => join(folder, name))
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Calls back when the file was replaced or written, a second later at the most. Returns the way to stop. */
export function onFileChange(path: string, changed: () => void): () => void {
  const listener = (now: { mtimeMs: number }, before: { mtimeMs: number }) => {
    if (now.mtimeMs !== before.mtimeMs) changed()
  }
  watchFile(path, { persistent: false, interval: 1_000 }, listener)
  return () => unwatchFile(path, listener)
}

function problem(verb: string, path: string, error: unknown): FileProblem {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const why = code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'permission denied' : String(error)
  return new FileProblem(`Cannot ${verb} ${path}: ${why}.`)
}
