/*
 * Property: root keys are replaced by as many old and new ones as the manifests ask for, in as many places as they are kept, and who
 * pinned the old ones follows; until then nothing is in force. A server gets another key, keeps what it stores, and what it wrote under
 * the old one is read and replicated on. Each step that lacks something says what, and changes nothing. Fails when a manifest counts
 * that too few have signed, or a server does not start with its new key.
 */
import { existsSync } from 'node:fs'
import { readFile, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { initCommand } from '../../src/cli/init.ts'
import { manifestCommand } from '../../src/cli/manifest.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { EvidenceArchive } from '../../src/federation/evidence-archive.ts'
import { formatManifest, parseManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { createTrust } from '../../src/federation/trust.ts'
import { launch } from '../../src/operations/launch.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { realNode } from '../operations/admin/real-node.ts'

const test = suite('cpns manifest rotate')
const crypto = nodeCrypto()
const document = asDocumentId('directory/a.example')

/** What a command prints. */
async function printed(run: () => Promise<unknown>): Promise<string> {
  const { log } = console
  const texts: string[] = []
  console.log = (...parts: unknown[]) => void texts.push(parts.join(' '))
  try {
    await run()
  } finally {
    console.log = log
  }
  return texts.join('\n')
}

const manifest = (...args: string[]) => printed(() => manifestCommand().parseAsync(args, { from: 'user' }))

async function refused(why: RegExp, ...args: string[]): Promise<void> {
  const error = await manifest(...args).catch((thrown: unknown) => thrown)
  assert.instance(error, Error, args.join(' '))
  assert.match((error as Error).message, why)
}

const manifestIn = async (path: string) => parseManifest(await readFile(path, 'utf8'))

async function newFolder() {
  const { path, remove } = await temporaryFolder()
  const a = join(path, 'a')
  await printed(() => initCommand().parseAsync([a, '--operator', 'a.example'], { from: 'user' }))
  const at = (name: string) => join(a, name)
  return { at, config: ['--config', at('cpns.toml')], remove }
}

test('root keys are replaced step by step, and whoever pinned the first follows', async () => {
  const { at, config, remove } = await newFolder()
  const first = await manifestIn(at('manifest.json'))
  const keys = ['one', 'two', 'three'].map(name => at(`keys/${name}.key`))
  const named = keys.flatMap(key => ['--new-root-key', key])
  assert.match(
    await manifest('rotate', ...named, '--threshold', '2', ...config),
    /names 1 servers(.|\n)*Root fingerprint/,
  )
  for (const key of keys) assert.is((await stat(key)).mode & 0o777, 0o600)
  const second = await manifestIn(at('manifest.json'))
  assert.equal([second.manifest.seq, second.manifest.threshold, second.manifest.rootKeys.length], [2, 2, 3])
  assert.match(await readFile(at('cpns.toml'), 'utf8'), new RegExp(rootFingerprint(second.manifest, crypto)))

  await refused(/no such file|0 of/, 'sign', '--root-key', at('keys/none.key'), ...config)
  const draft = at('manifest.draft.json')
  const [one = '', two = ''] = keys
  assert.match(
    await manifest('sign', '--root-key', one, ...config),
    /lacks signatures: 1 of its own root keys \(2 of 3\)/,
  )
  assert.is((await manifestIn(at('manifest.json'))).manifest.seq, 2, 'a draft is not in force')
  await refused(/has 1 of the 2 signatures/, 'install', draft, ...config)
  await refused(/has 1 of the 2 signatures/, 'show', draft, ...config)
  await refused(/which root key/, 'cosign', draft)
  assert.match(await manifest('cosign', draft, '--root-key', two), /2 signatures, 2 of the 2/)
  assert.match(await manifest('install', draft, ...config), /Manifest 3 of a\.example/)

  const elsewhere = crypto.ed25519.generate()
  const publicKey = Buffer.from(elsewhere.publicKey).toString('base64url')
  const both = ['--root-key', one, '--root-key', two]
  assert.match(
    await manifest('rotate', '--root-key', one, '--new-root-public', publicKey, ...config),
    /lacks signatures: 1 of its own root keys \(1 of 1\), and 1 of those of manifest 3 \(2 of 3\)/,
  )
  await manifest('cosign', draft, ...both)
  await refused(/has 0 of the 1/, 'install', draft, ...config)

  const newest = await manifestIn(at('manifest.json'))
  const store = memoryLogStore()
  const telemetry = new RecordingTelemetry()
  const b = testOperator('b.example')
  const trust = await createTrust({
    own: formatManifest(b.manifest()),
    pins: new Map([[first.manifest.operator, rootFingerprint(first.manifest, crypto)]]),
    evidence: new EvidenceArchive({ store, crypto, telemetry }),
    ...{ store, crypto, clock: systemClock(), telemetry },
  })
  const [offer] = await trust.offer([first, second, newest].map(formatManifest), 'test')
  assert.ok(offer?.accepted && offer.seq === 3, JSON.stringify(offer))
  trust.stop()
  await refused(/what to rotate/, 'rotate', ...config)
  await refused(/more than there are root keys/, 'rotate', ...both, '--threshold', '9', ...config)
  await remove()
})

test('a server gets another key, and keeps what it stores and wrote', async () => {
  const { node, folder, configuration, at, end } = await realNode()
  const config = ['--config', join(folder, 'cpns.toml')]
  const before = node.federation.server
  await node.documents.write(document, () => ({ writes: [{ key: 'before', value: 1 }], answer: undefined }))
  assert.match(await manifest('rotate', '--server', ...config), /new key: start it again/)
  assert.not(existsSync(join(folder, 'keys/server.key.next')))
  assert.is(node.trust.refuse(before), 'retired', 'the node that runs has heard of it')
  await node.stop()

  const again = await launch(configuration, at)
  await again.ready
  assert.is.not(again.federation.server, before)
  assert.is((await again.documents.read(document)).get('before')?.server, before)
  await again.documents.write(document, () => ({ writes: [{ key: 'after', value: 1 }], answer: undefined }))
  const registers = await again.documents.read(document)
  assert.equal(
    [...registers.entries()].map(([key]) => key),
    ['after', 'before'],
  )
  assert.ok(again.trust.mayHaveWritten(again.trust.operator, before))
  await again.stop()
  await end()
})

test('where the root key is not at hand, the manifest is signed elsewhere and installed', async () => {
  const { at, config, remove } = await newFolder()
  const root = at('root.key')
  await rename(at('keys/root.key'), root)
  const { servers } = (await manifestIn(at('manifest.json'))).manifest
  const text = await manifest('rotate', '--server', ...config)
  assert.match(text, /manifest sign --remove \S+ --add/)
  assert.is(await manifest('rotate', '--server', ...config), text, 'it is the same key when said again')
  const [current] = servers
  assert.ok(current)
  assert.match(
    await manifest('sign', '--root-key', root, '--remove', current.peerId, '--add', at('server.json'), ...config),
    /new key: start it again/,
  )
  const { manifest: next } = await manifestIn(at('manifest.json'))
  assert.equal(next.retired, [current.peerId])
  assert.equal(next.servers[0]?.clientUrls, current.clientUrls)
  const strange = testOperator('b.example').manifest()
  await writeFile(at('strange.json'), formatManifest(strange))
  await refused(/is a manifest of b\.example/, 'install', at('strange.json'), ...config)
  await remove()
})

test.run()
