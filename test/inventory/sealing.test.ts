/*
 * Proves: what a gateway relays tells it no secret, and whatever it changes of request, answer or proof, nothing opens.
 * Fails if a bound field is left out of the seal, if an answer can be passed off as another's, or if a key leaks into
 * what is relayed, replicated, logged, or stored in the clear.
 */
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'
import {
  answerBytes,
  type Binding,
  openRegistration,
  type SealedRegistration,
  sealRegistration,
} from '../../src/inventory/registration/seal.ts'
import { confirmProof } from '../../src/inventory/registration/session-proof.ts'
import { DecryptionFailed, type KeyPair } from '../../src/ports/crypto.ts'
import { operatorId } from '../../src/ports/names.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { a, b, clientCrypto, crypto, grant, homeNetwork, keyOf, Pne, subscribe, world } from './world.ts'

const seal = suite('the sealed registration')
const random = seededRandom('sealing')
const psk = random.bytes(32)
const way = { home: a, pnId: 'flat', gatewayId: 'hub', operator: b }
const content = { mode: 'BOTH', capabilities: { camera: '4k' } } as const

async function sealed(keys: KeyPair): Promise<{ request: SealedRegistration; binding: Binding }> {
  const challenge = {
    challenge: toBase64url(random.bytes(56)),
    expires: 1_767_225_600_000,
    registrationKey: { operator: b, epoch: 3, publicKey: toBase64url(keys.publicKey) },
  }
  const request = await sealRegistration(clientCrypto, {
    way,
    pneId: 'radio',
    transaction: 'transaction-0123',
    challenge,
    credential: { kind: 'psk', key: psk },
    content,
  })
  return { request, binding: { ...request.params, expires: challenge.expires } }
}

const open = (keys: KeyPair, binding: Binding, { params }: SealedRegistration, changes: object = {}) =>
  openRegistration(crypto, {
    binding,
    enc: params.enc,
    sealed: params.sealed,
    registrationKey: keys.privateKey,
    credential: { kind: 'psk', key: psk },
    ...changes,
  })

const fails = async (promise: Promise<unknown>, what: string) => {
  const outcome = await promise.then(
    () => 'opened',
    (error: unknown) => error,
  )
  assert.instance(outcome, DecryptionFailed, what)
}

seal('both halves agree on content, CPNS ID, lifetime, session key and proof', async () => {
  const keys = await crypto.hpke.generateKeyPair()
  const { request, binding } = await sealed(keys)
  const opened = await open(keys, binding, request)
  assert.equal(opened.content, content)

  const given = { cpnsId: 'cpns:b.example:x', lifetimeMs: 1_000, pseudonym: 'P-next' }
  const { sealed: answer, sessionKey } = await opened.sealAnswer(
    { ...given, ticket: toBase64url },
    random.bytes(answerBytes),
  )
  const got = await request.openAnswer(answer)
  assert.equal(got, { ...given, sessionKey, ticket: toBase64url(sessionKey) })

  const confirmed = { ...way, transaction: 'transaction-0123', pneId: 'radio', cpnsId: given.cpnsId }
  const proof = await confirmProof(clientCrypto, got.sessionKey, confirmed)
  assert.is(await confirmProof(crypto, sessionKey, confirmed), proof)
  for (const key of Object.keys(confirmed)) {
    assert.is.not(await confirmProof(crypto, sessionKey, { ...confirmed, [key]: 'other.example' }), proof, key)
  }
})

seal('a request opens for exactly what it was made for', async () => {
  const keys = await crypto.hpke.generateKeyPair()
  const { request, binding } = await sealed(keys)
  const text = fc.string({ minLength: 1, maxLength: 40 })
  const change = fc.oneof(
    fc.record({ home: text.map(name => operatorId(`${toHex(name)}.example`)) }),
    fc.record({ operator: text.map(name => operatorId(`${toHex(name)}.example`)) }),
    ...(['pnId', 'gatewayId', 'transaction', 'pneId', 'challenge', 'pskId'] as const).map(key =>
      fc.record({ [key]: text }),
    ),
    fc.record({ keyEpoch: fc.nat() }),
    fc.record({ expires: fc.nat() }),
    fc.constant({ pnId: binding.pnId + binding.gatewayId, gatewayId: '' }),
    fc.constant({ pnId: binding.gatewayId, gatewayId: binding.pnId }),
  )
  await fc.assert(
    fc.asyncProperty(change, async changes => {
      const changed = { ...binding, ...changes }
      fc.pre(JSON.stringify(changed) !== JSON.stringify(binding))
      await fails(open(keys, changed, request), JSON.stringify(changes))
    }),
    { numRuns: 100 },
  )
  await open(keys, binding, request)
})

