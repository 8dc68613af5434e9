import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { RecordName } from '../../src/adapters/memory-log-store.ts'
import {
  type Commit,
  CommitRefused,
  CorruptRecord,
  type DocumentChange,
  type IndexRecord,
  type LocalRecord,
  type LogStore,
  StoreClosed,
  type StoredEntry,
} from '../../src/ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../../src/ports/names.ts'

/*
 * The contract of LogStore, run by every adapter. It proves that a commit is all or nothing over several documents, that
 * what resolved is seen and survives closing, that ranges are exact, that drops go with what supersedes them, and that a
 * store agrees with the obvious model under random commits. An adapter fails here if it splits a batch, answers before
 * it has stored, lets two keys run into each other, or forgets to remove.
 */

/** A place where a store can be opened, closed and opened again. */
export interface LogStorePlace {
  open(): Promise<LogStore>
  /** Flips one bit of a stored record, of which `payload` is a part; the store is closed. */
  flip(record: RecordName, payload: Uint8Array): Promise<void>
  remove(): Promise<void>
}

const server = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp' as ServerId

export const documentA = 'pn/a.example/home' as DocumentId
export const documentB = 'pn/a.example/home2' as DocumentId
export const longDocument =
  `conversation/${'a'.repeat(60)}.example/${'u'.repeat(128)}/${'c'.repeat(128)}/999` as DocumentId

/** A log id, told by a number. */
export const logOf = (number: number): LogId => `${String(number).padStart(21, '0')}A` as LogId

/** `length` bytes told by `seed`, of which no eight in a row are found elsewhere. */
export function payloadOf(seed: number, length = 64): Uint8Array {
  let state = (seed * 2654435761 + 1) >>> 0
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state >>> 24
  })
}

export const entryOf = (log: LogId, seq: number, seed = seq, length = 64): StoredEntry => ({
  log,
  seq,
  bytes: payloadOf(seed * 31 + 7, length),
})

/** An index record that counts `logs`, log → length. */
export function indexOf(document: DocumentId, logs: ReadonlyMap<LogId, number>, seed = 1): IndexRecord {
  return {
    document,
    heads: [...logs]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([log, length]) => ({
        log,
        server,
        length,
        hash: payloadOf(seed + length, 32),
        bytes: length * 64,
        clock: length,
      })),
    superseded: [],
    digest: payloadOf(seed, 32),
    epoch: seed,
  }
}

export const change = (
  document: DocumentId,
  index: IndexRecord | undefined,
  rest: Partial<DocumentChange> = {},
): DocumentChange => ({ document, index, append: [], drop: [], ...rest })

export const commitOf = (documents: readonly DocumentChange[], local: readonly LocalRecord[] = []): Commit => ({
  documents,
  local,
})

/** A commit that appends `count` entries, from `from` on, to one log of one document. */
export function appending(document: DocumentId, log: LogId, from: number, count: number, length = 64): Commit {
  const append = Array.from({ length: count }, (_, offset) => entryOf(log, from + offset, from + offset, length))
  return commitOf([change(document, indexOf(document, new Map([[log, from + count]])), { append })])
}

export async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const item of items) found.push(item)
  return found
}

export async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise
  } catch (error) {
    return error
  }
  throw new Error('The promise was expected to reject, and did not.')
}

const everything = { from: '', to: '\uffff' }

