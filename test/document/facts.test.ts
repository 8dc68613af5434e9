/*
 * Proves: whatever was written, whenever the server was killed, also in the middle of its start, what is told of each document
 * last is what follows from its content, and nothing is told of documents that are not held; and a server that starts
 * again opens no document that has not changed since its facts were kept.
 * Fails if a fact outlives the content that it came from (a revoked grant would count again), if one is missing, or if a record
 * that is damaged or of another version is believed.
 */
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Json } from '../../src/document/documents.ts'
import { type Derivation, Facts, type Known } from '../../src/document/facts.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { testOperator } from '../fixtures/operators.ts'
import { DocumentServer, KnownOperators } from './document-server.ts'

type Fact = { readonly said: Json }

const derivation = (version = 1): Derivation<Fact> => ({
  name: 'test',
  version,
  prefixes: ['visit/', 'pn/'],
  isOf: (_, keys) => keys.includes('said'),
  derive: (_, content) => ({ said: content.get('said')?.value ?? null }),
})

const operator = testOperator('a.example')
const ids = ['pn/a.example/one', 'pn/a.example/two', 'visit/a.example/b.example/three', 'pn/a.example/four'].map(
  asDocumentId,
)
const [one = asDocumentId('pn/a.example/one'), two = one] = ids

/** A server that learns facts, and is killed and started again. */
class Learner {
  readonly server = new DocumentServer({ operator, authorship: new KnownOperators(operator) })
  readonly told = new Map<DocumentId, Fact>()
  /** In order, and whether the content came with it. */
  readonly heard: { readonly document: DocumentId; readonly isRead: boolean }[] = []
  version = 1
  /** Whether it throws at whatever it is told. */
  refuses = false
  lives = 0
  facts = this.#facts()

  #facts(): Facts<Fact> {
    const { documents, store, clock, telemetry } = this.server
    const life = ++this.lives
    const learned = (document: DocumentId, known: Known<Fact> | undefined) => {
      if (life !== this.lives) return
      if (this.refuses) throw new Error('as told')
      this.heard.push({ document, isRead: known?.content !== undefined })
      if (known) this.told.set(document, known.fact)
      else this.told.delete(document)
    }
    return new Facts({ derivation: derivation(this.version), documents, store, clock, telemetry, learned })
  }

  /** Begins to start, and does not wait for it. */
  begin(): Promise<void> {
    this.facts.follow()
    const isThrough = this.facts.load()
    return isThrough.catch(() => {})
  }

  async start(): Promise<void> {
    const isThrough = this.begin()
    await this.reach(() => this.facts.isLoaded, 'all facts are told')
    await isThrough
  }

  /** Lets time pass until it is so. */
  async reach(condition: () => boolean, what: string): Promise<void> {
    for (let turn = 0; !condition(); turn++) {
      assert.ok(turn < 10_000, `${what}, at last`)
      await this.server.clock.run(1)
    }
  }

  /** The process ends without a word, and another begins with what was durable. */
  kill(): void {
    this.server.restart()
    this.told.clear()
    this.heard.length = 0
    this.facts = this.#facts()
  }

  async write(document: DocumentId, key: string, value: Json): Promise<void> {
    await this.server.documents.write(document, () => ({ writes: [{ key, value }], answer: undefined }))
  }

  /** What follows from the content of all documents that are held. */
  async expected(): Promise<[DocumentId, Fact][]> {
    const held: [DocumentId, Fact][] = []
    for await (const { document } of this.server.documents.list(''))
      held.push([document, derivation().derive(document, await this.server.documents.read(document))])
    return held
  }

  /** Time for all that was told to be kept, or not. */
  pass(ms: number): Promise<void> {
    return this.server.clock.run(ms)
  }

  sorted(): [DocumentId, Fact][] {
    return [...this.told].sort(([a], [b]) => (a < b ? -1 : 1))
  }
}

