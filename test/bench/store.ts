import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import type { Commit, LogStore } from '../../src/ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../../src/ports/names.ts'
import { type Bench, type Figure, measured } from './bench.ts'

/*
 * Durable entries per second of the log store alone: so many writers, each with one commit under way, one entry and the
 * index record in it, over many documents. What it takes is mostly the disk's: the processor time says what is ours.
 */

const documentCount = 2_000
const entryBytes = 300
const roundMs = 3_000
const writerCounts = [1, 64, 512, 2_000]

const log = 'AAAAAAAAAAAAAAAAAAAAAA' as LogId
const server = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp' as ServerId
const hash = new Uint8Array(32)

export const storeBench: Bench = {
  name: 'store',
  summary: `durable entries of ${entryBytes} bytes over ${documentCount} documents, the log store alone`,
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const store = await openLevelLogStore(join(folder, 'store'))
    const lengths = new Array<number>(documentCount).fill(0)
    try {
      const figures: Figure[] = []
      for (const writers of writerCounts) {
        const { perSecond, cpuUs } = await measured(() => drive(store, lengths, writers))
        progress(`${writers} writers: ${Math.round(perSecond)} entries/s`)
        figures.push(
          { name: `store, ${writers} writers`, value: perSecond, unit: 'entries/s' },
          { name: `store, ${writers} writers, processor time per entry`, value: cpuUs, unit: 'µs' },
        )
      }
      return figures
    } finally {
      await store.close()
      await rm(folder, { recursive: true })
    }
  },
}

/** Lets each writer commit, to documents of its own, until time is up; answers the number of commits. */
async function drive(store: LogStore, lengths: number[], writers: number): Promise<number> {
  const end = performance.now() + roundMs
  let commits = 0
  async function write(writer: number): Promise<void> {
    for (let turn = 0; performance.now() < end; turn++) {
      const document = (writer + turn * writers) % documentCount
      const seq = lengths[document] ?? 0
      lengths[document] = seq + 1
      await store.commit(appending(document, seq))
      commits += 1
    }
  }
  await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)))
  return commits
}

function appending(number: number, seq: number): Commit {
  const document = `pn/a.example/bench-${number}` as DocumentId
  const head = { log, server, length: seq + 1, hash, bytes: (seq + 1) * entryBytes, clock: seq + 1 }
  const index = { document, heads: [head], superseded: [], digest: hash, epoch: 0 }
  return {
    documents: [{ document, index, append: [{ log, seq, bytes: new Uint8Array(entryBytes) }], drop: [] }],
    local: [],
  }
}
