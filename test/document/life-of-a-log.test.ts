/*
 * What a log costs in its life. Compactions at the most treble what is written, whatever is written; a register that was set
 * twenty thousand times leaves a document as small as if it had been set once, on every replica, in the store and in what a
 * reader is given, and no dearer to fetch; and what was erased is gone from the files of all. Each would fail if compactions came too
 * often or too rarely, or if a replica kept what was superseded.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../src/adapters/clock.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import type { Json } from '../../src/document/documents.ts'
import { World, type WorldServer } from '../federation/world.ts'
import { MemoryHub } from '../fixtures/memory-network.ts'
import { testOperator } from '../fixtures/operators.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { DocumentServer, home, KnownOperators } from './document-server.ts'

const a = testOperator('a.example', 2)
const b = testOperator('b.example')
const kibibyte = 1024

/** What a server has written since: for its clients, and as copies. */
function countBytes(server: DocumentServer) {
  const written = { forClients: 0, copies: 0, compactions: 0 }
  server.documents.subscribe(({ source, entries, keys }) => {
    if (source !== 'own') return
    const bytes = entries.reduce((sum, entry) => sum + entry.bytes.length, 0)
    written[keys ? 'forClients' : 'copies'] += bytes
    if (!keys) written.compactions++
  })
  return written
}

const value = fc.oneof(
  { weight: 1, arbitrary: fc.constant(null) },
  { weight: 3, arbitrary: fc.nat(40) },
  { weight: 2, arbitrary: fc.integer({ min: 40, max: 3_000 }) },
)
/** So many writes of values of such sizes, under one of so many keys. */
const phase = fc.record({
  writes: fc.integer({ min: 1, max: 60 }),
  keys: fc.integer({ min: 1, max: 40 }),
  sizes: fc.array(value, { minLength: 1, maxLength: 5 }),
  together: fc.integer({ min: 1, max: 8 }),
})

/** What a compaction takes for itself: the frame of an entry, and the names of the latest logs that are gone. */
const ownBytes = 2 * kibibyte

test('compactions at the most treble what is written', async () => {
  const limits = { compaction: { minGarbageBytes: 1_000, maxEntries: 12, maxLogs: 8 } }
  await fc.assert(
    fc.asyncProperty(fc.array(phase, { minLength: 1, maxLength: 6 }), async phases => {
      const server = new DocumentServer({ operator: a, limits })
      const written = countBytes(server)
      let count = 0
      for (const { writes, keys, sizes, together } of phases) {
        for (let done = 0; done < writes; done += together) {
          const batch = Array.from({ length: together }, (): [string, Json] => {
            const size = sizes[count % sizes.length] ?? null
            return [`key/${(count++ * 7) % keys}`, size === null ? null : 'x'.repeat(size)]
          })
          await server.writeAll(batch)
        }
      }
      await server.values() // answered after what the last write set off
      const { forClients, copies, compactions } = written
      assert.ok(
        copies <= 2 * forClients + compactions * ownBytes,
        `${copies} bytes of copies for ${forClients} bytes of writes`,
      )
    }),
    { numRuns: 40 },
  )
})

/** Bytes of a document's entries on disk. */
const storedBytes = async (server: DocumentServer): Promise<number> =>
  ((await server.documents.index(home))?.heads ?? []).reduce((sum, { bytes }) => sum + bytes, 0)

/** What a reader of the document is given. */
async function readBytes(server: DocumentServer): Promise<number> {
  const observation = await server.documents.observe(home, { update: () => {}, compacted: () => {}, epoch: () => {} })
  const { length } = await observation.diff()
  observation.close()
  return length
}

/** What somebody who has nothing is sent. */
async function catchUpBytes(server: DocumentServer): Promise<number> {
  const { entries, more } = await server.documents.missing(home, new Map(), 1e9)
  assert.not.ok(more)
  return entries.reduce((sum, { length }) => sum + length, 0)
}

