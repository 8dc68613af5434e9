import fc from 'fast-check'
import * as assert from 'uvu/assert'
import type { ReplicaStore } from '../../src/ports/replica-store.ts'

/*
 * What every ReplicaStore owes, as checks that run in Node and in a browser alike. Each begins with an empty store;
 * `open` called again opens the same one.
 */

export interface ContractCheck {
  readonly name: string
  run(open: () => Promise<ReplicaStore>): Promise<void>
}

const keys = fc.stringMatching(/^[ab/]{1,3}$/)
const values = fc.jsonValue().filter(value => value !== null)
const batches = fc.array(fc.array(fc.record({ key: keys, value: fc.option(values, { nil: undefined }) })), {
  maxLength: 4,
})
const ranges = fc.record(
  { from: keys, to: keys, backwards: fc.boolean(), limit: fc.nat(4) },
  { requiredKeys: ['from', 'to'] },
)

const put = (...keys: readonly string[]) => keys.map(key => ({ key, value: { of: key } }))
const keysIn = async (store: ReplicaStore, range: Parameters<ReplicaStore['scan']>[0]) =>
  (await store.scan(range)).map(({ key }) => key)

export const replicaStoreContract: readonly ContractCheck[] = [
  {
    name: 'what was put is there, what was removed or never was is not',
    async run(open) {
      const store = await open()
      const value = { text: 'Grüße 👋 \u0000 "\\Seen"', list: [1, null, true, { deep: [] }], empty: '' }
      await store.commit([{ key: 'a', value }, ...put('b', 'c')])
      await store.commit([{ key: 'b', value: undefined }])
      assert.equal(await store.get(['c', 'nothing', 'a', 'b']), [{ of: 'c' }, undefined, value, undefined])
      assert.equal(await store.get([]), [])
      await store.close()
    },
  },
  {
    name: 'of two writes of one key in a batch the later counts',
    async run(open) {
      const store = await open()
      await store.commit([
        { key: 'twice', value: 1 },
        { key: 'gone', value: 1 },
        { key: 'twice', value: 2 },
        { key: 'gone', value: undefined },
      ])
      assert.equal(await store.get(['twice', 'gone']), [2, undefined])
      await store.close()
    },
  },
  {
    name: 'a range has its keys in order, from either end, as many as are wanted',
    async run(open) {
      const store = await open()
      await store.commit(put('o/b/3', 'o/a/1', 'o/b', 'o/b/10', 'o/b/2', 'o/c', 'O/b/1', 'o/b~', 'p'))
      const range = { from: 'o/b/', to: 'o/b0' }
      assert.equal(await store.scan(range), put('o/b/10', 'o/b/2', 'o/b/3'))
      assert.equal(await keysIn(store, { ...range, backwards: true }), ['o/b/3', 'o/b/2', 'o/b/10'])
      assert.equal(await keysIn(store, { ...range, limit: 2 }), ['o/b/10', 'o/b/2'])
      assert.equal(await keysIn(store, { ...range, limit: 2, backwards: true }), ['o/b/3', 'o/b/2'])
      assert.equal(await keysIn(store, { ...range, limit: 0 }), [])
      assert.equal(await keysIn(store, { from: 'o/b/10', to: 'o/b/3' }), ['o/b/10', 'o/b/2'])
      assert.equal(await keysIn(store, { from: 'x', to: 'a' }), [])
      assert.equal(await keysIn(store, { from: 'x', to: 'z', backwards: true }), [])
      await store.close()
    },
  },
  {
    name: 'whatever is written and asked for, it answers as a sorted map does',
    async run(open) {
      const store = await open()
      const model = new Map<string, unknown>()
      await fc.assert(
        fc.asyncProperty(batches, ranges, async (written, range) => {
          for (const batch of written) {
            await store.commit(batch)
            for (const { key, value } of batch) value === undefined ? model.delete(key) : model.set(key, value)
          }
          const { from, to, backwards = false, limit = 100 } = range
          const wanted = [...model].filter(([key]) => from <= key && key < to).sort(([a], [b]) => (a < b ? -1 : 1))
          if (backwards) wanted.reverse()
          const found = await store.scan(range)
          assert.equal(
            JSON.stringify(found),
            JSON.stringify(wanted.slice(0, limit).map(([key, value]) => ({ key, value }))),
          )
        }),
        { numRuns: 50 },
      )
      await store.close()
    },
  },
  {
    name: 'what was committed is there when it is opened again',
    async run(open) {
      const first = await open()
      await first.commit(Array.from({ length: 5_000 }, (_, at) => ({ key: `k/${at}`, value: { at } })))
      await first.commit([{ key: 'k/17', value: undefined }])
      await first.close()
      const second = await open()
      assert.is((await second.scan({ from: 'k/', to: 'k0' })).length, 4_999)
      assert.equal(await second.get(['k/17', 'k/4999']), [undefined, { at: 4_999 }])
      await second.close()
    },
  },
  {
    name: 'after it is closed it says that it failed',
    async run(open) {
      const store = await open()
      await store.close()
      const failures = await Promise.all(
        [store.get(['a']), store.scan({ from: 'a', to: 'b' }), store.commit(put('a'))].map(attempt =>
          attempt.then(
            () => 'done',
            (error: Error) => error.name,
          ),
        ),
      )
      assert.equal(failures, ['ReplicaFailed', 'ReplicaFailed', 'ReplicaFailed'])
    },
  },
  {
    name: 'who has it open has it alone',
    async run(open) {
      const first = await open()
      const refused = await open().then(
        () => 'opened',
        (error: Error) => error.name,
      )
      assert.is(refused, 'ReplicaInUse')
      await first.commit(put('mine'))
      await first.close()
      const second = await open()
      assert.equal(await second.get(['mine']), [{ of: 'mine' }])
      await second.close()
    },
  },
]
