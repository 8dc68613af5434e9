import { execFile } from 'node:child_process'
import { cp, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { CommitRefused, CorruptRecord, type LogStore, StoreDamaged, StoreInUse } from '../../src/ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../../src/ports/names.ts'
import { until } from '../fixtures/until.ts'
import {
  all,
  appending,
  change,
  commitOf,
  documentA,
  documentB,
  entryOf,
  indexOf,
  logOf,
  logStoreContract,
  rejection,
} from '../ports/log-store.contract.ts'

/*
 * The store on disk keeps the contract on real files, in a temporary folder. Beyond the contract: it is its owner's alone,
 * open once at a time, leaves a reserve of the disk free, survives a power cut at any byte and a disk that fails in the
 * middle of a write, and never answers bytes that the disk has changed, nor takes back what it acknowledged.
 */

async function temporary(): Promise<{ folder: string; remove: () => Promise<void> }> {
  const parent = await mkdtemp(join(tmpdir(), 'cpns-level-'))
  return { folder: join(parent, 'deep', 'store'), remove: () => rm(parent, { recursive: true }) }
}

/** Opens and closes: LevelDB moves what is in its write-ahead log to a table file. */
async function settle(folder: string): Promise<void> {
  await (await openLevelLogStore(folder)).close()
}

async function filesOf(folder: string, suffix: string): Promise<string[]> {
  return (await readdir(folder)).filter(name => name.endsWith(suffix)).map(name => join(folder, name))
}

logStoreContract('LevelDB', async () => {
  const { folder, remove } = await temporary()
  return {
    open: () => openLevelLogStore(folder),
    async flip(_, payload) {
      await settle(folder)
      let found = 0
      for (const file of await filesOf(folder, '.ldb')) {
        const bytes = await readFile(file)
        const at = bytes.indexOf(payload)
        if (at < 0) continue
        found += 1
        bytes.writeUInt8(bytes.readUInt8(at + 5) ^ 0x10, at + 5)
        await writeFile(file, bytes)
      }
      assert.is(found, 1)
    },
    remove,
  }
})

/** Whether a text lies in any file of the folder. */
async function isInFiles(folder: string, text: string): Promise<boolean> {
  const files = await Promise.all((await readdir(folder)).map(name => readFile(join(folder, name)).catch(() => '')))
  return files.some(bytes => bytes.includes(text))
}

/** A log of one line an entry, which says what it is of. */
async function say(store: LogStore, document: DocumentId, seq: number): Promise<void> {
  const log = 'l'.repeat(22) as LogId
  const bytes = Buffer.from(`${document}: said ${seq}.`)
  const head = { log, server: 's' as ServerId, length: seq + 1, hash: new Uint8Array(32), bytes: 1, clock: 1 }
  const index = { document, heads: [head], superseded: [], digest: new Uint8Array(32), epoch: 0 }
  await store.commit({ documents: [{ document, index, append: [{ log, seq, bytes }], drop: [] }], local: [] })
}

const forget = (store: LogStore, document: DocumentId): Promise<void> =>
  store.commit({ documents: [{ document, index: undefined, append: [], drop: [] }], local: [] })

test('a document that is forgotten leaves the files, whatever else is written, and nothing else does', async () => {
  const { folder, remove } = await temporary()
  const store = await openLevelLogStore(folder)
  const documents = ['pn/a.example/flat', 'pn/a.example/flat2', 'pn/a.example/fla'] as DocumentId[]
  try {
    for (let seq = 0; seq < 50; seq++) for (const document of documents) await say(store, document, seq)
    const [forgotten, ...kept] = documents as [DocumentId, DocumentId, DocumentId]
    assert.ok(await isInFiles(folder, `${forgotten}: said 7.`))
    await forget(store, forgotten)
    for (let seq = 50; seq < 60; seq++) for (const document of kept) await say(store, document, seq)
    await until(async () => !(await isInFiles(folder, `${forgotten}: said`)), {
      what: 'the files to hold nothing of it',
    })
    for (const document of kept) {
      assert.is((await Array.fromAsync(store.entries(document))).length, 60)
      assert.ok(await isInFiles(folder, `${document}: said 7.`))
    }
  } finally {
    await store.close()
    await remove()
  }
})

test('what is forgotten while somebody reads it leaves the files once that is read, or at the next start', async () => {
  const { folder, remove } = await temporary()
  const store = await openLevelLogStore(folder)
  const [document, other] = ['pn/a.example/flat', 'pn/a.example/other'] as [DocumentId, DocumentId]
  const text = `${document}: said`
  try {
    for (let seq = 0; seq < 600; seq++) await say(store, document, seq)
    await say(store, other, 0)
    const slow = store.entries(document)[Symbol.asyncIterator]()
    await slow.next()
    await forget(store, document)
    for (let seq = 1; seq < 20; seq++) await say(store, other, seq)
    assert.ok(await isInFiles(folder, text), 'it is kept for whoever reads it')

    // The power goes meanwhile.
    const after = join(folder, '..', 'after')
    await cp(folder, after, { recursive: true })
    await rm(join(after, 'LOCK'))
    const next = await openLevelLogStore(after)
    await until(async () => !(await isInFiles(after, text)), { what: 'what was owed to be erased by the next run' })
    assert.is((await Array.fromAsync(next.entries(other))).length, 20)
    await next.close()

    let read = 1
    while (!(await slow.next()).done) read++
    assert.is(read, 600, 'it was read as it was')
    await until(async () => !(await isInFiles(folder, text)), { what: 'the files to hold nothing that nobody reads' })
    assert.is((await Array.fromAsync(store.entries(other))).length, 20)
  } finally {
    await store.close()
    await remove()
  }
})

test('a store that is closed while somebody reads what is to be erased has erased it', async () => {
  const { folder, remove } = await temporary()
  const store = await openLevelLogStore(folder)
  const document = 'pn/a.example/flat' as DocumentId
  try {
    for (let seq = 0; seq < 600; seq++) await say(store, document, seq)
    const slow = store.entries(document)[Symbol.asyncIterator]()
    await slow.next()
    await forget(store, document)
    await store.close()
    assert.not.ok(await isInFiles(folder, `${document}: said`))
  } finally {
    await store.close()
    await remove()
  }
})

test('the folder is its owner’s alone', async () => {
  const { folder, remove } = await temporary()
  try {
    await settle(folder)
    assert.is((await stat(folder)).mode & 0o777, 0o700)
  } finally {
    await remove()
  }
})

test('a folder that is open already is refused, and says so', async () => {
  const { folder, remove } = await temporary()
  const store = await openLevelLogStore(folder)
  try {
    const error = await rejection(openLevelLogStore(folder))
    assert.instance(error, StoreInUse)
    assert.match(String(error), folder)
    await store.commit(appending(documentA, logOf(1), 0, 1))
  } finally {
    await store.close()
    await remove()
  }
})

test('a disk without the reserve is full: refused, nothing stored, reads go on', async () => {
  const { folder, remove } = await temporary()
  const before = await openLevelLogStore(folder)
  await before.commit(appending(documentA, logOf(1), 0, 1))
  await before.close()
  const store = await openLevelLogStore(folder, { reserveBytes: Number.MAX_SAFE_INTEGER })
  try {
    const error = await rejection(store.commit(appending(documentA, logOf(1), 1, 1)))
    assert.instance(error, CommitRefused)
    assert.match(String(error), 'full')
    assert.is((await all(store.entries(documentA))).length, 1)
  } finally {
    await store.close()
    await remove()
  }
})

/** Commits number 0 to `count` - 1: each appends one entry to both documents at once. */
async function commitBoth(store: LogStore, count: number): Promise<void> {
  for (let seq = 0; seq < count; seq++)
    await store.commit(
      commitOf(
        [documentA, documentB].map(document =>
          change(document, indexOf(document, new Map([[logOf(1), seq + 1]])), {
            append: [entryOf(logOf(1), seq, seq, 3_000)],
          }),
        ),
      ),
    )
}

/** Numbers from 0 to below `bound`, about `count` of them, the ends among them. */
const spread = (bound: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => Math.floor((index * (bound - 1)) / (count - 1)))

/** Runs `body` on copies of a folder in which one file of the kind has been changed. */
async function onDamagedCopies(
  folder: string,
  suffix: string,
  count: number,
  damage: (file: string, size: number, index: number) => Promise<void>,
  body: (copy: string, index: number) => Promise<void>,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const copy = `${folder}-${index}`
    await cp(folder, copy, { recursive: true })
    const sized = await Promise.all(
      (await filesOf(copy, suffix)).map(async file => ({ file, size: (await stat(file)).size })),
    )
    const largest = sized.reduce((a, b) => (b.size > a.size ? b : a))
    await damage(largest.file, largest.size, index)
    await body(copy, index)
    await rm(copy, { recursive: true })
  }
}

