/*
 * Property: a store whose files the disk has really spoiled, in each way that keeps LevelDB from opening it, is refused with what to do,
 * and opens after a repair; then each entry that is there is one that was written, and a document of which something is missing is
 * found by reading it through, unless all of it is gone. Nothing is lost but with the tables themselves. Fails when a repair makes something up, or passes a loss over.
 *
 * A garbled journal keeps LevelDB from nothing: it leaves out what it cannot read. Then each document is as it was at an earlier commit,
 * or is found by reading it through; its server goes on in another log, so that peers that hold more bring it back.
 */
import { mkdir, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { openLevelLogStore, repairLevelStore } from '../../src/adapters/level-log-store.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { survey } from '../../src/document/survey.ts'
import { type LogStore, StoreDamaged } from '../../src/ports/log-store.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { realNode } from '../operations/admin/real-node.ts'

const test = suite('Repair of a LevelDB')
const documents = Array.from({ length: 20 }, (_, number) => asDocumentId(`pn/a.example/n${number}`))

async function entriesOf(store: LogStore): Promise<Map<string, string[]>> {
  const all = new Map<string, string[]>()
  for (const document of documents) {
    const entries: string[] = []
    for await (const left of store.remains(document))
      if (left.kind === 'whole') entries.push(Buffer.from(left.entry.bytes).toString('base64'))
    all.set(document, entries)
  }
  return all
}

async function faultyIn(store: LogStore): Promise<Set<string>> {
  const faulty = new Set<string>()
  for await (const each of survey(store, nodeCrypto()))
    if (each.kind === 'document' && each.fault) faulty.add(each.document)
  return faulty
}

async function copyFiles(from: string, to: string): Promise<void> {
  await mkdir(to)
  for (const entry of await readdir(from, { withFileTypes: true }))
    if (entry.isFile()) await writeFile(join(to, entry.name), await readFile(join(from, entry.name)))
}

async function fileIn(folder: string, pattern: RegExp): Promise<string> {
  const name = (await readdir(folder)).find(each => pattern.test(each))
  if (name === undefined) throw new Error(`No file there is ${pattern}.`)
  return join(folder, name)
}

async function garble(path: string): Promise<void> {
  const bytes = await readFile(path)
  for (let at = Math.floor(bytes.length / 3); at < bytes.length; at += 7) bytes[at] = (bytes[at] ?? 0) ^ 0x5a
  await writeFile(path, bytes)
}
const halve = async (path: string) => truncate(path, Math.floor((await stat(path)).size / 2))

/** What becomes of a folder, by what it is called. */
const damages: Readonly<Record<string, (folder: string) => Promise<void>>> = {
  'a garbled MANIFEST': async folder => garble(await fileIn(folder, /^MANIFEST/)),
  'half a MANIFEST': async folder => halve(await fileIn(folder, /^MANIFEST/)),
  'no MANIFEST': async folder => rm(await fileIn(folder, /^MANIFEST/)),
  'no CURRENT': folder => rm(join(folder, 'CURRENT')),
  'half a table': async folder => halve(await fileIn(folder, /\.ldb$/)),
  'a garbled table': async folder => garble(await fileIn(folder, /\.ldb$/)),
}

test('it opens what is left, makes nothing up, and what is lost is found', async () => {
  const { node, at, configuration, end } = await realNode()
  const source = at(configuration.data)
  const folder = await temporaryFolder()
  try {
    for (const document of documents)
      for (const key of ['a', 'b'])
        await node.documents.write(document, () => ({
          writes: [{ key, value: `${document} ${key}` }],
          answer: undefined,
        }))
    await node.stop()
    const withJournal = join(folder.path, 'with-a-journal')
    await copyFiles(source, withJournal)
    // Opened once more, so that what the journal had is in a table.
    const store = await openLevelLogStore(source)
    const written = await entriesOf(store)
    await store.close()

    await garble(await fileIn(withJournal, /\.log$/))
    await repairLevelStore(withJournal)
    const earlier = await openLevelLogStore(withJournal)
    const left = await entriesOf(earlier)
    const unsound = await faultyIn(earlier)
    await earlier.close()
    for (const [document, entries] of left)
      assert.ok(
        unsound.has(document) || entries.every((entry, at) => entry === written.get(document)?.[at]),
        `${document} is not as it was`,
      )
    const count = (of: typeof left) => [...of.values()].flat().length
    assert.ok(count(left) < count(written), 'the journal was garbled')
    assert.ok(count(left) > 0, 'what stood before the damage is kept')

    for (const [damage, strike] of Object.entries(damages)) {
      const copy = join(folder.path, damage.replaceAll(' ', '-'))
      await copyFiles(source, copy)
      await strike(copy)
      const refused = await openLevelLogStore(copy).then(
        opened => opened.close(),
        (error: unknown) => error,
      )
      assert.instance(refused, StoreDamaged, damage)
      assert.match(String(refused), /cpns verify --repair/)
      await repairLevelStore(copy)
      const repaired = await openLevelLogStore(copy)
      const found = await entriesOf(repaired)
      const faulty = await faultyIn(repaired).finally(() => repaired.close())
      for (const [document, entries] of found) {
        const whole = written.get(document) ?? []
        assert.ok(
          entries.every(entry => whole.includes(entry)),
          `${damage}: ${document} has what nobody wrote`,
        )
        const isLess = entries.length < whole.length
        assert.ok(
          !isLess || entries.length === 0 || faulty.has(document),
          `${damage}: ${document} has lost something unseen`,
        )
      }
      // What names the tables can be made anew from them.
      if (/MANIFEST|CURRENT/.test(damage)) assert.equal(found, written, damage)
    }
  } finally {
    await end().catch(() => {})
    await folder.remove()
  }
})

test.run()
