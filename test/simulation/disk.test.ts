import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CommitOutcomeUnknown, CommitRefused, CorruptRecord, type LogStore } from '../../src/ports/log-store.ts'
import type { DiskFate, DiskModel } from '../../src/simulation/disk.ts'
import type { SimulatedHost } from '../../src/simulation/host.ts'
import { SortedRecords } from '../../src/simulation/sorted-records.ts'
import { World } from '../../src/simulation/world.ts'
import { all, appending, commitOf, documentA, logOf, payloadOf, rejection } from '../ports/log-store.contract.ts'
import { production } from './production.ts'

/*
 * The production log store on a disk that fails as told: what was acknowledged survives every end of the process that
 * leaves the disk in place; what was not is there whole or not at all; a lost disk is empty, a backup is as old as it is. Were the
 * disk kinder than a real one, no simulation could find a node that acknowledges too early.
 */

const log = logOf(1)

interface Machine {
  readonly world: World
  readonly host: SimulatedHost
}

const machine = (disk: DiskModel = {}, seed = 1): Machine => {
  const world = new World({ seed, production })
  return { world, host: world.host('a', { disk }) }
}

/** Runs `body` as simulated code, until nothing is left to happen, and answers what it answered. */
async function simulated<T>({ world }: Machine, body: () => Promise<T>): Promise<T> {
  const done: { value: T }[] = []
  world.at(world.nowMs, 'body', async () => void done.push({ value: await body() }))
  const ending = await world.run()
  if (ending.kind === 'failed') throw ending.error
  const [answer] = done
  if (!answer) throw new Error('The body never ended.')
  return answer.value
}

const append = (store: LogStore, seq: number): Promise<void> => store.commit(appending(documentA, log, seq, 1))
const lengthOn = (at: Machine): Promise<number> =>
  simulated(at, async () => {
    const { store } = at.host.boot()
    const index = await store.index(documentA)
    const entries = await all(store.entries(documentA))
    assert.is(index?.heads[0]?.length ?? 0, entries.length, 'index and entries are of one batch')
    return entries.length
  })

/** Acknowledges one entry, and crashes while the next one is being synced. */
async function crashedInSync(fate: DiskFate, seed = 1): Promise<Machine> {
  const at = machine({ syncLatency: { dist: 'const', ms: 10 } }, seed)
  const { store } = at.host.boot()
  await simulated(at, () => append(store, 0))
  let acknowledged = 0
  void append(store, 1).then(() => (acknowledged += 1))
  at.world.at(at.world.nowMs + 5, 'crash', () => at.host.crash({ of: 'machine', disk: fate }))
  await at.world.run()
  assert.is(acknowledged, 0, 'a dead process hears nothing')
  return at
}

const fates: readonly (readonly [DiskFate['kind'] & ('keep' | 'unsynced' | 'lose'), number])[] = [
  ['keep', 2],
  ['unsynced', 1],
  ['lose', 0],
]
for (const [kind, expected] of fates)
  test(`${kind}: ${expected} entries are there after a crash in the middle of a sync`, async () => {
    assert.is(await lengthOn(await crashedInSync({ kind })), expected)
  })

test('torn: the write is there whole or not at all, and over many seeds both', async () => {
  const lengths = new Set<number>()
  for (let seed = 0; seed < 12; seed++) lengths.add(await lengthOn(await crashedInSync({ kind: 'torn' }, seed)))
  assert.equal([...lengths].sort(), [1, 2])
})

test('restore: the disk is what it was when the backup was taken, and the backup can be used again', async () => {
  const at = machine()
  const { store } = at.host.boot()
  await simulated(at, () => append(store, 0))
  const backup = at.host.disk.backup()
  await simulated(at, () => append(store, 1))
  for (let time = 0; time < 2; time++) {
    at.host.crash({ of: 'machine', disk: { kind: 'restore', backup } })
    assert.is(await lengthOn(at), 1)
    await simulated(at, async () => {
      at.host.shutDown()
      await append(at.host.boot().store, 1)
    })
  }
})

test('a sync takes as long as its latency and its bytes say, and what waits shares the next one', async () => {
  const at = machine({ syncLatency: { dist: 'const', ms: 4 }, bytesPerSecond: 1_000_000 })
  const { store } = at.host.boot()
  const doneMs: number[] = []
  await simulated(at, async () => {
    const all = [0, 1, 2].map(async seq => {
      if (seq > 0) await new Promise(resolve => at.world.at(1, 'wait', () => resolve(seq)))
      await store.commit(commitOf([], [{ key: `answer/${seq}`, value: payloadOf(seq, 10_000) }]))
      doneMs.push(at.world.nowMs)
    })
    await Promise.all(all)
  })
  assert.is(at.host.disk.syncs, 2)
  const [first = 0, second = 0, third = 0] = doneMs
  assert.ok(first > 14 && first < 14.2, `${first} ms`)
  assert.is(second, third)
  assert.ok(second - first > 24 && second - first < 24.4, `${second - first} ms`)
})

test('a failed sync is of unknown outcome; the store takes nothing more; the end of the process decides', async () => {
  for (const [kind, expected] of [
    ['keep', 2],
    ['unsynced', 1],
  ] as const) {
    const at = machine()
    const { store } = at.host.boot()
    await simulated(at, () => append(store, 0))
    at.host.disk.failNextSync()
    assert.instance(await simulated(at, () => rejection(append(store, 1))), CommitOutcomeUnknown)
    assert.instance(await simulated(at, () => rejection(append(store, 2))), CommitRefused)
    at.host.crash({ of: 'machine', disk: { kind } })
    assert.is(await lengthOn(at), expected)
  }
})

