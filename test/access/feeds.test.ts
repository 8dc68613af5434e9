import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { applyUpdate, Doc } from 'yjs'
import { createFeeds, type Following } from '../../src/access/feeds.ts'
import {
  encodeMessage,
  parseChannelFrame,
  parseMessage,
  type SharedFrame,
  type YMessage,
} from '../../src/access/frames.ts'
import type { DocumentObserver } from '../../src/document/documents.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'
import { home } from './rig.ts'

/*
 * However many read a document, it is observed once, and each change is encoded once: all of them are handed the very
 * same bytes. It fails if an observation is left open when the last reader leaves, if a rebuilt document goes on under
 * its old channel, if a reader that could not be served stays on the list, if one that fails is heard of by the others, or if
 * updates that are gathered while commands wait are kept back longer than they may be, or say something else together.
 */
const test = suite('feeds and frames')

function rig() {
  const observers: DocumentObserver[] = []
  const closed: number[] = []
  const state = { fail: false, isBusy: false, tellingMs: 0 }
  const clock = new ManualClock()
  const feeds = createFeeds({
    clock,
    isBusy: () => state.isBusy,
    documents: {
      async observe(_document, observer) {
        await settle()
        if (state.fail) throw new Error('away')
        const number = observers.push(observer)
        return { epoch: number, diff: async () => Uint8Array.of(number), close: () => void closed.push(number) }
      },
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
      update(frame: SharedFrame) {
        frames.push(frame)
        clock.advance(state.tellingMs)
      },
      epoch: (epoch: number) => void epochs.push(epoch),
    }
  }
  return { clock, feeds, observers, closed, state, follower }
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

/** Updates of one log, each with a register. */
function updates(count: number): Uint8Array[] {
  const doc = new Doc()
  const made: Uint8Array[] = []
  doc.on('update', update => made.push(update))
  for (let number = 0; number < count; number++) doc.getMap('log').set(`key ${number % 3}`, number)
  return made
}

const contentOf = (frames: readonly SharedFrame[]): unknown => {
  const doc = new Doc()
  for (const { bare } of frames) {
    const message = parseMessage(bare)
    if (message?.kind === 'update') applyUpdate(doc, message.update)
  }
  return doc.getMap('log').toJSON()
}

test('while commands wait, what comes after a long telling is told together, a few times as long after', async () => {
  const { clock, feeds, observers, state, follower } = rig()
  const reader = follower()
  await feeds.follow(home, reader)
  const [observer] = observers
  const all = updates(20)
  const next = () => observer?.update(all.shift() as Uint8Array)
  state.tellingMs = 10
  next()
  assert.is(reader.frames.length, 1, 'the first at once')
  state.isBusy = true
  for (let count = 0; count < 9; count++) {
    clock.advance(4)
    next()
  }
  assert.is(reader.frames.length, 1)
  clock.advance(4)
  assert.is(reader.frames.length, 2, 'after four times as long as telling took')
  assert.equal(contentOf(reader.frames), { 'key 0': 9, 'key 1': 7, 'key 2': 8 })

  clock.advance(2)
  next()
  state.isBusy = false
  assert.is(reader.frames.length, 2)
  clock.advance(2)
  assert.is(reader.frames.length, 3, 'as soon as nobody waits')

  state.isBusy = true
  clock.advance(2)
  next()
  next()
  observer?.compacted(Uint8Array.of(0, 0), 2)
  assert.equal([reader.frames.length, reader.carried], [4, [2]], 'before what supersedes it')
  clock.advance(1_000)
  assert.is(reader.frames.length, 4)
  while (all.length > 0) {
    next()
    clock.advance(41)
  }
  assert.equal(contentOf(reader.frames), { 'key 0': 18, 'key 1': 19, 'key 2': 17 })
})

test('what takes no time to tell is told at once, and a reader that leaves is told of nothing that was gathered', async () => {
  const { clock, feeds, observers, state, follower } = rig()
  const reader = follower()
  const following = await feeds.follow(home, reader)
  state.isBusy = true
  const all = updates(6)
  for (const update of all.slice(0, 3)) observers[0]?.update(update)
  assert.is(reader.frames.length, 3)
  state.tellingMs = 10
  for (const update of all.slice(3)) observers[0]?.update(update)
  assert.is(reader.frames.length, 4)
  following.close()
  clock.advance(1_000)
  assert.is(reader.frames.length, 4)
  assert.is(clock.pending, 0)
})

test.run()
