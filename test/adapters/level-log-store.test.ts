import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openLevelLogStore, StoreInUse } from '../../src/adapters/level-log-store.ts'
import { CommitRefused } from '../../src/ports/log-store.ts'
import { all, appending, documentA, logOf, logStoreContract, rejection } from '../ports/log-store.contract.ts'

/*
 * The store on disk keeps the contract on real files, in a temporary folder. Beyond the contract: it is its owner's alone,
 * open once at a time, leaves a reserve of the disk free, and never answers bytes that the disk has changed.
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

test.run()
