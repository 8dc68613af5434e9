/*
 * Property: `cpns reload` has a running node take over all that it can of a changed configuration, at once, and names what takes a
 * start; if anything that is read is wrong, nothing at all has changed and the answer says what is wrong. The log and the audit log
 * have it. Fails when a setting is said to hold and does not, or when a half is taken over.
 */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { WebSocket } from 'ws'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { openNodeFolder } from '../../src/cli/node-folder.ts'
import { formatManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { adminAuditPath } from '../../src/operations/control-path.ts'
import { testOperator } from '../fixtures/operators.ts'
import { assertDescribed, descriptionAt } from '../operations/admin/described.ts'
import { realNode } from '../operations/admin/real-node.ts'
import { cpnsHere } from './in-process.ts'

const test = suite('cpns reload')
const b = testOperator('b.example')
const fingerprint = rootFingerprint(b.manifest().manifest, nodeCrypto())
const origin = 'https://app.a.example'

/** A running node that takes its settings from its file and from `flags`, which may change meanwhile. */
async function rig() {
  const flags: Record<string, string> = {}
  let file = ''
  const running = await realNode({
    reread: async () => (await openNodeFolder(file, { ...running.settings, ...flags })).configuration,
  })
  file = join(running.folder, 'cpns.toml')
  const lets = (from: string) =>
    new Promise<boolean>(resolve => {
      const client = new WebSocket(`${running.node.clientUrl()}/v1/client`, 'cpns.v1', { origin: from })
      client.once('open', () => resolve(true))
      client.once('error', () => resolve(false))
      client.once('open', () => client.terminate())
    })
  const trustB = async () => {
    await mkdir(join(running.folder, 'peers'), { recursive: true })
    await writeFile(join(running.folder, 'peers/b.example.json'), formatManifest(b.manifest()))
    await writeFile(file, `${await readFile(file, 'utf8')}"b.example" = "${fingerprint}"\n`)
  }
  return {
    ...running,
    flags,
    file,
    lets,
    trustB,
    reload: (...args: string[]) => cpnsHere('reload', '--config', file, ...args),
  }
}

test('what can be taken over holds at once, the rest is named until a start', async () => {
  const { node, admin, flags, lets, trustB, reload, configuration, at, end } = await rig()
  try {
    assert.equal(await reload(), { code: 0, stdout: 'No setting has changed.\n', stderr: '' })
    await trustB()
    Object.assign(flags, {
      'clients.origins': origin,
      'clients.port': '1',
      'log.level': 'warn',
      'peers.quota.documents': '7',
      'scrub.bytesPerSecond': '0',
    })
    assert.not(await lets(origin))
    const { code, stdout, stderr } = await reload()
    assert.is(code, 0, stderr)
    const lines = stdout.trimEnd().split('\n')
    assert.is(lines.length, 7, stdout)
    assert.match(stdout, /^SETTING +BEFORE +AFTER +HOLDS\npeers\.quota\.documents +not set +7 +now\n/)
    assert.match(stdout, /\nclients\.port +0 +1 +after cpns drain and cpns start\n$/)
    assert.ok(await lets(origin))
    assert.is(node.telemetry.level, 'warn')
    assert.is(node.trust.fingerprintOf(b.id), fingerprint)
    assert.is(node.federation.usageOf(b.id).quota.documents, 7)
    assert.is(node.status().scrub.state, 'off')

    delete flags['log.level']
    const description = await descriptionAt(node.adminUrl ?? '')
    const answer = await (await admin('operate'))('/v1/reload', { method: 'POST' })
    await assertDescribed(description, 'POST', '/v1/reload', answer.clone())
    const { changed, waiting } = JSON.parse(await answer.text())
    assert.equal(changed, [{ setting: 'log.level', before: 'warn', after: 'error' }])
    assert.equal(waiting, [{ setting: 'clients.port', before: 0, after: 1 }])
    assert.match(await readFile(adminAuditPath(configuration, at), 'utf8'), /"path":"\/v1\/reload","status":200/)
    assert.is((await (await admin('read'))('/v1/reload', { method: 'POST' })).status, 403)
  } finally {
    await end()
  }
})

test('what is wrong anywhere leaves everything as it was', async () => {
  const { node, flags, file, folder, lets, trustB, reload, end } = await rig()
  try {
    Object.assign(flags, { 'clients.origins': origin, 'peers.quota.documents': '7', 'media.maxBytes': 'large' })
    await trustB()
    const unchanged = async (expected: RegExp) => {
      const { code, stderr } = await reload()
      assert.is(code, 1)
      assert.match(stderr, expected)
      assert.not(await lets(origin))
      assert.is(node.trust.fingerprintOf(b.id), undefined)
      assert.is.not(node.federation.usageOf(b.id).quota.documents, 7)
    }
    await unchanged(/^Nothing was changed\. flags: media\.maxBytes: Invalid input/)
    delete flags['media.maxBytes']
    await writeFile(join(folder, 'peers/c.example.json'), '{"manifest":')
    await unchanged(/^Nothing was changed\. .*c\.example\.json: Not a signed manifest/)
    await rm(join(folder, 'peers/c.example.json'))
    const text = await readFile(file, 'utf8')
    await writeFile(file, text.replace('[clients]', '[clientss]'))
    await unchanged(/there is no setting "clientss.*"; did you mean "clients/)
    await writeFile(file, text)
    assert.is((await reload()).code, 0)
    assert.ok(await lets(origin))
  } finally {
    await end()
  }
})

test('a node that is part of another program says whose its settings are', async () => {
  const { folder, end } = await realNode({ isEmbedded: true })
  try {
    const { code, stderr } = await cpnsHere('reload', '--config', join(folder, 'cpns.toml'))
    assert.is(code, 1)
    assert.match(stderr, /from the program that it is part of/)
  } finally {
    await end()
  }
})

test.run()
