import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hpke } from '../../src/adapters/hpke.ts'

/*
 * HPKE as RFC 9180 prints it, appendix A.1.1 (mode Base, X25519, HKDF-SHA256, AES-128-GCM): with the RFC's key material it
 * makes the RFC's keys, ciphertext and exported secret, byte for byte. Another suite, another order of derivation, or key
 * material that is not used, fails here.
 */

const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (raw: Uint8Array) => Buffer.from(raw).toString('hex')

const vector = {
  ikmE: bytes('7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234'),
  ikmR: bytes('6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037'),
  recipientPublicKey: '3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d',
  recipientPrivateKey: '4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8',
  enc: '37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431',
  info: bytes('4f6465206f6e2061204772656369616e2055726e'),
  aad: bytes('436f756e742d30'),
  plaintext: bytes('4265617574792069732074727574682c20747275746820626561757479'),
  ciphertext: 'f938558b5d72f1a23810b4be2ab4f84331acc02fc97babc53a52ae8218a355a96d8770ac83d07bea87e13c512a',
  exported: '3853fe2b4035195a573ffc53856e77058e15d9ea064de3e59f4961d0095250ee',
}

test('keys, ciphertext and exported secret of RFC 9180, A.1.1', async () => {
  const recipient = await hpke(() => vector.ikmR).generateKeyPair()
  assert.is(hex(recipient.publicKey), vector.recipientPublicKey)
  assert.is(hex(recipient.privateKey), vector.recipientPrivateKey)
  const { info, aad, plaintext } = vector
  const sealed = await hpke(() => vector.ikmE).seal({ recipientPublicKey: recipient.publicKey, info, aad, plaintext })
  assert.is(hex(sealed.enc), vector.enc)
  assert.is(hex(sealed.ciphertext), vector.ciphertext)
  assert.is(hex(await sealed.export(new Uint8Array(0), 32)), vector.exported)
  const { enc, ciphertext } = sealed
  const opened = await hpke().open({ recipientPrivateKey: recipient.privateKey, enc, info, aad, ciphertext })
  assert.equal(opened.plaintext, plaintext)
  assert.is(hex(await opened.export(new Uint8Array(0), 32)), vector.exported)
})

test('without key material every key is new', async () => {
  const keys = await Promise.all([1, 2, 3].map(() => hpke().generateKeyPair()))
  assert.is(new Set(keys.map(({ privateKey }) => hex(privateKey))).size, 3)
})

test.run()
