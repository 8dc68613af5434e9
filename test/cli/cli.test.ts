/*
 * The `cpns` command as an operator uses it: what it writes is complete and private, each command succeeds, and each
 * refusal says what to do, exits with 1 (wrong usage: 2), and leaves no half-made thing behind.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { cpnsHere, type Ran } from './in-process.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** In this process, but where the process itself is to be shown: its exit codes, and what it takes from its environment. */
const cpns = cpnsHere

const cpnsWith = (environment: Readonly<Record<string, string>>, ...args: string[]): Promise<Ran> =>
  new Promise(resolve => {
    const env = { ...process.env, ...environment }
    execFile(process.execPath, [main, ...args], { env }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })

async function done(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await cpns(...args)
  assert.is(code, 0, `cpns ${args.join(' ')}: ${stderr}`)
  return stdout
}

async function refused(expected: RegExp, ...args: string[]): Promise<void> {
  const { code, stderr } = await cpns(...args)
  assert.match(stderr, expected)
  assert.not.match(stderr, /\n\s+at /, 'a person needs no stack')
  assert.is(code, 1)
}

const test = suite<{ folder: string }>('cpns')
test.before.each(async context => {
  context.folder = await mkdtemp(join(tmpdir(), 'cpns-cli-'))
})
test.after.each(({ folder }) => rm(folder, { recursive: true }))

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

test('is started by its own first lines, with the heap that benchmarks have', async () => {
  const path = `${dirname(process.execPath)}:${process.env.PATH}`
  const { stdout } = await promisify(execFile)('/bin/sh', [main, '--version'], { env: { ...process.env, PATH: path } })
  assert.match(stdout, /^\d+\.\d+\.\d+\n$/)
  const heap = / --initial-heap-size=\d+ /
  const { scripts } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  assert.is(heap.exec(await readFile(main, 'utf8'))?.[0], heap.exec(scripts.bench)?.[0])
})

test('opens very many documents without collecting all garbage meanwhile', async () => {
  const heap = new URL('../../src/cli/heap.ts', import.meta.url).href
  const program = `
    import { countBuffersAsHeap } from ${JSON.stringify(heap)}
    countBuffersAsHeap()
    const kept = []
    while (kept.length < 200) {
      kept.push(new Uint8Array(1024 * 1024))
      await new Promise(resolve => setImmediate(resolve))
    }`
  const options = ['--initial-heap-size=256', '--trace-gc', '--input-type=module', '--eval', program]
  const { NODE_COMPILE_CACHE: _, ...env } = process.env
  const { stdout } = await promisify(execFile)(process.execPath, options, { env })
  assert.not.match(stdout, /Mark-Compact/)
})

test('prints its version, and help for wrong usage', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'))
  const { code, stdout } = await cpnsWith({}, '--version')
  assert.is(code, 0)
  assert.is(stdout.trim(), version)
  const wrong = await cpnsWith({}, 'strat')
  assert.is(wrong.code, 2)
  assert.match(wrong.stderr, /start/)
  const refused = await cpnsWith({}, 'manifest', 'show', 'nowhere.json')
  assert.is(refused.code, 1)
  assert.match(refused.stderr, /nowhere.json/)
  assert.not.match(refused.stderr, /\n\s+at /, 'a person needs no stack')
})

test('init writes a folder whose secrets are its owner’s alone', async ({ folder }) => {
  const a = join(folder, 'a')
  await done('init', a, '--operator', 'a.example')
  for (const secret of ['keys/root.key', 'keys/server.key', 'keys/operator.secrets', 'keys/subscribers.key']) {
    assert.is(await modeOf(join(a, secret)), '600', secret)
  }
  assert.is(await modeOf(join(a, 'keys')), '700')
  const { manifest } = JSON.parse(await readFile(join(a, 'manifest.json'), 'utf8'))
  assert.is(manifest.operator, 'a.example')
  assert.is(manifest.servers.length, 1)
})

