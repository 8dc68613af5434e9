import { readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { gatewayFileStore } from '../../src/adapters/gateway-file-store.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

/*
 * What a gateway has written is what it reads again, whole, and nobody else may read it. It fails if a draft that a crash
 * has left is taken for the text, or if a text that is there and cannot be read passes for none.
 */
const test = suite('files of a gateway')

test('what was written last is there, for its owner alone', async () => {
  await using folder = await temporaryFolder()
  const path = join(folder.path, 'new', 'gateway')
  const store = gatewayFileStore(path)
  assert.is(await store.read('queue'), undefined)
  await store.write('queue', 'first')
  await store.write('queue', 'second')
  await store.write('pairings', 'others')
  const again = gatewayFileStore(path)
  assert.equal([await again.read('queue'), await again.read('pairings')], ['second', 'others'])
  assert.is(await again.read('inventories'), undefined)
  assert.equal((await readdir(path)).sort(), ['pairings.json', 'queue.json'])
  assert.is((await stat(join(path, 'queue.json'))).mode & 0o777, 0o600)
})

test('a draft that a crash has left is no text', async () => {
  await using folder = await temporaryFolder()
  const store = gatewayFileStore(folder.path)
  await writeFile(join(folder.path, 'queue.json.new'), '{"comm')
  assert.is(await store.read('queue'), undefined)
  await store.write('queue', 'whole')
  assert.is(await store.read('queue'), 'whole')
})

test('what cannot be read or written is told', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'file'), '')
  const failure = await gatewayFileStore(join(folder.path, 'file'))
    .write('queue', 'text')
    .catch((error: unknown) => error)
  assert.is((failure as Error).name, 'FileProblem')
})

test.run()
