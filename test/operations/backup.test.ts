/*
 * Property: a backup of a node that is being written to holds everything that was acknowledged before it began, each document with
 * the digest that it had at one moment, and comes back byte for byte; one that was cut off or changed anywhere is refused, and
 * leaves nothing behind. Fails when a backup is taken of two moments, or damage of it goes unnoticed.
 */
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { inputFile } from '../../src/adapters/backup/files.ts'
import { BackupRefused } from '../../src/adapters/backup/format.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { exists } from '../../src/adapters/files.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { backupCommand } from '../../src/cli/backup.ts'
import { openNodeFolder } from '../../src/cli/node-folder.ts'
import { restoreCommand } from '../../src/cli/restore.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { survey } from '../../src/document/survey.ts'
import { checkBackup, restoreBackup } from '../../src/operations/backup/restore.ts'
import { launch } from '../../src/operations/launch.ts'
import { UnknownFormat } from '../../src/ports/stored-format.ts'
import { realNode } from './admin/real-node.ts'

const test = suite('Backup')
const documentOf = (number: number) => asDocumentId(`pn/a.example/n${number}`)

async function told(work: Promise<unknown>, console_ = console): Promise<void> {
  const { log } = console_
  console_.log = () => {}
  await work.finally(() => {
    console_.log = log
  })
}
const backup = (...args: string[]) => told(backupCommand().parseAsync(args, { from: 'user' }))
const restore = (...args: string[]) => told(restoreCommand().parseAsync(args, { from: 'user' }))
const rejection = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )
const read = { told: () => {} }

test.after(() => {
  delete process.env.CPNS_PASSPHRASE
})

test('of a node that runs, under load: everything acknowledged before, each document as of one moment; restored, it goes on', async () => {
  process.env.CPNS_PASSPHRASE = 'correct horse battery staple'
  const { node, folder, end } = await realNode()
  try {
    const config = ['--config', join(folder, 'cpns.toml')]
    const write = (number: number, key: string, value: number) =>
      node.documents.write(documentOf(number), () => ({ writes: [{ key, value }], answer: undefined }))
    for (let number = 0; number < 50; number++) await write(number, 'before', number)
    let isOver = false
    const load = (async () => {
      for (let at = 0; !isOver; at++) await Promise.all(Array.from({ length: 10 }, (_, n) => write(n, `k${at}`, at)))
    })()
    const file = join(folder, '..', 'a.backup')
    await backup(...config, '--to', file, '--with-keys').finally(() => {
      isOver = true
    })
    await load
    const { end: said, header, hasKeys } = await checkBackup({ ...read, input: inputFile(file) })
    assert.is(said.damaged.length, 0)
    assert.is(hasKeys, true)
    assert.ok(!(await readFile(file)).includes('"privateKey"'), 'keys are sealed')
    assert.is(header.operator, 'a.example')
    await restore(file, '--check')
    assert.match(String(await rejection(restore(file, '--data', folder))), /is not empty/)

    const restored = join(folder, '..', 'restored')
    await restore(file, '--data', restored)
    const store = await openLevelLogStore(join(restored, 'data'))
    const digests: string[] = []
    for await (const found of survey(store, nodeCrypto())) {
      assert.is(found.fault, undefined)
      if (found.kind === 'document') digests.push(found.document)
    }
    assert.is(digests.length, said.documents)
    await store.close()
    await node.stop()

    const { configuration, at } = await openNodeFolder(join(restored, 'cpns.toml'), {
      'peers.listen': '/ip4/127.0.0.1/tcp/0',
      'clients.port': '0',
      'log.level': 'error',
    })
    const again = await launch(configuration, at)
    await again.ready
    try {
      for (let number = 0; number < 50; number++)
        assert.is((await again.documents.read(documentOf(number))).get('before')?.value, number)
      const heads = (await again.documents.index(documentOf(0)))?.heads.length ?? 0
      await again.documents.write(documentOf(0), () => ({ writes: [{ key: 'after', value: 1 }], answer: undefined }))
      assert.is((await again.documents.index(documentOf(0)))?.heads.length, heads + 1, 'under a new log')
    } finally {
      await again.stop()
    }
    // Of the stopped one, without its keys, and piece by piece what can become of a backup.
    const small = join(folder, '..', 'stopped.backup')
    await backup(...config, '--to', small)
    assert.is((await checkBackup({ ...read, input: inputFile(small) })).hasKeys, false)
    await refusesAllElse(await readFile(small), join(folder, '..', 'refused'))
  } finally {
    await end()
  }
})

async function refusesAllElse(bytes: Buffer, folder: string): Promise<void> {
  const input = async function* (bytes: Uint8Array) {
    yield bytes
  }
  const at = fc.integer({ min: 0, max: bytes.length - 1 })
  await fc.assert(
    fc.asyncProperty(at, fc.integer({ min: 0, max: 7 }), async (place, bit) => {
      const changed = Buffer.from(bytes)
      changed[place] = (changed[place] ?? 0) ^ (1 << bit)
      const error = await rejection(checkBackup({ ...read, input: input(changed) }))
      assert.ok(error instanceof BackupRefused || error instanceof UnknownFormat, String(error))
    }),
    { numRuns: 40 },
  )
  await fc.assert(
    fc.asyncProperty(at, async length => {
      const cut = bytes.subarray(0, length)
      assert.instance(await rejection(checkBackup({ ...read, input: input(cut) })), BackupRefused)
    }),
    { numRuns: 40 },
  )
  const cut = bytes.subarray(0, bytes.length - 10)
  assert.instance(await rejection(restoreBackup({ ...read, input: input(cut), folder })), BackupRefused)
  assert.not.ok(await exists(folder), 'nothing is left')
  assert.not.ok((await readdir(join(folder, '..'))).some(name => name.endsWith('.restoring')))
  const longer = Buffer.concat([bytes, Buffer.from('x')])
  assert.instance(await rejection(checkBackup({ ...read, input: input(longer) })), BackupRefused)
  const future = Buffer.from(bytes.toString('latin1').replace('cpns-backup/1', 'cpns-backup/9'), 'latin1')
  assert.match(String(await rejection(checkBackup({ ...read, input: input(future) }))), /format version 9/)
}

test.run()
