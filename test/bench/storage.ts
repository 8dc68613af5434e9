import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { partDocument } from '../../src/storage/names.ts'
import { type Bench, type Figure, figureOf, measured, median } from './bench.ts'
import { big, date, fill, incrementalSyncs, partObjects } from './big-mailbox.ts'
import type { OpensAnswer, OpensOrder } from './cold-parts.child.ts'
import { documentPath } from './document.ts'
import { idleMailboxes } from './idle-mailboxes.ts'
import { manyConversations } from './many-conversations.ts'
import { serverFlags } from './overload/bench-server.ts'
import { startChild } from './overload/child.ts'
import { home, messageOf, newId, register, type StorageServer, storageServer } from './storage-server.ts'

/*
 * Message storage of one server on a real disk: deposits beside plain durable register writes in the same run, and
 * synchronisation of a mailbox that holds very much.
 *
 * A deposit is two commits, one after the other: the object in its conversation, then the change in the mailbox document,
 * each an entry of its own with a signature of its own. Those of one mailbox that come at once share both.
 */

const writers = 512
const rounds = 7
const roundMs = 1_000
/** Few mailboxes whose deposits share commits, and as many as a server keeps the documents of in memory. */
const spreads = [50, 800]
const wantedShare = 0.6

const bigParts = 500
const firstSyncs = 5
const coldPasses = 5
const firstObjects = 10_000

export const storageBench: Bench = {
  name: 'storage',
  summary: 'deposits beside the Document path, and synchronisation of a mailbox of a million objects',
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    try {
      const figures = await bigMailbox(join(folder, 'big'), progress)
      for (const users of spreads) figures.push(...(await deposits(join(folder, `deposits-${users}`), users, progress)))
      figures.push(...(await manyConversations(join(folder, 'many'), progress)))
      figures.push(...(await idleMailboxes(join(folder, 'idle'), progress)))
      return figures
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function deposits(folder: string, users: number, progress: (line: string) => void): Promise<Figure[]> {
  const path = await documentPath(`${folder}-path`)
  const server = await storageServer(folder)
  try {
    let registered = 0
    while (registered < users) await together(() => register(server, `u${registered++}`), users - registered)
    let deposited = 0
    const deposit = async () => {
      const number = deposited++
      const object = messageOf('lunch', date + number, `What is for lunch today, number ${number}?`)
      await server.call(messageDeposit, { commandId: newId(), operator: home, user: `u${number % users}`, object })
    }
    let registers = 0
    const write = () => {
      const turn = registers++
      return path.write(turn % 2_000, `pne/${Math.floor(turn / 2_000) % 20}/state`, { state: 'active', count: turn })
    }
    // Every mailbox and every document is open, and has what it will have.
    while (deposited < 2 * users) await together(deposit, users)
    await drive(write, 2 * roundMs)
    const shares: number[] = []
    const rates: number[] = []
    for (let round = 0; round < rounds; round++) {
      const written = await measured(() => drive(write, roundMs))
      const stored = await measured(() => drive(deposit, roundMs))
      rates.push(stored.perSecond)
      shares.push(stored.perSecond / written.perSecond)
      progress(
        `${users} mailboxes, round ${round + 1}: ${Math.round(stored.perSecond)} deposits/s at ${Math.round(stored.cpuUs)} µs, ` +
          `${Math.round(written.perSecond)} register writes/s at ${Math.round(written.cpuUs)} µs`,
      )
    }
    const isBatched = users < writers
    return [
      figureOf(`deposits, ${writers} writers, ${users} mailboxes`, rates, 'deposits/s'),
      figureOf(`share of the Document path, ${users} mailboxes`, shares, '', isBatched ? { atLeast: wantedShare } : {}),
    ]
  } finally {
    await server.close()
    await path.close()
  }
}

/** `writers` that each wait for one before the next, for `ms`. */
async function drive(work: () => Promise<unknown>, ms: number): Promise<number> {
  const end = performance.now() + ms
  let done = 0
  await Promise.all(
    Array.from({ length: writers }, async () => {
      while (performance.now() < end) {
        await work()
        done++
      }
    }),
  )
  return done
}

const together = (work: () => Promise<unknown>, count: number) =>
  Promise.all(Array.from({ length: Math.min(count, writers) }, work))

async function bigMailbox(folder: string, progress: (line: string) => void): Promise<Figure[]> {
  let server = await storageServer(folder)
  try {
    await register(server, big.user)
    await fill(server, bigParts, progress)
    await server.close()

    const rates: number[] = []
    for (let turn = 0; turn < firstSyncs; turn++) {
      server = await storageServer(folder)
      rates.push((await firstPages(server, firstObjects)).perSecond)
      await server.close()
    }
    progress(`first sync: ${Math.round(median(rates))} objects/s`)

    const passes: OpensAnswer[] = []
    for (let pass = 0; pass < coldPasses; pass++) {
      const opened = await coldOpens(folder)
      passes.push(opened)
      progress(`cold open: ${median(opened.ms).toFixed(1)} ms, the slowest ${Math.max(...opened.ms).toFixed(1)} ms`)
    }
    server = await storageServer(folder)
    // As many parts as a server keeps are to be in its memory.
    for (let part = 0; part < bigParts; part++) await server.documents.read(partDocument(big, 'c-lunch', part))
    const inPasses = (of: (opened: OpensAnswer) => number) => passes.map(of)
    return [
      figureOf(`first sync of ${firstObjects} objects, cold`, rates, 'objects/s', { atLeast: 20_000 }),
      figureOf(
        `cold open of a conversation’s part of ${partObjects} objects, ${bigParts} of them, median`,
        inPasses(({ ms }) => median(ms)),
        'ms',
      ),
      figureOf(
        'cold open, p99',
        inPasses(({ ms }) => percentile(ms, 0.99)),
        'ms',
        { atMost: 15 },
      ),
      figureOf(
        'cold open, CPU of the thread that opens, p99',
        inPasses(({ cpuMs }) => percentile(cpuMs, 0.99)),
        'ms',
      ),
      ...(await incrementalFigures(server, progress)),
    ]
  } finally {
    await server.close()
  }
}

/**
 * In a process of its own that has just been started, as servers are, and with the flags that they have: what this one has filled and
 * synchronised would be counted among the garbage that those who open wait for.
 */
async function coldOpens(folder: string): Promise<OpensAnswer> {
  const child = startChild<OpensOrder, OpensAnswer>('../cold-parts.child.ts', serverFlags)
  try {
    const documents = Array.from({ length: bigParts }, (_, part) => partDocument(big, 'c-lunch', part))
    return await child.ask({ folder, documents })
  } finally {
    child.end()
  }
}

async function firstPages(server: StorageServer, objects: number) {
  return measured(async () => {
    let given = 0
    let cursor: string | undefined
    while (given < objects) {
      const page = await server.call(mailboxSync, { ...big, limit: 1_000, ...(cursor !== undefined && { cursor }) })
      given += page.created.length
      cursor = page.cursor
    }
    return given
  })
}

/** Ten changes at a time, each ten followed by a sync. */
async function incrementalFigures(server: StorageServer, progress: (line: string) => void): Promise<Figure[]> {
  const { cpuMs, shares } = await incrementalSyncs(server, bigParts)
  progress(`incremental sync: ${median(cpuMs).toFixed(2)} ms of CPU`)
  return [
    figureOf('incremental sync, server CPU, median', cpuMs, 'ms', { atMost: 20 }),
    figureOf('incremental sync, bytes beside the changed objects’', shares, '×', { atMost: 3 }),
  ]
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
