/*
 * Property: whatever is kept beyond the life of a process and was written by a later release is refused, with what it is, the version
 * found, the version known and what to start instead; and it stays as it was, so that the later release goes on with it. What says
 * no version is of the first. Fails when a store is added that guesses at what it does not know, or that writes over it.
 *
 * Elsewhere: the log store of an earlier commit (`earlier-store.test.ts`), each of its records (`record-format.test.ts`), backups
 * (`backup.test.ts`); derived facts and search indexes of another version are made anew (`facts.test.ts`, `sqlite-search-index.test.ts`);
 * IndexedDB (`replica-store.test.ts`). The audit file is only ever added to, and never read.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createToken, listTokens, revokeToken, tokensIn } from '../../src/adapters/admin-tokens.ts'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { openFileMediaStore } from '../../src/adapters/file-media-store.ts'
import { openFileReplicaStore } from '../../src/adapters/file-replica-store.ts'
import { gatewayFileStore } from '../../src/adapters/gateway-file-store.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { newRingKey, readKeyRing, writeKeyRing } from '../../src/adapters/key-ring.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import {
  generateOperatorSecrets,
  readOperatorSecrets,
  readRootKey,
  readServerKeys,
  writeOperatorSecrets,
  writeRootKey,
  writeServerKeys,
} from '../../src/adapters/operator-keys.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { metaKey, putMeta, readMeta } from '../../src/adapters/record-format.ts'
import { addSubscriber, readSubscribers, removeSubscriber } from '../../src/adapters/subscriber-store.ts'
import { formatServerCard, readServerCard } from '../../src/cli/server-card.ts'
import { openGatewayQueue } from '../../src/client/gateway-queue.ts'
import { createKeeper } from '../../src/client/keeper.ts'
import { openLocalInventories } from '../../src/client/local-inventories.ts'
import { openReplica } from '../../src/client/message-store/replica.ts'
import { openPairings } from '../../src/client/pairings.ts'
import { parseEvidence, UnprovenEvidence } from '../../src/federation/evidence.ts'
import { operatorId } from '../../src/ports/names.ts'
import { UnknownFormat } from '../../src/ports/stored-format.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { rejection } from '../ports/log-store.contract.ts'

const test = suite('Formats of what is stored')
const crypto = nodeCrypto()
const clientCrypto = webCrypto()
const random = systemRandom()
const clock = new ManualClock()
const seed = new Uint8Array(32).fill(7)
const identity = serverIdentity(operatorId('a.example'), seed, crypto)
const exchange = await crypto.hpke.generateKeyPair()
const mailbox = { operator: operatorId('a.example'), user: 'alice' }

interface Store {
  /** Leaves in a folder what this release writes. */
  write(folder: string): Promise<unknown>
  /** Each way in which something is read or changed. */
  readonly uses: readonly ((folder: string) => Promise<unknown>)[]
}

/** Each is one file of JSON with a version, by the file's name. */
const files: Readonly<Record<string, Store>> = {
  'admin-tokens.json': {
    write: folder => createToken(at(folder, 'admin-tokens.json'), token('one'), 0),
    uses: [
      folder => listTokens(at(folder, 'admin-tokens.json')),
      folder => createToken(at(folder, 'admin-tokens.json'), token('two'), 0),
      folder => revokeToken(at(folder, 'admin-tokens.json'), 'one'),
      folder => tokensIn(at(folder, 'admin-tokens.json'), () => 0).find(`cpns_${'a'.repeat(8)}_${'a'.repeat(43)}`),
    ],
  },
  'subscribers.json': {
    write: folder => addSubscriber(subscribers(folder), subscriber('lamp')),
    uses: [
      folder => readSubscribers(subscribers(folder)),
      folder => addSubscriber(subscribers(folder), subscriber('desk')),
      folder => removeSubscriber(subscribers(folder), 'lamp'),
    ],
  },
  'ring.key': {
    write: folder => writeKeyRing(at(folder, 'ring.key'), [newRingKey()]),
    uses: [folder => readKeyRing(at(folder, 'ring.key'))],
  },
  'root.key': {
    write: folder => writeRootKey(at(folder, 'root.key'), seed),
    uses: [folder => readRootKey(at(folder, 'root.key'))],
  },
  'server.key': {
    write: folder => writeServerKeys(at(folder, 'server.key'), { privateKey: seed, exchange }),
    uses: [folder => readServerKeys(at(folder, 'server.key'))],
  },
  // With the keys of tickets.
  'operator.secrets': {
    write: async folder =>
      writeOperatorSecrets(at(folder, 'operator.secrets'), await generateOperatorSecrets(crypto, random)),
    uses: [folder => readOperatorSecrets(at(folder, 'operator.secrets'))],
  },
  'server.json': {
    write: folder => writeFile(at(folder, 'server.json'), serverCard()),
    uses: [folder => readServerCard(at(folder, 'server.json'))],
  },
  // Of a media store.
  'format.json': {
    write: async folder => (await openFileMediaStore(folder)).close(),
    uses: [folder => openFileMediaStore(folder)],
  },
  'inventories.json': {
    write: folder => createKeeper(gatewayFileStore(folder), 'inventories', () => ({ networks: [] })).save(),
    uses: [folder => openLocalInventories({ store: gatewayFileStore(folder), clock, notKept: () => {} })],
  },
  'queue.json': {
    write: folder => createKeeper(gatewayFileStore(folder), 'queue', () => ({ commands: [] })).save(),
    uses: [folder => openGatewayQueue({ store: gatewayFileStore(folder), methods: [] })],
  },
  'pairings.json': {
    write: folder => createKeeper(gatewayFileStore(folder), 'pairings', () => ({ pairings: [] })).save(),
    uses: [folder => openPairings({ store: gatewayFileStore(folder), clock, crypto: clientCrypto })],
  },
}

