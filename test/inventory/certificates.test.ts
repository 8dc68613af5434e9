/*
 * Proves: a PNE whose operator knows it by a certificate registers with it, through a gateway that sees nothing of it; and
 * each way in which it does not hold has its own refusal, told to nobody but who has the certificate's key.
 * Fails if a certificate can be shown again by who opened it once, if one PNE's serves another, or if it crosses the gateway
 * in the clear.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fromBase64url, joined, toBase64url } from '../../src/commands/framing.ts'
import { openRegistration } from '../../src/inventory/registration/seal.ts'
import { pneUri } from '../../src/ports/certificates.ts'
import { DecryptionFailed } from '../../src/ports/crypto.ts'
import { certify, type Made, revocationList, signWith, type Wishes } from '../fixtures/certificates.ts'
import { a, crypto, homeNetwork, keyOf, newId, Pne, refusalOf, world } from './world.ts'

const day = 86_400_000

/** A PN with the members `lamp` and `radio`, both known by their certificates, by an authority that is trusted. */
async function scene(servers = 1, wishes: Wishes = {}) {
  const w = await world({ [a]: servers })
  const hub = await homeNetwork(w)
  const now = w.clock.now()
  const root = await certify(now, { isAuthority: true, subject: 'CN=root' })
  const middle = await certify(now, { isAuthority: true, subject: 'CN=middle', keys: 'Ed25519' }, root)
  const certificate = await certify(now, { uris: [pneUri(a, 'lamp')], ...wishes }, middle)
  for (const server of w.servers) {
    server.trust = { anchors: [root.der], revocations: [] }
    for (const identity of ['lamp', 'radio']) {
      server.subscribers.set(identity, { identity, credential: { kind: 'x509' } })
    }
  }
  const [lamp, radio] = [new Pne(a, 'lamp'), new Pne(a, 'radio')]
  const key = w.at(a).secrets.registrationKeys.at(-1)
  assert.ok(key)
  const registrationKey = { epoch: key.epoch, publicKey: key.publicKey }
  const credentialOf = (made: Made, ...issuers: Made[]) => ({
    kind: 'x509' as const,
    chain: [made, ...issuers].map(({ der }) => der),
    sign: signWith(made),
    registrationKey,
  })
  lamp.credential = credentialOf(certificate, middle)
  await hub.update('add', [lamp.name, radio.name])
  await w.replicate()
  return { w, hub, lamp, radio, root, middle, certificate, credentialOf, key, now }
}

test('it registers, goes on and ends like any other; every server of the operator gives the same answer', async () => {
  const { w, hub, lamp } = await scene(2)
  const request = await lamp.seal(hub)
  assert.is(request.params.credential, 'x509')
  const answer = await lamp.send(hub, request)
  assert.equal(await lamp.send(hub.at(w.at(a, 1)), request), answer)
  await lamp.confirm(hub)
  w.clock.advance(1_000)
  await lamp.refresh(hub, w.clock.now())
  await lamp.deregister(hub, w.clock.now())
  await w.stop()
})

test('the gateway sees neither the certificate nor what was signed', async () => {
  const { w, hub, lamp, certificate, middle } = await scene()
  const signatures: Uint8Array[] = []
  const { credential } = lamp
  if (credential.kind !== 'x509') throw new Error('no certificate')
  const sign = async (message: Uint8Array) => {
    const signature = await credential.sign(message)
    signatures.push(signature)
    return signature
  }
  lamp.credential = { ...credential, sign }
  await lamp.register(hub)
  await lamp.confirm(hub)
  const raw = Buffer.from(
    joined(
      ...lamp.relayed
        .flatMap(text => [...text.matchAll(/"([A-Za-z0-9_-]{20,})"/g)])
        .map(([, value = '']) => fromBase64url(value) ?? new Uint8Array(0)),
    ),
  )
  const text = lamp.relayed.join('\n')
  assert.is(signatures.length, 1)
  for (const bytes of [certificate.der, middle.der, ...signatures]) {
    assert.not.ok(text.includes(toBase64url(bytes).slice(4, 44)))
    assert.not.ok(raw.includes(Buffer.from(bytes.subarray(0, 32))))
  }
  await w.stop()
})

