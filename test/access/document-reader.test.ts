/*
 * A reader hears of changes after the answer to what it has, never before: what a change deletes would be gone at the reader, and what it
 * writes not there yet. Fails when a change overtakes the answer, or gets lost.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createDocumentReader } from '../../src/access/document-reader.ts'
import type { Following } from '../../src/access/feeds.ts'
import type { SharedFrame, YMessage } from '../../src/access/frames.ts'

const test = suite('document readers')

test('changes wait for the answer, and are sent in their order then', async () => {
  const sent: unknown[] = []
  const answers: ((update: Uint8Array | undefined) => void)[] = []
  const reader = createDocumentReader({
    send: (message: YMessage) => sent.push(message.kind),
    sendShared: frame => sent.push(frame),
    onDiff: update => reader.answer(update),
    onFailure: () => sent.push('failed'),
  })
  const frame = (name: string) => ({ name }) as unknown as SharedFrame
  const [first, second, third, fourth] = ['1', '2', '3', '4'].map(frame) as [
    SharedFrame,
    SharedFrame,
    SharedFrame,
    SharedFrame,
  ]
  const following = {
    diff: () => new Promise<Uint8Array | undefined>(resolve => answers.push(resolve)),
    close() {},
  } as unknown as Following
  const answered = async () => {
    answers.shift()?.(new Uint8Array([0, 0]))
    await new Promise(resolve => setImmediate(resolve))
  }

  reader.update(first)
  assert.equal(sent, [], 'it has not said what it has')
  reader.receive({ kind: 'step1', stateVector: new Uint8Array() })
  reader.update(first)
  reader.follow(following)
  reader.update(second)
  assert.equal(sent, [])
  await answered()
  assert.equal(sent, ['step2', first, second])
  reader.update(third)
  assert.equal(sent.at(-1), third)

  reader.receive({ kind: 'step1', stateVector: new Uint8Array() })
  reader.update(fourth)
  assert.equal(sent.at(-1), third)
  await answered()
  assert.equal(sent.slice(-2), ['step2', fourth])
})

test.run()
