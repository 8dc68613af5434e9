/*
 * Property: `cpns limits` shows what holds in a running node: what was configured, also since the start, with the setting that did it, what is
 * usual, and as much used as there is. Without a node it says so. Fails when a limit is shown that is not the one that is applied.
 */
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openNodeFolder } from '../../src/cli/node-folder.ts'
import { pnEstablish } from '../../src/client/node.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { defaultQuota } from '../../src/federation/quotas.ts'
import type { LimitsAnswer } from '../../src/operations/admin/limits.ts'
import { knownSettings } from '../../src/operations/configuration.ts'
import { realNode } from '../operations/admin/real-node.ts'
import { cpnsHere } from './in-process.ts'

const test = suite('cpns limits')

test('of a running node, and of none', async () => {
  const flags: Record<string, string> = { 'media.maxBytes': '1000', 'peers.quota.documents': '7' }
  const running = await realNode({
    trusts: 'b.example',
    settings: flags,
    reread: async () => (await openNodeFolder(file, { ...running.settings, ...flags })).configuration,
  })
  const file = join(running.folder, 'cpns.toml')
  const run = (...args: string[]) => cpnsHere('limits', '--config', file, ...args)
  const found = async () => {
    const { limits }: LimitsAnswer = JSON.parse((await run('--json')).stdout)
    return (name: string) => limits.find(each => each.name === name)
  }
  try {
    const before = await found()
    assert.equal(before('storage.mediaBytes'), {
      ...{ name: 'storage.mediaBytes', meaning: 'One media.', unit: 'bytes' },
      ...{ limit: 1_000, usual: 256 * 2 ** 20, setting: 'media.maxBytes' },
    })
    const documents = before('peers.documents')
    assert.equal(
      [documents?.operator, documents?.limit, documents?.usual, documents?.used, documents?.setting],
      ['b.example', 7, defaultQuota.documents, 0, 'peers.quota.documents'],
    )
    assert.is(before('clients.connections')?.used, 0)
    const disk = before('machine.diskBytes')
    assert.ok(disk && (disk.used ?? 0) > 0 && (disk.used ?? 0) < disk.limit)

    const session = await running.connectOwner()
    const commandId = toBase64url(new Uint8Array(16).fill(1))
    await session.call(pnEstablish, { commandId, alias: 'My home', pnId: 'home' })
    flags['media.maxBytes'] = '2000'
    await running.node.reload('test')
    const after = await found()
    assert.is(after('clients.connections')?.used, 1)
    assert.is(after('clients.unproved')?.used, 0)
    assert.ok((after('documents.active')?.used ?? 0) > 0)
    assert.is(after('storage.mediaBytes')?.limit, 2_000)
    session.close()

    const { code, stdout } = await run()
    assert.is(code, 0)
    assert.match(stdout, /^LIMIT +FOR +USED +OF +USUAL +SETTING\n/)
    assert.match(stdout, /\npeers\.documents +b\.example +0 +0 % +7 +1,000,000 +peers\.quota\.documents\n/)
    assert.match(stdout, /\npeers\.bytes +b\.example .* 64\.0 GiB +peers\.quota\.bytes\n/)
    const settings = JSON.parse((await run('--json')).stdout).limits.flatMap(({ setting = [] }) => setting)
    assert.equal(
      settings.filter((setting: string) => !knownSettings.has(setting)),
      [],
      'what is said to change it is a setting',
    )
  } finally {
    await running.end()
  }
  const { code, stderr } = await run()
  assert.is(code, 1)
  assert.match(stderr, /no such file|No node runs there/)
})

test.run()
