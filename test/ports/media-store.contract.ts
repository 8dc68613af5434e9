import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  ChecksumMismatch,
  isMediaHash,
  type Mailbox,
  MediaCorrupt,
  MediaGone,
  type MediaHash,
  type MediaName,
  MediaRefused,
  type MediaStore,
  MediaTooLong,
  UploadIncomplete,
  UploadTakenOver,
} from '../../src/ports/media-store.ts'
import { operatorId } from '../../src/ports/names.ts'
import { rejection } from './log-store.contract.ts'

/*
 * The contract of MediaStore, run by every adapter. It proves that a blob is there whole or not at all, whatever the pieces,
 * the cuts and the restarts in which it came; that every range reads as what was sent; that a flipped bit is told and never
 * handed out; that mailboxes know nothing of each other; and that a dead connection does not keep the next one from going
 * on. An adapter fails here if it shows a blob early, loses what it said it holds, or trusts its disk.
 */

/** A place where a store can be opened, closed and opened again. */
export interface MediaStorePlace {
  open(): Promise<MediaStore>
  /** Flips one bit of the stored file that contains `payload`; the store may be open. */
  flip(payload: Uint8Array): Promise<void>
  remove(): Promise<void>
}

export const alice: Mailbox = { operator: operatorId('a.example'), user: 'alice' }
const chunkBytes = 256 * 1024

export function hashOf(bytes: Uint8Array): MediaHash {
  const hash = createHash('sha256').update(bytes).digest('base64url')
  if (isMediaHash(hash)) return hash
  throw new Error(`${hash} is no hash.`)
}

export const nameOf = (bytes: Uint8Array, mailbox: Mailbox = alice): MediaName => ({ ...mailbox, hash: hashOf(bytes) })

/** Bytes told by `seed`, in which no sixteen in a row stand twice. */
export function blobOf(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(Math.ceil(length / 32) * 32)
  for (let at = 0; at < length; at += 32) bytes.set(createHash('sha256').update(`${seed}/${at}`).digest(), at)
  return bytes.slice(0, length)
}

/** The bytes in pieces; fails after `cutAfter` of them, if that is given. */
export async function* pieces(bytes: Uint8Array, pieceBytes = 65_536, cutAfter?: number): AsyncGenerator<Uint8Array> {
  let count = 0
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    if (count === cutAfter) throw new Error('cut')
    count += 1
    yield bytes.subarray(at, at + pieceBytes)
  }
  if (count === cutAfter) throw new Error('cut')
}

export async function collected(source: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  return new Uint8Array(Buffer.concat(await Array.fromAsync(source)))
}

export async function stored(
  store: MediaStore,
  bytes: Uint8Array,
  mailbox = alice,
  type = 'image/png',
): Promise<MediaName> {
  const name = nameOf(bytes, mailbox)
  const upload = await store.upload(name, { size: bytes.length, type })
  await upload.append(pieces(bytes.subarray(upload.offset)))
  await upload.finish()
  return name
}

interface Context {
  place: MediaStorePlace
  store: MediaStore
}

