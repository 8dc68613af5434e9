/*
 * Property: what the logs of a document tell of its past is what was there then: as of now exactly its content, whatever was
 * written, compacted and brought by other servers; as of an earlier time, or of a version that somebody has noted, the content of
 * that moment, as long as nothing was compacted since, which is said. Fails if an entry or a mark were passed over, or if a compaction
 * went unsaid.
 */
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Registers } from '../../src/document/documents.ts'
import { contentAt, readHistory } from '../../src/document/history.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { versionOf } from '../../src/document/version.ts'
import { ManualClock } from '../fixtures/manual-clock.ts'
import { testOperator } from '../fixtures/operators.ts'
import { crypto, DocumentServer, exchange, home, KnownOperators } from './document-server.ts'

const operator = testOperator('a.example', 2)
const authorship = new KnownOperators(operator)
const runs = Number(process.env.CPNS_HISTORY_RUNS ?? 60)

const shown = (registers: Registers) => JSON.stringify([...registers.entries()])

async function historyOf(server: DocumentServer) {
  const history = await readHistory(server.store, home, crypto)
  assert.ok(history)
  return history
}

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('write' as const),
      by: fc.nat(1),
      key: fc.nat(3),
      value: fc.option(fc.nat(9)),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('exchange' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), by: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('compact' as const), by: fc.nat(1) }) },
)

test('the past as the logs tell it is what was there', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 20 }), async steps => {
      const clock = new ManualClock()
      const [first, second] = [0, 1].map(number => new DocumentServer({ operator, authorship, clock, number })) as [
        DocumentServer,
        DocumentServer,
      ]
      const servers = [first, second] as const
      const noted: { readonly at: number; readonly version: ReturnType<typeof versionOf>; readonly content: string }[] =
        []
      let wasCompacted = false
      for (const one of steps) {
        clock.jump(1_000)
        if (one.kind === 'write') await (servers[one.by] ?? first).write(`key/${one.key}`, one.value)
        if (one.kind === 'exchange') await exchange(first, second)
        if (one.kind === 'restart') (servers[one.by] ?? first).restart()
        if (one.kind === 'compact' && (await (servers[one.by] ?? first).documents.index(home))) {
          await (servers[one.by] ?? first).documents.compact(home)
          wasCompacted = true
        }
        await exchange(first, second)
        const content = shown(await first.documents.read(home))
        noted.push({ at: clock.now(), version: versionOf(await first.documents.index(home)), content })
      }
      if (!(await first.documents.index(home))) return
      const { entries, isWhole } = await historyOf(first)
      assert.is(shown(contentAt(entries)), shown(await first.documents.read(home)))
      if (isWhole) {
        for (const { at, version, content } of noted) {
          assert.is(shown(contentAt(entries, { at })), content)
          assert.is(shown(contentAt(entries, { version })), content)
        }
      }
      assert.ok(isWhole || wasCompacted)
    }),
    { numRuns: runs },
  )
})

test('a compaction is said, and what it dropped is told no more', async () => {
  const server = new DocumentServer({ operator })
  await server.write('alias', 'Old')
  const before = server.clock.now()
  server.clock.jump(60_000)
  await server.write('alias', 'New')
  assert.is(contentAt((await historyOf(server)).entries, { at: before }).get('alias')?.value, 'Old')
  assert.is((await historyOf(server)).isWhole, true)
  await server.documents.compact(home)
  const { entries, isWhole } = await historyOf(server)
  assert.is(isWhole, false)
  assert.is(contentAt(entries, { at: before }).get('alias'), undefined)
  assert.is(contentAt(entries).get('alias')?.value, 'New')
})

test('a document that is not held has no history', async () => {
  const server = new DocumentServer({ operator })
  assert.is(await readHistory(server.store, asDocumentId('pn/a.example/none'), crypto), undefined)
})

test.run()