export function logStoreContract(name: string, place: () => Promise<LogStorePlace>): void {
  const contract = suite(`LogStore contract: ${name}`)

  /** Runs `body` at a fresh place, and leaves nothing behind. */
  function property(title: string, body: (place: LogStorePlace) => Promise<void>): void {
    contract(title, async () => {
      const fresh = await place()
      try {
        await body(fresh)
      } finally {
        await fresh.remove()
      }
    })
  }

  /** The same with an open store, closed afterwards. */
  function opened(title: string, body: (store: LogStore, place: LogStorePlace) => Promise<void>): void {
    property(title, async fresh => {
      const store = await fresh.open()
      try {
        await body(store, fresh)
      } finally {
        await store.close()
      }
    })
  }

  opened('knows nothing of what was not committed', async store => {
    assert.is(await store.index(documentA), undefined)
    assert.is(await store.local('receipt/x'), undefined)
    assert.equal(await all(store.entries(documentA)), [])
    assert.equal(await all(store.scan(everything)), [])
    assert.equal(await all(store.localScan('')), [])
  })

  opened('answers what was committed, exactly', async store => {
    const [one, two] = [logOf(1), logOf(2)]
    const index: IndexRecord = {
      document: documentA,
      heads: [
        { log: one, server, length: 2, hash: payloadOf(1, 32), bytes: 128, clock: 2 ** 52 - 1 },
        { log: two, server, length: 1, hash: payloadOf(2, 32), bytes: 2 ** 40, clock: 127, forked: true },
      ],
      superseded: [
        { log: logOf(3), seq: 128 },
        { log: logOf(4), seq: 0 },
      ],
      digest: payloadOf(9, 32),
      epoch: 16384,
    }
    const append = [entryOf(one, 0), entryOf(one, 1), { log: two, seq: 0, bytes: new Uint8Array() }]
    await store.commit(commitOf([change(documentA, index, { append })], [{ key: 'answer/π', value: payloadOf(5) }]))
    assert.equal(await store.index(documentA), index)
    assert.equal(await all(store.entries(documentA)), append)
    assert.equal(await store.local('answer/π'), payloadOf(5))
  })

  opened('answers plain byte arrays that are the caller’s own', async store => {
    await store.commit(appending(documentA, logOf(1), 0, 1))
    const [entry] = await all(store.entries(documentA))
    assert.is(Object.getPrototypeOf(entry?.bytes), Uint8Array.prototype)
    entry?.bytes.fill(0)
    assert.equal(await all(store.entries(documentA)), [entryOf(logOf(1), 0)])
  })

  opened('keeps what the caller overwrites after commit was called', async store => {
    const entry = entryOf(logOf(1), 0)
    const committed = store.commit(
      commitOf([change(documentA, indexOf(documentA, new Map([[logOf(1), 1]])), { append: [entry] })]),
    )
    entry.bytes.fill(0)
    await committed
    assert.equal(await all(store.entries(documentA)), [entryOf(logOf(1), 0)])
  })

  opened('reads logs in order, entries in order of their numbers, from where it is asked', async store => {
    const [one, two] = [logOf(1), logOf(2)]
    const logs = new Map([
      [two, 300],
      [one, 2],
    ])
    const append = [...Array.from({ length: 300 }, (_, seq) => entryOf(two, seq)), entryOf(one, 0), entryOf(one, 1)]
    await store.commit(commitOf([change(documentA, indexOf(documentA, logs), { append })]))
    const read = await all(store.entries(documentA))
    assert.equal(
      read.map(({ log, seq }) => `${log} ${seq}`),
      [`${one} 0`, `${one} 1`, ...Array.from({ length: 300 }, (_, seq) => `${two} ${seq}`)],
    )
    const tail = await all(store.entries(documentA, two, 255))
    assert.equal(
      tail.map(({ seq }) => seq),
      Array.from({ length: 45 }, (_, offset) => 255 + offset),
    )
    assert.equal(await all(store.entries(documentA, two, 300)), [])
    const sequence = async (from: number, to: number) =>
      (await all(store.entries(documentA, two, from, to))).map(({ seq }) => seq)
    assert.equal(await sequence(253, 257), [253, 254, 255, 256], 'few')
    assert.equal(
      await sequence(290, 300),
      Array.from({ length: 10 }, (_, at) => 290 + at),
      'many',
    )
    assert.equal(await sequence(300, 300), [])
    assert.equal(await all(store.entries(documentA, logOf(3), 0, 2)), [], 'of a log that was dropped since')
    assert.equal(await all(store.entries(documentA, logOf(3))), [])
  })

  opened('lets a reader stop early', async store => {
    await store.commit(appending(documentA, logOf(1), 0, 50))
    for await (const { seq } of store.entries(documentA)) if (seq === 3) break
    assert.is((await all(store.entries(documentA))).length, 50)
  })

  opened('keeps documents apart whose ids begin alike, and takes long ones', async store => {
    for (const document of [documentA, documentB, longDocument]) await store.commit(appending(document, logOf(1), 0, 2))
    await store.commit(commitOf([change(documentA, undefined)]))
    assert.equal(await all(store.entries(documentA)), [])
    assert.is((await all(store.entries(documentB))).length, 2)
    assert.is((await all(store.entries(longDocument))).length, 2)
    assert.is((await store.index(longDocument))?.document, longDocument)
  })

  opened('reads the entries of all documents from the first to the last of a row, and of no others', async store => {
    const ids = [
      'pn/a.example/a',
      'pn/a.example/b',
      'pn/a.example/b.c',
      'pn/a.example/b0',
      'pn/b.example/a',
    ] as DocumentId[]
    for (const id of ids.toReversed()) for (const log of [1, 2]) await store.commit(appending(id, logOf(log), 0, 2))
    const read = async (first: DocumentId, last: DocumentId) =>
      (await all(store.entriesOfAll(first, last))).map(({ document, entry }) => `${document} ${entry.log} ${entry.seq}`)
    const expected = ids
      .slice(1, 3)
      .flatMap(id => [1, 2].flatMap(log => [0, 1].map(seq => `${id} ${logOf(log)} ${seq}`)))
    assert.equal(await read('pn/a.example/b' as DocumentId, 'pn/a.example/b.c' as DocumentId), expected)
    assert.equal(await read('pn/a.example/b' as DocumentId, 'pn/a.example/b' as DocumentId), expected.slice(0, 4))
    assert.equal(await read('q' as DocumentId, 'r' as DocumentId), [])
  })

  opened('scans ids from (inclusive) to (exclusive), in order', async store => {
    const ids = [
      'mailbox/a.example/u',
      'pn/a.example/a',
      'pn/a.example/b',
      'pn/a.example/b.c',
      'pn/b.example/a',
    ] as DocumentId[]
    for (const id of ids.toReversed()) await store.commit(commitOf([change(id, indexOf(id, new Map()))]))
    const scan = async (from: string, to: string): Promise<string[]> =>
      (await all(store.scan({ from, to }))).map(({ document }) => document)
    assert.equal(await scan('', '\uffff'), ids)
    assert.equal(await scan('pn/', 'pn0'), ids.slice(1))
    assert.equal(await scan('pn/a.example/b', 'pn/a.example/b.c'), ['pn/a.example/b'])
    assert.equal(await scan('pn/a.example/', 'pn/a.example/\uffff'), ids.slice(1, 4))
    assert.equal(await scan('q', '\uffff'), [])
  })

  opened('stores local records with a commit, scans them by prefix, and removes them', async store => {
    const record = (key: string, value: Uint8Array | undefined): LocalRecord => ({ key, value })
    await store.commit(
      commitOf(
        [change(documentA, indexOf(documentA, new Map()))],
        ['receipt/b', 'receipt/a', 'receipts', 'answer/1'].map((key, seed) => record(key, payloadOf(seed))),
      ),
    )
    assert.equal(
      (await all(store.localScan('receipt/'))).map(({ key }) => key),
      ['receipt/a', 'receipt/b'],
    )
    assert.is((await all(store.localScan(''))).length, 4)
    await store.commit(commitOf([], [record('receipt/a', undefined), record('answer/1', new Uint8Array())]))
    assert.is(await store.local('receipt/a'), undefined)
    assert.equal(await store.local('answer/1'), new Uint8Array())
    assert.ok(await store.index(documentA))
  })

  for (const key of ['a'.repeat(513), 'answer/\n', 'answer/\0x'])
    opened(
      `refuses the local key ${JSON.stringify(key.slice(0, 12))} (${key.length}), and the whole commit with it`,
      async store => {
        const commit = commitOf(
          [change(documentA, indexOf(documentA, new Map()))],
          [
            { key: 'answer/1', value: payloadOf(1) },
            { key, value: payloadOf(2) },
          ],
        )
        assert.instance(await rejection(store.commit(commit)), CommitRefused)
        assert.is(await store.index(documentA), undefined)
        assert.is(await store.local('answer/1'), undefined)
        await store.commit(appending(documentB, logOf(1), 0, 1))
      },
    )

  opened('drops superseded logs with the entry that supersedes them', async store => {
    const [old, kept, fresh] = [logOf(1), logOf(2), logOf(3)]
    const before = new Map([
      [old, 3],
      [kept, 2],
    ])
    const append = [0, 1, 2].map(seq => entryOf(old, seq)).concat([0, 1].map(seq => entryOf(kept, seq)))
    await store.commit(commitOf([change(documentA, indexOf(documentA, before), { append })]))
    const after: IndexRecord = {
      ...indexOf(
        documentA,
        new Map([
          [kept, 2],
          [fresh, 1],
        ]),
      ),
      superseded: [{ log: old, seq: 2 }],
      epoch: 2,
    }
    const superseding = change(documentA, after, { append: [entryOf(fresh, 0)], drop: [{ log: old, from: 0 }] })
    await store.commit(commitOf([superseding]))
    assert.equal(
      (await all(store.entries(documentA))).map(({ log, seq }) => `${log} ${seq}`),
      [`${kept} 0`, `${kept} 1`, `${fresh} 0`],
    )
    assert.equal(await store.index(documentA), after)
  })

  opened('cuts a log from a number on, and appends after the cut in one commit', async store => {
    const log = logOf(1)
    await store.commit(appending(documentA, log, 0, 5))
    const append = [entryOf(log, 3, 99)]
    await store.commit(
      commitOf([change(documentA, indexOf(documentA, new Map([[log, 4]])), { append, drop: [{ log, from: 3 }] })]),
    )
    assert.equal(await all(store.entries(documentA)), [0, 1, 2].map(seq => entryOf(log, seq)).concat(append))
  })

  opened('drops what commits still under way have appended', async store => {
    const [old, fresh] = [logOf(1), logOf(2)]
    const done = [
      store.commit(appending(documentA, old, 0, 2)),
      store.commit(appending(documentA, old, 2, 2)),
      store.commit(
        commitOf([
          change(documentA, indexOf(documentA, new Map([[fresh, 1]])), {
            append: [entryOf(fresh, 0)],
            drop: [{ log: old, from: 0 }],
          }),
        ]),
      ),
      store.commit(appending(documentA, fresh, 1, 1)),
    ]
    await Promise.all(done)
    assert.equal(await all(store.entries(documentA)), [entryOf(fresh, 0), entryOf(fresh, 1)])
  })

  opened('keeps the order of the calls', async store => {
    let finished = 0
    const order: number[] = []
    const commits = Array.from({ length: 200 }, (_, number) =>
      store.commit(commitOf([], [{ key: 'answer/last', value: payloadOf(number) }])).then(() => {
        order.push(number)
        finished += 1
      }),
    )
    await Promise.all(commits)
    assert.is(finished, 200)
    assert.equal(
      order,
      Array.from({ length: 200 }, (_, number) => number),
    )
    assert.equal(await store.local('answer/last'), payloadOf(199))
  })

  opened('shows a commit that has resolved, whole, to every reader', async store => {
    for (let seq = 0; seq < 20; seq++) {
      const both = [documentA, documentB].map(document =>
        change(document, indexOf(document, new Map([[logOf(1), seq + 1]])), { append: [entryOf(logOf(1), seq)] }),
      )
      await store.commit(commitOf(both))
      const [a, b] = await Promise.all([all(store.entries(documentA)), all(store.entries(documentB))])
      assert.is(a.length, seq + 1)
      assert.is(b.length, seq + 1)
    }
  })

  property('still has all of it after being closed and opened', async fresh => {
    const store = await fresh.open()
    const underWay = store.commit(appending(documentA, logOf(1), 0, 100, 1000))
    const queued = store.commit(appending(documentB, logOf(1), 0, 3))
    await store.close()
    await Promise.all([underWay, queued])
    const again = await fresh.open()
    assert.is((await all(again.entries(documentA))).length, 100)
    assert.equal(await again.index(documentB), indexOf(documentB, new Map([[logOf(1), 3]])))
    await again.close()
  })

  property('refuses once it is closed', async fresh => {
    const store = await fresh.open()
    await store.close()
    await store.close()
    assert.instance(await rejection(store.commit(appending(documentA, logOf(1), 0, 1))), CommitRefused)
    assert.instance(await rejection(store.index(documentA)), StoreClosed)
    assert.instance(await rejection(store.local('answer/1')), StoreClosed)
    const reads: AsyncIterable<unknown>[] = [store.entries(documentA), store.scan(everything), store.localScan('')]
    for (const read of reads) assert.instance(await rejection(all(read)), StoreClosed)
  })

  const index = indexOf(documentA, new Map([[logOf(1), 3]]))
  const struck: readonly {
    readonly what: string
    readonly record: RecordName
    readonly payload: Uint8Array
    readonly reads: readonly ((store: LogStore) => Promise<unknown>)[]
  }[] = [
    {
      what: 'an entry',
      record: { entry: [documentA, logOf(1), 1] },
      payload: entryOf(logOf(1), 1).bytes,
      reads: [store => all(store.entries(documentA)), store => all(store.entries(documentA, logOf(1), 1))],
    },
    {
      what: 'an index record',
      record: { index: documentA },
      payload: index.digest,
      reads: [store => store.index(documentA), store => all(store.scan(everything))],
    },
    {
      what: 'a local record',
      record: { local: 'answer/1' },
      payload: payloadOf(4711),
      reads: [store => store.local('answer/1'), store => all(store.localScan('answer/'))],
    },
  ]
  for (const { what, record, payload, reads } of struck)
    property(`detects a flipped bit in ${what}`, async fresh => {
      const store = await fresh.open()
      await store.commit(appending(documentA, logOf(1), 0, 3))
      await store.commit(commitOf([], [{ key: 'answer/1', value: payloadOf(4711) }]))
      await store.close()
      await fresh.flip(record, payload)
      const again = await fresh.open()
      try {
        for (const read of reads) assert.instance(await rejection(read(again)), CorruptRecord)
        await again.commit(appending(documentB, logOf(1), 0, 1))
        assert.is((await all(again.entries(documentB))).length, 1)
      } finally {
        await again.close()
      }
    })

  opened('misses an entry that the index counts', async store => {
    const log = logOf(1)
    const index = indexOf(documentA, new Map([[log, 3]]))
    await store.commit(commitOf([change(documentA, index, { append: [entryOf(log, 0), entryOf(log, 1)] })]))
    assert.instance(await rejection(all(store.entries(documentA))), CorruptRecord)
    assert.instance(await rejection(all(store.entries(documentA, log, 2))), CorruptRecord)
    await store.commit(commitOf([change(documentA, index, { append: [entryOf(log, 2)], drop: [{ log, from: 1 }] })]))
    assert.instance(await rejection(all(store.entries(documentA))), CorruptRecord)
  })

  property('agrees with the obvious model, over random commits and reopenings', async fresh => {
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), async steps => {
        round += 1
        await runAgainstModel(fresh, steps, number => `pn/a.example/r${round}.${number}` as DocumentId)
      }),
      { numRuns: 25 },
    )
  })

  contract.run()
}

