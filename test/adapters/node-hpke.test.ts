/*
 * Proves: what the server's own HPKE makes, opens and refuses, and what it exports then, is what RFC 9180 and the library
 * say, in every mode. Fails if a step is derived in another order, under another label or with another input, or if a key
 * that agrees with everybody is taken.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hpke } from '../../src/adapters/hpke.ts'
import { nodeHpke } from '../../src/adapters/node-hpke.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'
import { hex, rejection, toHex } from './bytes.ts'

const library = hpke()
const own = nodeHpke()

const shared = { info: hex('4f6465206f6e2061204772656369616e2055726e'), aad: hex('436f756e742d30') }
const plaintext = '4265617574792069732074727574682c20747275746820626561757479'
/** RFC 9180, A.1.1 to A.1.3: the first message, and what is exported for "TestContext". */
const vectors = {
  'A.1.1, Base': {
    recipientPrivateKey: hex('4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8'),
    enc: hex('37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431'),
    ciphertext: hex('f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a'),
    exported: 'e9e43065102c3836401bed8c3c3c75ae46be1639869391d62c61f1ec7af54931',
  },
  'A.1.2, PSK': {
    recipientPrivateKey: hex('c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd'),
    enc: hex('0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b'),
    psk: {
      id: hex('456e6e796e20447572696e206172616e204d6f726961'),
      key: hex('0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82'),
    },
    ciphertext: hex('e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34db8ea'),
    exported: '8aff52b45a1be3a734bc7a41e20b4e055ad4c4d22104b0c20285a7c4302401cd',
  },
  'A.1.3, Auth': {
    recipientPrivateKey: hex('fdea67cf831f1ca98d8e27b1f6abeb5b7745e9d35348b80fa407ff6958f9137e'),
    senderPublicKey: hex('8b0c70873dc5aecb7f9ee4e62406a397b350e57012be45cf53b7105ae731790b'),
    enc: hex('23fb952571a14a25e3d678140cd0e5eb47a0961bb18afcf85896e5453c312e76'),
    ciphertext: hex('5fd92cc9d46dbf8943e72a07e42f363ed5f721212cd90bcfd072bfd9f44e06b80fd17824947496e21b680c141b'),
    exported: '5a0131813abc9a522cad678eb6bafaabc43389934adb8097d23c5ff68059eb64',
  },
}

for (const [name, { exported, ...vector }] of Object.entries(vectors)) {
  test(`opens RFC 9180 ${name}`, async () => {
    const opened = await own.open({ ...vector, ...shared })
    assert.is(toHex(opened.plaintext), plaintext)
    assert.is(toHex(await opened.export(hex('54657374436f6e74657874'), 32)), exported)
  })
}

test('makes of the same key material what the library makes, and each opens what the other sealed', async () => {
  const bytes = (maxLength: number) => fc.uint8Array({ maxLength })
  const material = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const psk = fc.record({
    id: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    key: fc.uint8Array({ minLength: 32, maxLength: 100 }),
  })
  const letter = fc.record({ info: bytes(400), aad: bytes(90), plaintext: bytes(500) })
  const keys = fc.record({ recipient: material, ephemeral: material, sender: fc.option(material) })
  const exporting = fc.record({ to: bytes(50), length: fc.integer({ min: 1, max: 200 }) })
  await fc.assert(
    fc.asyncProperty(letter, fc.option(psk), keys, exporting, async (rest, psk, made, { to, length }) => {
      const pairOf = async (of: Uint8Array) => {
        const pair = await hpke(() => of).generateKeyPair()
        assert.equal(await nodeHpke(() => of).generateKeyPair(), pair)
        return pair
      }
      const recipient = await pairOf(made.recipient)
      const senderKey = made.sender && (await pairOf(made.sender))
      const mode = { ...(psk && { psk }) }
      const sealing = { ...rest, ...mode, recipientPublicKey: recipient.publicKey, ...(senderKey && { senderKey }) }
      const sealed = await hpke(() => made.ephemeral).seal(sealing)
      const same = await nodeHpke(() => made.ephemeral).seal(sealing)
      assert.equal([same.enc, same.ciphertext], [sealed.enc, sealed.ciphertext])
      const exported = await sealed.export(to, length)
      assert.equal(await same.export(to, length), exported)
      const { enc, ciphertext } = sealed
      const { info, aad } = rest
      const sender = senderKey && { senderPublicKey: senderKey.publicKey }
      const opening = { info, aad, ...mode, ...sender, enc, ciphertext, recipientPrivateKey: recipient.privateKey }
      for (const suite of [library, own]) {
        const opened = await suite.open(opening)
        assert.equal(opened.plaintext, rest.plaintext)
        assert.equal(await opened.export(to, length), exported)
      }
    }),
    { numRuns: 60, verbose: 1 },
  )
})

test('seals for no key that agrees with everybody, or is none', async () => {
  for (const recipientPublicKey of [new Uint8Array(32), new Uint8Array(32).with(0, 1), new Uint8Array(31)]) {
    const sealing = { recipientPublicKey, ...shared, plaintext: hex('00') }
    assert.instance(await rejection(own.seal(sealing)), Error)
  }
})

test('nothing opens unless all that was bound in fits', async () => {
  const good = { ...vectors['A.1.2, PSK'], ...shared }
  const other = await own.generateKeyPair()
  const flipped = (raw: Uint8Array, at: number) => raw.with(at, (raw[at] ?? 0) ^ 1)
  const { psk, ...withoutPsk } = good
  const bad = [
    { ...good, recipientPrivateKey: other.privateKey },
    { ...good, info: flipped(good.info, 0) },
    { ...good, aad: flipped(good.aad, 0) },
    { ...good, enc: flipped(good.enc, 3) },
    { ...good, enc: new Uint8Array(32) }, // a point of small order: the shared secret would be known to all
    { ...good, enc: new Uint8Array(32).with(0, 1) },
    { ...good, enc: good.enc.slice(1) },
    { ...good, ciphertext: new Uint8Array(0) },
    { ...good, ciphertext: good.ciphertext.slice(1) },
    ...[0, good.ciphertext.length - 1].map(at => ({ ...good, ciphertext: flipped(good.ciphertext, at) })),
    { ...good, psk: { ...psk, key: flipped(psk.key, 0) } },
    { ...good, psk: { ...psk, id: flipped(psk.id, 0) } },
    { ...good, senderPublicKey: other.publicKey },
    withoutPsk,
  ]
  for (const [index, attempt] of bad.entries()) {
    assert.instance(await rejection(own.open(attempt)), DecryptionFailed, `attempt ${index}`)
  }
  assert.match((await rejection(own.open({ ...good, psk: { ...psk, key: new Uint8Array(31) } })))?.message ?? '', /31/)
})

test.run()
