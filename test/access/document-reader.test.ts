/*
 * A reader hears of changes after the answer to what it has, never before: what a change deletes would be gone at the reader, and what it
 * writes not there yet. Over a compaction it is taken only when it is complete, and not for ever: else it is told to start afresh.
 * Fails when a change overtakes the answer, or gets lost, or when who is not complete goes on without knowing of the compaction.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ConnectionMessage } from '../../src/access/connection.ts'
import { DocumentReader } from '../../src/access/document-reader.ts'
import type { Following } from '../../src/access/feeds.ts'
import { encodeShared, parseMessage, type SharedFrame } from '../../src/access/frames.ts'
import type { Outlet } from '../../src/access/outlet.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { home } from './rig.ts'

const test = suite('document readers')

const frame = (number: number): SharedFrame => encodeShared(Uint8Array.of(number), 1)
const [first, second, third, fourth] = [frame(1), frame(2), frame(3), frame(4)]
const everything = { kind: 'step1', stateVector: Uint8Array.of(0) } as const

function rig() {
  const sent: unknown[] = []
  const told: string[] = []
  const answers: ((update: Uint8Array) => void)[] = []
  let closed = 0
  const send = (bytes: string | Uint8Array) => {
    if (typeof bytes === 'string') return
    const message = parseMessage(bytes)
    sent.push(message?.kind === 'update' ? message.update[0] : message?.kind)
  }
  const outlet: Outlet = {
    send,
    sendShared: send,
    close: () => sent.push('closed'),
    tick() {},
    quietFor() {},
    closing: undefined,
  }
  const tell = (message: ConnectionMessage) => {
    if (message.type === 'done') message.run()
    else told.push(message.type === 'epoch' ? `epoch ${message.epoch}` : message.type)
  }
  const reader = new DocumentReader({ document: home, connection: { outlet, tell }, form: 'bare' })
  const following: Following = {
    channel: 1,
    epoch: 0,
    diff: () => new Promise<Uint8Array>(resolve => answers.push(resolve)),
    close: () => void closed++,
  }
  const answered = async () => {
    answers.shift()?.(Uint8Array.of(0, 0))
    await settle()
  }
  return { reader, sent, told, following, answered, closes: () => closed }
}

test('changes wait for the answer, and are sent in their order then', async () => {
  const { reader, sent, following, answered } = rig()
  reader.update(first)
  assert.equal(sent, [], 'it has not said what it has')
  reader.receive(everything)
  reader.update(first)
  reader.follow(following)
  reader.update(second)
  assert.equal(sent, [])
  await answered()
  assert.equal(sent, ['step2', 1, 2])
  reader.update(third)
  assert.is(sent.at(-1), 3)

  reader.receive(everything)
  reader.update(fourth)
  assert.is(sent.at(-1), 3)
  await answered()
  assert.equal(sent.slice(-2), ['step2', 4])
})

test('who is complete is taken over a compaction', async () => {
  const { reader, sent, told, following, answered } = rig()
  reader.follow(following)
  reader.receive(everything)
  await answered()
  reader.compacted(first, 1)
  reader.update(second)
  assert.equal(sent, ['step2', 1, 2])
  assert.equal(told, [])
})

test('who is not complete is told that it starts afresh, and of nothing after', async () => {
  for (const hasAsked of [false, true]) {
    const { reader, sent, told, following, answered, closes } = rig()
    reader.follow(following)
    if (hasAsked) reader.receive(everything)
    reader.compacted(first, 1)
    reader.update(second)
    await answered()
    assert.equal(sent, [])
    assert.equal(told, ['epoch 1'])
    assert.is(closes(), 1)
  }
})

test('a compaction before it is followed concerns nobody', async () => {
  const { reader, sent, told, following, answered } = rig()
  reader.compacted(first, 1)
  reader.receive(everything)
  reader.follow(following)
  await answered()
  reader.update(second)
  assert.equal(sent, ['step2', 2])
  assert.equal(told, [])
})

test('after many compactions a client is to begin anew', async () => {
  const { reader, told, following, answered } = rig()
  reader.follow(following)
  reader.receive(everything)
  await answered()
  let epoch = 0
  while (told.length === 0 && epoch < 1_000) reader.compacted(first, ++epoch)
  assert.ok(epoch > 10, 'not soon')
  assert.equal(told, [`epoch ${epoch}`])
})

test.run()
