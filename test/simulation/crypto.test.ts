import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Crypto } from '../../src/ports/crypto.ts'
import { World } from '../../src/simulation/world.ts'
import { production } from './production.ts'

/*
 * Simulated cryptography is real (the production code opens what it sealed, and the other way round) and repeatable, HPKE's
 * work on other threads included; and a verification that is remembered answers as the real one would, for every key,
 * message and signature that differ in a byte. A memory that joins its parts without marks fails the last.
 */

const text = (what: string) => new TextEncoder().encode(what)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** Runs `body` as simulated code. */
async function simulated<T>(world: World, body: () => Promise<T>): Promise<T> {
  let promise: Promise<T> | undefined
  world.at(world.nowMs, 'body', () => {
    promise = body()
  })
  const ending = await world.run()
  if (ending.kind === 'failed') throw ending.error
  if (!promise) throw new Error('The body was not run.')
  return promise
}

const sealOptions = (recipientPublicKey: Uint8Array) => ({
  recipientPublicKey,
  info: text('info'),
  aad: text('aad'),
  plaintext: text('hello'),
  psk: { id: text('usim'), key: new Uint8Array(32).fill(9) },
})

/** Keys and ciphertexts of one seed, several under way at once. */
const sealed = (seed: number): Promise<string[]> => {
  const world = new World({ seed, production })
  const { crypto, clientCrypto } = world.host('a').boot()
  return simulated(world, async () => {
    const order: string[] = []
    const one = async (hpke: Crypto['hpke'], name: string) => {
      const pair = await hpke.generateKeyPair()
      const { enc, ciphertext, export: derive } = await hpke.seal(sealOptions(pair.publicKey))
      const secret = await derive(text('context'), 32)
      order.push(
        [name, pair.publicKey, enc, ciphertext, secret]
          .map(part => (typeof part === 'string' ? part : hex(part)))
          .join(),
      )
    }
    await Promise.all([one(crypto.hpke, 'x'), one(clientCrypto.hpke, 'y'), one(crypto.hpke, 'z')])
    return order
  })
}

test('HPKE: the same seed gives the same keys, ciphertexts and order of completion; another gives others', async () => {
  const [one, same, other] = [await sealed(1), await sealed(1), await sealed(2)]
  assert.equal(one, same)
  assert.not.equal(one, other)
  assert.is(new Set([...one, ...other].flatMap(line => line.split(',').slice(1))).size, 24)
})

test('HPKE: production opens what the simulation seals, and the other way round', async () => {
  const world = new World({ seed: 3, production })
  const simulation = world.host('a').boot().crypto.hpke
  const announced = <T>(work: () => Promise<T>) => world.scheduler.outside(work)
  const real: Crypto['hpke'] = {
    generateKeyPair: () => announced(() => production.crypto.hpke.generateKeyPair()),
    seal: options => announced(() => production.crypto.hpke.seal(options)),
    open: options => announced(() => production.crypto.hpke.open(options)),
  }
  for (const [sender, recipient] of [
    [simulation, real],
    [real, simulation],
  ] as const) {
    await simulated(world, async () => {
      const pair = await recipient.generateKeyPair()
      const options = sealOptions(pair.publicKey)
      const { enc, ciphertext } = await sender.seal(options)
      const opened = await recipient.open({ ...options, recipientPrivateKey: pair.privateKey, enc, ciphertext })
      assert.equal(opened.plaintext, options.plaintext)
    })
  }
})

test('signatures: as production makes and judges them, also when asked again', () => {
  const world = new World({ seed: 4, production })
  const { crypto } = world.host('a').boot()
  const real = production.crypto.ed25519
  const { publicKey, privateKey } = crypto.ed25519.generate()
  assert.equal(publicKey, real.publicKey(privateKey))
  const messages = [text(''), text('short'), new Uint8Array(100_000).fill(3)]
  for (const message of messages) {
    const signature = crypto.ed25519.sign(privateKey, message)
    assert.equal(signature, real.sign(privateKey, message))
    const cases: readonly (readonly [Uint8Array, Uint8Array, Uint8Array])[] = [
      [publicKey, message, signature],
      [publicKey, message, signature.with(5, (signature[5] ?? 0) ^ 1)],
      [publicKey.with(5, (publicKey[5] ?? 0) ^ 1), message, signature],
      [publicKey, Uint8Array.of(...message.subarray(0, 10), 1), signature],
      [publicKey, message, signature.subarray(1)],
      [publicKey.subarray(1), Uint8Array.of(...message.subarray(0, 10)), signature],
    ]
    for (let round = 0; round < 2; round++)
      for (const [key, said, by] of cases)
        assert.is(crypto.ed25519.verify(key, said, by), real.verify(key, said, by), `round ${round}`)
  }
})

test('bytes that move between key, signature and message are not taken for the same', () => {
  const world = new World({ seed: 5, production })
  const { crypto } = world.host('a').boot()
  const { publicKey, privateKey } = crypto.ed25519.generate()
  const message = text('abcdef')
  const signature = crypto.ed25519.sign(privateKey, message)
  const [first = 0] = signature
  assert.ok(crypto.ed25519.verify(publicKey, message, signature))
  assert.not.ok(crypto.ed25519.verify(Uint8Array.of(...publicKey, first), message, signature.subarray(1)))
  assert.not.ok(
    crypto.ed25519.verify(publicKey, Uint8Array.of(signature.at(-1) ?? 0, ...message), signature.subarray(0, 63)),
  )
})

test('servers and clients of one host, and runs of one host, draw from streams of their own', () => {
  const world = new World({ seed: 6, production })
  const host = world.host('a')
  const drawn = new Set<string>()
  for (let run = 0; run < 3; run++) {
    const { crypto, clientCrypto, random } = host.boot()
    drawn.add(hex(crypto.ed25519.generate().privateKey))
    drawn.add(hex(clientCrypto.randomBytes(32)))
    drawn.add(hex(random.bytes(32)))
    host.shutDown()
  }
  assert.is(drawn.size, 9)
})

test.run()