async function flipBit(file: string, at: number, bit: number): Promise<void> {
  const bytes = await readFile(file)
  bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at)
  await writeFile(file, bytes)
}

test('a power cut at any byte of the journal leaves whole commits, the first ones', async () => {
  const { folder, remove } = await temporary()
  const store = await openLevelLogStore(folder)
  try {
    await commitBoth(store, 20)
    const cuts = 40
    const lengths: number[] = []
    await onDamagedCopies(
      folder,
      '.log',
      cuts,
      (file, size, index) => truncate(file, spread(size + 1, cuts)[index]),
      async copy => {
        const after = await openLevelLogStore(copy)
        const [a, b] = await Promise.all([all(after.entries(documentA)), all(after.entries(documentB))])
        assert.equal(a, b)
        assert.is((await after.index(documentA))?.heads[0]?.length ?? 0, a.length)
        lengths.push(a.length)
        await after.close()
      },
    )
    assert.is(lengths[0], 0)
    assert.is(lengths.at(-1), 20)
    assert.equal(
      lengths,
      lengths.toSorted((a, b) => a - b),
    )
  } finally {
    await store.close()
    await remove()
  }
})

test('a flipped bit anywhere in the journal of a closed store is told, and takes nothing back in silence', async () => {
  const { folder, remove } = await temporary()
  try {
    const store = await openLevelLogStore(folder)
    await commitBoth(store, 20)
    await store.close()
    const flips = 40
    await onDamagedCopies(
      folder,
      '.log',
      flips,
      // The very last record says that the store was closed, and nothing else.
      (file, size, index) => flipBit(file, spread(size - 100, flips)[index] ?? 0, index % 8),
      async copy => assert.instance(await rejection(openLevelLogStore(copy)), StoreDamaged),
    )
  } finally {
    await remove()
  }
})

