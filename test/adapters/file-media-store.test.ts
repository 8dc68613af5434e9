import { execFile } from 'node:child_process'
import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openFileMediaStore } from '../../src/adapters/file-media-store.ts'
import { MediaCorrupt, MediaRefused } from '../../src/ports/media-store.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { rejection } from '../ports/log-store.contract.ts'
import { alice, blobOf, collected, mediaStoreContract, nameOf, pieces, stored } from '../ports/media-store.contract.ts'

/*
 * Media as files, for real: the contract; that only their owner may read them; that a full disk is told and leaves nothing
 * to be seen, both by the reserve and in the middle of a write; and that a process killed at any time leaves nothing that
 * cannot be resumed.
 */

async function files(folder: string): Promise<string[]> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true })
  return found.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}

mediaStoreContract('files', async () => {
  const folder = await temporaryFolder()
  return {
    open: () => openFileMediaStore(folder.path),
    async flip(payload) {
      for (const path of await files(folder.path)) {
        const bytes = await readFile(path)
        const at = bytes.indexOf(payload)
        if (at < 0 || path.endsWith('.json')) continue
        bytes[at] = (bytes[at] ?? 0) ^ 4
        await writeFile(path, bytes)
        return
      }
      throw new RangeError('No file holds these bytes.')
    },
    remove: folder.remove,
  }
})

const test = suite('files of media')

test('only their owner may read them', async () => {
  await using folder = await temporaryFolder()
  const store = await openFileMediaStore(join(folder.path, 'media'))
  await stored(store, blobOf(10))
  const entries = await readdir(folder.path, { recursive: true, withFileTypes: true })
  for (const entry of entries) {
    const { mode } = await stat(join(entry.parentPath, entry.name))
    assert.is(mode & 0o077, 0, entry.name)
  }
})

test('a disk at its reserve takes nothing, says so, and goes on when there is room', async () => {
  await using folder = await temporaryFolder()
  const full = await openFileMediaStore(folder.path, { reserveBytes: Number.MAX_SAFE_INTEGER })
  assert.instance(await rejection(stored(full, blobOf(100))), MediaRefused)
  await full.close()
  const store = await openFileMediaStore(folder.path)
  assert.is(await store.stat(nameOf(blobOf(100))), undefined)
  await stored(store, blobOf(100))
})

test('a write that fails in its middle loses nothing that was there, and the rest is taken later', async () => {
  await using folder = await temporaryFolder()
  // A limit on the size of files stands for the full disk: the failure comes from the system, in the middle of a write.
  const child = join(import.meta.dirname, 'full-media.child.ts')
  const command = `ulimit -f 400; exec "${process.execPath}" "${child}" "${folder.path}"`
  const { stdout } = await promisify(execFile)('bash', ['-c', command])
  assert.equal(JSON.parse(stdout), { error: 'MediaRefused', there: false, small: true })
  const store = await openFileMediaStore(folder.path)
  const bytes = blobOf(1_000_000)
  const upload = await store.upload(nameOf(bytes), { size: bytes.length, type: 'image/png' })
  assert.ok(upload.offset > 300_000 && upload.offset <= 409_600, String(upload.offset))
  await upload.append(pieces(bytes.subarray(upload.offset)))
  await upload.finish()
  assert.equal(await collected(store.read(nameOf(bytes))), bytes)
})

test('a part that a crash left with its footer is cut, and resumed', async () => {
  await using folder = await temporaryFolder()
  const bytes = blobOf(5_000)
  const first = await openFileMediaStore(folder.path)
  const upload = await first.upload(nameOf(bytes), { size: 5_000, type: 'image/png' })
  await upload.append(pieces(bytes))
  await first.close()
  const [part = ''] = (await files(folder.path)).filter(path => path.endsWith('.part'))
  await writeFile(part, Buffer.concat([bytes, Buffer.alloc(200, 7)]))
  const store = await openFileMediaStore(folder.path)
  assert.is(await store.stat(nameOf(bytes)), undefined)
  const again = await store.upload(nameOf(bytes), { size: 5_000, type: 'image/png' })
  assert.is(again.offset, 5_000)
  await again.finish()
  assert.equal(await collected(store.read(nameOf(bytes))), bytes)
  assert.equal(
    (await files(folder.path)).filter(path => path.endsWith('.part')),
    [],
  )
})

test('does not take the files of another mailbox, or of another blob, for a blob', async () => {
  await using folder = await temporaryFolder()
  const store = await openFileMediaStore(folder.path)
  const [one, other] = [await stored(store, blobOf(100)), await stored(store, blobOf(100, 2))]
  const paths = await files(folder.path)
  const pathOf = (hash: string) => paths.find(path => path.endsWith(hash)) ?? ''
  await writeFile(pathOf(one.hash), await readFile(pathOf(other.hash)))
  assert.instance(await rejection(collected(store.read(one))), MediaCorrupt)
  assert.equal((await Array.fromAsync(store.list(alice))).length, 1)
})

test.run()
