/*
 * Property: a server's identity names its key, signs for one purpose at a time, and does not depend on what becomes of the
 * array it was made from. It would fail if a signature for one purpose verified for another.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { signedBytes } from '../../src/ports/identity.ts'
import { operatorId, publicKeyOf } from '../../src/ports/names.ts'

const crypto = nodeCrypto()

test('signs as the server it names, for the purpose it was asked for', () => {
  const { publicKey, privateKey } = crypto.ed25519.generate()
  const identity = serverIdentity(operatorId('a.example'), privateKey, crypto)
  privateKey.fill(0)
  assert.equal(publicKeyOf(identity.server), publicKey)
  const digest = crypto.sha256(new Uint8Array(3))
  const signature = identity.sign('cpns-entry-v1', digest)
  assert.ok(crypto.ed25519.verify(publicKey, signedBytes('cpns-entry-v1', digest), signature))
  assert.not(crypto.ed25519.verify(publicKey, signedBytes('cpns-command-v1', digest), signature))
  assert.not(crypto.ed25519.verify(publicKey, digest, signature))
})

test.run()
