import type { Json } from '../../src/document/documents.ts'
import { DocumentServer, home, KnownOperators } from '../document/document-server.ts'
import { testOperator } from '../fixtures/operators.ts'
import type { Bench } from './bench.ts'

/*
 * What is left of a register that is set again and again, such as a state that is reported every second: on its owner and on a
 * replica of another operator, in the store and in what a reader of the document is given; beside the same content, set once.
 * And what compactions wrote for it.
 */

const setsInAll = 1_000_000
const setsQuick = 20_000
/** Given at once: one entry. */
const setsAtOnce = 250
const setsBetweenSends = 5_000
const kibibyte = 1024

export const overwriteBench: Bench = {
  name: 'overwrite',
  summary:
    'what a register leaves that is set a million times, on its owner and on a replica, beside one that was set once',
  async run(progress, { isQuick }) {
    const [a, b] = [testOperator('a.example'), testOperator('b.example')]
    const authorship = new KnownOperators(a, b)
    const owner = new DocumentServer({ operator: a, authorship })
    const replica = new DocumentServer({ operator: b, authorship })
    const once = new DocumentServer({ operator: a, authorship })
    const written = { bytes: 0, copies: 0 }
    owner.documents.subscribe(({ source, entries, keys }) => {
      if (source !== 'own') return
      written[keys ? 'bytes' : 'copies'] += entries.reduce((sum, { bytes }) => sum + bytes.length, 0)
    })

    const lasting = Array.from({ length: 50 }, (_, at): [string, Json] => [`lasting/${at}`, 'v'.repeat(100)])
    for (const server of [owner, once]) await server.writeAll(lasting)
    const sets = isQuick ? setsQuick : setsInAll
    for (let set = 0; set < sets; ) {
      await Promise.all(Array.from({ length: setsAtOnce }, () => owner.write('state', `state ${set++}`)))
      if (set % setsBetweenSends === 0) await owner.sendTo(replica)
      if (set % (sets / 10) === 0) progress(`${set} sets`)
    }
    await once.write('state', `state ${sets - 1}`)
    const liveBytes = await entryBytes(once)
    const atMost = 2 * liveBytes + 64 * kibibyte
    const figures = [
      { name: 'set once: entries', value: liveBytes, unit: 'bytes' },
      { name: 'owner: entries in the store', value: await entryBytes(owner), unit: 'bytes', atMost },
      { name: 'replica: entries in the store', value: await entryBytes(replica), unit: 'bytes', atMost },
      { name: 'owner: what a reader is given', value: await readerBytes(owner), unit: 'bytes', atMost },
      { name: 'replica: what a reader is given', value: await readerBytes(replica), unit: 'bytes', atMost },
      {
        name: 'bytes written for each byte of a client',
        value: 1 + written.copies / written.bytes,
        unit: '',
        atMost: 3,
      },
    ]
    await owner.documents.compact(home)
    const name = 'owner, compacted: entries'
    return [...figures, { name, value: await entryBytes(owner), unit: 'bytes', atMost: liveBytes + 2 * kibibyte }]
  },
}

/** All entries of the document: what whoever has nothing is sent. */
async function entryBytes({ documents }: DocumentServer): Promise<number> {
  const { entries } = await documents.missing(home, new Map(), Number.MAX_SAFE_INTEGER)
  return entries.reduce((sum, { length }) => sum + length, 0)
}

async function readerBytes({ documents }: DocumentServer): Promise<number> {
  const observation = await documents.observe(home, { update: () => {}, compacted: () => {}, epoch: () => {} })
  const { length } = await observation.diff()
  observation.close()
  return length
}
