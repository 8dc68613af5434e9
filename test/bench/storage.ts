import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { mailboxFlag, messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import { mailboxDocument, partDocument } from '../../src/storage/names.ts'
import { keys } from '../../src/storage/records.ts'
import { type Bench, type Figure, measured, median } from './bench.ts'
import { documentPath } from './document.ts'
import { home, messageOf, newId, type StorageServer, storageServer } from './storage-server.ts'

/*
 * Message storage of one server on a real disk: deposits beside plain durable register writes in the same run, and
 * synchronisation of a mailbox that holds very much.
 *
 * A deposit is two commits, one after the other: the object in its conversation, then the change in the mailbox document,
 * each an entry of its own with a signature of its own. Those of one mailbox that come at once share both.
 */

const writers = 512
const rounds = 9
const roundMs = 1_000
/** Few mailboxes whose deposits share commits, and as many as a server keeps the documents of in memory. */
const spreads = [50, 800]
const wantedShare = 0.6

const bigParts = 500
const partObjects = 2_000
const writtenAtOnce = 400
const changesAtOnce = 10
const run = 'AAAAAAAA'
const date = 1_795_000_000_000

export const storageBench: Bench = {
  name: 'storage',
  summary: 'deposits beside the Document path, and synchronisation of a mailbox of a million objects',
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    try {
      const figures: Figure[] = []
      for (const users of spreads) figures.push(...(await deposits(join(folder, `deposits-${users}`), users, progress)))
      return [...figures, ...(await bigMailbox(join(folder, 'big'), progress))]
    } finally {
      await rm(folder, { recursive: true })
    }
  },
}

async function deposits(folder: string, users: number, progress: (line: string) => void): Promise<Figure[]> {
  const path = await documentPath(`${folder}-path`)
  const server = await storageServer(folder)
  try {
    for (let user = 0; user < users; user++) await register(server, `u${user}`)
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
      { name: `deposits, ${writers} writers, ${users} mailboxes`, value: median(rates), unit: 'deposits/s' },
      {
        name: `share of the Document path, ${users} mailboxes`,
        value: median(shares),
        unit: '',
        ...(isBatched && { atLeast: wantedShare }),
      },
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

const register = (server: StorageServer, user: string) =>
  server.call(userRegister, {
    commandId: newId(),
    user,
    addresses: [],
    subscribers: [{ operator: home, identity: 'client', rights: ['read', 'write', 'deposit'] }],
  })

const big = { operator: home, user: 'big' }

/** The registers as deposits make them, written many at a time: it is their reading that is measured. */
async function fill({ documents }: StorageServer, progress: (line: string) => void): Promise<void> {
  for (let part = 0; part < bigParts; part++) {
    for (let at = 0; at < partObjects; at += writtenAtOnce) {
      const objects = Array.from({ length: writtenAtOnce }, (_, index) => {
        const sent = date + part * partObjects + at + index
        const text = `What is for lunch today, number ${at + index}?`
        const record = { ...messageOf('lunch', sent, text), size: text.length, stored: sent, o: [run, part + 1] }
        return { key: keys.object(newId().slice(0, 22)), value: JSON.stringify(record) }
      })
      const writes = [...objects, { key: keys.at(run), value: part + 1 }]
      await documents.write(partDocument(big, 'c-lunch', part), () => ({ writes, answer: undefined }))
    }
    const from = date + part * partObjects
    const counts = { objects: partObjects, bytes: 80_000, chars: 900_000, from, to: from + partObjects - 1 }
    const writes = [
      { key: keys.change('c-lunch', part, run), value: part + 1 },
      { key: keys.count('c-lunch', part, run), value: counts },
      { key: keys.run(run), value: part + 1 },
    ]
    await documents.write(mailboxDocument(big), () => ({ writes, answer: undefined }))
    if (part % 100 === 99) progress(`${(part + 1) * partObjects} objects are there`)
  }
}

async function bigMailbox(folder: string, progress: (line: string) => void): Promise<Figure[]> {
  let server = await storageServer(folder)
  try {
    await register(server, big.user)
    await fill(server, progress)
    await server.close()

    server = await storageServer(folder)
    const opened: number[] = []
    for (let part = 0; part < bigParts; part++) {
      const began = performance.now()
      await server.documents.read(partDocument(big, 'c-lunch', part))
      opened.push(performance.now() - began)
    }
    await server.close()

    server = await storageServer(folder)
    const first = await firstPages(server, 10_000)
    progress(`first sync: ${Math.round(first.perSecond)} objects/s`)
    const token = await wholeSync(server, progress)
    return [
      { name: 'first sync of 10,000 objects, cold', value: first.perSecond, unit: 'objects/s', atLeast: 20_000 },
      { name: 'cold open of a conversation’s part of 2,000 objects, median', value: median(opened), unit: 'ms' },
      { name: 'cold open, p99', value: percentile(opened, 0.99), unit: 'ms', atMost: 15 },
      ...(await increments(server, token, progress)),
    ]
  } finally {
    await server.close()
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

async function wholeSync(server: StorageServer, progress: (line: string) => void): Promise<string> {
  let given = 0
  for (let cursor: string | undefined; ; ) {
    const page = await server.call(mailboxSync, {
      ...big,
      limit: 2_000,
      content: 'links',
      ...(cursor !== undefined && { cursor }),
    })
    given += page.created.length
    if (given % 200_000 < page.created.length) progress(`${given} objects are synchronised`)
    if (page.token !== undefined) return page.token
    cursor = page.cursor
  }
}

/** New messages and flags, ten at a time, each followed by a sync. */
async function increments(server: StorageServer, begun: string, progress: (line: string) => void): Promise<Figure[]> {
  const cpuMs: number[] = []
  const shares: number[] = []
  let token = begun
  for (let round = 0; round < 30; round++) {
    for (let index = 0; index < changesAtOnce / 2; index++) {
      const object = messageOf('lunch', date + 10_000_000 + round * changesAtOnce + index, 'And for dinner?')
      const { created: _, ...name } = await server.call(messageDeposit, { commandId: newId(), ...big, object })
      if (round > 0) continue
      await server.call(mailboxFlag, { commandId: newId(), ...big, changes: [{ ...name, add: ['\\Seen'] }] })
    }
    const cpu = process.cpuUsage()
    const page = await server.call(mailboxSync, { ...big, token })
    const { user, system } = process.cpuUsage(cpu)
    cpuMs.push((user + system) / 1_000)
    const objects = [...page.created, ...page.changed]
    shares.push(JSON.stringify(page).length / JSON.stringify(objects).length)
    if (page.token === undefined) throw new Error('There is more than was changed.')
    token = page.token
  }
  progress(`incremental sync: ${median(cpuMs).toFixed(2)} ms of CPU`)
  return [
    { name: 'incremental sync, server CPU, median', value: median(cpuMs), unit: 'ms', atMost: 20 },
    { name: 'incremental sync, bytes beside the changed objects’', value: median(shares), unit: '×', atMost: 3 },
  ]
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}
