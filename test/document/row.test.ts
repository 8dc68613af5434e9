/*
 * Proves: what is read of documents in a row is what each of them says when it is read by itself, whoever wrote it, and with the digest that
 * its index record has; and what has been changed, compacted, forgotten or damaged since that record was read is left out.
 * Fails if an entry is missed or counted that does not belong to what the record says: a fact would be derived from half a document.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Registers } from '../../src/document/documents.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { DocumentServer, exchange, home, KnownOperators } from './document-server.ts'

const operator = testOperator('a.example', 2)
const authorship = new KnownOperators(operator)
const ids = Array.from({ length: 6 }, (_, number) => asDocumentId(`pn/a.example/n${number}`))

const write = ({ documents }: DocumentServer, document: DocumentId, key: string, value: string | null) =>
  documents.write(document, () => ({ writes: [{ key, value }], answer: undefined }))

/** Two servers that have both written each document, in several runs. */
async function written(): Promise<DocumentServer> {
  const [a, b] = [0, 1].map(number => new DocumentServer({ operator, number, authorship }))
  if (!a || !b) throw new Error('There are two.')
  for (const [at, document] of ids.entries()) {
    for (let count = 0; count <= at; count++) await write(a, document, `of-a-${count}`, `${count}`)
    await write(a, document, 'both', 'a')
    await write(a, document, 'gone', 'soon')
    await exchange(a, b, document)
    await b.clock.run(1_000)
    await write(b, document, 'both', 'b')
    await write(b, document, 'gone', null)
    await exchange(a, b, document)
  }
  a.restart()
  for (const document of ids) await write(a, document, 'run', 'second')
  return a
}

const listOf = ({ documents }: DocumentServer) => Array.fromAsync(documents.list('pn/'))
const said = (content: Registers | undefined) => content && [...content.entries()]

test('documents in a row say what each of them says by itself', async () => {
  const server = await written()
  const row = await listOf(server)
  assert.is(row.length, ids.length)
  const found = await server.documents.heldOfRow(row)
  for (const { document, digest } of row) {
    assert.equal(said(found.get(document)?.content), said(await server.documents.read(document)), document)
    assert.equal(found.get(document)?.digest, digest)
  }
  assert.equal([...(await server.documents.heldOfRow(row.slice(2, 4))).keys()], ids.slice(2, 4))
  assert.is((await server.documents.heldOfRow([])).size, 0)
})

test('what has come since the record was read does not count', async () => {
  const server = await written()
  const row = await listOf(server)
  const [changed = home] = ids
  const before = said(await server.documents.read(changed))
  await write(server, changed, 'both', 'later')
  assert.equal(said((await server.documents.heldOfRow(row)).get(changed)?.content), before)
})

test('what was compacted or forgotten since, or damaged, is left out; the others are not', async () => {
  const server = await written()
  const row = await listOf(server)
  const [whole = home, compacted = home, forgotten = home, , flipped = home] = ids
  await server.documents.compact(compacted)
  await server.documents.forget(forgotten)
  const found = await server.documents.heldOfRow(row)
  assert.equal([...found.keys()], [ids[0], ids[3], ids[4], ids[5]])
  const now = await server.documents.heldOfRow(await listOf(server))
  assert.not.ok(now.has(compacted), 'what a copy has superseded, its record does not tell in full')

  const [head] = (await server.documents.index(flipped))?.heads ?? []
  if (!head) throw new Error('It has a log.')
  server.disk.flip({ entry: [flipped, head.log, 0] }, 300)
  const readable = await server.documents.heldOfRow(row)
  assert.ok(readable.has(whole))
  assert.not.ok(readable.has(flipped))
})

test.run()