test('a register that was set 20,000 times takes what one takes, on every replica, and no more to fetch', async () => {
  const authorship = new KnownOperators(a, b)
  const owner = new DocumentServer({ operator: a, authorship })
  const written = countBytes(owner)
  const replicas = [
    new DocumentServer({ operator: a, number: 1, authorship }),
    new DocumentServer({ operator: b, authorship }),
  ]
  const untouched = new DocumentServer({ operator: a, authorship })
  const lasting = Array.from({ length: 50 }, (_, at): [string, Json] => [`lasting/${at}`, 'v'.repeat(100)])
  for (const server of [owner, untouched]) await server.writeAll(lasting)
  for (let count = 0; count < 20_000; ) {
    await Promise.all(Array.from({ length: 20 }, () => owner.write('state', `state ${count++}`)))
    if (count % 1_000 === 0) for (const replica of replicas) await owner.sendTo(replica)
  }
  assert.ok(written.compactions >= 5 && written.copies <= 2 * written.forClients, JSON.stringify(written))
  await untouched.write('state', 'state 19999')
  const liveBytes = await catchUpBytes(untouched)
  const mostBytes = 2 * liveBytes + 64 * kibibyte
  for (const server of [owner, ...replicas]) {
    assert.is((await server.values()).state, 'state 19999')
    assert.ok((await storedBytes(server)) <= mostBytes, 'on disk')
    assert.ok((await readBytes(server)) <= mostBytes, 'in memory')
    assert.ok((await catchUpBytes(server)) <= mostBytes, 'on the wire')
  }
  await owner.documents.compact(home)
  for (const replica of replicas) await owner.sendTo(replica)
  for (const server of [owner, ...replicas]) {
    const bytes = await catchUpBytes(server)
    // What names the superseded logs comes on top.
    assert.ok(bytes <= liveBytes + 2 * kibibyte, `${bytes} bytes, never overwritten ${liveBytes}`)
  }
})

async function filesHold(folder: string, text: string): Promise<boolean> {
  const names = await readdir(folder)
  const files = await Promise.all(names.map(name => readFile(join(folder, name))))
  return files.some(bytes => bytes.includes(text))
}

/** As LevelDB does by itself in time: writes all files anew, without what was removed. */
async function compactFiles(folder: string): Promise<void> {
  const level = new ClassicLevel<Uint8Array, Uint8Array>(folder, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression: false,
  })
  await level.open()
  await level.compactRange(new Uint8Array(0), new Uint8Array(16).fill(0xff))
  await level.close()
}

test('what was erased is gone from the files of every replica', async () => {
  const folder = await temporaryFolder()
  const folderOf = (server: string) => join(folder.path, server)
  const hub = new MemoryHub()
  const world = new World([a, b], {
    clock: systemClock(),
    network: server => hub.network(server.id),
    address: server => `/memory/${server}`,
    store: server => openLevelLogStore(folderOf(server)),
  })
  try {
    world.entitlement.grant(home, b)
    const servers: readonly [WorldServer, WorldServer, WorldServer] = [
      await world.start(a, 0),
      await world.start(a, 1),
      await world.start(b),
    ]
    const [owner] = servers
    const secret = 'the word that was taken back'
    const equal = async () => {
      const digests = await Promise.all(servers.map(server => server.digest(home)))
      return digests[0] !== undefined && digests.every(digest => digest === digests[0])
    }
    for (let count = 0; count < 5; count++) await owner.set(home, `object/${count}`, `${count}: ${secret}`)
    await owner.set(home, 'kept', 'the word that stays')
    for (let count = 0; count < 5; count++) await owner.set(home, `object/${count}`, null)
    await until(equal, { what: 'equal digests' })
    for (const { id } of servers) assert.ok(await filesHold(folderOf(id), secret), 'it is removed, and in the files')
    await owner.documents.compact(home)
    await until(equal, { what: 'equal digests after the compaction' })
    await world.stopAll()
    for (const { id } of servers) {
      await compactFiles(folderOf(id))
      assert.not.ok(await filesHold(folderOf(id), secret), 'it is gone')
      assert.ok(await filesHold(folderOf(id), 'the word that stays'))
    }
  } finally {
    await world.stopAll()
    await folder.remove()
  }
})

test.run()
