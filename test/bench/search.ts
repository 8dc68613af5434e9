import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openSqliteSearchIndex } from '../../src/adapters/sqlite-search-index.ts'
import { operatorId } from '../../src/ports/names.ts'
import type { Criteria, IndexChange, IndexQuery, SearchIndex, Sort } from '../../src/ports/search-index.ts'
import type { StoredObject } from '../../src/storage/objects.ts'
import { indexed } from '../../src/storage/search/indexed.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { type Bench, type Figure, measured } from './bench.ts'

/*
 * The search index on disk: how fast it is built from stored objects of twenty words, their words told apart included, and how
 * long queries take in a mailbox of that size. Words are as uneven as those of a language: the first is in most objects.
 */

const objectCount = 100_000
const batchObjects = 500
const roundsPerQuery = 10
const vocabulary = 20_000

const mailbox = { operator: operatorId('a.example'), user: 'bench' }
const random = seededRandom('search bench')
const below = (end: number): number => Math.floor(random.fraction() * end)
const word = (): string => `w${Math.floor(vocabulary * random.fraction() ** 3).toString(36)}`
const words = (count: number): string => Array.from({ length: count }, word).join(' ')

const objectOf = (number: number): StoredObject => ({
  container: `c-chat-${below(500)}`,
  part: 0,
  id: Buffer.from(random.bytes(16)).toString('base64url'),
  type: 'message',
  direction: below(2) === 0 ? 'in' : 'out',
  date: 1_700_000_000_000 + number * 1_000,
  from: `user${below(300)}@a.example`,
  to: ['me@a.example'],
  conversationId: `chat-${below(500)}`,
  imdnMessageId: `imdn-${number}`,
  contentType: 'text/plain',
  text: words(20),
  size: below(4_096),
  stored: 1_700_000_000_000 + number * 1_000,
  flags: below(20) === 0 ? [] : ['\\Seen'],
})

const phrase = (text: string, prefix = false): Criteria => ({ kind: 'phrase', words: text.split(' '), prefix })
const unseen: Criteria = { kind: 'not', of: { kind: 'flag', flag: '\\Seen' } }
const queries: Readonly<Record<string, Criteria>> = {
  'one rare word': phrase('wf00'),
  'one common word': phrase('w1'),
  'a beginning of one letter': phrase('w', true),
  'a beginning of three letters': phrase('wf0', true),
  'two common words': { kind: 'and', of: [phrase('w1'), phrase('w2')] },
  'a phrase': phrase('w1 w2'),
  'a sender': { kind: 'attribute', attribute: ['from', 'user7@a.example'] },
  'unseen with a common word': { kind: 'and', of: [phrase('w5'), unseen] },
  'an IMDN-Message-ID': { kind: 'attribute', attribute: ['imdnMessageId', 'imdn-777'] },
}
const measuredSorts: readonly Sort[] = ['date', 'size', 'relevance']

export const searchBench: Bench = {
  name: 'search',
  summary: `the search index of a mailbox of ${objectCount} objects`,
  async run(progress) {
    const folder = await mkdtemp(join(tmpdir(), 'cpns-bench-'))
    const index = openSqliteSearchIndex(folder, { reserveBytes: 0, maxQueryMs: 60_000 })
    try {
      const { perSecond } = await measured(() => build(index, progress))
      const figures: Figure[] = [{ name: 'search, built', value: perSecond, unit: 'objects/s' }]
      for (const sort of measuredSorts) {
        const times = await ask(index, sort)
        progress(`by ${sort}: median ${percentile(times, 0.5).toFixed(1)} ms`)
        figures.push(
          { name: `search by ${sort}, median`, value: percentile(times, 0.5), unit: 'ms' },
          { name: `search by ${sort}, p99`, value: percentile(times, 0.99), unit: 'ms' },
        )
      }
      await index.close()
      return [
        ...figures,
        { name: 'search, on disk per object', value: (await bytesIn(folder)) / objectCount, unit: 'bytes' },
      ]
    } finally {
      await index.close()
      await rm(folder, { recursive: true })
    }
  },
}

async function build(index: SearchIndex, progress: (line: string) => void): Promise<number> {
  let after: string | undefined
  for (let from = 0; from < objectCount; from += batchObjects) {
    const changes = Array.from(
      { length: batchObjects },
      (_, at): IndexChange => ({ kind: 'put', object: indexed(objectOf(from + at)) }),
    )
    const position = String(from + batchObjects)
    await index.apply(mailbox, { after, changes, position })
    after = position
    if (from % 20_000 === 0) progress(`${from} objects`)
  }
  return objectCount
}

async function ask(index: SearchIndex, sort: Sort): Promise<number[]> {
  const times: number[] = []
  for (const criteria of Object.values(queries))
    for (let round = 0; round < roundsPerQuery; round++) {
      const query: IndexQuery = { criteria, sort, order: 'descending', limit: 50 }
      const start = performance.now()
      await index.query(mailbox, String(objectCount), query)
      times.push(performance.now() - start)
    }
  return times
}

function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN
}

async function bytesIn(folder: string): Promise<number> {
  const sizes = await Promise.all((await readdir(folder)).map(async name => (await stat(join(folder, name))).size))
  return sizes.reduce((sum, size) => sum + size, 0)
}
