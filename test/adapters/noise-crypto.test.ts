/*
 * Proves: what is encrypted with wrapped keys is what the library by itself would make, to the byte, for messages of any length in any
 * pieces, and is read by it; what was changed, or was made with another key, is not read. Fails if a key is taken for another one.
 */
import { defaultCrypto } from '@chainsafe/libp2p-noise/crypto'
import fc from 'fast-check'
import { Uint8ArrayList } from 'uint8arraylist'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { noiseCrypto } from '../../src/adapters/noise-crypto.ts'

const wrapping = noiseCrypto()
const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
const nonce = fc.uint8Array({ minLength: 12, maxLength: 12 })
const piece = fc.oneof(
  fc.uint8Array({ maxLength: 500 }),
  fc.constantFrom(399, 400, 1_199, 1_200, 20_000).map(bytes => new Uint8Array(bytes).fill(7)),
)
const pieces = fc.array(piece, { maxLength: 4 })
const flat = (bytes: { subarray(): Uint8Array }) => Uint8Array.from(bytes.subarray())

test('messages are encrypted as the library encrypts them, and read alike', () => {
  fc.assert(
    fc.property(key, nonce, fc.uint8Array({ maxLength: 32 }), pieces, (key, nonce, ad, pieces) => {
      const text = new Uint8ArrayList(...pieces)
      const encrypted = flat(wrapping.chaCha20Poly1305Encrypt(text, nonce, ad, key))
      assert.equal(encrypted, flat(defaultCrypto.chaCha20Poly1305Encrypt(text.subarray(), nonce, ad, key)))
      assert.equal(flat(wrapping.chaCha20Poly1305Decrypt(encrypted, nonce, ad, key)), flat(text))
      assert.equal(flat(wrapping.chaCha20Poly1305Decrypt(new Uint8ArrayList(encrypted), nonce, ad, key)), flat(text))
    }),
    { numRuns: 300 },
  )
})

test('what was changed, or made with another key, is not read', () => {
  fc.assert(
    fc.property(key, key, nonce, piece, fc.nat(), (key, other, nonce, text, at) => {
      const none = new Uint8Array()
      const encrypted = flat(wrapping.chaCha20Poly1305Encrypt(text, nonce, none, key))
      const changed = encrypted.slice()
      const place = at % changed.length
      changed[place] = (changed[place] ?? 0) ^ 1
      assert.throws(() => wrapping.chaCha20Poly1305Decrypt(changed, nonce, none, key))
      if (Buffer.compare(key, other) !== 0)
        assert.throws(() => wrapping.chaCha20Poly1305Decrypt(encrypted.slice(), nonce, none, other))
      assert.equal(flat(wrapping.chaCha20Poly1305Decrypt(encrypted, nonce, none, key)), text)
    }),
    { numRuns: 300 },
  )
})

test.run()