export function mediaStoreContract(title: string, create: () => Promise<MediaStorePlace>): void {
  const test = suite<Context>(`media store: ${title}`)
  test.before.each(async context => {
    context.place = await create()
    context.store = await context.place.open()
  })
  test.after.each(async ({ place, store }) => {
    await store.close()
    await place.remove()
  })

  test('gives back what was stored, and says what it is', async ({ store }) => {
    for (const length of [0, 1, chunkBytes - 1, chunkBytes, chunkBytes + 1, 3 * chunkBytes]) {
      const bytes = blobOf(length, length)
      const name = await stored(store, bytes)
      const record = await store.stat(name)
      assert.is(record?.size, length)
      assert.is(record?.type, 'image/png')
      assert.is(record?.hash, name.hash)
      assert.equal(await collected(store.read(name)), bytes)
    }
    const hashes = (await Array.fromAsync(store.list(alice))).map(({ hash }) => hash)
    assert.is(new Set(hashes).size, 6)
    assert.equal(await Array.fromAsync(store.mailboxes()), [alice])
  })

  test('shows nothing before it is whole', async ({ store }) => {
    const bytes = blobOf(100_000)
    const name = nameOf(bytes)
    const upload = await store.upload(name, { size: bytes.length, type: 'image/png' })
    await upload.append(pieces(bytes.subarray(0, 60_000)))
    assert.is(upload.offset, 60_000)
    assert.instance(await rejection(upload.finish()), UploadIncomplete)
    assert.is(await store.stat(name), undefined)
    assert.instance(await rejection(collected(store.read(name))), MediaGone)
    assert.equal(await Array.fromAsync(store.list(alice)), [])
    await upload.append(pieces(bytes.subarray(60_000)))
    await upload.finish()
    assert.equal(await collected(store.read(name)), bytes)
  })

  test('drops what does not have the hash, and begins again', async ({ store }) => {
    const bytes = blobOf(50_000)
    const wrong = bytes.slice()
    wrong[49_999] = (wrong[49_999] ?? 0) ^ 1
    const name = nameOf(bytes)
    const facts = { size: bytes.length, type: 'image/png' }
    const upload = await store.upload(name, facts)
    await upload.append(pieces(wrong))
    assert.instance(await rejection(upload.finish()), ChecksumMismatch)
    assert.is(await store.stat(name), undefined)
    assert.is((await store.upload(name, facts)).offset, 0)
    await stored(store, bytes)
    assert.equal(await collected(store.read(name)), bytes)
  })

  test('takes no more than was announced, and keeps what was good', async ({ store }) => {
    const bytes = blobOf(40_000)
    const upload = await store.upload(nameOf(bytes), { size: bytes.length, type: 'image/png' })
    const tooMany = pieces(new Uint8Array([...bytes, 1]), 10_000)
    assert.instance(await rejection(upload.append(tooMany)), MediaTooLong)
    const again = await store.upload(nameOf(bytes), { size: bytes.length, type: 'image/png' })
    assert.is(again.offset, 40_000)
    await again.finish()
  })

  test('says of a blob that is there that all of it is', async ({ store }) => {
    const bytes = blobOf(10_000)
    const name = await stored(store, bytes)
    const upload = await store.upload(name, { size: bytes.length, type: 'text/plain' })
    assert.is(upload.offset, bytes.length)
    assert.instance(await rejection(upload.append(pieces(blobOf(1)))), MediaTooLong)
    await upload.finish()
    assert.is((await store.stat(name))?.type, 'image/png')
  })

  test('lets the next one go on while the connection of the last one hangs', async ({ store }) => {
    const bytes = blobOf(100_000)
    const facts = { size: bytes.length, type: 'image/png' }
    const first = await store.upload(nameOf(bytes), facts)
    const { promise: hanging, resolve: hangs } = Promise.withResolvers<void>()
    async function* dead() {
      yield bytes.subarray(0, 30_000)
      hangs()
      await new Promise(() => {})
    }
    const given = rejection(first.append(dead()))
    await hanging
    const second = await store.upload(nameOf(bytes), facts)
    assert.instance(await given, UploadTakenOver)
    assert.is(second.offset, 30_000)
    assert.instance(await rejection(first.append(pieces(bytes.subarray(30_000)))), UploadTakenOver)
    assert.instance(await rejection(first.finish()), UploadTakenOver)
    await second.append(pieces(bytes.subarray(30_000)))
    await second.finish()
    assert.equal(await collected(store.read(nameOf(bytes))), bytes)
  })

  test('lets the next one go on whatever the last one was at', async ({ store }) => {
    const bytes = blobOf(60_000)
    const facts = { size: bytes.length, type: 'image/png' }
    async function* dying(chunks: number) {
      for (let at = 0; at < chunks; at += 1) yield bytes.subarray(at * 100, (at + 1) * 100)
      await new Promise(() => {})
    }
    for (let chunks = 1; chunks <= 60; chunks += 1) {
      const first = await store.upload(nameOf(bytes), facts)
      await first.discard()
      const given = rejection(first.append(dying(chunks)))
      await store.upload(nameOf(bytes), facts)
      assert.instance(await given, UploadTakenOver)
    }
    const last = await store.upload(nameOf(bytes), facts)
    await last.append(pieces(bytes.subarray(last.offset)))
    await last.finish()
    assert.equal(await collected(store.read(nameOf(bytes))), bytes)
  })

  test('takes many at once, also into a mailbox that is new', async ({ store }) => {
    const blobs = Array.from({ length: 8 }, (_, seed) => blobOf(70_000, seed))
    const names = await Promise.all(blobs.map(bytes => stored(store, bytes)))
    for (const [at, name] of names.entries()) assert.equal(await collected(store.read(name)), blobs[at])
  })

  test('keeps mailboxes apart, and removes one of them whole', async ({ store }) => {
    const bytes = blobOf(20_000)
    const bob: Mailbox = { ...alice, user: 'bob' }
    const atAlice = await stored(store, bytes)
    const atBob = nameOf(bytes, bob)
    assert.is(await store.stat(atBob), undefined)
    await stored(store, bytes, bob)
    const half = await store.upload(nameOf(blobOf(500)), { size: 500, type: 'image/png' })
    await half.append(pieces(blobOf(200)))
    const used = await store.usage(alice)
    assert.ok(used >= 20_200 && used < 21_500, `${used} bytes`)
    await store.removeMailbox(alice)
    assert.is(await store.usage(alice), 0)
    assert.is(await store.stat(atAlice), undefined)
    assert.equal(await Array.fromAsync(store.mailboxes()), [bob])
    assert.equal(await collected(store.read(atBob)), bytes)
    assert.is((await store.upload(nameOf(blobOf(500)), { size: 500, type: 'image/png' })).offset, 0)
    await store.remove(atBob)
    await store.remove(atBob)
    assert.instance(await rejection(collected(store.read(atBob))), MediaGone)
  })

  test('sweeps uploads that nobody goes on with, and nothing else', async ({ store }) => {
    const name = await stored(store, blobOf(5_000))
    const upload = await store.upload(nameOf(blobOf(9_000)), { size: 9_000, type: 'image/png' })
    await upload.append(pieces(blobOf(4_000)))
    assert.is(await store.sweep(0), 0)
    assert.is(await store.sweep(Number.MAX_SAFE_INTEGER), 1)
    assert.is((await store.upload(nameOf(blobOf(9_000)), { size: 9_000, type: 'image/png' })).offset, 0)
    assert.equal(await collected(store.read(name)), blobOf(5_000))
  })

  test('tells a flipped bit, hands out none of it, and is repaired by sending it again', async ({ place, store }) => {
    const bytes = blobOf(3 * chunkBytes + 100)
    const name = await stored(store, bytes)
    await place.flip(bytes.subarray(chunkBytes + 500, chunkBytes + 532))
    const seen: Uint8Array[] = []
    const failure = await rejection(
      (async () => {
        for await (const chunk of store.read(name)) seen.push(chunk)
      })(),
    )
    assert.instance(failure, MediaCorrupt)
    assert.equal(new Uint8Array(Buffer.concat(seen)), bytes.subarray(0, chunkBytes))
    assert.instance(
      await rejection(collected(store.read(name, { from: 2 * chunkBytes - 1, to: 2 * chunkBytes }))),
      MediaCorrupt,
    )
    const rest = { from: 2 * chunkBytes, to: bytes.length }
    assert.equal(await collected(store.read(name, rest)), bytes.subarray(rest.from))
    await store.remove(name)
    await stored(store, bytes)
    assert.equal(await collected(store.read(name)), bytes)
  })

  test('tells a change of what is known of a blob, and takes it again', async ({ place, store }) => {
    const bytes = blobOf(1_000)
    const name = await stored(store, bytes)
    await place.flip(new TextEncoder().encode('image/png'))
    assert.instance(await rejection(store.stat(name)), MediaCorrupt)
    assert.instance(await rejection(collected(store.read(name))), MediaCorrupt)
    assert.equal(await Array.fromAsync(store.list(alice)), [])
    await stored(store, bytes)
    assert.equal(await collected(store.read(name)), bytes)
  })

  test('whatever the pieces, cuts and restarts: whole in the end, and every range is right', async ({ place }) => {
    let store = await place.open()
    let number = 0
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 * chunkBytes + 10 }),
        fc.array(
          fc.record({
            pieceBytes: fc.integer({ min: 10_000, max: 300_000 }),
            cutAfter: fc.integer({ min: 0, max: 4 }),
            restart: fc.boolean(),
          }),
          { maxLength: 5 },
        ),
        fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
          maxLength: 5,
        }),
        async (length, attempts, ranges) => {
          number += 1
          const bytes = blobOf(length, number)
          const name = nameOf(bytes)
          const facts = { size: length, type: 'image/png' }
          let expected = 0
          for (const { pieceBytes, cutAfter, restart } of attempts) {
            const upload = await store.upload(name, facts)
            assert.is(upload.offset, expected)
            expected = Math.min(length, expected + pieceBytes * cutAfter)
            await upload.append(pieces(bytes.subarray(upload.offset), pieceBytes, cutAfter)).catch(() => {})
            if (!restart) continue
            await store.close()
            store = await place.open()
          }
          await stored(store, bytes)
          for (const [a, b] of ranges) {
            const [from, to] = [Math.floor(Math.min(a, b) * length), Math.ceil(Math.max(a, b) * length)]
            assert.equal(await collected(store.read(name, { from, to })), bytes.subarray(from, to))
          }
        },
      ),
      { numRuns: 15 },
    )
    await store.close()
  })

  test('takes nothing once it is closed', async ({ store }) => {
    await store.close()
    assert.instance(await rejection(store.upload(nameOf(blobOf(9)), { size: 9, type: 'image/png' })), MediaRefused)
  })

  test.run()
}
