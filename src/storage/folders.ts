import type { Crypto } from '../ports/crypto.ts'
import type { Edit } from './commit.ts'
import { expungeWhere } from './expunging.ts'
import { derivedId, folderFrom } from './names.ts'
import type { StoragePolicy } from './policy.ts'
import { containerOf, foldersIn, keys, written } from './records.ts'
import { refusals } from './refusals.ts'

/*
 * User folders: registers of the mailbox document, whatever else lies in index parts.
 */

interface Folder {
  readonly folder: string
  readonly name: string
  readonly parent: string | undefined
}

function* foldersOf(edit: Edit): Generator<Folder> {
  for (const [folder, { name, parent, gone }] of foldersIn(edit.mailbox)) if (!gone) yield { folder, name, parent }
}

export function createFolder(
  edit: Edit,
  {
    name,
    parent,
    time,
  }: { readonly name: string; readonly parent?: string | undefined; readonly time?: number | undefined },
  command: readonly string[],
  { maxFolders }: StoragePolicy,
  crypto: Pick<Crypto, 'sha256'>,
): { readonly folder: string } {
  const folder = `f-${derivedId(crypto, folderFrom(command))}`
  const known = containerOf(edit.mailbox, folder)
  if (known && !known.gone) return { folder }
  if (known) throw refusals.gone(folder)
  const folders = [...foldersOf(edit)]
  if (parent !== undefined && !folders.some(({ folder }) => folder === parent)) throw refusals.folderUnknown(parent)
  if (folders.some(other => other.name === name && other.parent === parent)) throw refusals.folderExists(name)
  if (folders.length >= maxFolders) throw refusals.tooManyFolders(maxFolders)
  edit.say(written(keys.container(folder), { name, ...(parent !== undefined && { parent }), o: edit.origin }, time))
  return { folder }
}

export function renameFolder(
  edit: Edit,
  { folder, name, time }: { readonly folder: string; readonly name: string; readonly time?: number | undefined },
): { readonly folder: string } {
  const folders = [...foldersOf(edit)]
  const found = folders.find(other => other.folder === folder)
  if (!found) throw refusals.folderUnknown(folder)
  const isTaken = folders.some(other => other.name === name && other.parent === found.parent && other.folder !== folder)
  if (isTaken) throw refusals.folderExists(name)
  const { parent } = found
  edit.say(written(keys.container(folder), { name, ...(parent !== undefined && { parent }), o: edit.origin }, time))
  return { folder }
}

/** Removes a folder with the folders below, and the objects in them; answers which folders these are. */
export async function removeFolder(
  edit: Edit,
  folder: string,
): Promise<{ readonly folder: string; readonly removed: readonly string[] }> {
  const folders = [...foldersOf(edit)]
  if (!folders.some(other => other.folder === folder)) {
    if (containerOf(edit.mailbox, folder)?.gone) return { folder, removed: [folder] }
    throw refusals.folderUnknown(folder)
  }
  const removed = [folder, ...belowOf(folder, folders)]
  for (const below of removed) {
    edit.sayRemoved(written(keys.removed(below), { o: edit.origin }), written(keys.container(below), null))
    await expungeWhere(edit, below, () => true)
  }
  return { folder, removed }
}

function belowOf(folder: string, folders: readonly Folder[]): string[] {
  const below = new Set<string>()
  for (let found = [folder]; found.length > 0; ) {
    const next = folders.filter(
      ({ parent, folder }) => parent !== undefined && found.includes(parent) && !below.has(folder),
    )
    for (const { folder } of next) below.add(folder)
    found = next.map(({ folder }) => folder)
  }
  return [...below]
}
