/*
 * Property: whoever asks for the index of a document hears what is durable, however reads and commits overlap, and each of several who
 * ask for it in a short time does not have the disk read again. Fails when a reading that began before a commit, and ended after it, is
 * remembered; when a failure is; or when more is remembered than there is room for.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { asDocumentId } from '../../src/document/names.ts'
import { RecentIndexes } from '../../src/document/recent-indexes.ts'
import type { IndexRecord } from '../../src/ports/log-store.ts'
import { indexOf, logOf } from '../ports/log-store.contract.ts'

const test = suite('recent indexes')
const document = asDocumentId('pn/a.example/home')
const recordOf = (length: number, logs = 1): IndexRecord =>
  indexOf(document, new Map(Array.from({ length: logs }, (_, number) => [logOf(number), length])))

/** A store whose reads end when the test wants. */
function slowStore() {
  const reads: PromiseWithResolvers<IndexRecord | undefined>[] = []
  const indexes = new RecentIndexes({
    index() {
      const read = Promise.withResolvers<IndexRecord | undefined>()
      reads.push(read)
      return read.promise
    },
  })
  return { reads, indexes }
}

test('those who ask at the same time, and those who ask next, share one reading; also of what is not held', async () => {
  const { reads, indexes } = slowStore()
  const both = [indexes.of(document), indexes.of(document)]
  reads[0]?.resolve(undefined)
  assert.equal(await Promise.all(both), [undefined, undefined])
  assert.is(await indexes.of(document), undefined)
  assert.is(reads.length, 1)
})

test('what becomes durable while it is read stands, not what was read', async () => {
  const { reads, indexes } = slowStore()
  const asked = indexes.of(document)
  indexes.became(document, recordOf(2))
  reads[0]?.resolve(recordOf(1))
  await asked
  assert.equal(await indexes.of(document), recordOf(2))
  const { reads: others, indexes: forgotten } = slowStore()
  const before = forgotten.of(document)
  forgotten.forget(document)
  others[0]?.resolve(recordOf(1))
  await before
  const after = forgotten.of(document)
  others[1]?.resolve(recordOf(3))
  assert.equal(await after, recordOf(3), 'what was read before it was to be forgotten is not remembered')
})

test('a failure is not remembered, and neither is a document with many logs', async () => {
  const { reads, indexes } = slowStore()
  const failing = indexes.of(document)
  reads[0]?.reject(new Error('the disk'))
  const failure = await failing.catch((error: Error) => error.message)
  assert.is(failure, 'the disk')
  const again = indexes.of(document)
  reads[1]?.resolve(recordOf(1, 40))
  assert.is((await again)?.heads.length, 40)
  void indexes.of(document)
  assert.is(reads.length, 3)
})

test('of many documents the oldest are read again', async () => {
  const { reads, indexes } = slowStore()
  for (let number = 0; number < 3_000; number++) indexes.became(asDocumentId(`pn/a.example/n${number}`), undefined)
  assert.is(await indexes.of(asDocumentId('pn/a.example/n2999')), undefined)
  void indexes.of(asDocumentId('pn/a.example/n0'))
  assert.is(reads.length, 1)
})

test.run()
