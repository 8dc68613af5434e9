/*
 * Property: bytes flipped in the LevelDB files of a server, between two runs of it, are found when they are read or examined; what
 * they struck is refused, is not sent on, and is fetched from a linked server that holds it, so that both hold the same again;
 * without one it stays refused. Fails when damage travels, or when a server that holds the document is not asked for it.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { DocumentDamaged } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { ServerId } from '../../src/ports/names.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { MemoryHub } from '../fixtures/memory-network.ts'
import { testOperator } from '../fixtures/operators.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { World, type WorldServer } from './world.ts'

const a = testOperator('a.example', 2)
const home = asDocumentId('pn/a.example/home')
const other = asDocumentId('pn/a.example/other')
const test = suite('A disk with flipped bytes')

/** What `flip` looks for: written once, so that it stands in one record. */
const marked = (key: number): string => `the value that is to be struck, number ${String(key).padStart(3, '0')}`

async function rig() {
  const { path, remove } = await temporaryFolder()
  const clock = new ManualClock()
  const hub = new MemoryHub()
  const folderOf = (server: ServerId) => join(path, server)
  const world = new World([a], {
    clock,
    network: server => hub.network(server.id),
    address: server => `/memory/${server}`,
    store: server => openLevelLogStore(folderOf(server), { reserveBytes: 0 }),
  })
  const soon = (what: string, condition: () => Promise<boolean> | boolean) =>
    until(
      async () => {
        await clock.run(200)
        return condition()
      },
      { what },
    )
  const end = async () => {
    await world.stopAll()
    await remove()
  }
  return { world, folderOf, soon, end }
}

/** Opening makes table files of what the last run left in the journal; then a bit of `text` is flipped in them. */
async function flip(folder: string, text: string): Promise<void> {
  await (await openLevelLogStore(folder, { reserveBytes: 0 })).close()
  for (const name of await readdir(folder)) {
    if (!name.endsWith('.ldb')) continue
    const bytes = await readFile(join(folder, name))
    const at = bytes.indexOf(text)
    if (at < 0) continue
    bytes[at + 10] = (bytes[at + 10] ?? 0) ^ 4
    await writeFile(join(folder, name), bytes)
    return
  }
  throw new Error(`No file in ${folder} holds "${text}".`)
}

const isDamaged = (what: Promise<unknown>): Promise<boolean> =>
  what.then(
    () => false,
    (error: unknown) => error instanceof DocumentDamaged,
  )

async function isSame(one: WorldServer, two: WorldServer): Promise<boolean> {
  const [digest, its] = [await one.digest(home), await two.digest(home)]
  return digest !== undefined && digest === its
}

test('what was struck comes back from a server that holds it, and goes to nobody', async () => {
  const { world, folderOf, soon, end } = await rig()
  try {
    let one = await world.start(a, 0)
    const two = await world.start(a, 1)
    for (let at = 0; at < 20; at++) await one.set(home, `k${at}`, marked(at))
    await one.set(other, 'k', 1)
    await soon('both hold it', () => isSame(one, two))
    await world.stop(one)
    await flip(folderOf(one.id), marked(7))
    one = await world.start(a, 0)
    await soon('linked again', () => one.isUp(two))
    // Nobody has read it yet, so nobody knows; what is asked for by a peer would be read.
    await one.documents.examine(home)
    assert.is(one.telemetry.counter('cpns_documents_damaged_total'), 1)
    await soon('it is whole again', () => one.documents.damaged().length === 0)
    assert.is(one.telemetry.counter('cpns_documents_mended_total'), 1)
    assert.ok(await isSame(one, two))
    assert.equal(await one.content(home), await two.content(home))
    assert.is((await one.content(home)).k7, marked(7))
    await one.set(home, 'after', 1)
    await soon('they go on together', () => isSame(one, two))
    for (const { telemetry } of [one, two]) assert.is(telemetry.counter('cpns_entries_refused_total'), 0)
  } finally {
    await end()
  }
})

test('a server that alone holds it refuses it, offers what is whole, and goes on with everything else', async () => {
  const { world, folderOf, soon, end } = await rig()
  try {
    let one = await world.start(a, 0)
    for (let at = 0; at < 20; at++) await one.set(home, `k${at}`, marked(at))
    await one.set(other, 'k', 1)
    await world.stop(one)
    await flip(folderOf(one.id), marked(12))
    one = await world.start(a, 0)
    assert.ok(await isDamaged(one.content(home)))
    assert.ok(await isDamaged(one.set(home, 'x', 1)))
    await one.set(other, 'k', 2)
    assert.equal(await one.content(other), { k: 2 })
    const two = await world.start(a, 1)
    await soon('what is whole is held by both', () => isSame(one, two))
    assert.is(Object.keys(await two.content(home)).length, 12)
    assert.is(two.telemetry.counter('cpns_entries_refused_total'), 0)
    assert.ok(await isDamaged(one.content(home)), 'it is refused still')
    assert.equal(
      one.documents.damaged().map(({ document }) => document),
      [home],
    )
  } finally {
    await end()
  }
})

test.run()
