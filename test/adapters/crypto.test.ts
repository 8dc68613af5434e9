/*
 * Property: the server's and the client's cryptography compute what the standards print, agree with each other on every
 * input, answer plain fresh arrays, and treat malformed input as a refusal instead of a crash. It would fail on any
 * deviation of one of the two, or if a forged or damaged input passed.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'
import { flipped, hex, rejection, toHex, utf8 } from './bytes.ts'

const node = nodeCrypto()
const web = webCrypto()

const someBytes = (maxLength: number) => fc.uint8Array({ maxLength })
const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })

test('SHA-256: FIPS 180-4 examples, in one part or in several', async () => {
  const vectors = [
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
  ] as const
  for (const [text, digest] of vectors) {
    const bytes = utf8(text)
    assert.is(toHex(node.sha256(bytes)), digest)
    assert.is(toHex(node.sha256(bytes.subarray(0, 2), bytes.subarray(2))), digest)
    assert.is(toHex(await web.sha256(bytes)), digest)
  }
  assert.is(toHex(node.sha256()), vectors[0][1])
})

test('HMAC-SHA-256: RFC 4231', async () => {
  const vectors = [
    ['0b'.repeat(20), toHex(utf8('Hi There')), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7'],
    [
      toHex(utf8('Jefe')),
      toHex(utf8('what do ya want for nothing?')),
      '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
    ],
    ['aa'.repeat(20), 'dd'.repeat(50), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
    [
      '0102030405060708090a0b0c0d0e0f10111213141516171819',
      'cd'.repeat(50),
      '82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b',
    ],
    [
      'aa'.repeat(131),
      toHex(utf8('Test Using Larger Than Block-Size Key - Hash Key First')),
      '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
    ],
  ] as const
  for (const [key, data, mac] of vectors) {
    assert.is(toHex(node.hmacSha256(hex(key), hex(data))), mac)
    assert.is(toHex(node.hmacSha256(hex(key), hex(data).subarray(0, 3), hex(data).subarray(3))), mac)
    assert.is(toHex(await web.hmacSha256(hex(key), hex(data))), mac)
  }
})

test('HKDF-SHA-256: RFC 5869', async () => {
  const range = (from: number, to: number) =>
    toHex(Uint8Array.from({ length: to - from + 1 }, (_, index) => from + index))
  const vectors = [
    {
      secret: '0b'.repeat(22),
      salt: range(0x00, 0x0c),
      info: range(0xf0, 0xf9),
      output: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
    },
    {
      secret: range(0x00, 0x4f),
      salt: range(0x60, 0xaf),
      info: range(0xb0, 0xff),
      output:
        'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
    },
    {
      secret: '0b'.repeat(22),
      salt: '',
      info: '',
      output: '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
    },
  ]
  for (const { secret, salt, info, output } of vectors) {
    const input = [hex(secret), hex(salt), hex(info), output.length / 2] as const
    assert.is(toHex(node.hkdfSha256(...input)), output)
    assert.is(toHex(await web.hkdfSha256(...input)), output)
  }
})

test('HKDF gives no more than it can', async () => {
  const none = new Uint8Array(0)
  for (const length of [-1, 255 * 32 + 1, Number.NaN]) {
    assert.throws(() => node.hkdfSha256(none, none, none, length), /gives 0 to 8160 bytes/)
    assert.match((await rejection(web.hkdfSha256(none, none, none, length)))?.message ?? '', /gives 0 to 8160 bytes/)
  }
  assert.is(node.hkdfSha256(none, none, none, 255 * 32).length, 8160)
})

test('Ed25519: RFC 8032 §7.1', async () => {
  const vectors = [
    {
      privateKey: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      privateKey: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
    {
      privateKey: 'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      publicKey: 'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      message: 'af82',
      signature:
        '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    },
  ]
  for (const { privateKey, publicKey, message, signature } of vectors) {
    assert.is(toHex(node.ed25519.publicKey(hex(privateKey))), publicKey)
    assert.is(toHex(node.ed25519.sign(hex(privateKey), hex(message))), signature)
    assert.is(toHex(await web.ed25519Sign(hex(privateKey), hex(message))), signature)
    assert.ok(node.ed25519.verify(hex(publicKey), hex(message), hex(signature)))
    assert.ok(await web.ed25519Verify(hex(publicKey), hex(message), hex(signature)))
  }
})

test('AES-GCM: test cases 2 and 14 of the GCM specification', async () => {
  const zeros = new Uint8Array(16)
  const vectors = [
    [new Uint8Array(16), '0388dace60b6a392f328c2b971b2fe78ab6e47d42cec13bdf53a67b21257bddf'],
    [new Uint8Array(32), 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919'],
  ] as const
  for (const [key, sealed] of vectors) {
    const nonce = new Uint8Array(12)
    const none = new Uint8Array(0)
    assert.is(toHex(node.aesGcm.seal(key, nonce, zeros, none)), sealed)
    assert.equal(node.aesGcm.open(key, nonce, hex(sealed), none), zeros)
    assert.is(toHex(await web.aesGcmSeal(key, nonce, zeros, none)), sealed)
    assert.equal(await web.aesGcmOpen(key, nonce, hex(sealed), none), zeros)
  }
})

test('both agree on hashes and keys of any input', async () => {
  const inputs = fc.record({
    data: someBytes(300),
    key: someBytes(200),
    info: someBytes(2_000),
    length: fc.nat({ max: 200 }),
  })
  await fc.assert(
    fc.asyncProperty(inputs, async ({ data, key, info, length }) => {
      assert.equal(await web.sha256(data), node.sha256(data))
      assert.equal(await web.hmacSha256(key, data), node.hmacSha256(key, data))
      assert.equal(await web.hkdfSha256(data, key, info, length), node.hkdfSha256(data, key, info, length))
    }),
  )
})

test('both make the same signatures and agree on what verifies, whatever is put before them', async () => {
  const changes = fc.record({
    message: someBytes(100),
    flip: fc.option(
      fc.record({
        part: fc.constantFrom<('key' | 'message' | 'signature')[]>('key', 'message', 'signature'),
        at: fc.nat(),
        bit: fc.nat({ max: 7 }),
      }),
    ),
  })
  await fc.assert(
    fc.asyncProperty(exactly(32), changes, async (privateKey, { message, flip }) => {
      const key = node.ed25519.publicKey(privateKey)
      const signature = node.ed25519.sign(privateKey, message)
      assert.equal(await web.ed25519Sign(privateKey, message), signature)
      const parts: Record<'key' | 'message' | 'signature', Uint8Array> = { key, message, signature }
      const changed = flip && parts[flip.part]
      if (changed) parts[flip.part] = flipped(changed, flip.at, flip.bit)
      const verdict = node.ed25519.verify(parts.key, parts.message, parts.signature)
      assert.is(await web.ed25519Verify(parts.key, parts.message, parts.signature), verdict)
      assert.is(verdict, !changed || changed.length === 0)
    }),
  )
})

test('keys and signatures of any shape are refused without a throw', async () => {
  await fc.assert(
    fc.asyncProperty(someBytes(70), someBytes(10), someBytes(70), async (key, message, signature) => {
      assert.not(node.ed25519.verify(key, message, signature))
      assert.not(await web.ed25519Verify(key, message, signature))
    }),
  )
  await fc.assert(
    fc.asyncProperty(exactly(32), exactly(64), async (key, signature) => {
      assert.not(node.ed25519.verify(key, new Uint8Array(1), signature))
      assert.not(await web.ed25519Verify(key, new Uint8Array(1), signature))
    }),
  )
  const short = new Uint8Array(31)
  assert.throws(() => node.ed25519.sign(short, short), /seed of 32 bytes, not 31/)
  assert.match((await rejection(web.ed25519Sign(short, short)))?.message ?? '', /seed of 32 bytes, not 31/)
})

test('a key pair that was generated works, and each is another', () => {
  const pairs = Array.from({ length: 10 }, () => node.ed25519.generate())
  for (const { publicKey, privateKey } of pairs) {
    assert.equal(node.ed25519.publicKey(privateKey), publicKey)
  }
  assert.is(new Set(pairs.map(({ publicKey }) => toHex(publicKey))).size, 10)
})

test('more public keys than are kept verify all the same', () => {
  const message = utf8('hello')
  const privateKey = new Uint8Array(32).fill(1)
  const publicKey = node.ed25519.publicKey(privateKey)
  const signature = node.ed25519.sign(privateKey, message)
  const others = Array.from({ length: 5_000 }, (_, n) => node.sha256(utf8(`${n}`)))
  for (const other of others) assert.not(node.ed25519.verify(other, message, signature))
  assert.ok(node.ed25519.verify(publicKey, message, signature))
})

test('AES-GCM opens what it sealed, and nothing that was changed', async () => {
  const sealedBox = fc.record({
    key: fc.oneof(exactly(16), exactly(32)),
    nonce: exactly(12),
    plaintext: someBytes(100),
    aad: someBytes(20),
  })
  const damage = fc.record({
    part: fc.constantFrom<('key' | 'nonce' | 'ciphertext' | 'aad')[]>('key', 'nonce', 'ciphertext', 'aad'),
    at: fc.nat(),
    bit: fc.nat({ max: 7 }),
    cut: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(sealedBox, damage, async ({ key, nonce, plaintext, aad }, { part, at, bit, cut }) => {
      const ciphertext = node.aesGcm.seal(key, nonce, plaintext, aad)
      assert.is(ciphertext.length, plaintext.length + 16)
      assert.equal(node.aesGcm.open(key, nonce, ciphertext, aad), plaintext)
      assert.equal(await web.aesGcmSeal(key, nonce, plaintext, aad), ciphertext)
      assert.equal(await web.aesGcmOpen(key, nonce, ciphertext, aad), plaintext)

      const parts: Record<typeof part, Uint8Array> = { key, nonce, ciphertext, aad }
      if (parts[part].length === 0) return
      parts[part] = cut && part !== 'key' ? parts[part].slice(1) : flipped(parts[part], at, bit)
      const input = [parts.key, parts.nonce, parts.ciphertext, parts.aad] as const
      assert.throws(
        () => node.aesGcm.open(...input),
        (error: Error) => error instanceof DecryptionFailed,
      )
      assert.instance(await rejection(web.aesGcmOpen(...input)), DecryptionFailed)
    }),
  )
})

test('a ciphertext shorter than its tag does not open; a key or nonce of the wrong length is a mistake', async () => {
  const key = new Uint8Array(16)
  const nonce = new Uint8Array(12)
  const none = new Uint8Array(0)
  for (const length of [0, 15]) {
    const ciphertext = new Uint8Array(length)
    assert.throws(
      () => node.aesGcm.open(key, nonce, ciphertext, none),
      (error: Error) => error instanceof DecryptionFailed,
    )
    assert.instance(await rejection(web.aesGcmOpen(key, nonce, ciphertext, none)), DecryptionFailed)
  }
  for (const wrong of [0, 15, 24]) {
    const wrongKey = new Uint8Array(wrong)
    assert.throws(() => node.aesGcm.seal(wrongKey, nonce, none, none), /16 or 32 bytes/)
    assert.throws(() => node.aesGcm.open(wrongKey, nonce, new Uint8Array(16), none), /16 or 32 bytes/)
    assert.match((await rejection(web.aesGcmSeal(wrongKey, nonce, none, none)))?.message ?? '', /16 or 32 bytes/)
    assert.match(
      (await rejection(web.aesGcmOpen(wrongKey, nonce, new Uint8Array(16), none)))?.message ?? '',
      /16 or 32 bytes/,
    )
  }
  assert.throws(() => node.aesGcm.seal(key, new Uint8Array(16), none, none), /nonce has 12 bytes here, not 16/)
  const refused = await rejection(web.aesGcmSeal(key, new Uint8Array(16), none, none))
  assert.match(refused?.message ?? '', /nonce has 12 bytes here, not 16/)
})

test('equal compares content and length', () => {
  fc.assert(
    fc.property(someBytes(40), someBytes(40), (a, b) => {
      assert.ok(node.equal(a, a.slice()))
      assert.is(node.equal(a, b), toHex(a) === toHex(b))
    }),
  )
})

test('results are plain arrays of their own, and inputs stay as they were', async () => {
  const key = new Uint8Array(32).fill(7)
  const nonce = new Uint8Array(12).fill(8)
  const data = new Uint8Array(100).fill(9)
  const sealed = node.aesGcm.seal(key, nonce, data, data)
  const results = [
    node.sha256(data),
    node.sha256(data, data),
    node.hmacSha256(key, data),
    node.hkdfSha256(key, data, data, 33),
    node.ed25519.publicKey(key),
    node.ed25519.sign(key, data),
    node.ed25519.generate().privateKey,
    sealed,
    node.aesGcm.open(key, nonce, sealed, data),
    await web.sha256(data),
    await web.hmacSha256(key, data),
    await web.hkdfSha256(key, data, data, 33),
    await web.ed25519Sign(key, data),
    await web.aesGcmOpen(key, nonce, sealed, data),
    web.randomBytes(16),
  ]
  for (const result of results) {
    assert.is(Object.getPrototypeOf(result), Uint8Array.prototype)
    assert.is(result.buffer.byteLength, result.byteLength, 'no memory is shared')
  }
  assert.ok(key.every(byte => byte === 7) && nonce.every(byte => byte === 8) && data.every(byte => byte === 9))
})

test('random bytes come in any length', () => {
  assert.is(web.randomBytes(0).length, 0)
  const many = web.randomBytes(200_000)
  assert.is(many.length, 200_000)
  for (const start of [0, 65_536, 131_072, 199_000]) {
    assert.ok(
      many.subarray(start, start + 100).some(byte => byte !== 0),
      `bytes from ${start} on`,
    )
  }
})

test.run()