test('config says what a server would start with, and what is wrong with it', async ({ folder }) => {
  const a = join(folder, 'a')
  await done('init', a, '--operator', 'a.example')
  const config = join(a, 'cpns.toml')
  assert.match(await done('config', 'check', '--config', config), /in order/)
  await refused(/"clients.prot".*"clients.port"/, 'config', 'check', '--config', config, '--set', 'clients.prot=1')
  const printed = await done('config', 'print', '--effective', '--config', config, '--set', 'clients.port=99')
  assert.match(printed, /\[clients\][^[]*port = 99 {2}# flags/)
  assert.match(printed, /\[media\]\nfolder = "media" {2}# default/)
  assert.is(JSON.parse(await done('config', 'schema')).properties.operator.type, 'string')
})

test('doctor prints what it finds, and exits with 1 for a fault', async ({ folder }) => {
  const a = join(folder, 'a')
  const config = join(a, 'cpns.toml')
  await done('init', a, '--operator', 'a.example', '--listen', '/ip4/127.0.0.1/tcp/0', '--client-port', '0')
  assert.match(await done('doctor', '--config', config), /! subscribers {2}There are none yet.*\n {15}→ Add the first/)
  await chmod(join(a, 'keys/server.key'), 0o644)
  const { code, stdout } = await cpns('doctor', '--json', '--config', config)
  assert.is(code, 1)
  assert.ok(
    JSON.parse(stdout).some(
      ({ examined, gravity }: Record<string, string>) => examined === 'keys' && gravity === 'fault',
    ),
  )
})

test('init refuses what cannot be, and writes nothing then', async ({ folder }) => {
  const a = join(folder, 'a')
  await refused(/lower-case domain name/, 'init', a, '--operator', 'Example')
  await refused(/clients.port/, 'init', a, '--operator', 'a.example', '--client-port', '70000')
  await refused(/trust.a.example/, 'init', a, '--operator', 'a.example', '--join', 'short')
  assert.not(existsSync(a))
  await done('init', a, '--operator', 'a.example')
  await refused(/there already/, 'init', a, '--operator', 'a.example')
})

test('peer trust pins the root of a manifest, and refuses another root under the same name', async ({ folder }) => {
  const [a, b, other] = ['a', 'b', 'other'].map(name => join(folder, name)) as [string, string, string]
  await done('init', a, '--operator', 'a.example')
  await done('init', b, '--operator', 'b.example')
  await done('init', other, '--operator', 'b.example')
  const config = join(a, 'cpns.toml')
  await done('peer', 'trust', join(b, 'manifest.json'), '--config', config)
  await done('peer', 'trust', join(b, 'manifest.json'), '--config', config)
  const text = await readFile(config, 'utf8')
  assert.is(text.match(/^"b.example" = /gm)?.length, 1)
  assert.match(text, /# Operators that this server works with/)
  await refused(/is pinned to/, 'peer', 'trust', join(other, 'manifest.json'), '--config', config)
  await refused(/own operator/, 'peer', 'trust', join(a, 'manifest.json'), '--config', config)
  await refused(/no such file/, 'peer', 'trust', join(folder, 'nothing.json'), '--config', config)
})

test('peer list and manifest show say who is trusted, and peer revoke ends it', async ({ folder }) => {
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  const config = join(a, 'cpns.toml')
  await done('init', a, '--operator', 'a.example')
  await done('init', b, '--operator', 'b.example')
  assert.match(await done('peer', 'list', '--config', config), /No other operator/)
  await done('peer', 'trust', join(b, 'manifest.json'), '--config', config)
  assert.match(await done('peer', 'list', '--config', config), /^OPERATOR .*\nb\.example +good +1 +1 +20/)
  const shown = await done('manifest', 'show', '--config', config)
  assert.match(shown, /^Manifest 1 of a\.example.*\nRoot fingerprint \S{43}: 1 of 1 root keys sign\nSERVER /)
  await refused(/not trusted/, 'peer', 'revoke', 'c.example', '--config', config)
  await refused(/Not a signed manifest/, 'manifest', 'show', config)
  await done('peer', 'revoke', 'b.example', '--config', config)
  assert.equal(JSON.parse(await done('peer', 'list', '--json', '--config', config)), [])
  assert.not(existsSync(join(a, 'peers/b.example.json')))
})

test('peer trust refuses a manifest that was tampered with', async ({ folder }) => {
  const [a, b] = [join(folder, 'a'), join(folder, 'b')]
  await done('init', a, '--operator', 'a.example')
  await done('init', b, '--operator', 'b.example')
  const file = join(b, 'manifest.json')
  const signed = JSON.parse(await readFile(file, 'utf8'))
  signed.manifest.expires += 1
  await writeFile(file, JSON.stringify(signed))
  await refused(/has 0 of the 1 signatures/, 'peer', 'trust', file, '--config', join(a, 'cpns.toml'))
})

test('subscriber add takes each kind of credential once per identity', async ({ folder }) => {
  const a = join(folder, 'a')
  const config = join(a, 'cpns.toml')
  const of = ['--config', config]
  await done('init', a, '--operator', 'a.example')
  const { psk } = JSON.parse(await done('subscriber', 'add', 'gateway-1', '--psk', '--config', config))
  assert.is(Buffer.from(psk, 'base64url').length, 32)
  const publicKey = Buffer.alloc(32, 7).toString('base64url')
  await done('subscriber', 'add', 'owner@a.example', '--ed25519', publicKey, '--config', config)
  assert.is(await modeOf(join(a, 'subscribers.json')), '600')
  const added = JSON.parse(await done('subscriber', 'add', 'lamp', '--x25519', publicKey, '--config', config))
  assert.is(added.registrationKey.epoch, 1, 'the device needs its operator’s key beside its own')
  assert.is(Buffer.from(added.registrationKey.publicKey, 'base64url').length, 32)
  const certified = JSON.parse(await done('subscriber', 'add', 'watch', '--x509', '--config', config))
  assert.equal([certified.kind, certified.registrationKey], ['x509', added.registrationKey])
  await refused(/32 bytes/, 'subscriber', 'add', 'odd', '--x25519', 'c2hvcnQ', '--config', config)
  await refused(/already/, 'subscriber', 'add', 'gateway-1', '--config', config)
  const trusted = await done('subscriber', 'add', 'front', '--right', 'provision', '--right', 'deposit', ...of)
  assert.equal(JSON.parse(trusted).rights, ['provision', 'deposit'])
  assert.match(await done('subscriber', 'list', ...of), /^front +psk +deposit, provision$/m)
  assert.equal(JSON.parse(await done('subscriber', 'show', 'front', '--json', ...of)).rights, ['deposit', 'provision'])
  assert.is((await cpns('subscriber', 'add', 'odd', '--right', 'everything', ...of)).code, 2)
  assert.is((await cpns('subscriber', 'add', 'odd', '--x509', '--right', 'deposit', ...of)).code, 2)
  await refused(/at least 32 bytes/, 'subscriber', 'add', 'weak', '--psk', 'c2hvcnQ', '--config', config)
  await refused(/32 bytes/, 'subscriber', 'add', 'odd', '--ed25519', 'c2hvcnQ', '--config', config)
  await refused(/identity/, 'subscriber', 'add', 'no spaces', '--config', config)
})

test('subscribers are listed, shown and removed, and no secret of theirs is printed or on disk', async ({ folder }) => {
  const a = join(folder, 'a')
  const config = ['--config', join(a, 'cpns.toml')]
  await done('init', a, '--operator', 'a.example')
  const publicKey = Buffer.alloc(32, 7).toString('base64url')
  const { psk } = JSON.parse(await done('subscriber', 'add', 'lamp', ...config))
  await done('subscriber', 'add', 'alice', '--ed25519', publicKey, ...config)
  const printed = [
    await done('subscriber', 'list', ...config),
    await done('subscriber', 'list', '--json', ...config),
    await done('subscriber', 'show', 'lamp', ...config),
    await done('subscriber', 'show', 'alice', '--json', ...config),
  ]
  assert.is(printed[0], 'IDENTITY  KIND     RIGHTS\nalice     ed25519\nlamp      psk\n')
  const shown = { identity: 'alice', kind: 'ed25519', publicKey }
  assert.equal(JSON.parse(printed[1] as string), {
    operator: 'a.example',
    subscribers: [shown, { identity: 'lamp', kind: 'psk' }],
  })
  assert.equal(JSON.parse(printed[3] as string), { operator: 'a.example', ...shown })
  const file = await readFile(join(a, 'subscribers.json'), 'utf8')
  for (const text of [...printed, file]) assert.not(text.includes(psk))
  await refused(/no subscriber radio/, 'subscriber', 'show', 'radio', ...config)
  await refused(/no subscriber radio/, 'subscriber', 'remove', 'radio', ...config)
  assert.equal(JSON.parse(await done('subscriber', 'remove', 'alice', '--json', ...config)).identity, 'alice')
  assert.is(await done('subscriber', 'list', ...config), 'IDENTITY  KIND  RIGHTS\nlamp      psk\n')
})

test('the key of the subscribers is exchanged and locked, and a locked one needs its passphrase', async ({
  folder,
}) => {
  const a = join(folder, 'a')
  const config = ['--config', join(a, 'cpns.toml')]
  await done('init', a, '--operator', 'a.example')
  await done('subscriber', 'add', 'lamp', ...config)
  const before = await readFile(join(a, 'keys/subscribers.key'), 'utf8')
  await done('subscriber', 'rekey', ...config)
  assert.is.not(await readFile(join(a, 'keys/subscribers.key'), 'utf8'), before)
  await refused(/CPNS_PASSPHRASE/, 'subscriber', 'rekey', '--lock', ...config)
  const short = await cpnsWith({ CPNS_PASSPHRASE: 'short' }, 'subscriber', 'rekey', '--lock', ...config)
  assert.match(short.stderr, /at least 12/)
  const given = { CPNS_PASSPHRASE: 'correct horse battery' }
  assert.is((await cpnsWith(given, 'subscriber', 'rekey', '--lock', ...config)).code, 0)
  await refused(/locked by a passphrase/, 'subscriber', 'list', ...config)
  await refused(/locked by a passphrase/, 'start', ...config)
  assert.match((await cpnsWith(given, 'subscriber', 'list', ...config)).stdout, /^lamp +psk$/m)
})

test('subscribers of a key server are not added here', async ({ folder }) => {
  const a = join(folder, 'a')
  const config = join(a, 'cpns.toml')
  await done('init', a, '--operator', 'a.example')
  const source = '[keySource]\nurl = "https://keys.a.example/v1"\ntokenFile = "keys/token"\n'
  await writeFile(config, `${await readFile(config, 'utf8')}\n${source}`)
  await refused(/those of https:\/\/keys.a.example/, 'subscriber', 'add', 'lamp', '--config', config)
})

test('a second server joins with a new manifest and the sealed secrets', async ({ folder }) => {
  const [a, b] = [join(folder, 'a'), join(folder, 'a2')]
  const bundle = join(folder, 'bundle.json')
  const printed = await done('init', a, '--operator', 'a.example')
  const [, fingerprint] = /Root fingerprint (\S+)/.exec(printed) as unknown as [string, string]
  await done('init', b, '--operator', 'a.example', '--join', fingerprint)
  assert.not(existsSync(join(b, 'keys/root.key')), 'the root key stays where it is')
  const card = join(b, 'server.json')
  const out = ['--to', card, '--out', bundle, '--config', join(a, 'cpns.toml')]
  await refused(/manifest sign --add/, 'secret', 'export', ...out)
  await done('manifest', 'sign', '--add', card, '--config', join(a, 'cpns.toml'))
  await done('secret', 'export', ...out)
  assert.not.match(await readFile(bundle, 'utf8'), /cpnsIdKey|macKeys/, 'sealed')
  await done('secret', 'import', bundle, '--config', join(b, 'cpns.toml'))
  const secrets = ['keys/operator.secrets', 'manifest.json'].map(name => [join(a, name), join(b, name)] as const)
  for (const [ours, theirs] of secrets) assert.is(await readFile(theirs, 'utf8'), await readFile(ours, 'utf8'))
  await refused(/is for server/, 'secret', 'import', bundle, '--config', join(a, 'cpns.toml'))
})

test('a bundle that was changed or forged on its way is refused', async ({ folder }) => {
  const [a, b] = [join(folder, 'a'), join(folder, 'a2')]
  const bundle = join(folder, 'bundle.json')
  const [, fingerprint] = /Root fingerprint (\S+)/.exec(await done('init', a, '--operator', 'a.example')) ?? []
  await done('init', b, '--operator', 'a.example', '--join', fingerprint as string)
  await done('manifest', 'sign', '--add', join(b, 'server.json'), '--config', join(a, 'cpns.toml'))
  await done('secret', 'export', '--to', join(b, 'server.json'), '--out', bundle, '--config', join(a, 'cpns.toml'))
  const honest = JSON.parse(await readFile(bundle, 'utf8'))
  const forged = {
    ...honest,
    sealed: `${honest.sealed.slice(0, -4)}AAAA`,
  }
  await writeFile(bundle, JSON.stringify(forged))
  await refused(/does not come from a server/, 'secret', 'import', bundle, '--config', join(b, 'cpns.toml'))
  assert.not(existsSync(join(b, 'keys/operator.secrets')))
})

test('secrets are sealed to a key that its server has vouched for, and nothing newer is replaced', async ({
  folder,
}) => {
  const [a, b, thief] = [join(folder, 'a'), join(folder, 'a2'), join(folder, 'thief')]
  const old = join(folder, 'old.json')
  const [, fingerprint] = /Root fingerprint (\S+)/.exec(await done('init', a, '--operator', 'a.example')) ?? []
  for (const server of [b, thief])
    await done('init', server, '--operator', 'a.example', '--join', fingerprint as string)
  const card = join(b, 'server.json')
  const config = ['--config', join(a, 'cpns.toml')]
  await done('manifest', 'sign', '--add', card, ...config)
  await done('secret', 'export', '--to', card, '--out', old, ...config)

  const honest = JSON.parse(await readFile(card, 'utf8'))
  const { exchangeKey } = JSON.parse(await readFile(join(thief, 'server.json'), 'utf8'))
  await writeFile(card, JSON.stringify({ ...honest, exchangeKey }))
  await refused(/was changed/, 'secret', 'export', '--to', card, '--out', join(folder, 'stolen.json'), ...config)
  await refused(/was changed/, 'manifest', 'sign', '--add', card, ...config)
  await writeFile(card, JSON.stringify(honest))

  await done('manifest', 'sign', ...config)
  const bundle = join(folder, 'bundle.json')
  await done('secret', 'export', '--to', card, '--out', bundle, ...config)
  await done('secret', 'import', bundle, '--config', join(b, 'cpns.toml'))
  await refused(/older/, 'secret', 'import', old, '--config', join(b, 'cpns.toml'))
})

test('manifest sign retires and revokes servers that it names, and no others', async ({ folder }) => {
  const a = join(folder, 'a')
  const config = join(a, 'cpns.toml')
  await done('init', a, '--operator', 'a.example')
  const { peerId } = JSON.parse(await readFile(join(a, 'server.json'), 'utf8'))
  await done('manifest', 'sign', '--revoke', peerId, '--config', config)
  const { manifest } = JSON.parse(await readFile(join(a, 'manifest.json'), 'utf8'))
  assert.equal(manifest.revoked, [peerId])
  assert.is(manifest.seq, 2)
  await refused(/is no server of manifest/, 'manifest', 'sign', '--remove', peerId, '--config', config)
  await refused(/PeerId/, 'manifest', 'sign', '--remove', 'nobody', '--config', config)
})

test('start refuses keys that others can read, and settings that do not exist', async ({ folder }) => {
  const a = join(folder, 'a')
  const config = join(a, 'cpns.toml')
  await done('init', a, '--operator', 'a.example')
  await refused(/clients.port/, 'start', '--config', config, '--set', 'clients.prot=1')
  await refused(/setting=value/, 'start', '--config', config, '--set', 'nonsense')
  await chmod(join(a, 'keys/server.key'), 0o644)
  await refused(/chmod 600/, 'start', '--config', config)
})

test('token makes tokens for the admin API, lists them without what they are, and takes them back', async ({
  folder,
}) => {
  const a = join(folder, 'a')
  await done('init', a, '--operator', 'a.example')
  const config = ['--config', join(a, 'cpns.toml')]
  const text = (await done('token', 'create', 'monitor', '--for', '30d', ...config)).trim()
  assert.match(text, /^cpns_[\w-]{8}_[\w-]{43}$/)
  await refused(/token monitor already/, 'token', 'create', 'monitor', ...config)
  await refused(/A-Z a-z 0-9/, 'token', 'create', 'two words', ...config)
  const made = JSON.parse(await done('token', 'create', 'night', '--scope', 'operate', '--json', ...config))
  assert.equal([made.scope, made.expires - made.created], ['operate', 90 * 86_400_000])
  const listed = await done('token', 'list', ...config)
  assert.match(listed, /monitor .* read .*\nnight .* operate /)
  assert.not.match(listed, text.slice(-43))
  await done('token', 'revoke', 'monitor', ...config)
  await refused(/no token monitor/, 'token', 'revoke', 'monitor', ...config)
  assert.equal(
    JSON.parse(await done('token', 'list', '--json', ...config)).map(({ name }: { name: string }) => name),
    ['night'],
  )
  assert.is((await cpns('token', 'create', 'x', '--for', 'ever', ...config)).code, 2)
})

test.run()