test('whatever was written and killed when, what is told is what the documents say', async () => {
  const document = fc.constantFrom(...ids)
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ type: fc.constant('say' as const), document, value: fc.nat(3) }) },
    { weight: 4, arbitrary: fc.record({ type: fc.constant('write' as const), document, value: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('forget' as const), document }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('compact' as const), document }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('pass' as const), ms: fc.constantFrom(1, 6_000, 40_000) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('refuse' as const) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('start' as const), isWhole: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('stop' as const) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('upgrade' as const) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 24 }), async steps => {
      const learner = new Learner()
      await learner.start()
      for (const each of steps) {
        if (each.type === 'say') await learner.write(each.document, 'said', each.value).catch(() => {})
        else if (each.type === 'write') await learner.write(each.document, 'other', each.value).catch(() => {})
        else if (each.type === 'forget') await learner.server.documents.forget(each.document).catch(() => {})
        else if (each.type === 'compact') await learner.server.documents.compact(each.document).catch(() => {})
        else if (each.type === 'pass') await learner.pass(each.ms)
        else if (each.type === 'refuse') learner.server.disk.refuseNextWrite()
        else if (each.type === 'start') {
          learner.kill()
          if (each.isWhole) await learner.start()
          else void learner.begin()
        } else if (each.type === 'upgrade') {
          learner.version++
          learner.kill()
          void learner.begin()
        } else {
          await learner.facts.stop()
          learner.kill()
          await learner.start()
        }
      }
      const expected = await learner.expected()
      const isAsExpected = () => JSON.stringify(learner.sorted()) === JSON.stringify(expected)
      await learner.reach(() => learner.facts.isLoaded && isAsExpected(), 'what is told is what is there')
      await learner.pass(60_000)
      await learner.facts.stop()
      learner.kill()
      await learner.start()
      assert.equal(learner.sorted(), expected, 'after another start')
      assert.equal(
        learner.heard.filter(({ isRead }) => isRead),
        [],
        'and nothing was opened for it',
      )
    }),
    { numRuns: Number(process.env.FACTS_RUNS ?? 150) },
  )
})

test('documents that have not changed are not opened at a start; those that have are, and no others', async () => {
  const learner = new Learner()
  await learner.start()
  for (const id of ids) await learner.write(id, 'said', 1)
  await learner.pass(10_000)
  await learner.write(one, 'other', 1)
  await learner.pass(10_000)
  learner.kill()
  await learner.start()
  assert.equal(
    learner.heard.map(({ isRead }) => isRead),
    [false, false, false, false],
  )
  await learner.write(one, 'said', 2)
  await learner.write(two, 'other', 2)
  learner.kill()
  await learner.start()
  const read = learner.heard.filter(({ isRead }) => isRead).map(({ document }) => document)
  assert.equal(read.sort(), [one, two], 'the server was killed before it had kept what it knew')
  assert.equal(learner.told.get(one), { said: 2 })
})

test('visits are told before home documents', async () => {
  const learner = new Learner()
  await learner.start()
  for (const id of ids) await learner.write(id, 'said', 1)
  for (const isKept of [false, true]) {
    if (isKept) await learner.pass(10_000)
    learner.kill()
    await learner.start()
    assert.is(learner.heard[0]?.document.startsWith('visit/'), true)
  }
})

test('a record that the disk has damaged, or that another version made, is not believed', async () => {
  const learner = new Learner()
  await learner.start()
  for (const id of ids) await learner.write(id, 'said', 1)
  await learner.pass(10_000)
  learner.server.disk.flip({ local: `facts/test/${one}` }, 300)
  learner.kill()
  await learner.start()
  assert.equal(
    learner.heard.filter(({ isRead }) => isRead).map(({ document }) => document),
    [one],
  )
  assert.equal(learner.sorted(), await learner.expected())
  await learner.pass(10_000)
  learner.version++
  learner.kill()
  await learner.start()
  assert.is(learner.heard.filter(({ isRead }) => isRead).length, ids.length)
  await learner.pass(10_000)
  learner.kill()
  await learner.start()
  assert.is(learner.heard.filter(({ isRead }) => isRead).length, 0, 'kept anew')
})

