/*
 * The doctor finds each fault that was planted, names the thing that is wrong, says what to do, and finds no fault with a
 * server that is well. Files and ports are real; of the machine only what a test cannot do to it is told by a double.
 */
import { chmod, cp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { type Host, thisHost } from '../../src/adapters/host.ts'
import { readRootKey } from '../../src/adapters/operator-keys.ts'
import { formatManifest, nextManifest, parseManifest } from '../../src/federation/manifest.ts'
import { examine } from '../../src/operations/doctor/examine.ts'
import type { Examined, Finding, Gravity } from '../../src/operations/doctor/finding.ts'
import { cpnsHere } from '../cli/in-process.ts'
import { type TemporaryFolder, temporaryFolder } from '../fixtures/temporary-folder.ts'

interface Context {
  folder: TemporaryFolder
  /** Of a server that is well, which trusts `b.example`. */
  well: string
}

async function cpns(...args: string[]): Promise<void> {
  const { code, stderr } = await cpnsHere(...args)
  assert.is(code, 0, stderr)
}
const dayMs = 86_400_000

const test = suite<Context>('doctor')

test.before(async context => {
  context.folder = await temporaryFolder()
  const [a, b] = ['a', 'b'].map(name => join(context.folder.path, name)) as [string, string]
  const config = join(a, 'cpns.toml')
  const ports = ['--listen', '/ip4/127.0.0.1/tcp/0', '--client-port', '0']
  await cpns('init', a, '--operator', 'a.example', ...ports)
  await cpns('init', b, '--operator', 'b.example', ...ports)
  await cpns('peer', 'trust', join(b, 'manifest.json'), '--config', config)
  await cpns('subscriber', 'add', 'alice', '--config', config)
  context.well = a
})
test.after(({ folder }) => folder.remove())

const wellHost: Host = {
  ...thisHost(),
  openFilesLimit: async () => 65_536,
  freeBytes: async () => 2 ** 40,
  syncMs: async () => 1,
  reaches: async () => true,
  clockAheadMs: async () => 100,
}

let copies = 0

/** What is found once `plant` has done something to a copy of the server that is well. */
async function found(
  { folder, well }: Context,
  plant: (at: (path: string) => string) => unknown,
  host: Partial<Host> = {},
  flags: Readonly<Record<string, string>> = {},
): Promise<Finding[]> {
  const copy = join(folder.path, `copy-${copies++}`)
  await cp(well, copy, { recursive: true })
  const at = (path: string) => resolve(copy, path)
  await plant(at)
  const patient = { configFile: at('cpns.toml'), at, environment: {}, flags }
  return examine(patient, { ...wellHost, ...host })
}

const faults = (findings: readonly Finding[], gravity: Gravity = 'fault') =>
  findings.filter(finding => finding.gravity === gravity)

/** One fault is found, of this kind, and something is said to be done. */
function only(findings: readonly Finding[], examined: Examined, says: RegExp, gravity: Gravity = 'fault'): void {
  const serious = faults(findings, gravity)
  assert.equal(
    serious.map(finding => finding.examined),
    [examined],
    JSON.stringify(serious),
  )
  assert.match(serious[0]?.found ?? '', says)
  assert.ok((serious[0]?.advice ?? '').length > 10)
}

const nothing = () => {}

test('a server that is well has no fault, and is told that its root key lies about', async context => {
  const findings = await found(context, nothing)
  assert.equal(faults(findings), [])
  only(findings, 'keys', /root\.key is on this machine/, 'warning')
  assert.equal(faults(await found(context, at => rm(at('keys/root.key'))), 'warning'), [])
})

/** Something that is wrong with a server or its machine, and how the doctor speaks of it. */
interface Planted {
  readonly fault: string
  readonly plant?: (at: (path: string) => string) => unknown
  readonly host?: Partial<Host>
  readonly flags?: Readonly<Record<string, string>>
  readonly examined: Examined
  readonly says: RegExp
  readonly gravity?: Gravity
}

const planted: readonly Planted[] = [
  { fault: 'too old a Node', host: { nodeVersion: '20.20.2' }, examined: 'node', says: /20\.20\.2 is older/ },
  { fault: 'too few files', host: { openFilesLimit: async () => 256 }, examined: 'files', says: /256/ },
  { fault: 'an unknown setting', flags: { 'clients.prot': '1' }, examined: 'settings', says: /clients\.prot/ },
  {
    fault: 'a key that others may read',
    plant: at => chmod(at('keys/server.key'), 0o644),
    examined: 'keys',
    says: /chmod 600/,
  },
  {
    fault: 'secrets that are gone',
    plant: at => rm(at('keys/operator.secrets')),
    examined: 'keys',
    says: /no such file/,
  },
  {
    fault: 'a manifest that somebody has changed',
    plant: async at => {
      const text = await readFile(at('manifest.json'), 'utf8')
      await writeFile(at('manifest.json'), text.replace(/"expires": \d+/, '"expires": 9000000000000'))
    },
    examined: 'manifest',
    says: /signatures/,
  },
  {
    fault: 'subscribers whose key others may read',
    plant: at => chmod(at('keys/subscribers.key'), 0o644),
    examined: 'subscribers',
    says: /chmod 600/,
  },
  {
    fault: 'an operator without a manifest',
    plant: at => rm(at('peers/b.example.json')),
    examined: 'peers',
    says: /is not there/,
  },
  {
    fault: 'an operator with other root keys',
    plant: at => cp(at('manifest.json'), at('peers/b.example.json')),
    examined: 'peers',
    says: /not those that are pinned/,
  },
  {
    fault: 'a clock that is behind',
    host: { clockAheadMs: async () => -90_000 },
    examined: 'clock',
    says: /90\.0 s behind that of b\.example/,
  },
  { fault: 'a slow disk', host: { syncMs: async () => 2_000 }, examined: 'disk', says: /durable after 2000/ },
  {
    fault: 'a disk that takes no writes',
    host: { syncMs: () => Promise.reject(new Error('EROFS: read-only file system')) },
    examined: 'disk',
    says: /EROFS/,
  },
  {
    fault: 'a port of the admin API that another program has',
    host: { portUse: async (_, port) => (port === 4690 ? 'in use' : 'free') },
    flags: { 'admin.listen': '127.0.0.1:4690' },
    examined: 'ports',
    says: /127\.0\.0\.1:4690, for the admin API, is taken by another program/,
  },
  {
    fault: 'a port that nobody may have',
    host: { portUse: async () => 'refused' },
    // There is one for clients and one for other servers.
    flags: { 'peers.listen': '/unix/cpns.sock' },
    examined: 'ports',
    says: /Nobody may listen for clients/,
  },
  {
    fault: 'a certificate that is not one',
    plant: async at => {
      for (const file of ['chain.pem', 'key.pem']) await writeFile(at(file), 'nothing')
    },
    flags: { 'clients.certificate': 'chain.pem', 'clients.key': 'key.pem' },
    examined: 'certificate',
    says: /cannot be used/,
  },
  {
    fault: 'an admin API in plain beyond this machine',
    plant: at => rm(at('keys/root.key')),
    host: { portUse: async () => 'free' },
    flags: { 'admin.listen': '0.0.0.0:4690' },
    examined: 'ports',
    says: /beyond this machine/,
    gravity: 'warning',
  },
]

for (const { fault, plant = nothing, host, flags, examined, says, gravity } of planted) {
  test(`${fault} is found, and nothing else`, async context => {
    const findings = await found(context, plant, host, flags)
    // What cannot be read cannot be held against the manifest either.
    only(examined === 'keys' ? withoutManifest(findings) : findings, examined, says, gravity)
  })
}

/** What cannot be read cannot be held against the manifest either. */
const withoutManifest = (findings: readonly Finding[]) => findings.filter(({ examined }) => examined !== 'manifest')

test('a manifest that has run out, or soon will', async context => {
  const later = (days: number) => ({ now: () => Date.now() + days * dayMs })
  const gone = faults(await found(context, nothing, later(400)))
  assert.equal(gone.map(({ examined }) => examined).sort(), ['manifest', 'peers'])
  const soon = faults(await found(context, nothing, later(350)), 'warning')
  assert.equal(soon.map(({ examined }) => examined).sort(), ['keys', 'manifest', 'peers'])
})

test('a manifest that does not name this server', async context => {
  const disown = async (at: (path: string) => string) => {
    const crypto = nodeCrypto()
    const before = parseManifest(await readFile(at('manifest.json'), 'utf8'))
    const root = await readRootKey(at('keys/root.key'))
    await writeFile(
      at('manifest.json'),
      formatManifest(nextManifest(before, { servers: [] }, [root], crypto, Date.now())),
    )
  }
  only(await found(context, disown), 'manifest', /does not name this server/)
})

test('subscribers whose key is another one', async context => {
  const other = async (at: (path: string) => string) => {
    await rm(at('keys/subscribers.key'))
    await cpns('init', at('other'), '--operator', 'a.example')
    await cp(at('other/keys/subscribers.key'), at('keys/subscribers.key'))
  }
  only(await found(context, other), 'subscribers', /subscribers/)
})

test('an operator that nobody reaches', async context => {
  const findings = await found(context, at => rm(at('keys/root.key')), { reaches: async () => false })
  only(findings, 'reach', /0 of 1 addresses of b\.example/, 'warning')
})

test('a clock that is before the time when a manifest was signed', async context => {
  const past = faults(await found(context, nothing, { now: () => Date.now() - dayMs }))
  assert.ok(past.some(({ examined, found }) => examined === 'clock' && /in the future/.test(found)))
})

test('a disk that is full', async context => {
  const full = faults(await found(context, nothing, { freeBytes: async () => 1_000_000 }))
  assert.equal(new Set(full.map(({ examined }) => examined)), new Set(['disk']))
})

test('a port that another program has', async context => {
  const server = createServer()
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  const address = server.address()
  const port = typeof address === 'object' && address ? String(address.port) : ''
  try {
    only(await found(context, nothing, {}, { 'clients.port': port }), 'ports', /taken by another program/)
  } finally {
    server.close()
  }
})

test('the ports of a node that runs are its own, and something is wrong where nobody listens', async context => {
  const running = { runs: async () => true }
  assert.equal(faults(await found(context, nothing, running, { 'clients.port': '1' })), [])
  const deaf = { ...running, reaches: async () => false }
  only(await found(context, nothing, deaf, { 'clients.port': '1' }), 'ports', /nothing listens for clients/)
})

test('a certificate that has run out', async context => {
  const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url))
  const flags = { 'clients.certificate': fixture('tls-a.crt.pem'), 'clients.key': fixture('tls-a.key.pem') }
  const ended = { certificateEnds: async () => Date.now() - 3 * dayMs }
  only(await found(context, nothing, ended, flags), 'certificate', /has run out 3 days ago/)
})

test('a machine says what it is', async ({ folder }) => {
  const host = thisHost()
  assert.ok((await host.freeBytes(join(folder.path, 'not/there/yet'))) > 0)
  assert.ok((await host.syncMs(join(folder.path, 'not/there/yet'))) >= 0)
  assert.is(await host.reaches('127.0.0.1', 1), false)
  assert.is(await host.clockAheadMs('ws://127.0.0.1:1'), undefined)
  assert.is(await host.portUse('192.0.2.1', 0), 'refused')
})

test.run()
