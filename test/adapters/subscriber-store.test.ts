/*
 * Proves: what is on disk tells no key and no identity; whatever byte of it is changed, and whatever is put in its place,
 * is found out; nothing that was added is lost, whoever else changes the file at once and wherever a change of the key is
 * interrupted; and a look-up among 100,000 parses one of them. Fails if a record is left in plain text, a changed file
 * reads as another or as an empty one, or two commands undo each other.
 */
import { access, copyFile, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { fileKeySource } from '../../src/adapters/file-key-source.ts'
import { newRingKey, openText, readKeyRing, sealText, writeKeyRing } from '../../src/adapters/key-ring.ts'
import {
  addSubscriber,
  readSubscribers,
  rekeySubscribers,
  removeSubscriber,
  type SubscriberFiles,
} from '../../src/adapters/subscriber-store.ts'
import type { Subscriber } from '../../src/ports/key-source.ts'
import { type TemporaryFolder, temporaryFolder } from '../fixtures/temporary-folder.ts'

const psk = (identity: string, byte = 0x5c): Subscriber => ({
  identity,
  credential: { kind: 'psk', key: new Uint8Array(32).fill(byte) },
})
const lamp = psk('lamp')

const test = suite<{ folder: TemporaryFolder; files: SubscriberFiles }>('subscriber store')
test.before.each(async context => {
  context.folder = await temporaryFolder()
  const { path } = context.folder
  context.files = { store: join(path, 'subscribers.json'), key: join(path, 'keys/subscribers.key') }
})
test.after.each(({ folder }) => folder.remove())

const failure = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'nothing failed',
    error => (error instanceof Error ? error.message : String(error)),
  )
const names = async (files: SubscriberFiles) => [...(await readSubscribers(files)).keys()].sort()
const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

test('neither keys nor identities are on disk, and only the owner may read what is', async ({ files }) => {
  await addSubscriber(files, lamp)
  const text = await readFile(files.store, 'utf8')
  for (const encoding of ['base64url', 'base64', 'hex', 'latin1'] as const) {
    assert.not(text.includes(Buffer.alloc(32, 0x5c).toString(encoding)), encoding)
  }
  assert.not(text.includes('lamp'))
  for (const path of [files.store, files.key]) assert.is((await stat(path)).mode & 0o777, 0o600, path)
})

test('a file is encrypted with fresh bytes each time, so that equal contents do not show', async ({ files }) => {
  await addSubscriber(files, lamp)
  const before = JSON.parse(await readFile(files.store, 'utf8')).sealed
  await addSubscriber(files, psk('radio'))
  await removeSubscriber(files, 'radio')
  const after = JSON.parse(await readFile(files.store, 'utf8')).sealed
  assert.is(after.length, before.length)
  assert.is.not(after.slice(0, 16), before.slice(0, 16))
})

test('whatever byte is changed, it is found out', async ({ files }) => {
  for (let at = 0; at < 5; at++) await addSubscriber(files, psk(`lamp-${at}`))
  const text = await readFile(files.store, 'utf8')
  const whole = Buffer.from(text)
  await fc.assert(
    fc.asyncProperty(fc.nat(whole.length - 2), fc.integer({ min: 0, max: 5 }), async (at, bit) => {
      const changed = Buffer.from(whole)
      changed[at] = (changed[at] ?? 0) ^ (1 << bit)
      await writeFile(files.store, changed)
      const said = await readSubscribers(files).then(
        lines => JSON.stringify([...lines]),
        error =>
          error instanceof Error && ['FileProblem', 'UnknownFormat'].includes(error.name)
            ? 'found out'
            : `threw ${error}`,
      )
      assert.is(said, 'found out')
    }),
    { numRuns: 200, verbose: 1 },
  )
  await writeFile(files.store, text.slice(0, text.length / 2))
  assert.match(await failure(readSubscribers(files)), /backup/)
})

