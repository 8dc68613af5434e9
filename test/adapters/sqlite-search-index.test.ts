import { execFile, spawn } from 'node:child_process'
import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { openSqliteSearchIndex, type SqliteSearchIndexOptions } from '../../src/adapters/sqlite-search-index.ts'
import {
  OutOfStep,
  QueryTooBroad,
  type SearchIndex,
  SearchIndexFailed,
  SearchIndexFull,
} from '../../src/ports/search-index.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import {
  byDate,
  everything,
  mailboxA,
  objectOf,
  phrase,
  put,
  searchIndexContract,
  wordsOf,
} from '../ports/search-index.contract.ts'

/*
 * The index on disk keeps the contract on real files. Beyond it: the files are their owner's alone; what was removed is in none
 * of them; a file that is damaged, of another release or of another mailbox is dropped, whatever is wrong with it; a process
 * that is killed leaves whole batches; a full disk refuses batches and goes on answering; a search that takes too long ends.
 */

searchIndexContract('SQLite', async () => {
  const folder = await temporaryFolder()
  return { open: async () => openSqliteSearchIndex(folder.path, { reserveBytes: 0 }), remove: folder.remove }
})

const mailbox = (user: number) => ({ ...mailboxA, user: `user-${user}` })
const rejected = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    error => error,
  )

/** Runs `work` with an index in a folder of its own. */
async function withIndex(
  options: SqliteSearchIndexOptions,
  work: (index: SearchIndex, folder: string) => Promise<void>,
): Promise<void> {
  await using parent = await temporaryFolder()
  const folder = join(parent.path, 'search')
  const index = openSqliteSearchIndex(folder, { reserveBytes: 0, ...options })
  try {
    await work(index, folder)
  } finally {
    await index.close()
  }
}

test('files and folder are their owner’s alone, and name nobody', () =>
  withIndex({}, async (index, folder) => {
    await index.apply(mailboxA, { after: undefined, changes: [put(objectOf(1))], position: '1' })
    assert.is((await stat(folder)).mode & 0o777, 0o700)
    const names = await readdir(folder)
    assert.is(names.length, 2)
    for (const name of names) {
      assert.is((await stat(join(folder, name))).mode & 0o777, 0o600, name)
      assert.not.match(name, mailboxA.user)
    }
  }))

test('asking makes no file', () =>
  withIndex({}, async (index, folder) => {
    assert.is(await index.position(mailboxA), undefined)
    assert.instance(await rejected(index.query(mailboxA, '1', byDate(everything))), OutOfStep)
    await index.drop(mailboxA)
    assert.equal(await readdir(folder).catch(() => []), [])
  }))

test('what was removed or replaced is in no file when the call resolves, and what stays is', () =>
  withIndex({}, async (index, folder) => {
    const inFiles = async (text: string) =>
      (await Promise.all((await readdir(folder)).map(name => readFile(join(folder, name))))).some(bytes =>
        bytes.includes(text),
      )
    const secret = (number: number) =>
      objectOf(number, {
        words: { ...wordsOf(`secrettext${number} filler`), subject: [`secretsubject${number}`] },
        attributes: [
          ['imdnMessageId', `secretid${number}`],
          ['to', 'shared@a.example'],
        ],
        from: `secretfrom${number}@a.example`,
      })
    const said = (number: number) => ['text', 'subject', 'id', 'from'].map(what => `secret${what}${number}`)
    // Several batches, so that the full-text index has several segments, and merges some.
    for (let batch = 0; batch < 20; batch++) {
      const changes = Array.from({ length: 20 }, (_, at) => put(secret(1_000 + batch * 20 + at)))
      await index.apply(mailboxA, { after: batch === 0 ? undefined : `${batch - 1}`, changes, position: `${batch}` })
    }
    for (const text of said(1_123)) assert.ok(await inFiles(text), text)
    const removed = [1_000, 1_123, 1_124, 1_399]
    const changes = removed.map(number => ({ kind: 'remove' as const, place: objectOf(number) }))
    await index.apply(mailboxA, { after: '19', changes, position: '20' })
    await index.apply(mailboxA, { after: '20', changes: [put(objectOf(1_200))], position: '21' })
    for (const text of [...removed, 1_200].flatMap(said)) assert.not.ok(await inFiles(text), text)
    assert.ok(await inFiles('secretid1201'))
    const { objects } = await index.query(mailboxA, '21', byDate(phrase('filler'), { limit: 1_000 }))
    assert.is(objects.length, 395)
  }))

