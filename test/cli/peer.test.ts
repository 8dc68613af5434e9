/*
 * Property: an operator lists, trusts, keeps off and releases others with `cpns peer`, at a node that runs as at one that does not, and
 * what it says holds at once where a node runs. Evidence that a node has can be exported, and convinces a command that knows neither
 * node nor folder; what was changed does not. Each refusal says what to do. Fails when a command succeeds without an effect.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { peerCommand } from '../../src/cli/peer.ts'
import { Refused } from '../../src/cli/problems.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { formatManifest, rootFingerprint } from '../../src/federation/manifest.ts'
import { LogAuthor } from '../document/log-author.ts'
import { testOperator } from '../fixtures/operators.ts'
import { until } from '../fixtures/until.ts'
import { realNode } from '../operations/admin/real-node.ts'

const test = suite('cpns peer')
const b = testOperator('b.example')
const [writer] = b.servers
if (!writer) throw new Error('there is one')
const fingerprint = rootFingerprint(b.manifest().manifest, nodeCrypto())

/** What `cpns peer` prints. */
async function peer(...args: string[]): Promise<string> {
  const { log } = console
  const printed: string[] = []
  console.log = (...texts: unknown[]) => void printed.push(texts.join(' '))
  try {
    await peerCommand().parseAsync(args, { from: 'user' })
  } finally {
    console.log = log
  }
  return printed.join('\n')
}

async function refused(why: RegExp, ...args: string[]): Promise<void> {
  const error = await peer(...args).catch((thrown: unknown) => thrown)
  assert.instance(error, Error, args.join(' '))
  assert.match((error as Error).message, why)
}

test('trusting, keeping off, releasing and distrusting take effect at a node that runs', async () => {
  const { node, folder, end } = await realNode()
  const config = ['--config', join(folder, 'cpns.toml')]
  const file = join(folder, 'b.json')
  await writeFile(file, formatManifest(b.manifest()))
  assert.match(await peer('list', ...config), /No other operator/)
  assert.match(
    await peer('trust', file, ...config),
    /b\.example is trusted: manifest 1, root fingerprint.*\n.*works with it from now on/,
  )
  assert.is(node.trust.fingerprintOf(b.id), fingerprint)
  assert.match(await peer('list', ...config), /OPERATOR .*LINKS\nb\.example +good +1 +1 .*0 of 1 up/)

  assert.match(await peer('quarantine', 'b.example', '--why', 'It floods.', ...config), /is in quarantine/)
  assert.is(node.trust.refuse(writer.id), 'quarantined')
  assert.match(await peer('list', ...config), /b\.example +quarantine .*It floods\./)
  const [listed] = JSON.parse(await peer('list', '--json', ...config))
  assert.is(listed.running.quarantine.why, 'It floods.')
  await refused(/c\.example is not trusted/, 'quarantine', 'c.example', '--why', 'x', ...config)
  await refused(/own operator/, 'quarantine', 'a.example', '--why', 'x', ...config)
  await refused(/lower-case domain/i, 'quarantine', 'B', '--why', 'x', ...config)

  assert.match(await peer('release', 'b.example', ...config), /is released/)
  assert.is(node.trust.refuse(writer.id), undefined)
  await refused(/not in quarantine/, 'release', 'b.example', ...config)

  assert.match(await peer('revoke', 'b.example', ...config), /trusted no longer\. Its links are closed/)
  assert.is(node.trust.refuse(writer.id), 'unknown-server')
  await node.stop()
  await refused(/No node runs there/, 'quarantine', 'b.example', '--why', 'x', ...config)
  assert.not.match(await peer('trust', file, ...config), /from now on/)
  await end()
})

test('evidence is listed and exported, and checked by whoever gets it', async () => {
  const { node, folder, end } = await realNode()
  const config = ['--config', join(folder, 'cpns.toml')]
  const file = join(folder, 'b.json')
  await writeFile(file, formatManifest(b.manifest()))
  await peer('trust', file, ...config)
  assert.match(await peer('evidence', ...config), /There is none/)
  const document = asDocumentId('visit/b.example/a.example/home')
  const author = new LogAuthor(writer)
  const twin = new LogAuthor(writer)
  author.write({ a: 1 }, { document })
  twin.write({ a: 2 }, { document })
  await node.documents.ingest(document, author.bytes, writer.id)
  await node.documents.ingest(document, twin.bytes, writer.id)

  const shown = /b\.example +two entries 0 of log \S+ of visit\/b\.example\/a\.example\/home +12D3/
  await until(async () => shown.test(await peer('evidence', 'b.example', ...config)), { what: 'the evidence is kept' })
  assert.equal(JSON.parse(await peer('evidence', 'c.example', '--json', ...config)), [])
  const exported = join(folder, 'evidence.jsonl')
  assert.match(await peer('evidence', '--export', exported, ...config), /^1 pieces/)
  const nowhere = ['--config', join(folder, 'none.toml')]
  assert.match(await peer('evidence', '--verify', exported, ...nowhere), shown)
  assert.match(
    await peer('evidence', '--verify', exported, ...nowhere),
    new RegExp(`Whether ${fingerprint} is the root`),
  )
  assert.match(await peer('evidence', '--verify', exported, ...config), /the same operator/)
  await node.stop()
  assert.match(await peer('evidence', ...config), shown)

  const changed = (await readFile(exported, 'utf8')).replace('"manifests":[{', '"manifests":[],"x":[{')
  await writeFile(exported, changed)
  const error = await peer('evidence', '--verify', exported, ...config).catch((thrown: unknown) => thrown)
  assert.instance(error, Refused)
  assert.match((error as Error).message, /evidence\.jsonl, line 1 proves nothing/)
  await writeFile(exported, '\n')
  await refused(/holds no evidence/, 'evidence', '--verify', exported, ...config)
  await end()
})

test.run()
