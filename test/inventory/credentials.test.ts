/*
 * Proves: a PNE is believed with the credential that its operator knows it by, and with no other, whatever it is; it
 * believes nobody but its operator; and what it names its pre-shared key by tells nobody whose it is, or that it came before.
 * Fails if one mode passes for another, if a gateway with a registration key of its own can answer, or if a name repeats.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, toBase64url } from '../../src/commands/framing.ts'
import { openRegistration, sealRegistration } from '../../src/inventory/registration/seal.ts'
import { DecryptionFailed, type KeyPair } from '../../src/ports/crypto.ts'
import type { Credential } from '../../src/ports/key-source.ts'
import {
  a,
  clientCrypto,
  crypto,
  type Gateway,
  homeNetwork,
  keyOf,
  newId,
  Pne,
  refusalOf,
  subscribe,
  type World,
  world,
} from './world.ts'

/** Makes a subscriber known at every server of a.example. */
function know(w: World, identity: string, credential: Credential): void {
  for (const { subscribers } of w.servers) subscribers.set(identity, { identity, credential })
}

const registrationKeyOf = (w: World, index = -1) => {
  const key = w.at(a).secrets.registrationKeys.at(index)
  assert.ok(key)
  return { epoch: key.epoch, publicKey: key.publicKey }
}

/** A PN with the member `lamp`, which has a key pair. */
async function keyPairScene(servers = 1) {
  const w = await world({ [a]: servers })
  const hub = await homeNetwork(w)
  const pair = await crypto.hpke.generateKeyPair()
  know(w, 'lamp', { kind: 'x25519', publicKey: pair.publicKey })
  const lamp = new Pne(a, 'lamp')
  lamp.credential = { kind: 'x25519', ...pair, registrationKey: registrationKeyOf(w) }
  await hub.update('add', [lamp.name])
  await w.replicate()
  return { w, hub, lamp, pair }
}

const keyPairs = suite('X25519 key pairs')

keyPairs(
  'a PNE with a key pair registers, goes on and ends like any other, and every server gives one answer',
  async () => {
    const { w, hub, lamp } = await keyPairScene(2)
    const request = await lamp.seal(hub)
    assert.is(request.params.credential, 'x25519')
    assert.is(request.params.pskId, undefined)
    const answer = await lamp.send(hub, request)
    assert.equal(await lamp.send(hub.at(w.at(a, 1)), request), answer)
    assert.is((await lamp.confirm(hub)).state, 'active')
    w.clock.advance(1_000)
    await lamp.refresh(hub, w.clock.now())
    await lamp.deregister(hub, w.clock.now())
    await w.stop()
  },
)

keyPairs('another key pair proves nothing, nor does another kind of credential', async () => {
  const { w, hub, lamp } = await keyPairScene()
  const good = lamp.credential
  lamp.credential = { kind: 'x25519', ...(await crypto.hpke.generateKeyPair()), registrationKey: registrationKeyOf(w) }
  assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED')
  lamp.credential = { kind: 'psk', key: keyOf(a, 'lamp') }
  assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED')

  lamp.credential = good
  const { params } = await lamp.seal(hub)
  for (const changes of [{ credential: 'psk' }, { credential: undefined }, { pskId: 'lamp' }]) {
    const changed = { ...params, ...changes, transaction: newId() }
    assert.is(await refusalOf(hub.server.call('pne.register', changed, hub.identity)), '401 AUTH_FAILED')
  }
  know(w, 'lamp', { kind: 'psk', key: keyOf(a, 'lamp') })
  assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED')
  know(w, 'lamp', { kind: 'ed25519', publicKey: new Uint8Array(32) })
  assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED')
  await w.stop()
})

keyPairs(
  'a gateway that puts a key of its own in the place of the operator’s is not sealed to, and cannot answer',
  async () => {
    const { w, hub, lamp, pair } = await keyPairScene()
    const own = await crypto.hpke.generateKeyPair()
    const forging: Gateway = hub.at({
      async call(method, params, who) {
        const result = await hub.server.call<never>(method, params, who)
        if (method !== 'pne.challenge') return result
        return {
          ...(result as object),
          registrationKey: { operator: a, epoch: 1, publicKey: toBase64url(own.publicKey) },
        } as never
      },
    })
    const { params } = await lamp.seal(forging)
    const outcome = await openRegistration(crypto, {
      binding: { ...params, expires: w.clock.now() + 120_000 },
      ...{ enc: params.enc, sealed: params.sealed, registrationKey: own.privateKey },
      credential: { kind: 'x25519', publicKey: pair.publicKey },
    }).catch((error: unknown) => error)
    assert.instance(outcome, DecryptionFailed)
    assert.is((await lamp.register(forging)).status, 201, 'the operator whom it knows has opened it')
    await w.stop()
  },
)

