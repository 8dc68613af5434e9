/*
 * Proves: subscribers are those of the file as it is now; and while the file cannot be read, nobody is told that he is no
 * subscriber. Fails if a mended or replaced file is not taken up, or if a file that is away, unreadable or broken reads as
 * an empty one: every client would be refused as if its key were wrong.
 */
import { writeFileSync } from 'node:fs'
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fileKeySource } from '../../src/adapters/file-key-source.ts'
import { addSubscriber, type SubscriberFiles } from '../../src/adapters/subscriber-store.ts'
import type { KeySource } from '../../src/ports/key-source.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const lamp = { identity: 'lamp', credential: { kind: 'psk', key: new Uint8Array(32).fill(7) } } as const
const radio = { identity: 'radio', credential: { kind: 'ed25519', publicKey: new Uint8Array(32).fill(9) } } as const

const filesIn = (folder: string): SubscriberFiles => ({
  store: join(folder, 'subscribers.json'),
  key: join(folder, 'subscribers.key'),
})

async function failure(source: KeySource): Promise<string> {
  try {
    return String(await source.find('lamp'))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

test('no file yet is no subscriber yet; who is added is found at once', async () => {
  const { path, remove } = await temporaryFolder()
  const files = filesIn(path)
  const source = fileKeySource(files)
  assert.is(await source.find('lamp'), undefined)
  await addSubscriber(files, lamp)
  assert.equal(await source.find('lamp'), lamp)
  await addSubscriber(files, radio)
  assert.equal(await source.find('radio'), radio)
  await remove()
})

test('who asks after a change is told of it, whoever asked before and waits still', async () => {
  const { path, remove } = await temporaryFolder()
  const files = filesIn(path)
  const record = { identity: 'lamp', kind: 'psk', key: Buffer.alloc(32, 7).toString('base64url') }
  const write = (...identities: readonly string[]) => {
    const subscribers = identities.map(identity => ({ ...record, identity }))
    writeFileSync(files.store, JSON.stringify({ version: 1, subscribers }), { mode: 0o600 })
  }
  write('lamp')
  const source = fileKeySource(files)
  assert.is((await source.find('lamp'))?.identity, 'lamp')
  const early = Array.from({ length: 3 }, () => source.find('lamp'))
  write('lamp', 'radio')
  const late = Array.from({ length: 3 }, () => source.find('radio'))
  for (const found of await Promise.all(early)) assert.is(found?.identity, 'lamp')
  for (const found of await Promise.all(late)) assert.is(found?.identity, 'radio')
  await remove()
})

test('a file that others may read is refused until its mode is right again', async () => {
  const { path, remove } = await temporaryFolder()
  const files = filesIn(path)
  await addSubscriber(files, lamp)
  await chmod(files.store, 0o644)
  const source = fileKeySource(files)
  assert.match(await failure(source), /chmod 600/)
  await chmod(files.store, 0o600)
  assert.equal(await source.find('lamp'), lamp)
  await remove()
})

test('a file that is gone is no empty file', async () => {
  const { path, remove } = await temporaryFolder()
  const files = filesIn(path)
  await addSubscriber(files, lamp)
  const source = fileKeySource(files)
  assert.equal(await source.find('lamp'), lamp)
  await rm(files.store)
  assert.match(await failure(source), /there is no such file/)
  await addSubscriber(files, lamp)
  assert.equal(await source.find('lamp'), lamp)
  await remove()
})

test('a path that leads nowhere is no empty file', async () => {
  const { path, remove } = await temporaryFolder()
  await writeFile(join(path, 'plain'), '')
  assert.match(await failure(fileKeySource(filesIn(join(path, 'plain')))), /Cannot read/)
  await remove()
})

test('a public key has 32 bytes', async () => {
  const { path, remove } = await temporaryFolder()
  const long = { kind: 'ed25519', publicKey: new Uint8Array(33) } as const
  let message = ''
  await addSubscriber(filesIn(path), { identity: 'lamp', credential: long }).catch(error => {
    message = error.message
  })
  assert.match(message, /32 bytes/)
  await remove()
})

test.run()