const at = join
const token = (name: string) => ({ name, scope: 'read', lifetimeMs: 1_000 }) as const
const subscriber = (identity: string) => ({ identity, credential: { kind: 'psk', key: seed } }) as const
const subscribers = (folder: string) => ({ store: at(folder, 'subscribers.json'), key: at(folder, 'subscribers.key') })
const serverCard = () =>
  formatServerCard(
    { addresses: [], clientUrls: [], exchangeKey: Buffer.from(exchange.publicKey).toString('base64url') },
    identity,
  )

/** What stands in each file of a folder. */
async function bytesIn(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) found.set(entry.name, await readFile(at(entry.parentPath, entry.name), 'base64'))
  }
  return found
}

/** Puts another version into a file, or none. Returns the one that it had. */
async function setVersion(path: string, change: (version: number) => number | undefined): Promise<number> {
  const { version, ...rest } = JSON.parse(await readFile(path, 'utf8'))
  assert.type(version, 'number', `${path} says its version`)
  await writeFile(path, JSON.stringify({ version: change(version), ...rest }))
  return version
}

async function assertRefused(what: string, use: () => Promise<unknown>, known: number, names: string): Promise<void> {
  const refused = await rejection(use())
  assert.instance(refused, UnknownFormat, `${what}: ${refused}`)
  const says = `has format version ${known + 1}; this program reads version ${known}. Start the release that wrote it.`
  assert.ok(String(refused).endsWith(says), String(refused))
  assert.ok(String(refused).includes(names), `${refused} names ${names}`)
}

for (const [name, { write, uses }] of Object.entries(files)) {
  test(`${name} of a later release is refused, and stays as it is`, async () => {
    await using folder = await temporaryFolder()
    await write(folder.path)
    const known = await setVersion(at(folder.path, name), version => version + 1)
    const before = await bytesIn(folder.path)
    for (const use of uses) await assertRefused(name, () => use(folder.path), known, name.replace('.json', ''))
    assert.equal(await bytesIn(folder.path), before)
  })
}

test('what a gateway and a media store of earlier releases kept says no version, and is read', async () => {
  for (const name of ['inventories.json', 'queue.json', 'pairings.json']) {
    await using folder = await temporaryFolder()
    await files[name]?.write(folder.path)
    await setVersion(at(folder.path, name), () => undefined)
    for (const use of files[name]?.uses ?? []) await use(folder.path)
  }
  await using folder = await temporaryFolder()
  await writeFile(at(folder.path, 'a blob'), 'of before')
  await (await openFileMediaStore(folder.path)).close()
  assert.equal(await readdir(folder.path), ['a blob'])
})

test('a media folder that says something else is refused, with what to do', async () => {
  for (const text of ['', '{', '{}', '{"version":0}', '{"version":"1"}', '[]']) {
    await using folder = await temporaryFolder()
    await writeFile(at(folder.path, 'format.json'), text)
    assert.match(String(await rejection(openFileMediaStore(folder.path))), /^FileProblem: .*format\.json .*restore/)
    assert.is(await readFile(at(folder.path, 'format.json'), 'utf8'), text)
  }
})

test('a log store of a later release is refused, and keeps its records', async () => {
  await using folder = await temporaryFolder()
  const store = await openLevelLogStore(folder.path, { reserveBytes: 0 })
  await store.commit({ documents: [], local: [{ key: 'answer/1', value: Uint8Array.of(1) }] })
  await store.close()
  const key = metaKey('format')
  const known = await inLevel(folder.path, async level => {
    const [version = 0] = readMeta(key, (await level.get(key)) ?? new Uint8Array())
    const { value = new Uint8Array() } = putMeta('format', Uint8Array.of(version + 1))
    await level.put(key, value, { sync: true })
    return version
  })
  const records = () => inLevel(folder.path, level => level.iterator().all())
  const before = await records()
  await assertRefused('log store', () => openLevelLogStore(folder.path, { reserveBytes: 0 }), known, folder.path)
  assert.equal(await records(), before)
  assert.ok(before.length > 1)
})

test('a replica of a later release is refused, and keeps what waits in it', async () => {
  await using folder = await temporaryFolder()
  const address = 'sip:alice@a.example'
  const waiting = { key: 'change/0000000000000001', value: { kind: 'as that release writes it' } }
  const store = await openFileReplicaStore(folder.path)
  try {
    await (await openReplica(store, address, {})).write({ mailbox })
    const [written] = await store.get(['state'])
    assert.ok(typeof written === 'object' && written && 'format' in written && written.format === 1)
    await store.commit([{ key: 'state', value: { ...written, format: 2, more: true } }, waiting])
    const everything = { from: '!', to: '~' }
    const before = await store.scan(everything)
    await assertRefused('replica', () => openReplica(store, address, {}), 1, address)
    assert.equal(await store.scan(everything), before)
    assert.is(before.length, 2)
  } finally {
    await store.close()
  }
})

test('evidence of a later release proves nothing here, and says with which it does', () => {
  assert.throws(
    () => parseEvidence('{"version":3,"kind":"entries","more":1}'),
    (error: unknown) =>
      error instanceof UnprovenEvidence && /has format version 3; this program reads version 2\./.test(error.message),
  )
})

type Level = ClassicLevel<Uint8Array, Uint8Array>

async function inLevel<T>(folder: string, work: (level: Level) => Promise<T>): Promise<T> {
  const level: Level = new ClassicLevel(folder, { keyEncoding: 'view', valueEncoding: 'view' })
  await level.open()
  try {
    return await work(level)
  } finally {
    await level.close()
  }
}

test.run()
