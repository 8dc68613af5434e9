/*
 * Property: a data folder that an earlier commit of this program wrote opens, and each document in it reads, digests and goes on as
 * then; one whose format this program does not know is refused with what to start instead. Fails when a stored format changes
 * without another version number.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { z } from 'zod'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { formatVersion, metaKey, readMeta } from '../../src/adapters/record-format.ts'
import { openEntry } from '../../src/document/entry.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { survey } from '../../src/document/survey.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import { UnknownFormat } from '../../src/ports/stored-format.ts'
import { Bench } from '../federation/bench.ts'
import { World } from '../federation/world.ts'
import { testOperator } from '../fixtures/operators.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const test = suite('A store of an earlier commit')
const crypto = nodeCrypto()
const a = testOperator('a.example', 2)
const home = asDocumentId('pn/a.example/home')
const other = asDocumentId('pn/a.example/other')

/** What documents of two kinds of life, and records of the server alone, had become when that commit had closed its store. */
const fixture = z.object({ digests: z.record(z.string(), z.string()), files: z.record(z.string(), z.base64()) })

async function earlier() {
  const text = await readFile(new URL('../fixtures/store-e38fed6.json', import.meta.url), 'utf8')
  const { digests, files } = fixture.parse(JSON.parse(text))
  const folder = await temporaryFolder()
  const path = join(folder.path, 'data')
  await mkdir(path)
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), Buffer.from(content, 'base64'))
  return { path, digests, remove: folder.remove }
}

test('opens, reads, digests and goes on as then', async () => {
  const { path, digests, remove } = await earlier()
  try {
    const store: LogStore = await openLevelLogStore(path, { reserveBytes: 0 })
    for await (const { fault } of survey(store, nodeCrypto())) assert.is(fault, undefined)
    assert.equal(await store.local('answer/3'), Uint8Array.of(3))
    const bench = new Bench([a])
    const world = new World([a], {
      clock: bench.clock,
      network: ({ id }) => bench.hub.network(id),
      address: server => `/memory/${server}`,
      store: async () => store,
    })
    const server = await world.start(a, 0)
    for (const document of [home, other]) assert.is(await server.digest(document), digests[document])
    assert.equal(await server.content(home), { after: 'compaction', k0: 0, k1: 1, k2: 2, k3: 3, k4: 4 })
    assert.equal(await server.content(other), { k: [1, { a: null }] })
    await server.set(home, 'now', 1)
    assert.is((await server.content(home)).now, 1)
    await Promise.all([home, other].map(document => server.set(document, 'together', 1)))
    await world.stopAll()
    await store.close()
    await assertTakenOver(path)
  } finally {
    await remove()
  }
})

/** The folder says that it is this release's now, and holds both what was signed alone then and what is signed together since. */
async function assertTakenOver(path: string): Promise<void> {
  const level = new ClassicLevel<Uint8Array, Uint8Array>(path, { keyEncoding: 'view', valueEncoding: 'view' })
  const key = metaKey('format')
  assert.equal(readMeta(key, (await level.get(key)) ?? new Uint8Array()), Uint8Array.of(formatVersion))
  await level.close()
  const store = await openLevelLogStore(path, { reserveBytes: 0 })
  for await (const { fault } of survey(store, crypto)) assert.is(fault, undefined)
  const together: boolean[] = []
  for (const document of [home, other])
    for await (const { bytes } of store.entries(document)) together.push(openEntry(bytes, crypto).path !== undefined)
  assert.is(together.filter(Boolean).length, 2)
  assert.ok(together.includes(false))
  await store.close()
}

test('of a later one: refused, and says what to start', async () => {
  const { path, remove } = await earlier()
  try {
    await (await openLevelLogStore(path)).close()
    const level = new ClassicLevel<Uint8Array, Uint8Array>(path, { keyEncoding: 'view', valueEncoding: 'view' })
    await level.put(metaKey('format'), sealedVersion(formatVersion + 1), { sync: true })
    await level.close()
    const refused = await openLevelLogStore(path).catch((error: unknown) => error)
    assert.instance(refused, UnknownFormat)
    assert.match(
      String(refused),
      new RegExp(`has format version ${formatVersion + 1}; this program reads version ${formatVersion}`),
    )
    assert.match(String(refused), /Start the release that wrote it/)
  } finally {
    await remove()
  }
})

/** What a program of another version puts under the name of the format. */
function sealedVersion(version: number): Uint8Array {
  const body = Uint8Array.of(formatVersion, version)
  const hash = nodeCrypto().sha256(metaKey('format'), body)
  return Uint8Array.from([...body, ...hash])
}

test.run()
