import { setTimeout as wait } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Figure } from './bench.ts'
import { writeMailbox } from './mailbox-documents.ts'
import { home, type StorageServer, storageServer } from './storage-server.ts'

/*
 * What a mailbox takes of a server's memory that nobody asks for. Mailboxes of a user and a conversation are written, then the server is
 * left alone until no actor is left in memory; what is there then is compared for few and for many mailboxes: in the life that has
 * written them, which remembers the logs that it writes (100,000 of them at the most), and in one that has found them on its disk. The index of documents is the federation's: see `reconcile`.
 */

const few = 1_000
const many = 20_000
const writtenAtOnce = 512
/** For how long a document stays in memory that nobody asks for; by default it is longer. */
const idleMs = 500
/** Of a mailbox: what rounding and the order of collections leave in doubt. */
const nothingBytes = 16

export async function idleMailboxes(folder: string, progress: (line: string) => void): Promise<Figure[]> {
  // Also for the code that all of it takes to be there.
  await life(`${folder}-few`, server => fill(server, 0, few))
  const written = await life(folder, async (server, idle) => {
    await fill(server, 0, few)
    const before = await idle()
    await fill(server, few, many)
    return (await idle()) - before
  })
  const foundFew = await life(`${folder}-few`, (_, idle) => idle())
  const found = (await life(folder, (_, idle) => idle())) - foundFew
  const [ofFound, ofWritten] = [found / (many - few), written / (many - few)]
  progress(`idle mailboxes: ${ofFound.toFixed(0)} bytes for each found, ${ofWritten.toFixed(0)} for each written`)
  return [
    {
      name: 'memory of an idle mailbox, found on disk',
      value: ofFound,
      unit: 'bytes',
      samples: many,
      atMost: nothingBytes,
    },
    { name: 'memory of an idle mailbox, written in this life', value: ofWritten, unit: 'bytes', samples: many },
  ]
}

async function life<T>(
  folder: string,
  work: (server: StorageServer, idle: () => Promise<number>) => Promise<T>,
): Promise<T> {
  const server = await storageServer(folder, { limits: { idleMs } })
  const idle = async () => {
    while (server.active() > 0) await wait(idleMs)
    return memoryBytes()
  }
  try {
    return await work(server, idle)
  } finally {
    await server.close()
  }
}

/** Heap, and what lies beside it, once all garbage is gone. */
async function memoryBytes(): Promise<number> {
  setFlagsFromString('--expose-gc')
  const collect: () => void = runInNewContext('gc')
  for (let turn = 0; turn < 4; turn++) {
    collect()
    await wait(1)
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function fill({ documents }: StorageServer, from: number, to: number): Promise<void> {
  let next = from
  const worker = async () => {
    while (next < to) await writeMailbox(documents, home, `u${next++}`)
  }
  await Promise.all(Array.from({ length: writtenAtOnce }, worker))
}
