import type { Edit } from '../commit.ts'
import { createFolder } from '../folders.ts'
import { containerOf, foldersIn } from '../records.ts'
import type { Importing } from './importing.ts'

/** Where imported objects go: each folder is looked for, or made, once. */
export interface ImportFolders {
  /** The folder itself if it is here; else one of its name. @throws {CommandRefused} LIMIT */
  like(folder: string, name: string): Promise<string>
  /** The folder of that name, at the top. @throws {CommandRefused} LIMIT */
  called(name: string): Promise<string>
}

const longestName = 128

export function createFolders({ name: mailbox, writers, policy, crypto }: Importing): ImportFolders {
  const known = new Map<string, Promise<string>>()

  function once(key: string, find: (edit: Edit) => string): Promise<string> {
    const found = known.get(key) ?? writers.change(mailbox, 'import', async edit => find(edit))
    known.set(key, found)
    return found
  }

  function findOrMake(edit: Edit, given: string): string {
    const name = given.slice(0, longestName).toWellFormed()
    for (const [folder, record] of foldersIn(edit.mailbox)) {
      if (!record.gone && record.name === name && record.parent === undefined) return folder
    }
    // One that was made so before may have been removed since.
    return createFolder(edit, { name }, ['archive', name, String(edit.now)], policy, crypto).folder
  }

  return {
    like: (folder, name) =>
      once(folder, edit => {
        const record = containerOf(edit.mailbox, folder)
        return record && !record.gone ? folder : findOrMake(edit, name)
      }),
    called: name => once(`name ${name}`, edit => findOrMake(edit, name)),
  }
}
