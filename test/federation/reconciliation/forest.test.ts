/*
 * Property: whatever is written, forgotten, granted and taken back, and however it falls into the reading of the index, the trees
 * are those of a server that begins now: for each operator what is held and may be given to it. Fails when a change is missed, when
 * the index says again what has changed since, or when the reading blocks.
 */
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../../src/document/names.ts'
import { exchangeWith } from '../../../src/federation/exchange.ts'
import { Forest } from '../../../src/federation/reconciliation/forest.ts'
import type { HashTree } from '../../../src/federation/reconciliation/hash-tree.ts'
import { below, fanOut, type Place, root } from '../../../src/federation/reconciliation/place.ts'
import type { IndexRecord } from '../../../src/ports/log-store.ts'
import type { DocumentId } from '../../../src/ports/names.ts'
import { type ManualClock, settle } from '../../fixtures/manual-clock.ts'
import { testOperator } from '../../fixtures/operators.ts'
import { RecordingTelemetry } from '../../fixtures/recording-telemetry.ts'
import { Bench } from '../bench.ts'
import { crypto, type TestEntitlement, type WorldServer } from '../world.ts'

const a = testOperator('a.example')
const b = testOperator('b.example')
const c = testOperator('c.example')
const documents = Array.from({ length: 60 }, (_, number) => asDocumentId(`pn/a.example/n${number}`))

const test = suite('forest')
let bench: Bench
test.before.each(() => {
  bench = new Bench([a, b, c])
})
test.after.each(() => bench.world.stopAll())

interface Grove {
  readonly forest: Forest
  readonly telemetry: RecordingTelemetry
}

function grove(server: Pick<WorldServer, 'documents'>, entitlement: TestEntitlement, clock: ManualClock): Grove {
  const telemetry = new RecordingTelemetry()
  const forest = new Forest({
    own: a.id,
    operators: [b.id],
    exchangeWith: operator => exchangeWith(operator, a.id, entitlement),
    documents: server.documents,
    entitlement,
    crypto,
    clock,
    telemetry,
  })
  forest.start()
  return { forest, telemetry }
}

const hashOf = (tree: HashTree): string => {
  tree.refresh(Number.POSITIVE_INFINITY)
  const bytes = new DataView(new ArrayBuffer(16))
  tree.writeHash(0, bytes, 0)
  return Buffer.from(bytes.buffer).toString('hex')
}

function documentsIn(tree: HashTree, place: Place = root): DocumentId[] {
  if (tree.dividedAt(place) === undefined) return tree.leavesAt(place).map(slot => tree.leaves.document(slot))
  return Array.from({ length: fanOut }, (_, digit) => documentsIn(tree, below(place, digit))).flat()
}

test('kept up is read anew, after any history; whoever is linked with later has the same', async () => {
  const step = fc.record({
    what: fc.constantFrom('write' as const, 'write' as const, 'forget' as const, 'grant' as const, 'revoke' as const),
    at: fc.nat(documents.length - 1),
    count: fc.integer({ min: 1, max: 20 }),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat(12), async (steps, begin) => {
      const { world, clock, run } = new Bench([a, b, c])
      const { entitlement } = world
      const server = await world.start(a, 0)
      let kept: Grove | undefined
      for (const [index, { what, at, count }] of steps.entries()) {
        if (index === begin) kept = grove(server, entitlement, clock)
        for (const document of documents.slice(at, at + count)) {
          if (what === 'write') await server.set(document, 'k', index)
          if (what === 'forget') await server.documents.forget(document)
          if (what === 'grant') entitlement.grant(document, b, c)
          if (what === 'revoke') entitlement.grant(document)
        }
      }
      kept ??= grove(server, entitlement, clock)
      await run(10)
      const made = grove(server, entitlement, clock)
      await run(10)
      const held = await Array.fromAsync(server.documents.list(''), ({ document }) => document)
      for (const operator of [a.id, b.id, c.id]) {
        const [one, other] = [kept.forest.of(operator), made.forest.of(operator)]
        await run(10)
        await Promise.all([one.ready, other.ready])
        assert.is(hashOf(one.tree), hashOf(other.tree))
        const { mayGive } = exchangeWith(operator, a.id, entitlement)
        assert.equal(documentsIn(one.tree).sort(), held.filter(mayGive).sort())
      }
      kept.forest.stop()
      made.forest.stop()
      await world.stopAll()
    }),
    { numRuns: 40 },
  )
})

