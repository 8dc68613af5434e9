/*
 * Property: HPKE opens what RFC 9180 prints, opens what it sealed, derives the same secrets at both ends, and opens
 * nothing that was made for another key, secret, context or that was changed on the way. It would fail if the suite or
 * the mode were another one than the design names, or if one of the bound inputs were not bound.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hpke } from '../../src/adapters/hpke.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'
import { hex, rejection, toHex, utf8 } from './bytes.ts'

const suite = hpke()

/** RFC 9180, A.1.1 (Base) and A.1.2 (PSK): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-128-GCM; first message. */
const shared = {
  info: hex('4f6465206f6e2061204772656369616e2055726e'),
  aad: hex('436f756e742d30'),
  plaintext: '4265617574792069732074727574682c20747275746820626561757479',
}
const vectors = {
  'A.1.1, Base': {
    recipientPrivateKey: hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
    enc: hex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
    ciphertext: hex('f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'),
    exports: {
      '': '3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee',
      '00': '2e8f0b54673c7029649d4eb9d5e33bf1872cf76d623ff164ac185da9e88c21a5',
      '54657374436f6e74657874': 'e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931',
    },
  },
  'A.1.2, PSK': {
    recipientPrivateKey: hex('c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd'),
    enc: hex('0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b'),
    psk: {
      id: hex('456e6e796e20447572696e206172616e204d6f726961'),
      key: hex('0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82'),
    },
    ciphertext: hex('e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34db8ea'),
    exports: {
      '': 'dff17af354c8b41673567db6259fd6029967b4e1aad13023c2ae5df8f4f43bf6',
      '00': '6a847261d8207fe596befb52928463881ab493da345b10e1dcc645e3b94e2d95',
      '54657374436f6e74657874': '8aff52b45a1be3a734bc7a41e20b4e055ad4c4d22104b0c20285a7c4302401cd',
    },
  },
}

for (const [name, { exports, ...vector }] of Object.entries(vectors)) {
  test(`opens RFC 9180 ${name}`, async () => {
    const { info, aad } = shared
    const opened = await suite.open({ ...vector, info, aad })
    assert.is(toHex(opened.plaintext), shared.plaintext)
    for (const [context, secret] of Object.entries(exports)) {
      assert.is(toHex(await opened.export(hex(context), 32)), secret)
    }
  })
}

const psk = fc.record({
  id: fc.uint8Array({ minLength: 1, maxLength: 40 }),
  key: fc.uint8Array({ minLength: 32, maxLength: 64 }),
})
const letter = fc.record({
  info: fc.uint8Array({ maxLength: 200 }),
  aad: fc.uint8Array({ maxLength: 200 }),
  plaintext: fc.uint8Array({ maxLength: 500 }),
  psk: fc.option(psk, { nil: undefined }),
})

test('what was sealed opens, and both ends derive the same secrets', async () => {
  const recipient = await suite.generateKeyPair()
  await fc.assert(
    fc.asyncProperty(
      letter,
      fc.uint8Array({ maxLength: 50 }),
      fc.integer({ min: 1, max: 100 }),
      async ({ psk, ...rest }, context, length) => {
        const mode = psk ? { psk } : {}
        const sealed = await suite.seal({ ...rest, ...mode, recipientPublicKey: recipient.publicKey })
        const { enc, ciphertext } = sealed
        assert.is(enc.length, 32)
        assert.is(ciphertext.length, rest.plaintext.length + 16)
        const opened = await suite.open({
          ...rest,
          ...mode,
          enc,
          ciphertext,
          recipientPrivateKey: recipient.privateKey,
        })
        assert.equal(opened.plaintext, rest.plaintext)
        const secret = await opened.export(context, length)
        assert.is(secret.length, length)
        assert.equal(await sealed.export(context, length), secret)
      },
    ),
    { numRuns: 40 },
  )
})

test('nothing opens unless all that was bound in fits', async () => {
  const recipient = await suite.generateKeyPair()
  const other = await suite.generateKeyPair()
  const key = { id: utf8('subscriber'), key: new Uint8Array(32).fill(1) }
  const bound = { info: utf8('info'), aad: utf8('aad') }
  for (const psk of [undefined, key]) {
    const mode = psk ? { psk } : {}
    const sealed = await suite.seal({
      ...bound,
      ...mode,
      plaintext: utf8('secret'),
      recipientPublicKey: recipient.publicKey,
    })
    const good = { ...bound, ...mode, ...sealed, recipientPrivateKey: recipient.privateKey }
    assert.equal((await suite.open(good)).plaintext, utf8('secret'))

    const { psk: _, ...withoutPsk } = { psk: undefined, ...good }
    const bad = [
      { ...good, recipientPrivateKey: other.privateKey },
      { ...good, info: utf8('other') },
      { ...good, aad: utf8('other') },
      { ...good, enc: other.publicKey },
      { ...good, enc: new Uint8Array(32) }, // a point of small order: the shared secret would be known to all
      { ...good, enc: new Uint8Array(31) },
      { ...good, ciphertext: sealed.ciphertext.slice(1) },
      { ...good, ciphertext: new Uint8Array(0) },
      { ...good, ciphertext: sealed.ciphertext.with(0, (sealed.ciphertext[0] ?? 0) ^ 1) },
      { ...good, psk: { ...key, key: new Uint8Array(32).fill(2) } },
      { ...good, psk: { ...key, id: utf8('another') } },
      ...(psk ? [withoutPsk] : [{ ...good, psk: key }]),
    ]
    for (const [index, attempt] of bad.entries()) {
      assert.instance(await rejection(suite.open(attempt)), DecryptionFailed, `attempt ${index}`)
    }
  }
})

test('each seal is another one', async () => {
  const { publicKey } = await suite.generateKeyPair()
  const options = { recipientPublicKey: publicKey, info: utf8(''), aad: utf8(''), plaintext: utf8('the same') }
  const sealed = await Promise.all(Array.from({ length: 10 }, () => suite.seal(options)))
  assert.is(new Set(sealed.map(({ enc }) => toHex(enc))).size, 10)
  assert.is(new Set(sealed.map(({ ciphertext }) => toHex(ciphertext))).size, 10)
})

test('a pre-shared key that is too short to be safe, or has no name, is refused at both ends', async () => {
  const { publicKey, privateKey } = await suite.generateKeyPair()
  const none = new Uint8Array(0)
  const options = { info: none, aad: none }
  const weak = { id: utf8('me'), key: new Uint8Array(31) }
  const nameless = { id: none, key: new Uint8Array(32) }
  for (const [psk, reason] of [
    [weak, /at least 32 bytes, not 31/],
    [nameless, /needs an identity/],
  ] as const) {
    const sealing = suite.seal({ ...options, psk, recipientPublicKey: publicKey, plaintext: none })
    assert.match((await rejection(sealing))?.message ?? '', reason)
    const opening = suite.open({ ...options, psk, recipientPrivateKey: privateKey, enc: publicKey, ciphertext: none })
    assert.match((await rejection(opening))?.message ?? '', reason)
  }
})

test.run()
