import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { createFeeds, type Following } from '../../src/access/feeds.ts'
import {
  encodeMessage,
  parseChannelFrame,
  parseMessage,
  type SharedFrame,
  type YMessage,
} from '../../src/access/frames.ts'
import type { DocumentObserver } from '../../src/document/documents.ts'
import { settle } from '../fixtures/manual-clock.ts'
import { home } from './rig.ts'

/*
 * However many read a document, it is observed once, and each change is encoded once: all of them are handed the very
 * same bytes. It fails if an observation is left open when the last reader leaves, if a rebuilt document goes on under
 * its old channel, or if a reader that could not be served stays on the list, or
 * if one that fails is heard of by the others.
 */
const test = suite('feeds and frames')

function rig() {
  const observers: DocumentObserver[] = []
  const closed: number[] = []
  const state = { fail: false }
  const feeds = createFeeds({
    async observe(_document, observer) {
      await settle()
      if (state.fail) throw new Error('away')
      const number = observers.push(observer)
      return { epoch: number, diff: async () => Uint8Array.of(number), close: () => void closed.push(number) }
    },
  })
  const follower = () => {
    const frames: SharedFrame[] = []
    const epochs: number[] = []
    const carried: number[] = []
    const failures: unknown[] = []
    return {
      frames,
      epochs,
      carried,
      failures,
      compacted: (_frame: SharedFrame, epoch: number) => void carried.push(epoch),
      failed: (error: unknown) => void failures.push(error),
      update: (frame: SharedFrame) => void frames.push(frame),
      epoch: (epoch: number) => void epochs.push(epoch),
    }
  }
  return { feeds, observers, closed, state, follower }
}

test('one observation and one encoding for all readers', async () => {
  const { feeds, observers, closed, follower } = rig()
  const readers = [follower(), follower(), follower()]
  const followings = await Promise.all(readers.map(reader => feeds.follow(home, reader)))
  assert.is(observers.length, 1)
  assert.is(new Set(followings.map(({ channel }) => channel)).size, 1)
  observers[0]?.update(Uint8Array.of(1, 2, 3))
  const [frame] = readers[0]?.frames ?? []
  assert.ok(frame && readers.every(({ frames }) => frames[0] === frame))
  assert.is(frame.bare.buffer, frame.withChannel.buffer, 'not even a copy without the channel')
  assert.equal(parseMessage(frame.bare), { kind: 'update', update: Uint8Array.of(1, 2, 3) })
  assert.is(parseChannelFrame(frame.withChannel)?.channel, followings[0]?.channel)

  followings[0]?.close()
  followings[0]?.close()
  followings[1]?.close()
  await settle()
  assert.equal(closed, [])
  observers[0]?.update(Uint8Array.of(4))
  assert.is(readers[0]?.frames.length, 1)
  assert.is(readers[2]?.frames.length, 2)
  followings[2]?.close()
  await settle()
  assert.equal(closed, [1])
})

test('a rebuilt document is followed anew, under another channel', async () => {
  const { feeds, observers, follower } = rig()
  const [before, after] = [follower(), follower()]
  const old = await feeds.follow(home, before)
  observers[0]?.epoch(7)
  assert.equal(before.epochs, [7])
  const fresh = await feeds.follow(home, after)
  assert.is(observers.length, 2)
  assert.is.not(fresh.channel, old.channel)
  old.close()
  observers[1]?.update(Uint8Array.of(1))
  assert.is(after.frames.length, 1)
  assert.is(before.frames.length, 0)
})

test('a compacted document is followed on, in its new epoch', async () => {
  const { feeds, observers, closed, follower } = rig()
  const reader = follower()
  const following = await feeds.follow(home, reader)
  assert.is(following.epoch, 1)
  observers[0]?.compacted(Uint8Array.of(1), 2)
  assert.equal(reader.carried, [2])
  assert.is(following.epoch, 2)
  const later = await feeds.follow(home, follower())
  assert.is(later.epoch, 2)
  assert.is(later.channel, following.channel)
  assert.is(observers.length, 1)
  for (const each of [following, later]) each.close()
  await settle()
  assert.equal(closed, [1])
})

test('a follower that fails costs the others nothing', async () => {
  const { feeds, observers, closed, follower } = rig()
  const [broken, sound] = [follower(), follower()]
  broken.update = () => {
    throw new Error('broken')
  }
  await feeds.follow(home, broken)
  const following = await feeds.follow(home, sound)
  for (const byte of [1, 2]) observers[0]?.update(Uint8Array.of(byte))
  assert.is(broken.failures.length, 1)
  assert.is(sound.frames.length, 2)
  following.close()
  await settle()
  assert.equal(closed, [1])
})

test('a document that cannot be observed is tried again by the next reader', async () => {
  const { feeds, observers, state, follower } = rig()
  state.fail = true
  const failures = await Promise.allSettled([feeds.follow(home, follower()), feeds.follow(home, follower())])
  assert.ok(failures.every(({ status }) => status === 'rejected'))
  state.fail = false
  await feeds.follow(home, follower())
  assert.is(observers.length, 1)
})

test('who leaves while the document is being opened leaves nothing open', async () => {
  const { feeds, closed, follower } = rig()
  const following: Promise<Following> = feeds.follow(home, follower())
  ;(await following).close()
  await settle()
  assert.equal(closed, [1])
})

test('what is encoded is parsed as what it was, with and without channel', () => {
  const messages: YMessage[] = [
    { kind: 'step1', stateVector: Uint8Array.of(1, 5, 7) },
    { kind: 'step2', update: Uint8Array.of(0, 0) },
    { kind: 'update', update: new Uint8Array(1_000).fill(3) },
    { kind: 'denied', reason: 'not you' },
    { kind: 'awareness' },
  ]
  for (const message of messages) {
    assert.equal(parseMessage(encodeMessage(message)), message)
    for (const channel of [1, 127, 128, 2 ** 40]) {
      assert.equal(parseChannelFrame(encodeMessage(message, channel)), { channel, message })
    }
  }
})

test('nothing is read beyond the end of a frame, though the memory behind it holds more', () => {
  // Frames are views into larger buffers: a length that points behind the frame must not be believed.
  const memory = new Uint8Array(64).fill(7)
  memory.set([0, 2, 20, 1, 1])
  assert.is(parseMessage(memory.subarray(0, 5)), undefined)
  memory.set([0, 0, 3, 1, 5])
  assert.is(parseMessage(memory.subarray(0, 5)), undefined)
})

test('every cut of a message is no message', () => {
  const whole = encodeMessage({ kind: 'step1', stateVector: Uint8Array.of(2, 5, 7, 200, 1, 9) })
  for (let length = 0; length < whole.length; length++) assert.is(parseMessage(whole.subarray(0, length)), undefined)
  assert.is(parseMessage(Uint8Array.of(...whole, 0)), undefined, 'nor one with something after it')
})

test.run()
