import type { Crypto } from '../ports/crypto.ts'
import type { FileTree } from '../ports/file-tree.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { MediaStore } from '../ports/media-store.ts'
import type { Table } from '../ports/table.ts'
import type { ZipFormat } from '../ports/zip-format.ts'
import type { MakeHpke } from './crypto.ts'

/**
 * Code of the production node that lives among its adapters and runs unchanged in a simulation. Whoever starts one hands it
 * in, because a simulation imports no adapter:
 * `{ crypto: nodeCrypto(), hpke: nodeHpke, logStore: tableLogStore, mediaStore: treeMediaStore }`.
 */
export interface Production {
  readonly crypto: Crypto
  readonly hpke: MakeHpke
  /** Group commit and the format of records, over any table. */
  readonly logStore: (table: Table) => LogStore
  /** The format of blobs and of uploads, over any tree of files. */
  readonly mediaStore: (tree: FileTree) => MediaStore
  /** Left out: simulated servers write and read no archives. */
  readonly zip?: ZipFormat
}
