import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileReplicaStore } from '../../src/adapters/file-replica-store.ts'
import { openMemoryReplicaStore, replicaMemory } from '../../src/adapters/memory-replica-store.ts'
import { browserProgram, browserRunsHere } from '../fixtures/browser.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { replicaStoreContract } from './replica-store-contract.ts'

/*
 * Files in Node, memory, and IndexedDB in a real browser keep a replica in the same way. It would fail if one ordered keys
 * otherwise, kept half of a batch, let two have a replica at once, so that each overwrote what the other one knew, or touched
 * one that a later release keeps.
 *
 * Where no Chromium runs the last is skipped and says so; with BROWSER_REQUIRED=1 it fails.
 */
const test = suite('stores of replicas')

for (const { name, run } of replicaStoreContract) {
  test(`files: ${name}`, async () => {
    await using folder = await temporaryFolder()
    await run(() => openFileReplicaStore(join(folder.path, 'new', 'replica')))
  })

  test(`memory: ${name}`, async () => {
    const memory = replicaMemory()
    await run(() => openMemoryReplicaStore(memory))
  })
}

test('files are for their owner alone', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'replica')
  const store = await openFileReplicaStore(path)
  await store.close()
  assert.is((await stat(path)).mode & 0o777, 0o700)
})

test('IndexedDB in Chromium keeps the same contract, over pages that end without a word', async () => {
  if (!browserRunsHere()) return
  await using program = await browserProgram(join(import.meta.dirname, 'replica-store.browser.ts'))
  const page = await program.open()
  const failures = await page.evaluate(() => globalThis.runContract())
  assert.equal(failures, [])

  await page.evaluate(() => globalThis.writeAndStay('left'))
  const second = await program.open()
  assert.is(await second.evaluate(() => globalThis.readAgain('left', 500)), 'ReplicaInUse')
  await page.reload()
  assert.equal(await page.evaluate(() => globalThis.readAgain('left')), { written: true })
  await page.evaluate(() => globalThis.writeAndStay('left'))
  await page.close()
  assert.equal(await second.evaluate(() => globalThis.readAgain('left')), { written: true })

  await second.evaluate(() => globalThis.makeLater('later'))
  const refusal = await second.evaluate(() => globalThis.refusalOf('later'))
  assert.match(refusal, /^UnknownFormat: The replica later .* has format version 2; this program reads version 1\./)
  assert.equal(await second.evaluate(() => globalThis.laterHolds('later')), [2, ['kept']])
  assert.equal(program.errors, [])
})

test.run()
