import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { MediaStore } from '../ports/media-store.ts'
import { refuseLater } from '../ports/stored-format.ts'
import { type FileTreeOptions, openFileTree } from './file-tree.ts'
import { exists, FileProblem, jsonOf, readText, writeText } from './files.ts'
import { treeMediaStore } from './tree-media-store.ts'

/** Of the folder: raised when blobs of this release could be taken for damaged ones by the release before it, and replaced. */
const formatVersion = 1
const formatFile = 'format.json'
const format = z.object({ version: z.literal(formatVersion) })

/**
 * Media as files in `folder`, which is made, for its owner alone, if it is not there. One process at a time: the log store
 * beside it sees to that.
 * @throws {UnknownFormat} when a later release wrote it, {@link FileProblem} when it is none; then it is as it was
 */
export async function openFileMediaStore(folder: string, options: FileTreeOptions = {}): Promise<MediaStore> {
  const isNew = await assertFormat(folder)
  const store = treeMediaStore(await openFileTree(folder, options))
  if (isNew) await writeText(join(folder, formatFile), `${JSON.stringify({ version: formatVersion })}\n`, 0o600)
  return store
}

/** Whether there is nothing yet. Folders of earlier releases say no version, and are of version 1. */
async function assertFormat(folder: string): Promise<boolean> {
  const path = join(folder, formatFile)
  if (!(await exists(path))) return (await readdir(folder).catch(() => [])).length === 0
  const file = jsonOf(await readText(path))
  refuseLater(`The media store in ${folder} (${formatFile})`, file, formatVersion)
  if (!format.safeParse(file).success)
    throw new FileProblem(`${path} says no format of a media store: restore it from a backup, or write {"version":1}.`)
  return false
}
