import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hpke as webHpke } from '../../src/adapters/hpke.ts'
import { nodeHpke } from '../../src/adapters/node-hpke.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'

/*
 * HPKE as RFC 9180 prints it, appendices A.1.1 (mode Base), A.1.2 (PSK) and A.1.3 (Auth), X25519, HKDF-SHA256, AES-128-GCM: with the RFC's key
 * material both of ours, the one of clients and the one of servers, make the RFC's keys, ciphertext and exported secrets, byte for byte. Another
 * suite, another order of derivation, or key material that is not used, fails here.
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

/** Appendix A.1.2, mode PSK. */
const shared = {
  ikmE: bytes('78628c354e46f3e169bd231be7b2ff1c77aa302460a26dbfa15515684c00130b'),
  ikmR: bytes('d4a09d09f575fef425905d2ab396c1449141463f698f8efdb7accfaff8995098'),
  psk: {
    id: bytes('456e6e796e20447572696e206172616e204d6f726961'),
    key: bytes('0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82'),
  },
  recipientPrivateKey: 'c5eb01eb457fe6c6f57577c5413b931550a162c71a03ac8d196babbd4e5ce0fd',
  enc: '0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b',
  ciphertext: 'e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34db8ea',
  exported: 'dff17af354c8b41673567db6259fd6029967b4e1aad13023c2ae5df8f4f43bf6',
}

/** Appendix A.1.3, mode Auth. */
const auth = {
  ikmE: bytes('6e6d8f200ea2fb20c30b003a8b4f433d2f4ed4c2658d5bc8ce2fef718059c9f7'),
  ikmR: bytes('f1d4a30a4cef8d6d4e3b016e6fd3799ea057db4f345472ed302a67ce1c20cdec'),
  ikmS: bytes('94b020ce91d73fca4649006c7e7329a67b40c55e9e93cc907d282bbbff386f58'),
  recipientPrivateKey: 'fdea67cf831f1ca98d8e27b1f6abeb5b7745e9d35348b80fa407ff6958f9137e',
  senderPublicKey: '8b0c70873dc5aecb7f9ee4e62406a397b350e57012be45cf53b7105ae731790b',
  senderPrivateKey: 'dc4a146313cce60a278a5323d321f051c5707e9c45ba21a3479fecdf76fc69dd',
  enc: '23fb952571a14a25e3d678140cd0e5eb47a0961bb18afcf85896e5453c312e76',
  ciphertext: '5fd92cc9d46dbf8943e72a07e42f363ed5f721212cd90bcfd072bfd9f44e06b80fd17824947496e21b680c141b',
  exports: {
    '': '28c70088017d70c896a8420f04702c5a321d9cbf0279fba899b59e51bac72c85',
    '00': '25dfc004b0892be1888c3914977aa9c9bbaf2c7471708a49e1195af48a6f29ce',
    '54657374436f6e74657874': '5a0131813abc9a522cad678eb6bafaabc43389934adb8097d23c5ff68059eb64',
  },
}

for (const [of, hpke] of Object.entries({ clients: webHpke, servers: nodeHpke })) {
  test(`${of}: keys, ciphertext and exported secret of RFC 9180, A.1.1`, async () => {
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

  test(`${of}: keys, ciphertext and exported secret of RFC 9180, A.1.2: under a pre-shared key`, async () => {
    const recipient = await hpke(() => shared.ikmR).generateKeyPair()
    assert.is(hex(recipient.privateKey), shared.recipientPrivateKey)
    const { info, aad, plaintext } = vector
    const sealing = { recipientPublicKey: recipient.publicKey, info, aad, plaintext, psk: shared.psk }
    const sealed = await hpke(() => shared.ikmE).seal(sealing)
    assert.is(hex(sealed.enc), shared.enc)
    assert.is(hex(sealed.ciphertext), shared.ciphertext)
    assert.is(hex(await sealed.export(new Uint8Array(0), 32)), shared.exported)
  })

  test(`${of}: keys, ciphertext and exported secrets of RFC 9180, A.1.3: the sender is authenticated by its own key`, async () => {
    const recipient = await hpke(() => auth.ikmR).generateKeyPair()
    const senderKey = await hpke(() => auth.ikmS).generateKeyPair()
    assert.is(hex(recipient.privateKey), auth.recipientPrivateKey)
    assert.is(hex(senderKey.publicKey), auth.senderPublicKey)
    assert.is(hex(senderKey.privateKey), auth.senderPrivateKey)
    const { info, aad, plaintext } = vector
    const sealing = { recipientPublicKey: recipient.publicKey, info, aad, plaintext, senderKey }
    const sealed = await hpke(() => auth.ikmE).seal(sealing)
    assert.is(hex(sealed.enc), auth.enc)
    assert.is(hex(sealed.ciphertext), auth.ciphertext)

    const { enc, ciphertext } = sealed
    const opening = { recipientPrivateKey: recipient.privateKey, enc, info, aad, ciphertext }
    const opened = await hpke().open({ ...opening, senderPublicKey: senderKey.publicKey })
    assert.equal(opened.plaintext, plaintext)
    for (const [context, secret] of Object.entries(auth.exports)) {
      assert.is(hex(await sealed.export(bytes(context), 32)), secret)
      assert.is(hex(await opened.export(bytes(context), 32)), secret)
    }
    for (const wrong of [{ senderPublicKey: recipient.publicKey }, {}]) {
      const outcome = await hpke()
        .open({ ...opening, ...wrong })
        .catch((error: unknown) => error)
      assert.instance(outcome, DecryptionFailed)
    }
  })

  test(`${of}: a message may be made of the encapsulated key that it is sealed under`, async () => {
    const { publicKey: recipientPublicKey, privateKey: recipientPrivateKey } = await hpke().generateKeyPair()
    const { info, aad } = vector
    const plaintext = async (enc: Uint8Array) => enc
    const { enc, ciphertext } = await hpke().seal({ recipientPublicKey, info, aad, plaintext })
    const opened = await hpke().open({ recipientPrivateKey, enc, info, aad, ciphertext })
    assert.equal(opened.plaintext, enc)
  })

  test(`${of}: without key material every key is new`, async () => {
    const keys = await Promise.all([1, 2, 3].map(() => hpke().generateKeyPair()))
    assert.is(new Set(keys.map(({ privateKey }) => hex(privateKey))).size, 3)
  })
}

test.run()