seal('a request opens with exactly the keys it was made with, and unchanged', async () => {
  const keys = await crypto.hpke.generateKeyPair()
  const { request, binding } = await sealed(keys)
  const other = await crypto.hpke.generateKeyPair()
  await fails(open(other, binding, request), 'another registration key')
  await fails(
    open(keys, binding, request, { credential: { kind: 'psk', key: random.bytes(32) } }),
    'another pre-shared key',
  )
  await fails(open(keys, binding, request, { sealed: '*' }), 'no base64url')
  for (const field of ['enc', 'sealed'] as const) {
    const bytes = fromBase64url(request.params[field]) as Uint8Array
    for (let at = 0; at < bytes.length; at += 7) {
      await fails(open(keys, binding, request, { [field]: toBase64url(flipped(bytes, at)) }), `${field} ${at}`)
    }
  }
})

seal('an answer opens unchanged, and for the request it answers alone', async () => {
  const keys = await crypto.hpke.generateKeyPair()
  const { request, binding } = await sealed(keys)
  const opened = await open(keys, binding, request)
  const { sealed: answer } = await opened.sealAnswer(
    { cpnsId: 'x', lifetimeMs: 1, ticket: toBase64url },
    random.bytes(answerBytes),
  )
  const bytes = fromBase64url(answer) as Uint8Array
  for (let at = 0; at < bytes.length; at++) {
    await fails(request.openAnswer(toBase64url(flipped(bytes, at))), `answer ${at}`)
  }
  await fails(request.openAnswer(''), 'nothing')
  const again = await sealed(keys)
  await fails(again.request.openAnswer(answer), 'the answer to another request')
})

seal('a gateway that puts its own key in the place of the operator’s reads nothing without the PNE’s', async () => {
  const gateway = await crypto.hpke.generateKeyPair()
  const { request, binding } = await sealed(gateway)
  await fails(
    open(gateway, binding, request, { credential: { kind: 'psk', key: random.bytes(32) } }),
    'the gateway has no pre-shared key',
  )
})

seal.run()

const relay = suite('what is relayed and kept')

relay(
  'no secret is in what the gateway or another operator carries, in documents, logs, or in the clear on disk',
  async () => {
    const w = await world({ [a]: 1, [b]: 1 })
    const hub = await homeNetwork(w)
    subscribe(w, b, 'radio')
    const radio = new Pne(b, 'radio')
    await hub.update('add', [radio.name])
    await grant(w, 'flat', b)
    await w.replicate()
    await radio.register(hub)
    await radio.confirm(hub)
    await w.replicate()

    const { sessionKey } = radio
    assert.ok(sessionKey)
    const { secrets } = w.at(b)
    const secretBytes = {
      psk: keyOf(b, 'radio'),
      'session key': sessionKey,
      'registration key': secrets.registrationKeys[0]?.privateKey,
      'MAC key': secrets.macKeys[0]?.key,
      'CPNS ID key': secrets.cpnsIdKey,
    }
    const kept: string[] = []
    for (const { documents, store, telemetry } of w.servers) {
      for await (const { document } of documents.list('')) {
        for await (const { bytes } of store.entries(document)) kept.push(latin1(bytes))
      }
      for (const kind of ['command/', 'registration/']) {
        for await (const { value } of store.localScan(kind)) kept.push(latin1(value))
      }
      kept.push(JSON.stringify(telemetry.logs))
    }
    const everything = [...radio.relayed, ...w.wire, ...kept].join('\n')
    assert.ok(everything.includes('radio') && kept.length > 5, 'there is something to look at')
    for (const [name, bytes] of Object.entries(secretBytes)) {
      assert.ok(bytes)
      for (const form of [latin1(bytes), toBase64url(bytes), toHex(latin1(bytes)), `${[...bytes]}`]) {
        assert.not.ok(everything.includes(form), `${name} was found`)
      }
    }
    assert.not.ok(
      [...radio.relayed, ...w.wire].join('').includes('camera'),
      'what the PNE can do is not the gateway’s to read',
    )
    await w.stop()
  },
)

relay.run()

function flipped(bytes: Uint8Array, at: number): Uint8Array {
  const copy = bytes.slice()
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
const latin1 = (bytes: Uint8Array): string => Array.from(bytes, byte => String.fromCharCode(byte)).join('')
const toHex = (text: string): string =>
  Array.from(text, letter => (letter.codePointAt(0) ?? 0).toString(16).padStart(2, '0')).join('')
