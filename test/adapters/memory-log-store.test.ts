import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { type Fate, memoryDisk, memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { CommitOutcomeUnknown, CommitRefused, type LogStore } from '../../src/ports/log-store.ts'
import {
  all,
  appending,
  change,
  commitOf,
  documentA,
  documentB,
  indexOf,
  logOf,
  logStoreContract,
  payloadOf,
  rejection,
} from '../ports/log-store.contract.ts'

/*
 * The store in memory keeps the contract, and its disk fails exactly as told: what was acknowledged survives every
 * fault, what was not is there whole or not at all, by the fate that the test chose. Were the model kinder than a disk, the
 * tests above it would prove nothing; were it random, they could not be repeated.
 */

logStoreContract('in memory', async () => {
  const disk = memoryDisk()
  return {
    open: async () => memoryLogStore({ disk }),
    flip: async record => disk.flip(record, 100),
    remove: async () => {},
  }
})

const log = logOf(1)
const append = (store: LogStore, seq: number): Promise<void> => store.commit(appending(documentA, log, seq, 1))
const length = async (store: LogStore): Promise<number> => (await all(store.entries(documentA))).length

/** A sync that ends when `open` is called. */
function gate(): { sync: () => Promise<void>; open: () => void } {
  let gates: PromiseWithResolvers<void>[] = []
  return {
    sync: () => {
      const next = Promise.withResolvers<void>()
      gates.push(next)
      return next.promise
    },
    open: () => {
      for (const waiting of gates) waiting.resolve()
      gates = []
    },
  }
}

/** Lets everything that is ready run. */
const settled = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

test('commits that arrive while a flush runs share the next flush', async () => {
  const disk = memoryDisk()
  const { sync, open } = gate()
  const store = memoryLogStore({ disk, sync })
  const first = append(store, 0)
  await settled()
  const rest = [1, 2, 3, 4].map(seq => append(store, seq))
  open()
  await first
  await settled()
  assert.is(disk.syncs, 1)
  open()
  await Promise.all(rest)
  assert.is(disk.syncs, 2)
  assert.is(await length(store), 5)
})

test('what is not synced yet is not seen, and its commit has not resolved', async () => {
  const { sync, open } = gate()
  const store = memoryLogStore({ sync })
  let resolved = false
  const commit = append(store, 0).then(() => {
    resolved = true
  })
  await settled()
  assert.is(resolved, false)
  assert.is(await length(store), 0)
  open()
  await commit
  assert.is(await length(store), 1)
})

const fates: readonly (readonly [Fate, number])[] = [
  ['lost', 1],
  ['torn', 1],
  ['kept', 2],
]

for (const [fate, expected] of fates)
  test(`a power cut leaves an unsynced write ${fate}: ${expected} entries after a restart`, async () => {
    const disk = memoryDisk()
    const { sync, open } = gate()
    const store = memoryLogStore({ disk, sync })
    const acknowledged = append(store, 0)
    await settled()
    open()
    await acknowledged
    const cut = rejection(append(store, 1))
    await settled()
    disk.crash(fate)
    open()
    assert.instance(await cut, CommitOutcomeUnknown)
    assert.instance(await rejection(append(store, 2)), CommitRefused)
    const reopened = memoryLogStore({ disk })
    assert.is(await length(reopened), expected)
    assert.is((await reopened.index(documentA))?.heads[0]?.length, expected)
  })

for (const [fate, expected] of fates)
  test(`a sync that fails is of unknown outcome; ${fate} after the restart: ${expected} entries`, async () => {
    const disk = memoryDisk()
    const store = memoryLogStore({ disk })
    await append(store, 0)
    disk.failNextSync()
    assert.instance(await rejection(append(store, 1)), CommitOutcomeUnknown)
    assert.instance(await rejection(append(store, 1)), CommitRefused)
    assert.is(await length(store), 1)
    disk.crash(fate)
    assert.is(await length(memoryLogStore({ disk })), expected)
  })

test('after a failed sync, what waited is refused: a log never goes on after a hole', async () => {
  const disk = memoryDisk()
  const { sync, open } = gate()
  const store = memoryLogStore({ disk, sync })
  disk.failNextSync()
  const first = rejection(append(store, 0))
  await settled()
  const second = rejection(store.commit(appending(documentB, log, 0, 1)))
  open()
  assert.instance(await first, CommitOutcomeUnknown)
  assert.instance(await second, CommitRefused)
})

test('a full disk refuses with nothing stored, and the store goes on once there is room', async () => {
  const disk = memoryDisk()
  const store = memoryLogStore({ disk })
  await append(store, 0)
  disk.capacityBytes = disk.usedBytes + 100
  const both = commitOf([
    change(documentA, indexOf(documentA, new Map([[log, 1]]))),
    change(documentB, indexOf(documentB, new Map())),
  ])
  assert.instance(await rejection(store.commit(both)), CommitRefused)
  assert.is(await store.index(documentB), undefined)
  disk.capacityBytes = Number.POSITIVE_INFINITY
  disk.refuseNextWrite()
  assert.instance(await rejection(append(store, 1)), CommitRefused)
  await append(store, 1)
  assert.is(await length(store), 2)
})

test('removing makes room', async () => {
  const disk = memoryDisk()
  const store = memoryLogStore({ disk })
  await store.commit(commitOf([], [{ key: 'answer/1', value: payloadOf(1, 1000) }]))
  await store.commit(commitOf([], [{ key: 'answer/1', value: undefined }]))
  assert.is(disk.usedBytes, 0)
})

test.run()
