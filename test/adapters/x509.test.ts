/*
 * Proves: a certificate is believed when a chain of authorities leads from it to an anchor, each of which could and may say
 * so now, nobody has taken it back, and it names whom it is shown for; and for every single thing that is missing it is not.
 * Fails if one of these is not looked at, or if somebody without the key is told anything but that.
 */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { certificateFiles } from '../../src/adapters/certificate-files.ts'
import { longestChain, x509Certificates } from '../../src/adapters/x509.ts'
import { pneUri } from '../../src/ports/certificates.ts'
import {
  certify,
  KeyUsageFlags,
  type Made,
  pem,
  revocationList,
  signWith,
  unknownCritical,
  type Wishes,
} from '../fixtures/certificates.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const now = Date.UTC(2026, 6, 1)
const day = 86_400_000
const name = pneUri('a.example', 'lamp')
const message = new TextEncoder().encode('what is signed')
const lamp: Wishes = { uris: [name] }

const authority = (wishes: Wishes = {}, issuer?: Made) => certify(now, { isAuthority: true, ...wishes }, issuer)
const root = await authority({ subject: 'CN=root', keys: 'P-384' })
const middle = await authority({ subject: 'CN=middle', keys: 'Ed25519', pathLength: 0 }, root)
const good = await certify(now, lamp, middle)

interface Shown {
  readonly chain: readonly Made[]
  readonly anchors?: readonly Made[]
  readonly revocations?: readonly Uint8Array[]
  readonly signer?: Made
  readonly name?: string
  readonly at?: number
}

async function verdictOn({ chain, anchors = [root], revocations = [], signer, name: of = name, at = now }: Shown) {
  const [leaf] = chain
  if (!leaf) throw new Error('nothing to show')
  const trust = { anchors: anchors.map(({ der }) => der), revocations }
  const verdict = await x509Certificates(async () => trust).check({
    chain: chain.map(({ der }) => der),
    message,
    signature: await signWith(signer ?? leaf)(message),
    ...{ name: of, now: at },
  })
  return verdict.ok ? 'ok' : verdict.reason
}

/** Where the part that its issuer has signed ends: a SEQUENCE in a SEQUENCE, each with its length in one to three bytes. */
function saidEnd(der: Uint8Array): number {
  const headBytes = (at: number) => ((der[at + 1] ?? 0) < 128 ? 2 : 2 + ((der[at + 1] ?? 0) & 127))
  const lengthAt = (at: number) =>
    headBytes(at) === 2
      ? (der[at + 1] ?? 0)
      : der.slice(at + 2, at + headBytes(at)).reduce((sum, byte) => sum * 256 + byte, 0)
  const start = headBytes(0)
  return start + headBytes(start) + lengthAt(start)
}

const chains = suite('certificates: chains')

chains('a chain to an anchor is believed, with the anchor or without it, whatever it is signed with', async () => {
  assert.is(await verdictOn({ chain: [good, middle] }), 'ok')
  assert.is(await verdictOn({ chain: [good, middle, root] }), 'ok')
  assert.is(await verdictOn({ chain: [good], anchors: [middle] }), 'ok')
  for (const keys of ['Ed25519', 'P-256', 'P-384', 'RSA'] as const) {
    const issuer = await authority({ keys })
    const leaf = await certify(now, { ...lamp, ...(keys === 'RSA' ? {} : { keys }) }, issuer)
    assert.is(await verdictOn({ chain: [leaf], anchors: [issuer] }), 'ok', keys)
  }
})