test('what is sealed as one thing does not open as another', () => {
  const { key } = newRingKey()
  assert.is(openText(key, sealText(key, 'text', 'one'), 'one'), 'text')
  assert.is(openText(key, sealText(key, 'text', 'one'), 'other'), undefined)
  assert.is(openText(newRingKey().key, sealText(key, 'text', 'one'), 'one'), undefined)
  assert.is(openText(key, 'AAAA', 'one'), undefined)
})

test('a file of another server, or under a key that is gone, says which key it wants', async ({ files, folder }) => {
  await addSubscriber(files, lamp)
  const other = { store: join(folder.path, 'other.json'), key: join(folder.path, 'other.key') }
  await addSubscriber(other, psk('thief'))
  await copyFile(other.store, files.store)
  assert.match(
    await failure(readSubscribers(files)),
    /was encrypted under key \S+, which .*subscribers.key does not hold/,
  )
  await rm(files.key)
  assert.match(await failure(readSubscribers(files)), /no such file/)
  assert.match(await failure(addSubscriber(files, psk('radio'))), /no such file/, 'nothing is written over it')
})

const plain = (...identities: string[]) =>
  JSON.stringify({
    version: 1,
    subscribers: identities.map(identity => ({
      identity,
      kind: 'psk',
      key: Buffer.alloc(32, 7).toString('base64url'),
    })),
  })

test('a plain file of before is read, and encrypted at the next change', async ({ files }) => {
  await writeFile(files.store, plain('old'), { mode: 0o600 })
  const source = fileKeySource(files)
  assert.equal((await source.find('old'))?.credential, { kind: 'psk', key: new Uint8Array(32).fill(7) })
  await addSubscriber(files, lamp)
  assert.not.match(await readFile(files.store, 'utf8'), /old/)
  assert.equal(await names(files), ['lamp', 'old'])
  assert.is((await source.find('old'))?.identity, 'old')
})

test('a plain file that somebody puts beside the key is refused, until the operator takes it', async ({ files }) => {
  await addSubscriber(files, lamp)
  const source = fileKeySource(files)
  await source.find('lamp')
  await writeFile(files.store, plain('thief'))
  assert.match(await failure(source.find('thief')), /Somebody may have put it there/)
  assert.match(await failure(addSubscriber(files, psk('radio'))), /rekey --accept-plain/)
  await rekeySubscribers(files, { passphrase: undefined, acceptPlain: true })
  assert.equal(await names(files), ['thief'])
})

test('a new key replaces the old one, and a server that runs goes on', async ({ files }) => {
  await addSubscriber(files, lamp)
  const source = fileKeySource(files)
  assert.equal(await source.find('lamp'), lamp)
  const old = await readKeyRing(files.key)
  const before = await readFile(files.store)
  await rekeySubscribers(files, { passphrase: undefined, acceptPlain: false })
  assert.equal(await source.find('lamp'), lamp)
  const ring = await readKeyRing(files.key)
  assert.is(ring.length, 1)
  assert.is.not(ring[0].id, old[0].id)
  await writeFile(files.store, before)
  assert.match(await failure(source.find('lamp')), /does not hold/, 'the old key has left')
})

test('interrupted at any moment, a change of the key leaves what can be read and changed', async ({ files }) => {
  await addSubscriber(files, lamp)
  const old = await readKeyRing(files.key)
  const before = await readFile(files.store)
  const next = newRingKey()
  // After the ring has both keys, before the file is written anew.
  await writeKeyRing(files.key, [old[0], next])
  assert.equal(await names(files), ['lamp'])
  // Begun again, and interrupted again at the same place: the file is still under the first.
  await writeKeyRing(files.key, [old[0], next, newRingKey()])
  assert.equal(await names(files), ['lamp'])
  await rekeySubscribers(files, { passphrase: undefined, acceptPlain: false })
  assert.equal(await names(files), ['lamp'])
  // After the file was written anew, before the old key has left the ring.
  const [current] = await readKeyRing(files.key)
  await writeKeyRing(files.key, [old[0], current])
  assert.equal(await names(files), ['lamp'])
  await addSubscriber(files, psk('radio'))
  await writeKeyRing(files.key, [current])
  assert.equal(await names(files), ['lamp', 'radio'])
  assert.is.not(await readFile(files.store, 'utf8'), before.toString())
})