test('the index is read in slices; what changes meanwhile is not overwritten by what it said before', async () => {
  const { world, clock, run } = bench
  const server = await world.start(a, 0)
  const digest = (number: number) => crypto.sha256(Uint8Array.of(number))
  const record = (document: DocumentId, of: number): IndexRecord => ({
    document,
    heads: [],
    superseded: [],
    digest: digest(of),
    epoch: 0,
  })
  const many = Array.from({ length: 3_000 }, (_, number) =>
    asDocumentId(`pn/a.example/m${String(number).padStart(5, '0')}`),
  )
  let notice: Parameters<WorldServer['documents']['subscribe']>[0] = () => {}
  let listed = 0
  const slow: Pick<WorldServer['documents'], 'list' | 'subscribe'> = {
    async *list() {
      for (const document of many) {
        listed++
        yield record(document, 1)
      }
    },
    subscribe(listener) {
      notice = listener
      return () => {}
    },
  }
  const { forest, telemetry } = grove({ documents: { ...server.documents, ...slow } }, world.entitlement, clock)
  await settle()
  const early = listed
  assert.ok(early > 0 && early < 3_000, `${early} were read at once`)
  const [first, last, gone] = [many[0], many.at(-1), many.at(-2)]
  if (!first || !last || !gone) throw new Error('there are some')
  for (const document of [first, last]) notice({ document, entries: [], source: 'own', index: record(document, 2) })
  notice({ document: gone, entries: [], source: 'own', index: undefined })
  await run(100)
  const { tree, ready } = forest.of(a.id)
  await ready
  assert.is(tree.size, 2_999)
  assert.is(telemetry.events('reconciliation.ready').length, 1)
  const again = grove(
    {
      documents: {
        ...server.documents,
        ...slow,
        async *list() {
          for (const document of many)
            if (document !== gone) yield record(document, document === first || document === last ? 2 : 1)
        },
      },
    },
    world.entitlement,
    clock,
  )
  await run(100)
  assert.is(hashOf(tree), hashOf(again.forest.of(a.id).tree))
  forest.stop()
  again.forest.stop()
})

test('an index that cannot be read to its end is told of, and read again', async () => {
  const { world, clock, run } = bench
  const server = await world.start(a, 0)
  for (const document of documents.slice(0, 3)) await server.set(document, 'k', 1)
  let isBroken = true
  const { documents: all } = server
  const list: typeof all.list = async function* (prefix, from) {
    for await (const record of all.list(prefix, from)) {
      yield record
      if (isBroken) throw new Error('The disk has changed it.')
    }
  }
  const { forest, telemetry } = grove(
    { documents: { ...all, subscribe: all.subscribe, list } },
    world.entitlement,
    clock,
  )
  const { tree, ready } = forest.of(a.id)
  let isReady = false
  void ready.then(() => {
    isReady = true
  })
  await run(10_000)
  assert.not.ok(isReady)
  assert.is(telemetry.events('reconciliation.index-unreadable').length, 1)
  isBroken = false
  await run(30_000)
  assert.ok(isReady)
  assert.is(tree.size, 3)
  forest.stop()
})

test('what nobody announced is noticed by and by: a grant that counts again since a clock was set back', async () => {
  const { world, clock, run } = bench
  const server = await world.start(a, 0)
  const { entitlement } = world
  for (const document of documents.slice(0, 3)) await server.set(document, 'k', 1)
  const { forest } = grove(server, entitlement, clock)
  await run(10)
  assert.is(forest.of(b.id).tree.size, 0)
  const asked = entitlement.mayHold.bind(entitlement)
  entitlement.mayHold = (document, operator) => document === documents[1] || asked(document, operator)
  await run(11 * 60_000)
  assert.equal(documentsIn(forest.of(b.id).tree), [documents[1]])
  forest.stop()
})

test.run()
