/*
 * Property: what a backup of a node that is written to has of each document is, byte for byte, what the node had of it at one moment
 * between its beginning and its end, and its media are the node's; the same through a pipe, from `cpns backup --to -` into `cpns restore
 * -`. Who reads a pipe and goes away leaves a backup that says that it is not whole. Fails when an entry is changed, left out in the
 * middle or of another moment, or when a part is taken for the whole.
 */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { openFileMediaStore } from '../../src/adapters/file-media-store.ts'
import { exists } from '../../src/adapters/files.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { LogStore } from '../../src/ports/log-store.ts'
import { isMediaHash, type MediaName, type MediaStore } from '../../src/ports/media-store.ts'
import { operatorId } from '../../src/ports/names.ts'
import { cpnsHere } from '../cli/in-process.ts'
import { realNode } from './admin/real-node.ts'

const test = suite('A restored backup')
const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const documentOf = (number: number) => asDocumentId(`pn/a.example/n${number}`)
const picture = Buffer.alloc(300_000, 'a picture, ')

async function put(media: MediaStore): Promise<MediaName> {
  const hash = Buffer.from(nodeCrypto().sha256(picture)).toString('base64url')
  if (!isMediaHash(hash)) throw new Error('It is one.')
  const name = { operator: operatorId('a.example'), user: 'alice', hash }
  const upload = await media.upload(name, { size: picture.length, type: 'image/png' })
  await upload.append(
    (async function* () {
      yield picture
    })(),
  )
  await upload.finish()
  return name
}

/** Entries of all documents as they are stored, as text, by document and log, in order. */
async function entriesOf(store: LogStore): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>()
  for await (const document of store.documentsWithEntries()) {
    for await (const { log, bytes } of store.entries(document)) {
      const key = `${document} ${log}`
      all.set(key, [...(all.get(key) ?? []), Buffer.from(bytes).toString('base64')])
    }
  }
  return all
}

/** By a shell, so that the pipe is a real one. */
const shell = (script: string): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> =>
  new Promise(resolve => {
    const cpns = `"${process.execPath}" "${main}"`
    execFile('bash', ['-c', `set -o pipefail; ${script.replaceAll('cpns ', `${cpns} `)}`], (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    )
  })

test('has of each document what the node had at one moment, and its media', async () => {
  const running = await realNode()
  const { node, folder, at, configuration, end } = running
  try {
    const config = join(folder, 'cpns.toml')
    const file = join(folder, '../a.backup')
    const mediaFolder = at(configuration.media.folder)
    const name = await openFileMediaStore(mediaFolder).then(async media => {
      const put_ = await put(media)
      await media.close()
      return put_
    })
    const write = (number: number, key: string, value: number) =>
      node.documents.write(documentOf(number), () => ({ writes: [{ key, value }], answer: undefined }))
    const lengths = async () =>
      Promise.all(
        Array.from({ length: 10 }, async (_, number) => {
          const heads = (await node.documents.index(documentOf(number)))?.heads ?? []
          return heads.reduce((sum, { length }) => sum + length, 0)
        }),
      )
    for (let number = 0; number < 10; number++) await write(number, 'before', number)
    let isOver = false
    const load = (async () => {
      for (let at = 0; !isOver; at++) await Promise.all(Array.from({ length: 10 }, (_, n) => write(n, `k${at}`, at)))
    })()
    const before = await lengths()
    const backup = await cpnsHere('backup', '--to', file, '--config', config).finally(() => {
      isOver = true
    })
    await load
    assert.is(backup.code, 0, backup.stderr)
    const restored = join(folder, '../restored')
    assert.is((await cpnsHere('restore', file, '--data', restored)).code, 0)

    const piped = join(folder, '../piped')
    const pipe = await shell(`cpns backup --to - --config '${config}' | cpns restore - --data '${piped}'`)
    assert.is(pipe.code, 0, pipe.stderr)
    const cut = await shell(`cpns backup --to - --config '${config}' | head -c 1000 > /dev/null`)
    assert.is(cut.code, 1, cut.stderr)
    assert.match(cut.stderr, /The backup is not whole/)
    const part = await shell(
      `cpns backup --to - --config '${config}' 2> /dev/null | head -c 5000 | cpns restore - --data '${piped}-cut'`,
    )
    assert.is(part.code, 1, part.stderr)
    assert.match(part.stderr, /cut off|not whole|ends/i)
    assert.not(await exists(`${piped}-cut`))
    await node.stop()

    const live = await openLevelLogStore(at(configuration.data))
    const whole = await entriesOf(live)
    await live.close()
    const store = await openLevelLogStore(join(restored, 'data'))
    const kept = await entriesOf(store)
    await store.close()
    for (const [log, entries] of kept) assert.equal(entries, whole.get(log)?.slice(0, entries.length), log)
    for (const [number, length] of before.entries()) {
      const own = [...kept].filter(([log]) => log.startsWith(`${documentOf(number)} `))
      const has = own.reduce((sum, [, entries]) => sum + entries.length, 0)
      assert.ok(has >= length, `${documentOf(number)}: ${has} of ${length} that were acknowledged before`)
    }
    const quiet = await openLevelLogStore(join(piped, 'data'))
    assert.equal(await entriesOf(quiet), whole, 'nobody wrote meanwhile: it is the same')
    await quiet.close()
    for (const from of [restored, piped]) {
      const media = await openFileMediaStore(join(from, configuration.media.folder))
      assert.ok(Buffer.concat(await Array.fromAsync(media.read(name))).equals(picture))
      await media.close()
    }
  } finally {
    await end()
  }
})

test.run()
