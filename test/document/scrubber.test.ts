/*
 * Property: whatever record the disk has changed, the scrubber meets it within one round, at the rate that it may read at and not
 * while there is too much to do; what is of a document is mended or marked, what is derived from one is taken out, what is of this
 * server alone is named. Fails when a record is passed over, when it reads faster than it may, or when it ends for good at what it meets.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RecordName } from '../../src/adapters/memory-log-store.ts'
import { FactRecords } from '../../src/document/fact-records.ts'
import { localKeys } from '../../src/document/local-records.ts'
import { asDocumentId } from '../../src/document/names.ts'
import { createScrubber, type ScrubLimits } from '../../src/document/scrubber.ts'
import { survey } from '../../src/document/survey.ts'
import { testOperator } from '../fixtures/operators.ts'
import { crypto, DocumentServer, home } from './document-server.ts'

const a = testOperator('a.example', 2)
const test = suite('Scrubber')
const documents = Array.from({ length: 150 }, (_, at) => asDocumentId(`pn/a.example/n${at}`))

async function filled(): Promise<DocumentServer> {
  const server = new DocumentServer({ operator: a })
  for (const document of documents)
    await server.documents.write(document, () => ({
      writes: [{ key: 'k', value: 'v'.repeat(1_000) }],
      local: [{ key: `answer/${document}`, value: new Uint8Array(50) }],
      answer: undefined,
    }))
  return server
}

function scrubbing(server: DocumentServer, limits: Partial<ScrubLimits> = {}, isBusy = () => false) {
  const { clock, telemetry, store, documents } = server
  const scrubber = createScrubber({
    ...{ store, documents, isBusy, crypto, clock, telemetry },
    limits: { bytesPerSecond: 100_000, restMs: 1_000, ...limits },
  })
  scrubber.start()
  return scrubber
}

test('reads everything, at its rate, again and again', async () => {
  const server = await filled()
  const scrubber = scrubbing(server)
  assert.is(scrubber.progress.state, 'resting')
  await server.clock.run(1_500)
  assert.is(scrubber.progress.state, 'reading')
  await server.clock.run(1_000)
  assert.is(scrubber.progress.rounds, 0, '150 kB and what looking costs take more than a second')
  await server.clock.run(10_000)
  assert.ok(scrubber.progress.rounds >= 1)
  assert.is(scrubber.progress.damagedRecords.length, 0)
  await server.clock.run(20_000)
  assert.ok(scrubber.progress.rounds >= 3)
  scrubber.stop()
})

test('waits while there is too much to do, and never reads when it is off', async () => {
  const server = await filled()
  let isBusy = true
  const scrubber = scrubbing(server, {}, () => isBusy)
  const off = scrubbing(server, { bytesPerSecond: 0 })
  await server.clock.run(60_000)
  assert.is(scrubber.progress.rounds, 0)
  isBusy = false
  await server.clock.run(30_000)
  assert.ok(scrubber.progress.rounds >= 1)
  assert.equal([off.progress.state, off.progress.rounds], ['off', 0])
  scrubber.stop()
})

test('other limits hold at once: it begins, is off, and begins again', async () => {
  const server = await filled()
  const scrubber = scrubbing(server, { bytesPerSecond: 0, restMs: 86_400_000 })
  await server.clock.run(10_000)
  assert.is(scrubber.progress.state, 'off')
  scrubber.change({ bytesPerSecond: 100_000, restMs: 86_400_000 })
  await server.clock.run(10_000)
  assert.is(scrubber.progress.state, 'resting')
  scrubber.change({ bytesPerSecond: 100_000, restMs: 1_000 })
  await server.clock.run(30_000)
  const { rounds } = scrubber.progress
  assert.ok(rounds >= 1, 'it does not rest for the day that it began to')
  scrubber.change({ bytesPerSecond: 0, restMs: 1_000 })
  await server.clock.run(30_000)
  assert.equal([scrubber.progress.state, scrubber.progress.rounds], ['off', rounds])
  scrubber.change({ bytesPerSecond: 100_000, restMs: 1_000 })
  await server.clock.run(30_000)
  assert.ok(scrubber.progress.rounds > rounds)
  scrubber.stop()
})

test('meets what is damaged, whatever it is, and goes on', async () => {
  const server = await filled()
  const [first, second, third] = documents.slice(60)
  if (!first || !second || !third) throw new Error('There are documents.')
  const log = (await server.store.index(first))?.heads[0]?.log
  if (!log) throw new Error('It has a log.')
  const struck: RecordName[] = [
    { entry: [first, log, 0] },
    { index: second },
    { local: `answer/${third}` },
    { local: `answer/${documents[149]}` },
  ]
  for (const record of struck) server.disk.flip(record, 77)
  const faults: string[] = []
  for await (const { fault } of survey(server.store, crypto)) if (fault) faults.push(fault.record)
  assert.is(faults.length, 4, faults.join())
  const scrubber = scrubbing(server)
  await server.clock.run(30_000)
  scrubber.stop()
  assert.equal(
    server.documents.damaged().map(({ document }) => document),
    [first],
  )
  assert.equal([...scrubber.progress.damagedRecords].sort(), [
    `local answer/${documents[149]}`,
    `local answer/${third}`,
  ])
  assert.is((await server.values(second)).k, 'v'.repeat(1_000), 'what only its index had lost is whole')
})

test('claims that are damaged are found and made anew before somebody needs them', async () => {
  const server = new DocumentServer({ operator: a })
  await server.write('k', 1)
  await server.documents.compact(home)
  server.disk.flip({ local: localKeys(home, crypto).claims }, 40)
  server.restart()
  const scrubber = scrubbing(server)
  await server.clock.run(10_000)
  scrubber.stop()
  assert.equal(scrubber.progress.damagedRecords, [])
  assert.ok(await server.store.local(localKeys(home, crypto).claims))
  assert.equal(await server.values(), { k: 1 })
})

test('a fact that is damaged is taken out, and is no loss that somebody has to know of', async () => {
  const server = await filled()
  const [first, second] = documents
  const records = new FactRecords<string>('of-tests', 1)
  const keys = [first, second].map(document => document && records.keyOf(document))
  const [struck, whole] = keys
  if (struck === undefined || whole === undefined) throw new Error('Their ids are short.')
  const value = new Uint8Array(50)
  await server.store.commit({ documents: [], local: [struck, whole].map(key => ({ key, value })) })
  server.disk.flip({ local: struck }, 40)
  const scrubber = scrubbing(server)
  await server.clock.run(30_000)
  scrubber.stop()
  assert.ok(scrubber.progress.rounds >= 1)
  assert.equal(scrubber.progress.damagedRecords, [])
  assert.is(await server.store.local(struck), undefined)
  assert.equal(await server.store.local(whole), value)
})

test.run()