chains('what leads to no anchor is not, nor what only bears its name', async () => {
  const stranger = await authority({ subject: 'CN=root', keys: 'P-384' })
  const forged = await authority({ subject: 'CN=middle', keys: 'Ed25519' }, stranger)
  const ofForged = await certify(now, lamp, forged)
  assert.is(await verdictOn({ chain: [good, middle], anchors: [] }), 'untrusted')
  assert.is(await verdictOn({ chain: [good] }), 'untrusted', 'the one between is missing')
  assert.is(await verdictOn({ chain: [good, root, middle] }), 'untrusted', 'they are in another order')
  assert.is(await verdictOn({ chain: [ofForged, forged, stranger] }), 'untrusted')
  assert.is(await verdictOn({ chain: [ofForged, middle] }), 'untrusted', 'another key of the same name')
  assert.is(await verdictOn({ chain: [await certify(now, lamp)] }), 'untrusted', 'its own issuer')
})

chains('a chain has so many certificates and no more', async () => {
  const made: Made[] = [root]
  for (let length = 1; length < longestChain + 1; length++) made.unshift(await authority({}, made[0]))
  const below = async (skip: number) => {
    const issuers = made.slice(skip)
    return [await certify(now, lamp, issuers[0]), ...issuers.slice(0, -1)]
  }
  assert.is((await below(1)).length, longestChain)
  assert.is(await verdictOn({ chain: await below(1) }), 'ok')
  assert.is(await verdictOn({ chain: await below(0) }), 'untrusted')
})

chains('who issues may issue, and over so many others', async () => {
  const issuing = async (wishes: Wishes) => {
    const issuer = await certify(now, { subject: 'CN=some', isAuthority: true, ...wishes }, root)
    return verdictOn({ chain: [await certify(now, lamp, issuer), issuer] })
  }
  assert.is(await issuing({}), 'ok')
  assert.is(await issuing({ isAuthority: false, usage: KeyUsageFlags.keyCertSign }), 'untrusted', 'no basicConstraints')
  assert.is(await issuing({ usage: KeyUsageFlags.digitalSignature }), 'untrusted', 'no keyCertSign')
  assert.is(await issuing({ more: [unknownCritical()] }), 'untrusted')
  const below = await authority({ subject: 'CN=below' }, middle)
  assert.is(await verdictOn({ chain: [await certify(now, lamp, below), below, middle] }), 'untrusted', 'path length 0')
  const strict = await authority({ subject: 'CN=strict', pathLength: 0 })
  const between = await authority({ subject: 'CN=between' }, strict)
  const chain = [await certify(now, lamp, between), between]
  assert.is(await verdictOn({ chain, anchors: [strict] }), 'untrusted', 'what the anchor says counts as well')
})

chains('the certificate of a PNE is for signing, for clients, and for no authority', async () => {
  const leaf = async (wishes: Wishes) => verdictOn({ chain: [await certify(now, { ...lamp, ...wishes }, root)] })
  assert.is(await leaf({ extendedUsage: ['1.3.6.1.5.5.7.3.2'] }), 'ok')
  assert.is(await leaf({ extendedUsage: ['1.3.6.1.5.5.7.3.1'] }), 'untrusted', 'for servers')
  assert.is(await leaf({ usage: KeyUsageFlags.keyEncipherment }), 'untrusted')
  assert.is(await leaf({ isAuthority: true, usage: KeyUsageFlags.digitalSignature }), 'untrusted')
  assert.is(await leaf({ more: [unknownCritical()] }), 'untrusted')
})

chains('each of the chain is valid at the time, to the second', async () => {
  const from = now - day
  const until = now + day
  const limited = { notBefore: from, notAfter: until }
  const short = await certify(now, { ...lamp, ...limited }, root)
  const issuer = await authority({ subject: 'CN=short', ...limited }, root)
  const anchor = await authority({ subject: 'CN=anchor', ...limited })
  const cases: Shown[] = [
    { chain: [short] },
    { chain: [await certify(now, lamp, issuer), issuer] },
    { chain: [await certify(now, lamp, anchor)], anchors: [anchor] },
  ]
  for (const shown of cases) {
    for (const at of [from, now, until]) assert.is(await verdictOn({ ...shown, at }), 'ok')
    for (const at of [from - 1_000, until + 1_000]) assert.is(await verdictOn({ ...shown, at }), 'expired')
  }
})

