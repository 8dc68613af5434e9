import type { MediaStore } from '../ports/media-store.ts'
import { type FileTreeOptions, openFileTree } from './file-tree.ts'
import { treeMediaStore } from './tree-media-store.ts'

/**
 * Media as files in `folder`, which is made, for its owner alone, if it is not there. One process at a time: the log store
 * beside it sees to that.
 */
export const openFileMediaStore = async (folder: string, options: FileTreeOptions = {}): Promise<MediaStore> =>
  treeMediaStore(await openFileTree(folder, options))