test('of many mailboxes few are open, and each keeps what is its own', () =>
  withIndex({ maxOpen: 2 }, async (index, folder) => {
    for (let round = 0; round < 3; round++)
      for (let user = 0; user < 6; user++)
        await index.apply(mailbox(user), {
          after: round === 0 ? undefined : `${round - 1}`,
          changes: [put(objectOf(round, { words: wordsOf(`user${user}`) }))],
          position: `${round}`,
        })
    // A journal lies beside a file as long as that is open.
    assert.is((await readdir(folder)).filter(name => name.endsWith('-wal')).length, 2)
    for (let user = 0; user < 6; user++) {
      assert.is((await index.query(mailbox(user), '2', byDate(phrase(`user${user}`)))).objects.length, 3)
      assert.is((await index.query(mailbox(user), '2', byDate(phrase('user9')))).objects.length, 0)
    }
  }))

async function onlyFile(folder: string): Promise<string> {
  const [name = '', ...others] = await readdir(folder)
  assert.is(others.length, 0)
  return join(folder, name)
}

/** What can happen to a closed file. */
const damages: Readonly<Record<string, (file: string) => Promise<void>>> = {
  'is not SQLite’s': file => writeFile(file, 'x'.repeat(10_000)),
  'is cut off': file => truncate(file, 5_000),
  'is empty': file => truncate(file, 0),
  'has lost its inner pages': async file => {
    const bytes = await readFile(file)
    bytes.fill(0xa5, 8_192)
    await writeFile(file, bytes)
  },
  'is of another release': async file => withDatabase(file, 'PRAGMA user_version = 999'),
  'is another mailbox’s': async file => withDatabase(file, `UPDATE about SET operator = 'b.example'`),
  'has nonsense where it has numbers': async file => withDatabase(file, `UPDATE object SET pairs = 'nonsense'`),
}
function withDatabase(file: string, sql: string): void {
  const database = new DatabaseSync(file)
  database.exec(sql)
  database.close()
}

for (const [damage, inflict] of Object.entries(damages))
  test(`a file that ${damage} is dropped, and there is a new one`, async () => {
    await using folder = await temporaryFolder()
    const before = openSqliteSearchIndex(folder.path, { reserveBytes: 0 })
    const changes = Array.from({ length: 500 }, (_, at) => put(objectOf(at, { words: wordsOf('word'), flags: ['x'] })))
    await before.apply(mailboxA, { after: undefined, changes, position: '1' })
    await before.close()
    await inflict(await onlyFile(folder.path))
    const index = openSqliteSearchIndex(folder.path, { reserveBytes: 0 })
    try {
      // It may be found at once or by what touches the damage; never is anything but all that was there answered.
      const change = { kind: 'flags' as const, place: objectOf(3), flags: [] }
      const remove = { kind: 'remove' as const, place: objectOf(4) }
      await rejected(index.apply(mailboxA, { after: '1', changes: [change, remove], position: '2' }))
      const found = await rejected(index.query(mailboxA, '2', byDate(phrase('word'), { limit: 1_000 })))
      assert.instance(found, OutOfStep)
      assert.is(await index.position(mailboxA), undefined)
      await index.apply(mailboxA, { after: undefined, changes: [put(objectOf(7))], position: '1' })
      assert.is((await index.query(mailboxA, '1', byDate(everything))).objects.length, 1)
    } finally {
      await index.close()
    }
  })