test('syncs fail by probability, by the disk’s own stream', async () => {
  const failures = async (seed: number) => {
    const at = machine({ syncFailure: 0.2 }, seed)
    let failed = ''
    for (let round = 0; round < 30; round++) {
      const { store } = at.host.boot()
      const outcome = await simulated(at, () =>
        store.commit(commitOf([], [])).then(
          () => '.',
          () => 'x',
        ),
      )
      failed += outcome
      at.host.shutDown()
    }
    return failed
  }
  const [one, same, other] = [await failures(1), await failures(1), await failures(2)]
  assert.is(one, same)
  assert.is.not(one, other)
  assert.match(one, 'x')
})

test('a full disk refuses with nothing stored, and goes on once there is room', async () => {
  const at = machine()
  const { disk } = at.host
  const { store } = at.host.boot()
  await simulated(at, () => append(store, 0))
  disk.capacityBytes = disk.usedBytes + 100
  assert.instance(await simulated(at, () => rejection(append(store, 1))), CommitRefused)
  disk.capacityBytes = Number.POSITIVE_INFINITY
  disk.refuseNextWrite()
  assert.instance(await simulated(at, () => rejection(append(store, 1))), CommitRefused)
  await simulated(at, () => append(store, 1))
  at.host.shutDown()
  assert.is(await lengthOn(at), 2)
})

test('rot strikes one host’s disk, though both share their records', async () => {
  const at = machine()
  const other = at.world.host('b')
  const stores = [at.host, other].map(host => host.boot().store)
  await simulated(at, () => Promise.all(stores.map(store => append(store, 0))))
  const values = [at.host, other].map(({ disk }) => [...disk.records].map(({ value }) => value))
  assert.ok(
    values[0]?.every((value, index) => value === values[1]?.[index]),
    'equal records are one',
  )
  assert.ok(at.host.disk.rot())
  const reads = (store: LogStore) =>
    simulated(at, () =>
      all(store.entries(documentA)).then(
        () => 'read',
        (error: unknown) => error,
      ),
    )
  const [struck, spared] = [await reads(stores[0] as LogStore), await reads(stores[1] as LogStore)]
  assert.instance(struck, CorruptRecord)
  assert.is(spared, 'read')
  assert.not.ok(at.world.host('c').disk.rot(), 'an empty disk cannot rot')
})

test('a run that is over touches its disk no more, and is counted', async () => {
  const at = machine()
  const { store } = at.host.boot()
  at.host.crash({ of: 'process' })
  const { store: next } = at.host.boot()
  let answered = 0
  void append(store, 0).finally(() => (answered += 1))
  void store.index(documentA).finally(() => (answered += 1))
  await simulated(at, () => append(next, 0))
  assert.is(answered, 0)
  assert.is(at.host.strays, 2)
  assert.is(at.host.disk.syncs, 1)
})

/** What may be asked of a store between two crashes. */
const steps = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ do: fc.constant('commit' as const), bytes: fc.nat(300) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(12) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('crash' as const), kind: fc.constantFrom('keep', 'unsynced', 'torn') }),
    },
  ),
  { maxLength: 25 },
)

test('whatever the crashes: what was acknowledged is there, in order, and at most one batch more', async () => {
  await fc.assert(
    fc.asyncProperty(steps, fc.nat(1_000), async (plan, seed) => {
      const at = machine({ syncLatency: { dist: 'uniform', minMs: 1, maxMs: 9 } }, seed)
      let store = at.host.boot().store
      let acknowledged = 0
      let asked = 0
      const stored = () =>
        simulated(at, async () => (await all(store.localScan('answer/'))).map(({ key }) => Number(key.slice(7))))
      for (const step of plan) {
        if (step.do === 'commit') {
          const number = ++asked
          const key = `answer/${String(number).padStart(4, '0')}`
          void store.commit(commitOf([], [{ key, value: payloadOf(number, step.bytes) }])).then(() => {
            acknowledged = Math.max(acknowledged, number)
          })
        } else if (step.do === 'wait') {
          await at.world.run({ untilUs: at.world.scheduler.nowUs + step.ms * 1000 })
        } else {
          at.host.crash({ of: 'machine', disk: { kind: step.kind } })
          store = at.host.boot().store
          const found = await stored()
          assert.ok(found.length >= acknowledged, `${found.length} are there, ${acknowledged} were acknowledged`)
          assert.equal(
            found,
            Array.from({ length: found.length }, (_, index) => index + 1),
          )
          acknowledged = found.length
          asked = found.length
        }
      }
    }),
    { numRuns: 40 },
  )
})

test('sorted records agree with a sorted map', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(2_000), fc.nat(5)), { maxLength: 1_500 }), operations => {
      const records = new SortedRecords()
      const model = new Map<string, Uint8Array>()
      for (const [puts, number, length] of operations) {
        const name = `k${number}`
        if (puts) {
          records.put({ name, value: new Uint8Array(length) })
          model.set(name, new Uint8Array(length))
        } else {
          records.remove(name)
          model.delete(name)
        }
      }
      const expected = [...model.keys()].sort()
      assert.equal(
        [...records].map(({ name }) => name),
        expected,
      )
      assert.equal(
        records.range('k1', 'k2').map(({ name }) => name),
        expected.filter(name => name >= 'k1' && name < 'k2'),
      )
      assert.is(records.size, expected.length)
      assert.is(
        records.bytes,
        [...model].reduce((sum, [name, value]) => sum + name.length + value.length, 0),
      )
      assert.is(records.at(expected.length >>> 1)?.name, expected[expected.length >>> 1])
      for (const name of expected.slice(0, 20)) assert.is(records.get(name)?.name, name)
      const copy = new SortedRecords(records)
      copy.put({ name: 'new', value: new Uint8Array(1) })
      assert.is(records.get('new'), undefined)
    }),
    { numRuns: 30 },
  )
})

test.run()
