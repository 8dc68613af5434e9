/*
 * Proves: what is sealed for a service group opens with that key, for that group and generation, and with nothing else; in
 * a browser's cryptography as in Node's.
 * Fails if content passes for another group's or generation's, if a changed byte goes unnoticed, or if sealing the same
 * twice shows.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  DecryptionFailed,
  type GroupKey,
  openForGroup,
  operatorId,
  type SealedGroupContent,
  sealForGroup,
} from '../../src/client/index.ts'

const test = suite('content of service groups')
const music = { home: operatorId('a.example'), pnId: 'flat', groupId: 'sg-1' }
const keyOf = (byte: number, generation = 'A'.repeat(22)): GroupKey => ({
  generation,
  key: Buffer.alloc(32, byte).toString('base64url'),
})
const isRefused = async (open: Promise<unknown>) => {
  const error = await open.then(
    () => undefined,
    caught => caught,
  )
  assert.instance(error, DecryptionFailed)
}

test('what was sealed opens, whatever it is', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.nat(255), async (plaintext, byte) => {
      const sealed = await sealForGroup(music, keyOf(byte), plaintext)
      const carried: SealedGroupContent = JSON.parse(JSON.stringify(sealed))
      assert.equal(await openForGroup(music, keyOf(byte), carried), plaintext)
    }),
    { numRuns: 50 },
  )
})

test('and with nothing else', async () => {
  const plaintext = new TextEncoder().encode('to the members')
  const sealed = await sealForGroup(music, keyOf(1), plaintext)
  const again = await sealForGroup(music, keyOf(1), plaintext)
  assert.is.not(again.sealed, sealed.sealed, 'nobody sees that it was said twice')

  await isRefused(openForGroup(music, keyOf(2), sealed))
  await isRefused(openForGroup(music, keyOf(1, 'B'.repeat(22)), sealed))
  await isRefused(openForGroup(music, keyOf(1, 'B'.repeat(22)), { ...sealed, generation: 'B'.repeat(22) }))
  for (const changes of [{ groupId: 'sg-2' }, { pnId: 'other' }, { home: operatorId('b.example') }]) {
    await isRefused(openForGroup({ ...music, ...changes }, keyOf(1), sealed))
  }
  await isRefused(openForGroup(music, keyOf(1), { ...sealed, nonce: again.nonce }))
  const bytes = Buffer.from(sealed.sealed, 'base64url')
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] ?? 0) ^ 1
    await isRefused(openForGroup(music, keyOf(1), { ...sealed, sealed: changed.toString('base64url') }))
  }
  for (const nonsense of ['', '!', 'AA']) {
    await isRefused(openForGroup(music, keyOf(1), { ...sealed, nonce: nonsense }))
    await isRefused(openForGroup(music, keyOf(1), { ...sealed, sealed: nonsense }))
    await isRefused(openForGroup(music, { ...keyOf(1), key: nonsense }, sealed))
  }
})

test('a key that is none seals nothing', async () => {
  for (const key of ['', 'AA', '!']) {
    const error = await sealForGroup(music, { ...keyOf(1), key }, new Uint8Array(1)).catch(caught => caught)
    assert.instance(error, RangeError)
  }
})

test.run()