keyPairs('the operator changes its key: the old one still opens, and the answer names the new one', async () => {
  const { w, hub, lamp } = await keyPairScene()
  const next = { epoch: 2, ...(await crypto.hpke.generateKeyPair()) }
  const { registrationKeys } = w.at(a).secrets
  ;(registrationKeys as unknown as (KeyPair & { epoch: number })[]).push(next)
  await lamp.register(hub)
  assert.equal(lamp.answer?.registrationKey, { epoch: 2, publicKey: next.publicKey })
  if (lamp.credential.kind !== 'x25519' || !lamp.answer?.registrationKey) throw new Error('no key')
  lamp.credential = { ...lamp.credential, registrationKey: lamp.answer.registrationKey }
  await lamp.register(hub)
  assert.is(lamp.answer?.registrationKey, undefined)
  await w.stop()
})

keyPairs.run()

const names = suite('names of pre-shared keys')

async function nameScene(servers = 1) {
  const w = await world({ [a]: servers })
  const hub = await homeNetwork(w)
  subscribe(w, a, 'lamp', 'radio')
  const lamp = new Pne(a, 'lamp')
  const radio = new Pne(a, 'radio')
  await hub.update('add', [lamp.name, radio.name])
  await w.replicate()
  return { w, hub, lamp, radio }
}

names('no two registrations of a PNE share one, none tells the identity, and all are of one length', async () => {
  const { w, hub, lamp, radio } = await nameScene()
  const seen: string[] = []
  for (let times = 0; times < 4; times++) {
    for (const pne of [lamp, radio]) {
      await pne.register(hub)
      seen.push(pne.request?.params.pskId ?? '')
    }
  }
  lamp.credential = { kind: 'psk', key: keyOf(a, 'lamp') }
  await lamp.register(hub)
  seen.push(lamp.request?.params.pskId ?? '')
  assert.is(new Set(seen).size, 9)
  const [given, sealed] = ['P', 'I'].map(kind => seen.filter(name => name.startsWith(kind)))
  assert.is(given?.length, 6)
  assert.is(sealed?.length, 3)
  assert.is(new Set(given?.map(name => name.length)).size, 1)
  assert.is(new Set(sealed?.map(name => name.length)).size, 1)
  for (const name of seen) {
    const bytes = Buffer.from(fromBase64url(name.slice(1)) ?? new Uint8Array(0)).toString('latin1')
    assert.not.ok([name, bytes].some(text => text.includes('lamp') || text.includes('radio')))
  }
  // No part of two names is the same but their head: nothing in them stays from one to the next.
  const tails = given?.map(name => name.slice(8)) ?? []
  for (let at = 0; at + 12 < (tails[0]?.length ?? 0); at += 12) {
    assert.is(new Set(tails.map(tail => tail.slice(at, at + 12))).size, tails.length, `at ${at}`)
  }
  await w.stop()
})

names('a name that one server gave is understood at every other one of the operator', async () => {
  const { w, hub, lamp } = await nameScene(2)
  await lamp.register(hub)
  await w.replicate()
  await lamp.register(hub.at(w.at(a, 1)))
  assert.match(lamp.request?.params.pskId ?? '', /^P/)
  await w.stop()
})

names('another’s name, one that was made up, and one for another challenge are refused', async () => {
  const { w, hub, lamp, radio } = await nameScene()
  await radio.register(hub)
  const radios = radio.answer?.pseudonym
  const { params } = await lamp.seal(hub)
  const { params: first } = await lamp.seal(hub)
  const asking = (pskId: string | undefined) =>
    refusalOf(hub.server.call('pne.register', { ...params, transaction: newId(), pskId }, hub.identity))
  assert.is(await asking(radios), '401 AUTH_FAILED')
  assert.is(await asking('lamp'), '401 PSEUDONYM_UNKNOWN', 'the identity itself is no name')
  assert.is(await asking(`P${'A'.repeat(200)}`), '401 PSEUDONYM_UNKNOWN')
  assert.is(await asking(first.pskId), '401 PSEUDONYM_UNKNOWN')
  assert.is(await asking(undefined), '401 AUTH_FAILED')

  lamp.credential = { kind: 'psk', key: keyOf(a, 'lamp'), pseudonym: radios }
  assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED', 'who seals under another’s name is not the other')
  await w.stop()
})

names('a gateway with a registration key of its own does not read the request, and cannot answer it', async () => {
  const { w, hub } = await nameScene()
  const own = await crypto.hpke.generateKeyPair()
  const challenge = await hub.server.call<Parameters<typeof sealRegistration>[1]['challenge']>(
    'pne.challenge',
    hub.way(a),
    hub.identity,
  )
  const { params } = await sealRegistration(clientCrypto, {
    ...{ way: hub.way(a), pneId: 'lamp', transaction: newId() },
    challenge: { ...challenge, registrationKey: { operator: a, epoch: 1, publicKey: toBase64url(own.publicKey) } },
    credential: { kind: 'psk', key: keyOf(a, 'lamp') },
    content: { mode: 'PNE', capabilities: {} },
  })
  const outcome = await openRegistration(crypto, {
    binding: { ...params, expires: challenge.expires },
    ...{ enc: params.enc, sealed: params.sealed, registrationKey: own.privateKey },
    credential: { kind: 'psk', key: new Uint8Array(32) },
  }).catch((error: unknown) => error)
  assert.instance(outcome, DecryptionFailed)
  await w.stop()
})

names.run()