test('a passphrase locks the key; without it, or with another, nothing opens', async ({ files }) => {
  const locked = { ...files, passphrase: 'correct horse battery' }
  await addSubscriber(locked, lamp)
  assert.not.match(await readFile(files.key, 'utf8'), /"keys"/)
  assert.equal(await fileKeySource(locked).find('lamp'), lamp)
  assert.match(await failure(readSubscribers(files)), /CPNS_PASSPHRASE/)
  assert.match(await failure(readSubscribers({ ...files, passphrase: 'wrong' })), /another passphrase/)
  await rekeySubscribers(locked, { passphrase: undefined, acceptPlain: false })
  assert.equal(await names(files), ['lamp'])
})

test('a key file asks for no more memory than it may', async ({ files }) => {
  await addSubscriber(files, lamp)
  const salt = Buffer.alloc(16).toString('base64url')
  await writeFile(files.key, JSON.stringify({ version: 1, scrypt: { salt, log2Cost: 40 }, sealed: 'AAAA' }))
  assert.match(await failure(readSubscribers({ ...files, passphrase: 'any' })), /not a key file/)
})

test('what several add and remove at once is all done', async ({ files, folder }) => {
  await addSubscriber(files, lamp)
  await Promise.all([
    ...Array.from({ length: 20 }, (_, at) => addSubscriber(files, psk(`one-${at}`, at))),
    removeSubscriber(files, 'lamp'),
  ])
  assert.is((await names(files)).length, 20)
  assert.not((await names(files)).includes('lamp'))
  assert.equal((await readdir(folder.path)).sort(), ['keys', 'subscribers.json'], 'nothing is left behind')
})

test('who is there is not added, who is not there is not removed, and nothing is written then', async ({ files }) => {
  await addSubscriber(files, lamp)
  const before = await readFile(files.store)
  assert.match(await failure(addSubscriber(files, lamp)), /already/)
  assert.match(await failure(removeSubscriber(files, 'radio')), /no subscriber radio/)
  assert.match(await failure(addSubscriber(files, psk('a b'))), /identity/)
  assert.equal(await readFile(files.store), before)
  assert.not(await isThere(`${files.store}.lock`))
})

test('among 100,000 a look-up takes no longer than among ten', async ({ files }) => {
  const lines = Array.from({ length: 100_000 }, (_, at) => {
    const identity = `subscriber-${at}`
    return `${identity} ${JSON.stringify({ identity, kind: 'psk', key: Buffer.alloc(32, at).toString('base64url') })}`
  })
  const ring = newRingKey()
  await writeKeyRing(files.key, [ring])
  const sealed = sealText(ring.key, lines.join('\n'), 'cpns subscribers v2')
  await writeFile(files.store, JSON.stringify({ version: 2, key: ring.id, sealed }), { mode: 0o600 })
  const source = fileKeySource(files)
  const firstMs = await took(() => source.find('subscriber-0'))
  const laterMs = await took(async () => {
    for (let at = 0; at < 200; at++) assert.ok(await source.find(`subscriber-${at * 500}`))
  })
  assert.ok(firstMs < 3_000, `taken in within ${Math.round(firstMs)} ms`)
  assert.ok(laterMs / 200 < firstMs / 20, `${laterMs / 200} ms for each, ${firstMs} ms for the first`)
})

/** Milliseconds of processor time: what else the machine does is not in them. */
async function took(work: () => Promise<unknown>): Promise<number> {
  const start = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(start)
  return (user + system) / 1_000
}

test.run()
