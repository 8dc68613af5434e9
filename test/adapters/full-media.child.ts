import { openFileMediaStore } from '../../src/adapters/file-media-store.ts'
import { blobOf, nameOf, stored } from '../ports/media-store.contract.ts'

/*
 * Stores a blob in the folder that is its argument, then a small one, and prints what happened. Run under a limit on the
 * size of files, so that the failure is a real one in the middle of a write.
 */

process.on('SIGXFSZ', () => {})
const [folder = ''] = process.argv.slice(2)
const store = await openFileMediaStore(folder)
const large = blobOf(1_000_000)
const error = await stored(store, large).then(
  () => 'none',
  error => error.name,
)
const there = (await store.stat(nameOf(large))) !== undefined
await stored(store, blobOf(1_000, 2))
console.log(JSON.stringify({ error, there, small: true }))
await store.close()
