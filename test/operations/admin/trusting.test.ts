/*
 * Property: through the admin API an operator is trusted only with the fingerprint that was confirmed, only by a manifest that holds
 * and is good now, and then at once, at the node, in its configuration, and at its next start. What is refused changes nothing, and says
 * what to do. Fails when a manifest is trusted that nobody has compared, or the trust is forgotten by a restart.
 */
import { mkdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../../src/adapters/crypto.ts'
import { openNodeFolder } from '../../../src/cli/node-folder.ts'
import { createManifest, formatManifest, rootFingerprint } from '../../../src/federation/manifest.ts'
import { testOperator } from '../../fixtures/operators.ts'
import { realNode } from './real-node.ts'

const test = suite('Trusting through the admin API')
const b = testOperator('b.example', 2)
const signed = b.manifest()
const manifest = formatManifest(signed)
const fingerprint = rootFingerprint(signed.manifest, nodeCrypto())
const expired = formatManifest(b.manifest({ issued: 1 }))

test('what is confirmed is trusted, here and after a start, and nothing else', async () => {
  await using running = await realNode()
  const { node, admin, folder } = running
  const config = join(folder, 'cpns.toml')
  const before = await readFile(config, 'utf8')
  const [operate, read] = [await admin('operate'), await admin('read')]
  const send = (ask: typeof operate, method: string, path: string, body: object) =>
    ask(path, { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } })
  const refused = async (status: number, why: RegExp, sent: Promise<Response>) => {
    const answer = await sent
    assert.is(answer.status, status)
    assert.match((await answer.json()).message, why)
  }
  const trust = (path: string, body: object) => send(operate, 'PUT', `/v1/peers/${path}`, body)
  const examine = (text: string) => send(operate, 'POST', '/v1/manifests/examine', { manifest: text })

  const found = await (await examine(manifest)).json()
  assert.equal(
    [found.operator, found.fingerprint, found.threshold, found.rootKeys, found.standing, found.isExpired],
    ['b.example', fingerprint, 1, 1, 'new', false],
  )
  assert.equal(
    found.servers.map(({ server }: { server: string }) => server).toSorted(),
    b.servers.map(({ id }) => id).toSorted(),
  )
  assert.is((await (await examine(expired)).json()).isExpired, true)
  assert.is((await (await examine(await readFile(join(folder, 'manifest.json'), 'utf8'))).json()).standing, 'own')
  await refused(400, /./, examine('{}'))
  await refused(400, /signature/i, examine(manifest.replace(/"expires": \d+/, '"expires": 8000000000000')))
  await refused(403, /scope operate/, send(read, 'PUT', '/v1/peers/b.example', { manifest, fingerprint }))
  await refused(409, /not the one that was confirmed/, trust('b.example', { manifest, fingerprint: 'A'.repeat(43) }))
  await refused(400, /manifest of b\.example, not of c\.example/, trust('c.example', { manifest, fingerprint }))
  await refused(409, /newest one/, trust('b.example', { manifest: expired, fingerprint }))
  const own = await readFile(join(folder, 'manifest.json'), 'utf8')
  const ownFingerprint = (await (await examine(own)).json()).fingerprint
  await refused(409, /own operator/, trust('a.example', { manifest: own, fingerprint: ownFingerprint }))
  assert.is(await readFile(config, 'utf8'), before)
  assert.equal(node.trust.operators(), ['a.example'])

  assert.is((await trust('b.example', { manifest, fingerprint })).status, 200)
  assert.is(node.trust.fingerprintOf(b.id), fingerprint)
  assert.is((await openNodeFolder(config)).configuration.trust[b.id], fingerprint)
  assert.is(await readFile(join(folder, 'peers/b.example.json'), 'utf8'), manifest)
  assert.is((await (await examine(manifest)).json()).standing, 'trusted')
  assert.is((await trust('b.example', { manifest, fingerprint })).status, 200, 'twice is as good as once')
  const audit = await readFile(join(folder, 'data/admin/audit.log'), 'utf8')
  assert.match(audit, /PUT.*\/v1\/peers\/b\.example/)
})

test('what cannot be kept is not trusted, nor are other root keys under a name that is', async () => {
  await using running = await realNode()
  const { node, admin, folder } = running
  const operate = await admin('operate')
  const trust = async (text: string, print: string) => {
    const body = JSON.stringify({ manifest: text, fingerprint: print })
    const headers = { 'content-type': 'application/json' }
    const answer = await operate('/v1/peers/b.example', { method: 'PUT', body, headers })
    return { status: answer.status, ...(await answer.json()) }
  }
  // Where the new text of the configuration is to be written first there is a folder.
  await mkdir(join(folder, 'cpns.toml.new'))
  const unwritten = await trust(manifest, fingerprint)
  assert.is(unwritten.status, 409)
  assert.match(unwritten.message, /Cannot write .*cpns\.toml/)
  assert.equal(node.trust.operators(), ['a.example'])
  await rmdir(join(folder, 'cpns.toml.new'))

  assert.is((await trust(manifest, fingerprint)).status, 200)
  const impostor = createManifest(
    b.id,
    { expires: Date.now() + 1e9, threshold: 1, servers: [], registrationKeys: [] },
    [new Uint8Array(32).fill(9)],
    nodeCrypto(),
    Date.now(),
  )
  const refused = await trust(formatManifest(impostor), rootFingerprint(impostor.manifest, nodeCrypto()))
  assert.is(refused.status, 409)
  assert.match(refused.message, /is pinned to .*cpns peer revoke b\.example/)
  assert.is(node.trust.fingerprintOf(b.id), fingerprint)
})

test.run()