type Step =
  | {
      readonly do: 'append'
      readonly document: number
      readonly log: number
      readonly count: number
      readonly bytes: number
    }
  | { readonly do: 'drop'; readonly document: number; readonly log: number; readonly from: number }
  | { readonly do: 'forget'; readonly document: number }
  | { readonly do: 'settle' }
  | { readonly do: 'reopen' }

const documentNumber = fc.nat(2)
const logNumber = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      document: documentNumber,
      log: logNumber,
      count: fc.nat(3),
      bytes: fc.nat(200),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('drop' as const),
      document: documentNumber,
      log: logNumber,
      from: fc.nat(3),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('forget' as const), document: documentNumber }) },
  { weight: 2, arbitrary: fc.constant({ do: 'settle' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'reopen' as const }) },
)

/** Commits without waiting, as the steps say, and compares with a map of arrays whenever things settle. */
async function runAgainstModel(
  place: LogStorePlace,
  steps: readonly Step[],
  documentOf: (number: number) => DocumentId,
): Promise<void> {
  const model = new Map<DocumentId, Map<LogId, StoredEntry[]>>()
  const underWay: Promise<void>[] = []
  let store = await place.open()

  const lengths = (logs: ReadonlyMap<LogId, StoredEntry[]>): Map<LogId, number> =>
    new Map([...logs].filter(([, entries]) => entries.length > 0).map(([log, entries]) => [log, entries.length]))

  async function settle(): Promise<void> {
    await Promise.all(underWay.splice(0))
    for (const number of [0, 1, 2]) {
      const document = documentOf(number)
      const logs = model.get(document)
      const expected = [...(logs ?? [])].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([, entries]) => entries)
      assert.equal(await all(store.entries(document)), expected)
      assert.equal(await store.index(document), logs && indexOf(document, lengths(logs)))
    }
  }

  for (const next of steps) {
    switch (next.do) {
      case 'append': {
        const document = documentOf(next.document)
        const logs = model.get(document) ?? new Map<LogId, StoredEntry[]>()
        const entries = logs.get(logOf(next.log)) ?? []
        const append = Array.from({ length: next.count }, (_, offset) =>
          entryOf(logOf(next.log), entries.length + offset, next.bytes + offset, next.bytes),
        )
        model.set(document, logs.set(logOf(next.log), entries.concat(append)))
        underWay.push(store.commit(commitOf([change(document, indexOf(document, lengths(logs)), { append })])))
        break
      }
      case 'drop': {
        const document = documentOf(next.document)
        const logs = model.get(document)
        if (!logs) break
        logs.set(logOf(next.log), (logs.get(logOf(next.log)) ?? []).slice(0, next.from))
        const drop = [{ log: logOf(next.log), from: next.from }]
        underWay.push(store.commit(commitOf([change(document, indexOf(document, lengths(logs)), { drop })])))
        break
      }
      case 'forget': {
        model.delete(documentOf(next.document))
        underWay.push(store.commit(commitOf([change(documentOf(next.document), undefined)])))
        break
      }
      case 'settle':
        await settle()
        break
      case 'reopen':
        await store.close()
        store = await place.open()
        break
    }
  }
  try {
    await settle()
  } finally {
    await store.close()
  }
}
