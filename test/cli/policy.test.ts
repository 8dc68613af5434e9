/*
 * `cpns policy` as an operator uses it, at a running server: what it prints is a file to edit, what is set holds at once, and what
 * is wrong is refused before anything is said.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { policiesAt } from '../access/policy-rig.ts'
import { operator, secrets, startRig } from '../access/rig.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const test = suite('cpns policy')
const ends: (() => unknown)[] = []
test.after.each(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

test('is printed, edited and set; what it does not know it refuses', async () => {
  const { policies } = await policiesAt(ends)
  const rig = await startRig({ policies, commands: policies.commands })
  ends.push(rig.stop)
  const folder = await mkdtemp(join(tmpdir(), 'cpns-policy-'))
  ends.push(() => rm(folder, { recursive: true }))
  const env = {
    ...process.env,
    CPNS_URL: rig.base,
    CPNS_SERVER: operator.servers[0]?.id,
    CPNS_OPERATOR: operator.id,
    CPNS_IDENTITY: 'alice',
    CPNS_PSK: Buffer.from(secrets.alice.key).toString('base64url'),
  }
  const cpns = (...args: string[]) =>
    new Promise<{ code: number; stdout: string; stderr: string }>(resolve => {
      execFile(process.execPath, [main, 'policy', ...args], { env }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      )
    })

  const shown = await cpns('show')
  assert.match(shown.stdout, /^# Policy of a\.example, never said[\s\S]*hops = 3/, shown.stderr)
  const file = join(folder, 'policy.toml')
  await writeFile(file, shown.stdout.replace('hops = 3', 'hops = 1'))
  const set = await cpns('set', file, '--expect', '0')
  assert.is(set.code, 0, set.stderr)
  assert.is(policies.rules('standard').hops, 1)

  await writeFile(file, '[standard]\nhop = 2')
  const unknown = await cpns('set', file)
  assert.is(unknown.code, 1)
  assert.match(unknown.stderr, /"standard\.hop"; did you mean "standard\.hops"/)
  assert.is(policies.rules('standard').hops, 1)
})

test.run()