/** One bit flipped in each of so many copies, evenly over the largest table. */
const onFlippedTables = (folder: string, flips: number, action: (copy: string) => Promise<void>): Promise<void> =>
  onDamagedCopies(
    folder,
    '.ldb',
    flips,
    (file, size, index) => flipBit(file, spread(size, flips)[index] ?? 0, index % 8),
    action,
  )

test('a flipped bit anywhere in a table file is told when what it struck is read', async () => {
  const { folder, remove } = await temporary()
  try {
    const store = await openLevelLogStore(folder)
    await commitBoth(store, 20)
    const written = await all(store.entries(documentA))
    await store.close()
    await settle(folder)
    const flips = 60
    let told = 0
    await onFlippedTables(folder, flips, async copy => {
      try {
        const damaged = await openLevelLogStore(copy)
        try {
          for (const document of [documentA, documentB]) {
            assert.is((await damaged.index(document))?.heads[0]?.length, 20)
            assert.equal(await all(damaged.entries(document)), written)
          }
        } finally {
          await damaged.close()
        }
      } catch (error) {
        if (!(error instanceof CorruptRecord || error instanceof StoreDamaged)) throw error
        told += 1
      }
    })
    assert.ok(told > flips * 0.8, `${told} of ${flips} flips were told`)
  } finally {
    await remove()
  }
})

test('what is read at once is answered as if it were read one by one, also where the disk has changed some of it', async () => {
  const { folder, remove } = await temporary()
  try {
    const store = await openLevelLogStore(folder)
    const keys = Array.from({ length: 40 }, (_, number) => `key-${number}`)
    const local = keys.map((key, number) => ({ key, value: new Uint8Array(1_500).fill(number) }))
    await store.commit({ documents: [], local })
    const absent = ['nothing', 'nor here']
    assert.equal(await Promise.all([...keys, ...absent].map(key => store.local(key))), [
      ...local.map(({ value }) => value),
      undefined,
      undefined,
    ])
    await store.close()
    await settle(folder)
    const flips = 40
    let told = 0
    await onFlippedTables(folder, flips, async copy => {
      const damaged = await openLevelLogStore(copy).catch(() => undefined)
      if (!damaged) return
      const outcome = (key: string) => damaged.local(key).catch((error: Error) => error.constructor.name)
      try {
        const oneByOne: unknown[] = []
        for (const key of keys) oneByOne.push(await outcome(key))
        assert.equal(await Promise.all(keys.map(outcome)), oneByOne)
        if (oneByOne.includes('CorruptRecord')) told += 1
      } finally {
        await damaged.close()
      }
    })
    assert.ok(told > flips / 2, `${told} of ${flips} flips were told`)
  } finally {
    await remove()
  }
})

test('a disk that fails in the middle of a write: the outcome is unknown, then all is refused, and nothing acknowledged is lost', async () => {
  const { folder, remove } = await temporary()
  try {
    const child = fileURLToPath(new URL('full-disk.child.ts', import.meta.url))
    // Files of at most 512 blocks of 512 bytes.
    const command = 'ulimit -f 512 && exec "$0" "$1" "$2"'
    const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, child, folder])
    const { acknowledged, errors } = JSON.parse(stdout)
    assert.equal(errors, ['CommitOutcomeUnknown', 'CommitRefused'])
    assert.ok(acknowledged > 10)
    const store = await openLevelLogStore(folder)
    const { length } = await all(store.entries(documentA))
    assert.ok(length === acknowledged || length === acknowledged + 1, `${length} stored, ${acknowledged} acknowledged`)
    await store.commit(appending(documentA, logOf(1), length, 1))
    await store.close()
  } finally {
    await remove()
  }
})

test.run()
