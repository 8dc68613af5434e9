/*
 * Proves: media of an archive are in the store, under the hash of what really came, once; bytes that are not those of the
 * name are a problem of the message and leave nothing in the store. Fails if an archive puts other bytes under a name.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { openFileMediaStore } from '../../../src/adapters/file-media-store.ts'
import { toBase64url } from '../../../src/commands/framing.ts'
import { isMediaHash } from '../../../src/ports/media-store.ts'
import { operatorId } from '../../../src/ports/names.ts'
import { ArchiveDamaged } from '../../../src/storage/archive/archived.ts'
import { foreignMedia, keepMedia } from '../../../src/storage/archive/media.ts'
import { temporaryFolder } from '../../fixtures/temporary-folder.ts'

const crypto = nodeCrypto()
const name = { operator: operatorId('a.example'), user: 'alice' }

async function* inPieces(bytes: Uint8Array, pieceBytes = 1_000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes)
}

test('media come into the store whole, or not at all', async () => {
  await using folder = await temporaryStore()
  const options = { name, crypto, media: folder.store }
  const bytes = new Uint8Array(50_000).map((_, at) => at % 249)
  const hash = toBase64url(crypto.sha256(bytes))
  const media = { hash, size: bytes.length, type: 'image/png' }
  const stored = async () => {
    assert.ok(isMediaHash(hash))
    return (await folder.store.stat({ ...name, hash })) !== undefined
  }
  const cause = async (came: Uint8Array, given = media) => {
    try {
      await keepMedia(options, given, inPieces(came), 'message 1')
      return 'none'
    } catch (error) {
      if (error instanceof ArchiveDamaged) return error.problem.cause
      throw error
    }
  }
  assert.is(await cause(bytes.map(byte => byte ^ 1)), 'altered')
  assert.is(await cause(bytes.subarray(1)), 'altered')
  assert.is(await cause(Buffer.concat([bytes, bytes])), 'altered')
  assert.is(await cause(bytes, { ...media, hash: 'x'.repeat(43) }), 'altered')
  assert.not(await stored())
  assert.is(await cause(bytes), 'none')
  assert.is(await cause(bytes), 'none', 'once more')
  assert.ok(await stored())
  const other = bytes.map(byte => byte + 1)
  const found = await foreignMedia(options, { kind: 'media', type: 'image/gif', name: 'a.gif', bytes: inPieces(other) })
  const otherHash = toBase64url(crypto.sha256(other))
  assert.equal(found, { hash: otherHash, size: other.length, type: 'image/gif', name: 'a.gif' })
  assert.ok(isMediaHash(otherHash))
  assert.ok(Buffer.concat(await Array.fromAsync(folder.store.read({ ...name, hash: otherHash }))).equals(other))
})

async function temporaryStore() {
  const { path, remove } = await temporaryFolder()
  const store = await openFileMediaStore(path)
  const end = async () => {
    await store.close()
    await remove()
  }
  return { store, [Symbol.asyncDispose]: end }
}

test.run()
