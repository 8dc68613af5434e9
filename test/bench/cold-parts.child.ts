import type { DocumentId } from '../../src/ports/names.ts'
import { obey } from './overload/child.ts'
import { storageServer } from './storage-server.ts'

/*
 * A server that has just been started, and is asked for one document after the other: how long each takes to be opened, and how much
 * of a processor it takes of the thread that the server runs in, which says more where others use the machine, too.
 */

export interface OpensOrder {
  readonly folder: string
  readonly documents: readonly DocumentId[]
}

export interface OpensAnswer {
  readonly ms: readonly number[]
  readonly cpuMs: readonly number[]
}

obey<OpensOrder, OpensAnswer>(async ({ folder, documents }) => {
  const server = await storageServer(folder)
  const ms: number[] = []
  const cpuMs: number[] = []
  for (const document of documents) {
    const cpu = process.threadCpuUsage()
    const began = performance.now()
    await server.documents.read(document)
    ms.push(performance.now() - began)
    const { user, system } = process.threadCpuUsage(cpu)
    cpuMs.push((user + system) / 1_000)
  }
  await server.close()
  return { ms, cpuMs }
})