const child = fileURLToPath(new URL('search-index.child.ts', import.meta.url))

test('a process that is killed leaves the batches that it was told of, whole', async () => {
  for (const wanted of [1, 40]) {
    await using folder = await temporaryFolder()
    const running = spawn(process.execPath, [child, folder.path], { stdio: ['ignore', 'pipe', 'inherit'] })
    let told = 0
    for await (const line of createInterface(running.stdout)) {
      told = Number(line)
      if (told >= wanted) running.kill('SIGKILL')
    }
    assert.ok(told >= wanted)
    const index = openSqliteSearchIndex(folder.path, { reserveBytes: 0 })
    try {
      const position = await index.position(mailboxA)
      assert.ok(Number(position) >= told, `${position} is there of ${told}`)
      for (const criteria of [everything, phrase('word0 word1')]) {
        const { objects } = await index.query(mailboxA, position ?? '', byDate(criteria, { limit: 100_000 }))
        assert.is(objects.length, 10 * Number(position))
      }
    } finally {
      await index.close()
    }
  }
})

test('a disk that fails in the middle of a batch: nothing of it is stored, and searches go on', async () => {
  await using folder = await temporaryFolder()
  // Files of at most 2,048 blocks of 512 bytes.
  const command = 'ulimit -f 2048 && exec "$0" "$1" "$2"'
  const { stdout } = await promisify(execFile)('sh', ['-c', command, process.execPath, child, folder.path])
  const { error, objects, stored } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
  assert.ok(['SearchIndexFailed', 'SearchIndexFull'].includes(error), error)
  assert.ok(Number(stored) > 5)
  assert.is(objects, 10 * Number(stored))
})

test('a disk without the reserve takes no batch, and searches go on', async () => {
  await using folder = await temporaryFolder()
  const before = openSqliteSearchIndex(folder.path, { reserveBytes: 0 })
  await before.apply(mailboxA, { after: undefined, changes: [put(objectOf(1))], position: '1' })
  await before.close()
  const index = openSqliteSearchIndex(folder.path, { reserveBytes: Number.MAX_SAFE_INTEGER })
  const error = await rejected(index.apply(mailboxA, { after: '1', changes: [put(objectOf(2))], position: '2' }))
  assert.instance(error, SearchIndexFull)
  assert.is((await index.query(mailboxA, '1', byDate(everything))).objects.length, 1)
  await index.close()
})

test('a folder that cannot be made is a failure of its own, not of the server', async () => {
  await using folder = await temporaryFolder()
  await writeFile(join(folder.path, 'file'), '')
  const index = openSqliteSearchIndex(join(folder.path, 'file', 'search'), { reserveBytes: 0 })
  const error = await rejected(index.apply(mailboxA, { after: undefined, changes: [], position: '1' }))
  assert.instance(error, SearchIndexFailed)
  await index.close()
})

test('a search that takes too long ends, and says so', () =>
  withIndex({ maxQueryMs: 0 }, async index => {
    const changes = Array.from({ length: 300 }, (_, at) => put(objectOf(at, { words: wordsOf('word') })))
    await index.apply(mailboxA, { after: undefined, changes, position: '1' })
    const error = await rejected(index.query(mailboxA, '1', byDate(phrase('word'), { sort: 'relevance' })))
    assert.instance(error, QueryTooBroad)
    assert.is(await index.position(mailboxA), '1')
  }))

test('the thread ends when nobody asks, and comes back', () =>
  withIndex({ idleMs: 5 }, async (index, folder) => {
    await index.apply(mailboxA, { after: undefined, changes: [put(objectOf(1))], position: '1' })
    // Its files are closed, so the journal is gone.
    await until(async () => (await readdir(folder)).length === 1, { what: 'the files are closed' })
    for (let round = 0; round < 20; round++) {
      assert.is((await index.query(mailboxA, '1', byDate(everything))).objects.length, 1)
      await new Promise(resolve => setTimeout(resolve, round % 8))
    }
  }))

test.run()