test('each way in which a certificate does not hold has its refusal', async () => {
  const { w, hub, lamp, root, middle, certificate, credentialOf, now } = await scene()
  const server = w.at(a)
  const ask = async () => {
    w.clock.advance(60_000) // nobody has failed too often
    return refusalOf(lamp.register(hub))
  }
  const showing = async (wishes: Wishes, issuer = middle) => {
    const made = await certify(now, { uris: [pneUri(a, 'lamp')], ...wishes }, issuer)
    lamp.credential = credentialOf(made, issuer)
    return ask()
  }
  assert.is(await showing({}), 'not refused')
  assert.is(await showing({ notAfter: now - 1_000 }), '401 CERTIFICATE_EXPIRED')
  assert.is(await showing({ notBefore: now + day }), '401 CERTIFICATE_EXPIRED')
  assert.is(await showing({ uris: [pneUri(a, 'radio')] }), '401 CERTIFICATE_NAME')
  assert.is(await showing({ uris: [pneUri('b.example', 'lamp')] }), '401 CERTIFICATE_NAME')
  const stranger = await certify(now, { isAuthority: true, subject: 'CN=middle', keys: 'Ed25519' })
  assert.is(await showing({}, stranger), '401 CERTIFICATE_UNTRUSTED')

  lamp.credential = credentialOf(certificate, middle, root, middle, root)
  assert.is(await ask(), 'not refused', 'what is beyond an anchor does not matter')
  lamp.credential = credentialOf(certificate, middle, root, middle, root, middle)
  assert.is(await ask(), '401 AUTH_FAILED', 'more than a request may hold')
  lamp.credential = { ...credentialOf(certificate, middle), sign: signWith(middle) }
  assert.is(await ask(), '401 AUTH_FAILED', 'who has the certificate has not its key')

  lamp.credential = credentialOf(certificate, middle)
  const listed = async (revoked: Made[], until: number) => {
    const list = await revocationList(middle, revoked, { from: now - day, until })
    server.trust = { anchors: [root.der], revocations: [list] }
    return ask()
  }
  assert.is(await listed([], now + day), 'not refused')
  assert.is(await listed([certificate], now + day), '401 CERTIFICATE_REVOKED')
  for (let times = 0; times < 12; times++) {
    const refused = await listed([], now)
    assert.is(refused, '503 REVOCATION_UNKNOWN', 'and nothing that the PNE did wrong')
  }
  server.trust = { anchors: [], revocations: [] }
  assert.is(await ask(), '401 CERTIFICATE_UNTRUSTED', 'an operator that trusts nobody')
  await w.stop()
})

test('a registration is refreshed as long as its certificate, and each above it, holds', async () => {
  const { w, hub, lamp, root, middle, certificate, now } = await scene(1, {
    notAfter: Date.UTC(2026, 0, 1) + 600_000,
  })
  const server = w.at(a)
  await lamp.register(hub)
  await lamp.confirm(hub)
  const refresh = () => {
    w.clock.advance(60_000)
    return refusalOf(lamp.refresh(hub, w.clock.now()))
  }
  const listed = async (issuer: Made, revoked: Made[], until = now + day) => {
    const list = await revocationList(issuer, revoked, { from: now - day, until })
    server.trust = { anchors: [root.der], revocations: [list] }
    return refresh()
  }
  assert.is(await refresh(), 'not refused')
  assert.is(await listed(middle, []), 'not refused')
  assert.is(await listed(middle, [certificate]), '401 CERTIFICATE_REVOKED')
  assert.is(await listed(root, [middle]), '401 CERTIFICATE_REVOKED', 'its authority’s was')
  assert.is(await listed(root, [certificate]), 'not refused', 'numbers are those of an issuer')
  assert.is(await listed(middle, [], now), '503 REVOCATION_UNKNOWN')
  server.trust = { anchors: [root.der], revocations: [] }
  w.clock.advance(600_000)
  assert.is(await refresh(), '401 CERTIFICATE_EXPIRED')
  await w.stop()
})

