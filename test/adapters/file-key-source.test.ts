/*
 * Proves: subscribers are those of the file as it is now; and while the file cannot be read, nobody is told that he is no
 * subscriber. Fails if a mended or replaced file is not taken up, or if a file that is away, unreadable or broken reads as
 * an empty one: every client would be refused as if its key were wrong.
 */
import { chmod, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { addSubscriber, fileKeySource } from '../../src/adapters/file-key-source.ts'
import type { KeySource } from '../../src/ports/key-source.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'

const lamp = { identity: 'lamp', credential: { kind: 'psk', key: new Uint8Array(32).fill(7) } } as const
const radio = { identity: 'radio', credential: { kind: 'ed25519', publicKey: new Uint8Array(32).fill(9) } } as const

async function failure(source: KeySource): Promise<string> {
  try {
    return String(await source.find('lamp'))
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

test('no file yet is no subscriber yet; who is added is found at once', async () => {
  const { path, remove } = await temporaryFolder()
  const file = join(path, 'subscribers.json')
  const source = fileKeySource(file)
  assert.is(await source.find('lamp'), undefined)
  await addSubscriber(file, lamp)
  assert.equal(await source.find('lamp'), lamp)
  await addSubscriber(file, radio)
  assert.equal(await source.find('radio'), radio)
  await remove()
})

test('a file that others may read is refused until its mode is right again', async () => {
  const { path, remove } = await temporaryFolder()
  const file = join(path, 'subscribers.json')
  await addSubscriber(file, lamp)
  await chmod(file, 0o644)
  const source = fileKeySource(file)
  assert.match(await failure(source), /chmod 600/)
  await chmod(file, 0o600)
  assert.equal(await source.find('lamp'), lamp)
  await remove()
})

test('a file that is gone is no empty file', async () => {
  const { path, remove } = await temporaryFolder()
  const file = join(path, 'subscribers.json')
  await addSubscriber(file, lamp)
  const source = fileKeySource(file)
  assert.equal(await source.find('lamp'), lamp)
  await rm(file)
  assert.match(await failure(source), /there is no such file/)
  await addSubscriber(file, lamp)
  assert.equal(await source.find('lamp'), lamp)
  await remove()
})

test('a path that leads nowhere is no empty file', async () => {
  const { path, remove } = await temporaryFolder()
  await writeFile(join(path, 'plain'), '')
  assert.match(await failure(fileKeySource(join(path, 'plain', 'subscribers.json'))), /Cannot read/)
  await remove()
})

test('a public key has 32 bytes', async () => {
  const { path, remove } = await temporaryFolder()
  const long = { kind: 'ed25519', publicKey: new Uint8Array(33) } as const
  let message = ''
  await addSubscriber(join(path, 'subscribers.json'), { identity: 'lamp', credential: long }).catch(error => {
    message = error.message
  })
  assert.match(message, /32 bytes/)
  await remove()
})

test.run()