chains('it names one PNE, and that is the one', async () => {
  const named = async (uris: readonly string[]) => verdictOn({ chain: [await certify(now, { uris }, root)] })
  assert.is(await named([name, 'https://vendor.example/lamp']), 'ok')
  for (const uris of [
    [],
    ['https://a.example/lamp'],
    [pneUri('a.example', 'radio')],
    [pneUri('b.example', 'lamp')],
    [name.toUpperCase()],
    [`${name}2`],
    [name, pneUri('a.example', 'radio')],
    [name, name],
  ]) {
    assert.is(await named(uris), 'name', uris.join(' '))
  }
})

chains('only who has the key is told what is wrong, or that anything is right', async () => {
  const other = await certify(now, lamp, middle)
  assert.is(await verdictOn({ chain: [good, middle], signer: other }), 'signature')
  assert.is(await verdictOn({ chain: [good, middle], signer: other, at: 0, name: 'another' }), 'signature')
  const rsa = await certify(now, { ...lamp, keys: 'RSA' }, root)
  assert.is(await verdictOn({ chain: [rsa] }), 'signature', 'no key that a PNE signs with')
})

chains(
  'whatever is changed in what a certificate says, in a signature or in the message is not believed, and nothing is thrown',
  async () => {
    const check = x509Certificates(async () => ({ anchors: [root.der], revocations: [] }))
    const shown = { chain: [good.der, middle.der], message, signature: await signWith(good)(message), name, now }
    assert.ok((await check.check(shown)).ok)
    const flip = (bytes: Uint8Array, at: number, by: number) => {
      const index = at % bytes.length
      return bytes.with(index, (bytes[index] ?? 0) ^ by)
    }
    const seed = 20_260_402
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(0, 1, 2, 3),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (what, at, by) => {
          const changed = [
            { chain: [flip(good.der, at % saidEnd(good.der), by), middle.der] },
            { chain: [good.der, flip(middle.der, at % saidEnd(middle.der), by)] },
            { signature: flip(shown.signature, at, by) },
            { message: flip(message, at, by) },
          ][what]
          assert.is((await check.check({ ...shown, ...changed })).ok, false)
        },
      ),
      { numRuns: 400, seed },
    )
    // An issuer's signature can be written in more than one way; whichever it is, it says the same, and nothing is thrown.
    for (let at = saidEnd(middle.der); at < middle.der.length; at++) {
      await check.check({ ...shown, chain: [good.der, flip(middle.der, at, 1 << (at % 8))] })
    }
    const bytes = fc.uint8Array({ maxLength: 200 })
    await fc.assert(
      fc.asyncProperty(fc.array(bytes, { maxLength: 3 }), bytes, async (chain, signature) => {
        assert.equal(await check.check({ ...shown, chain, signature }), { ok: false, reason: 'signature' })
      }),
      { numRuns: 100, seed },
    )
  },
)

chains.run()

const lists = suite('certificates: revocation')

lists(
  'what is on the list of its issuer is revoked, the PNE’s own and those between; what is not, is not',
  async () => {
    const times = { from: now - day, until: now + day }
    const ofMiddle = (revoked: Made[]) => revocationList(middle, revoked, times)
    const ofRoot = (revoked: Made[]) => revocationList(root, revoked, times)
    const other = await certify(now, lamp, middle)
    const chain = [good, middle]
    assert.is(await verdictOn({ chain, revocations: [await ofMiddle([other]), await ofRoot([])] }), 'ok')
    assert.is(await verdictOn({ chain, revocations: [await ofMiddle([other, good])] }), 'revoked')
    assert.is(await verdictOn({ chain, revocations: [await ofMiddle([]), await ofRoot([middle])] }), 'revoked')
    assert.is(
      await verdictOn({ chain, revocations: [await ofMiddle([]), await ofMiddle([good])] }),
      'revoked',
      'on one of two',
    )
  },
)