test('a registration that stands when its certificate is revoked ends by itself, and is not renewed', async () => {
  const { w, hub, lamp, root, middle, certificate, now } = await scene()
  await lamp.register(hub)
  await lamp.confirm(hub)
  const list = await revocationList(middle, [certificate], { from: now - day, until: now + 30 * day })
  w.at(a).trust = { anchors: [root.der], revocations: [list] }
  w.clock.advance(day)
  assert.is(await refusalOf(lamp.refresh(hub, w.clock.now())), '409 EXPIRED')
  assert.is(await refusalOf(lamp.register(hub)), '401 CERTIFICATE_REVOKED')
  await w.stop()
})

test('who opened a registration cannot show its certificate as its own, nor for another request', async () => {
  const { w, hub, lamp, radio, certificate, middle, credentialOf, key } = await scene()
  // Something that was signed for one request of the lamp.
  const said: Uint8Array[] = []
  const sign = signWith(certificate)
  lamp.credential = {
    ...credentialOf(certificate, middle),
    async sign(message) {
      const signature = await sign(message)
      said.push(signature)
      return signature
    },
  }
  const { params } = await lamp.seal(hub)
  const [signature] = said
  assert.ok(signature)
  const shownAgain = { ...credentialOf(certificate, middle), sign: async () => signature }
  for (const pne of [lamp, radio]) {
    pne.credential = shownAgain
    assert.is(await refusalOf(pne.register(hub)), '401 AUTH_FAILED', pne.pneId)
  }
  const good = { params, expires: w.clock.now() + 120_000 }
  const holds = async () => ({ ok: true as const, certified: { by: [], until: 0 } })
  const credulous = { check: holds, recheck: holds }
  const open = (changes: object, sealed = params.sealed, enc = params.enc) =>
    openRegistration(crypto, {
      binding: { ...good.params, expires: good.expires, ...changes },
      ...{ enc, sealed, registrationKey: key.privateKey },
      credential: { kind: 'x509' },
      certificates: { check: credulous, now: 0 },
    }).then(
      () => 'opened',
      (error: unknown) => (error instanceof DecryptionFailed ? 'failed' : 'thrown'),
    )
  assert.is(await open({}), 'opened')
  for (const [field, value] of Object.entries(params)) {
    if (field === 'sealed' || field === 'enc') continue
    const other = field === 'credential' ? 'x25519' : typeof value === 'number' ? value + 1 : `${value}x`
    assert.is(await open({ [field]: other }), 'failed', field)
  }
  for (const field of ['sealed', 'enc'] as const) {
    const bytes = fromBase64url(params[field]) ?? new Uint8Array(0)
    for (let at = 0; at < bytes.length; at += field === 'enc' ? 1 : 61) {
      const changed = toBase64url(bytes.with(at, (bytes[at] ?? 0) ^ 1))
      const outcome = field === 'sealed' ? open({}, changed) : open({}, params.sealed, changed)
      assert.is(await outcome, 'failed', `${field} ${at}`)
    }
  }
  await w.stop()
})

test('no other kind of credential passes for a certificate, nor a certificate for another', async () => {
  const { w, hub, lamp, radio, key } = await scene()
  const certified = lamp.credential
  const registrationKey = { epoch: key.epoch, publicKey: key.publicKey }
  const pair = await crypto.hpke.generateKeyPair()
  for (const credential of [
    { kind: 'psk', key: keyOf(a, 'lamp') },
    { kind: 'x25519', ...pair, registrationKey },
  ] as const) {
    lamp.credential = credential
    assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED', credential.kind)
  }
  lamp.credential = certified
  for (const credential of [
    { kind: 'psk', key: keyOf(a, 'lamp') },
    { kind: 'x25519', publicKey: pair.publicKey },
  ] as const) {
    w.at(a).subscribers.set('lamp', { identity: 'lamp', credential })
    assert.is(await refusalOf(lamp.register(hub)), '401 AUTH_FAILED', credential.kind)
  }
  w.at(a).subscribers.set('lamp', { identity: 'lamp', credential: { kind: 'x509' } })
  const { params } = await lamp.seal(hub)
  const asRadio = { ...params, pneId: radio.pneId, transaction: newId() }
  assert.is(await refusalOf(hub.server.call('pne.register', asRadio, hub.identity)), '401 AUTH_FAILED')
  await w.stop()
})

test.run()
