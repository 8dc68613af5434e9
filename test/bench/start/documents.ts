import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { ServerFolder } from '../../../examples/support/operators.ts'
import { newLevelStore } from '../../../src/adapters/level-log-store.ts'
import type { Documents } from '../../../src/document/documents.ts'
import type { OperatorId } from '../../../src/ports/names.ts'
import type { WriterOrders, Written } from './writer.thread.ts'

/*
 * Fills the folder of a server that does not run with documents of its own, as the node writes them: signed by the server, encoded by its
 * store. Unless something else is wanted, a third are Personal Networks of an owner and three elements, a third mailboxes, a third conversations of one message. Of
 * what a node keeps beside documents, to start sooner, there is nothing. Threads make the records, since signing takes longest;
 * here they go to the disk, without waiting for it after each.
 */

/** A module that writes documents, by number. */
export interface Content {
  write(to: Documents, of: OperatorId, index: number): Promise<void>
}

/** Where it is, and how many documents come together under one number. */
export interface ContentPlace {
  readonly module: URL
  readonly together: number
}

const networksAndMailboxes = { module: new URL('networks-and-mailboxes.ts', import.meta.url), together: 3 }
const toldDocuments = 150_000

/** @param count of documents; rounded up to whole ones of those that come together */
export async function fillFolder(
  { folder, operator }: ServerFolder,
  count: number,
  progress: (line: string) => void,
  { module, together }: ContentPlace = networksAndMailboxes,
): Promise<void> {
  const store = await newLevelStore(join(folder, 'data'))
  const all = Math.ceil(count / together)
  const threads = availableParallelism()
  const share = Math.ceil(all / threads)
  let written = 0
  const told = (more: number) => {
    const before = Math.floor((written * together) / toldDocuments)
    written += more
    if (Math.floor((written * together) / toldDocuments) > before)
      progress(`${written * together} of ${count} documents are written`)
  }
  await Promise.all(
    Array.from({ length: threads }, (_, thread) => {
      const range = { from: thread * share, to: Math.min(all, (thread + 1) * share) }
      const orders = { key: join(folder, 'keys/server.key'), operator, content: module.href, ...range }
      return writerThread(orders, store.put, told)
    }),
  )
  await store.close()
}

/** Resolves when everything that the thread has made is put. */
function writerThread(
  orders: WriterOrders,
  put: (records: readonly (readonly [key: Uint8Array, value: Uint8Array])[]) => Promise<void>,
  told: (more: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./writer.thread.ts', import.meta.url), { workerData: orders })
    thread.on('message', ({ packed, done }: Written) => {
      put(recordsIn(packed)).then(() => {
        told(done)
        thread.postMessage('put')
      }, reject)
    })
    thread.once('error', reject)
    thread.once('exit', code => (code === 0 ? resolve() : reject(new Error(`A writer has ended with code ${code}.`))))
  })
}

/** Records as `writer.thread.ts` packs them. */
function recordsIn(packed: Uint8Array): (readonly [Uint8Array, Uint8Array])[] {
  const lengths = new DataView(packed.buffer, packed.byteOffset)
  const records: (readonly [Uint8Array, Uint8Array])[] = []
  for (let at = 0; at < packed.length; ) {
    const keyAt = at + 8
    const valueAt = keyAt + lengths.getUint32(at)
    at = valueAt + lengths.getUint32(at + 4)
    records.push([packed.subarray(keyAt, valueAt), packed.subarray(valueAt, at)])
  }
  return records
}