lists(
  'a list that is old, of a time to come, endless, partial, or of another’s making says nothing, and then nobody can tell',
  async () => {
    const times = { from: now - day, until: now + day }
    const impostor = await authority({ subject: 'CN=middle', keys: 'Ed25519' })
    const cases = {
      old: await revocationList(middle, [], { from: now - day, until: now }),
      'to come': await revocationList(middle, [], { from: now + 1_000, until: now + day }),
      endless: await revocationList(middle, [], { from: now - day }),
      partial: await revocationList(middle, [], times, middle, [unknownCritical()]),
      'another’s': await revocationList(middle, [], times, impostor),
    }
    for (const [what, list] of Object.entries(cases)) {
      assert.is(await verdictOn({ chain: [good, middle], revocations: [list] }), 'unknown', what)
    }
    const silent = await authority({ subject: 'CN=silent', usage: KeyUsageFlags.keyCertSign })
    const leaf = await certify(now, lamp, silent)
    const unsignable = await revocationList(silent, [], times)
    assert.is(await verdictOn({ chain: [leaf], anchors: [silent], revocations: [unsignable] }), 'unknown', 'no cRLSign')
    const good2 = await revocationList(middle, [], times)
    assert.is(
      await verdictOn({ chain: [good, middle], revocations: [cases.old, good2] }),
      'ok',
      'one that counts is enough',
    )
  },
)

lists('what cannot be read is told to the operator, and nobody’s certificate holds meanwhile', async () => {
  const told: unknown[] = []
  const check = x509Certificates(
    async () => ({ anchors: [Uint8Array.of(1)], revocations: [] }),
    error => told.push(error),
  )
  const signature = await signWith(good)(message)
  const shown = { chain: [good.der, middle.der], message, signature, name, now }
  assert.equal(await check.check(shown), { ok: false, reason: 'unknown' })
  assert.is(told.length, 1)
})

lists.run()

const files = suite('certificates: files')

files('PEM with several in one, and DER; a file that changes is read again, one that does not is not', async () => {
  const { path, remove } = await temporaryFolder()
  const [anchors, list] = [join(path, 'anchors.pem'), join(path, 'list.der')]
  const times = { from: now - day, until: now + day }
  await writeFile(anchors, `${pem(root.der, 'CERTIFICATE')}# and\n${pem(middle.der, 'CERTIFICATE')}`)
  await writeFile(list, await revocationList(middle, [], times))
  const trust = certificateFiles({ anchors: [anchors], revocations: [list] })
  const first = await trust()
  assert.equal(first.anchors, [root.der, middle.der])
  assert.is(await trust(), first)

  const check = x509Certificates(trust)
  const shown = { chain: [good.der], message, signature: await signWith(good)(message), name, now }
  assert.ok((await check.check(shown)).ok)
  await writeFile(list, pem(await revocationList(middle, [good], times), 'X509 CRL'))
  assert.equal(await check.check(shown), { ok: false, reason: 'revoked' })
  await remove()
})

files('what is no certificate is said before anything starts', async () => {
  const { path, remove } = await temporaryFolder()
  const file = join(path, 'file.pem')
  const failure = async (anchors: string[], revocations: string[]) => {
    const outcome = await certificateFiles({ anchors, revocations })().catch((error: Error) => error.message)
    return typeof outcome === 'string' ? outcome : 'read'
  }
  assert.match(await failure([file], []), /Cannot read/)
  await writeFile(file, 'nothing')
  assert.match(await failure([file], []), /holds no CERTIFICATE/)
  await writeFile(file, pem(Uint8Array.of(48, 3, 2, 1, 5), 'CERTIFICATE'))
  assert.match(await failure([file], []), /no certificate/)
  await writeFile(file, pem(root.der, 'CERTIFICATE'))
  assert.match(await failure([], [file]), /holds no X509 CRL/)
  await remove()
})

files.run()
