/*
 * Property: `cpns log-level` changes what a running node logs, for a while or until it ends, and what it shows is what holds; without a node,
 * without a level or with one that is none it says so. Each change is in the audit log.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { adminAuditPath } from '../../src/operations/control-path.ts'
import { realNode } from '../operations/admin/real-node.ts'
import { cpnsHere } from './in-process.ts'

const test = suite('cpns log-level')

test('of a running node, and of none', async () => {
  const running = await realNode()
  const { node, folder, configuration, at, end } = running
  const config = ['--config', join(folder, 'cpns.toml')]
  const run = (...args: string[]) => cpnsHere('log-level', ...args, ...config)
  try {
    assert.equal(await run(), { code: 0, stdout: 'error\n', stderr: '' })
    const changed = await run('debug', '--for', '10m', '--json')
    assert.is(changed.code, 0)
    const { level, until } = JSON.parse(changed.stdout)
    assert.is(level, 'debug')
    assert.ok(until > Date.now())
    assert.is(node.telemetry.level, 'debug')
    await run('error')
    assert.is(node.telemetry.level, 'error')
    assert.is((await run('loud')).code, 2)
    const refused = await run('--for', '10m')
    assert.is(refused.code, 1)
    assert.match(refused.stderr, /--for goes with a level/)
    assert.match(await readFile(adminAuditPath(configuration, at), 'utf8'), /"path":"\/v1\/log-level","status":200/)
    await node.stop()
    const { code, stderr } = await run('debug')
    assert.is(code, 1)
    assert.match(stderr, /No node runs there/)
  } finally {
    await end()
  }
})

test.run()
