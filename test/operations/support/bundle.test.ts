/*
 * Property: a support bundle has what somebody who helps needs, and none of the secrets of the folder: not one text of any of its key
 * files, in whatever way its bytes are written, wherever a log has it; nor what only looks like a secret, or like what users say.
 * Fails if a file of secrets were left out, or a way to write one.
 */
import { cp, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { pinoTelemetry } from '../../../src/adapters/telemetry.ts'
import { redacted, redactedFields, redactedLine, redaction } from '../../../src/operations/support/redaction.ts'
import { cpnsHere } from '../../cli/in-process.ts'
import { type TemporaryFolder, temporaryFolder } from '../../fixtures/temporary-folder.ts'

interface Context {
  folder: TemporaryFolder
}
const test = suite<Context>('cpns support-bundle')
test.before.each(async context => {
  context.folder = await temporaryFolder()
})
test.after.each(({ folder }) => folder.remove())

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cpnsHere(...args)
  assert.is(code, 0, `cpns ${args.join(' ')}: ${stderr}`)
  return stdout
}

const fixture = (name: string) => fileURLToPath(new URL(`../../fixtures/${name}`, import.meta.url))
const waysToWrite = (secret: string): string[] => {
  const bytes = Buffer.from(secret, 'base64url')
  return [secret, bytes.toString('base64'), bytes.toString('hex')]
}

/** Every long text in the files that are for their owner alone, but for public keys. */
async function secretsIn(a: string): Promise<string[]> {
  const files = [
    'keys/root.key',
    'keys/server.key',
    'keys/operator.secrets',
    'keys/subscribers.key',
    'data/admin/tokens.json',
  ]
  const texts = await Promise.all(files.map(file => readFile(join(a, file), 'utf8')))
  const withoutPublic = texts.join('\n').replaceAll(/"publicKey": ?"[^"]*"/g, '')
  return [...withoutPublic.matchAll(/"([\w+/=-]{20,})"/g)].map(([, secret = '']) => secret)
}

test('it has what helps, and no secret of the folder', async ({ folder }) => {
  const a = join(folder.path, 'a')
  const of = ['--config', join(a, 'cpns.toml')]
  await done('init', a, '--operator', 'a.example', '--listen', '/ip4/127.0.0.1/tcp/0', '--client-port', '0')
  const { psk } = JSON.parse(await done('subscriber', 'add', 'alice', ...of))
  const token = (await done('token', 'create', 'monitor', ...of)).trim()
  await cp(fixture('tls-a.crt.pem'), join(a, 'tls.crt'))
  await cp(fixture('tls-a.key.pem'), join(a, 'tls.key'))
  const tls = ['--set', 'clients.certificate=tls.crt', '--set', 'clients.key=tls.key']
  const secrets = await secretsIn(a)
  assert.ok(secrets.length >= 8, String(secrets.length))
  const [pemLine = ''] = (await readFile(join(a, 'tls.key'), 'utf8')).split('\n').slice(1)
  const log = join(folder.path, 'log')
  const lines = [
    ...secrets
      .flatMap(waysToWrite)
      .map(secret => JSON.stringify({ event: 'odd', fields: { message: `with ${secret}.` } })),
    JSON.stringify({ event: 'odd', fields: { psk, message: 'kept' } }),
    JSON.stringify({ event: 'odd', fields: { text: 'See you at eight.' } }),
    `not JSON: Bearer ${token} and ${pemLine}`,
    JSON.stringify({ event: 'node.ready', fields: { server: '12D3KooWtest' } }),
  ]
  await writeFile(log, lines.join('\n'))
  const out = join(folder.path, 'bundle.json')
  await done('support-bundle', '--out', out, '--log', log, ...tls, ...of)

  assert.is((await stat(out)).mode & 0o777, 0o600)
  const text = await readFile(out, 'utf8')
  for (const secret of [...secrets.flatMap(waysToWrite), psk, token, pemLine, 'See you at eight']) {
    assert.not(text.includes(secret), `it has ${secret}`)
  }
  const bundle = JSON.parse(text)
  assert.is(bundle.log.length, lines.length)
  assert.ok(text.includes('node.ready') && text.includes('kept'), 'what is no secret stays')
  assert.is(bundle.status.state, 'not running')
  assert.ok(bundle.findings.some(({ examined }: { examined: string }) => examined === 'manifest'))
  assert.equal(
    bundle.settings.find(({ name }: { name: string }) => name === 'clients.key'),
    { name: 'clients.key', is: 'tls.key', said: 'flags' },
  )
  assert.is(bundle.machine.node, process.versions.node)
})

test('of a long log the end is taken', async ({ folder }) => {
  const a = join(folder.path, 'a')
  await done('init', a, '--operator', 'a.example')
  const log = join(folder.path, 'log')
  await writeFile(log, Array.from({ length: 20_000 }, (_, n) => `line ${n}`).join('\n'))
  const text = await done(
    'support-bundle',
    '--out',
    '-',
    '--log',
    log,
    '--lines',
    '3',
    '--config',
    join(a, 'cpns.toml'),
  )
  assert.equal(JSON.parse(text).log, ['line 19997', 'line 19998', 'line 19999'])
})

test('nothing is written over, and a log that is not there is said', async ({ folder }) => {
  const a = join(folder.path, 'a')
  const of = ['--config', join(a, 'cpns.toml')]
  await done('init', a, '--operator', 'a.example')
  const out = join(folder.path, 'bundle.json')
  await writeFile(out, 'mine')
  const there = await cpnsHere('support-bundle', '--out', out, ...of)
  assert.equal([there.code, await readFile(out, 'utf8')], [1, 'mine'])
  assert.match(there.stderr, /is there already/)
  const without = await cpnsHere('support-bundle', '--out', '-', '--log', join(folder.path, 'none'), ...of)
  assert.is(without.code, 1)
  assert.match(without.stderr, /none is no file/)
})

test('no line has a secret, in whatever way its bytes are written, wherever it stands', () => {
  const around = fc.string({ maxLength: 20 })
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 64 })
  fc.assert(
    fc.property(bytes, around, around, fc.boolean(), (secret, before, after, isJson) => {
      const known = Buffer.from(secret).toString('base64url')
      const redact = redaction([known])
      for (const written of waysToWrite(known)) {
        const line = isJson
          ? JSON.stringify({ [before]: `${before}${written}${after}` })
          : `${before}${written}${after}`
        assert.not(JSON.stringify(redactedLine(line, redact)).includes(written))
      }
    }),
    { numRuns: Number(process.env.REDACTION_RUNS ?? 200) },
  )
})

test('what goes into the log is redacted by its form and its name, and nothing else', () => {
  const lines: string[] = []
  const telemetry = pinoTelemetry({
    level: 'info',
    destination: { write: line => void lines.push(line) },
    redact: redactedFields,
  })
  telemetry.log('error', 'admin.failed', {
    message: 'GET /x?ticket=abcdefgh failed: Bearer abcdefgh.ijkl',
    credential: 'abcdefgh',
    text: 'See you at eight.',
    reason: 'quota-bytes',
  })
  telemetry.log('info', 'node.counted', { cpns_tickets_total: 3 })
  assert.equal(JSON.parse(lines[0] ?? '').fields, {
    message: `GET /x${redacted} failed: ${redacted}`,
    credential: redacted,
    text: redacted,
    reason: 'quota-bytes',
  })
  assert.equal(JSON.parse(lines[1] ?? '').fields, { cpns_tickets_total: 3 })
})

test.run()
