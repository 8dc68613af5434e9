/*
 * Proves: what is owed to be erased stays owed until the last erasure of it has ended, also where one of the same range ends while
 * the batch that owes the next is being written; and one that failed leaves it owed. A double stands in for LevelDB, whose
 * compactions cannot be held up; on LevelDB itself erasures are tested with the store.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Erasures } from '../../src/adapters/level-erasures.ts'
import type { Operation } from '../../src/ports/table.ts'
import { ManualClock, settle } from '../fixtures/manual-clock.ts'

const range = { from: Buffer.from('e document 0'), to: Buffer.from('e document 1') }

const other = { from: Buffer.from('e document 2'), to: Buffer.from('e document 3') }

function rig() {
  const owed = new Set<string>()
  const disk = { fails: false }
  const level = {
    // Says nothing of a disk that fails.
    async compactRange() {},
    async *keys() {
      for (const key of owed) yield Buffer.from(key, 'latin1')
    },
  }
  const write = async (operations: readonly Operation[]) => {
    if (disk.fails) throw new Error('the disk is full')
    for (const { key, value } of operations) {
      const name = Buffer.from(key).toString('latin1')
      if (!name.includes('erasing/')) continue
      if (value) owed.add(name)
      else owed.delete(name)
    }
  }
  const failures: string[] = []
  const clock = new ManualClock()
  const erasures = new Erasures(level, write, error => failures.push(String(error)), clock)
  return { owed, disk, failures, clock, erasures, write, level }
}

test('an erasure that ends while another of the range is being written down leaves that owed', async () => {
  const { owed, erasures, write } = rig()
  await write(erasures.owing([range]))
  erasures.begin([range])
  // Durable before the first has ended, and begun after.
  await write(erasures.owing([range]))
  await erasures.close()
  assert.is(owed.size, 1)
  erasures.begin([range])
  await erasures.close()
  assert.is(owed.size, 0)
})

test('an erasure that failed is owed to the next run, which makes it', async () => {
  const { owed, disk, failures, clock, erasures, write, level } = rig()
  await write(erasures.owing([range]))
  disk.fails = true
  erasures.begin([range])
  await erasures.close()
  assert.is(owed.size, 1)
  assert.equal(failures, ['Error: the disk is full'])
  disk.fails = false
  const next = new Erasures(level, write, () => {}, clock)
  await next.resume()
  await next.close()
  assert.is(owed.size, 0)
})

test('an erasure that failed is tried again while the store is open, until there is room', async () => {
  const { owed, disk, failures, clock, erasures, write } = rig()
  await write(erasures.owing([range, other]))
  disk.fails = true
  erasures.begin([range, other])
  await settle()
  await clock.run(60_000)
  assert.is(failures.length, 2, 'once for both, each time')
  assert.is(owed.size, 2)
  disk.fails = false
  await clock.run(60_000)
  assert.is(owed.size, 0)
  await erasures.close()
})

test.run()