test('what is asked for while the start goes on is told first, and by what it says now', async () => {
  const learner = new Learner()
  await learner.start()
  for (const id of ids) await learner.write(id, 'said', 1)
  await learner.facts.stop()
  learner.kill()
  const { list } = learner.server.documents
  const gate = Promise.withResolvers<void>()
  learner.server.documents.list = async function* (prefix: string) {
    await gate.promise
    yield* list(prefix)
  }
  learner.facts.follow()
  const isThrough = learner.facts.load()
  await learner.facts.know(two)
  assert.equal([...learner.told], [[two, { said: 1 }]])
  await learner.write(two, 'said', 2)
  await learner.facts.know(two)
  await learner.reach(() => learner.told.get(two)?.said === 2, 'the change is told')
  gate.resolve()
  await isThrough
  assert.equal(learner.told.get(two), { said: 2 }, 'what was kept of it is old')
  assert.equal(learner.sorted(), await learner.expected())
})

test('what has changed while it was read for the first time is not known before it is told', async () => {
  const learner = new Learner()
  await learner.start()
  await learner.write(two, 'said', 1)
  await learner.facts.stop()
  learner.kill()
  const { documents } = learner.server
  const { held, list } = documents
  const gate = Promise.withResolvers<void>()
  documents.list = async function* (prefix: string) {
    await gate.promise
    yield* list(prefix)
  }
  documents.held = async document => {
    await gate.promise
    return held(document)
  }
  learner.facts.follow()
  void learner.facts.load()
  void learner.facts.know(two)
  await learner.write(two, 'said', 2)
  let isKnown = false
  const known = learner.facts.know(two).then(() => {
    isKnown = true
  })
  await learner.server.clock.run(1)
  assert.not(isKnown)
  gate.resolve()
  await known
  assert.equal(learner.told.get(two), { said: 2 })
})

test('a document that cannot be read is told as one of which nothing is known, and read again at the next start', async () => {
  const learner = new Learner()
  await learner.start()
  await learner.write(one, 'said', 1)
  const { held } = learner.server.documents
  learner.server.documents.held = async () => {
    throw new Error('the disk has changed it')
  }
  await learner.write(one, 'said', 2)
  await learner.reach(() => !learner.told.has(one), 'nothing is known')
  assert.is(learner.server.telemetry.events('facts.unreadable').length, 1)
  learner.server.documents.held = held
  await learner.facts.stop()
  learner.kill()
  await learner.start()
  assert.equal(learner.told.get(one), { said: 2 })
})

test('what is forgotten leaves nothing of its facts on the disk', async () => {
  const learner = new Learner()
  await learner.start()
  for (const id of ids) await learner.write(id, 'said', 1)
  await learner.pass(10_000)
  await learner.server.documents.forget(one)
  await learner.pass(10_000)
  const kept = await Array.fromAsync(learner.server.store.localScan('facts/'), ({ key }) => key)
  assert.equal(
    kept.sort(),
    ids
      .filter(id => id !== one)
      .map(id => `facts/test/${id}`)
      .sort(),
  )
})

test('who cannot take what it is told keeps nobody waiting: it is named, and told of the next change', async () => {
  const learner = new Learner()
  await learner.start()
  await learner.write(one, 'said', 1)
  await learner.reach(() => learner.told.has(one), 'it is told')
  learner.refuses = true
  await learner.write(one, 'said', 2)
  await learner.facts.settled()
  await learner.facts.know(one)
  assert.ok(learner.server.telemetry.events('facts.unreadable').length > 0)
  learner.refuses = false
  await learner.write(one, 'said', 3)
  await learner.reach(() => learner.told.get(one)?.said === 3, 'the next change is told')
  await learner.facts.stop()
  learner.kill()
  learner.refuses = true
  await learner.start()
  assert.not(learner.told.has(one), 'a start goes on without it')
})

test.run()
