/*
 * Proves: a media is received once, however often and by how many it is asked for; what is kept has the hash that it is called by and
 * is no more than was allowed, the longest unused going first. Fails if damaged bytes are kept, or too many.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeSha256 } from '../../src/adapters/sha256.ts'
import { createMediaCache, type MediaCache, type MediaCacheOptions } from '../../src/client/media-cache.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import { blobOf, hashOf } from '../ports/media-store.contract.ts'
import { alice, StorageWorld } from '../storage/storage-world.ts'

const test = suite('Media cache')
const server = 'a.example/1'

async function started() {
  const world = await StorageWorld.start({ 'a.example': 1 })
  await world.registerAlice()
  const client = world.client('alice', server)
  let requests = 0
  let isDamaging = false
  const http: HttpClient = {
    ...client.ports.http,
    async send(request) {
      requests += 1
      const answer = await client.ports.http.send(request)
      return isDamaging ? { ...answer, body: damaged(answer.body) } : answer
    },
  }
  const ports = { http, clock: client.ports.clock, crypto: client.ports.clientCrypto, sha256: nodeSha256 }
  return {
    world,
    cache: (options?: MediaCacheOptions) => createMediaCache(ports, options),
    requests: () => requests,
    damage: (is: boolean) => {
      isDamaging = is
    },
    get: (cache: MediaCache, ...all: readonly Uint8Array[]) =>
      world.inside(async () => {
        const session = await client.session()
        return Promise.all(all.map(bytes => cache.get(session, { ...alice, hash: hashOf(bytes) })))
      }),
  }
}

async function* damaged(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  for await (const piece of body) yield piece.map(byte => byte ^ 1)
}

test('what is asked for again, or by several at once, is received once', async () => {
  const { world, cache: make, get, requests } = await started()
  const bytes = blobOf(40_000)
  await world.upload(bytes)
  const cache = make()
  const [one, two] = await get(cache, bytes, bytes)
  assert.equal(one, bytes)
  assert.equal(two, bytes)
  const before = requests()
  assert.equal((await get(cache, bytes))[0], bytes)
  assert.is(requests(), before)
  assert.is(before, 1)
  assert.is(cache.bytes, bytes.length)
  cache.clear()
  assert.is(cache.bytes, 0)
  assert.equal((await get(cache, bytes))[0], bytes)
  assert.is(requests(), 2)
})

test('no more is kept than is allowed, the longest unused goes first, and what is too large is given and not kept', async () => {
  const { world, cache: make, get, requests } = await started()
  const [first, second, third] = [blobOf(300), blobOf(300, 2), blobOf(300, 3)]
  const large = blobOf(500, 4)
  for (const bytes of [first, second, third, large]) await world.upload(bytes)
  const cache = make({ maxBytes: 700, maxMediaBytes: 400 })
  for (const bytes of [first, second, first, third]) assert.equal((await get(cache, bytes))[0], bytes)
  assert.is(cache.bytes, 600)
  const before = requests()
  for (const bytes of [first, third]) await get(cache, bytes)
  assert.is(requests(), before, 'those are kept')
  await get(cache, second)
  assert.is(requests(), before + 1, 'this one had to go')
  await get(cache, large)
  await get(cache, large)
  assert.is(requests(), before + 3)
  assert.ok(cache.bytes <= 700)
})

test('what was damaged on its way is refused, not kept, and received anew', async () => {
  const { world, cache: make, get, damage } = await started()
  const bytes = blobOf(2_000)
  await world.upload(bytes)
  const cache = make()
  damage(true)
  const refused = await get(cache, bytes).then(
    () => 'given',
    error => error.name,
  )
  assert.is(refused, 'MediaDamaged')
  assert.is(cache.bytes, 0)
  damage(false)
  assert.equal((await get(cache, bytes))[0], bytes)
})

test.run()
