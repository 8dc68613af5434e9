import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClassicLevel } from 'classic-level'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import {
  entryKey,
  formatVersion,
  metaKey,
  putEntry,
  putIndex,
  putLocal,
  putMeta,
  readEntry,
  readIndex,
  readLocal,
} from '../../src/adapters/record-format.ts'
import { CorruptRecord, type IndexRecord, type LogHead } from '../../src/ports/log-store.ts'
import type { DocumentId, LogId, ServerId } from '../../src/ports/names.ts'
import { UnknownFormat } from '../../src/ports/stored-format.ts'
import type { Operation } from '../../src/ports/table.ts'
import { rejection } from '../ports/log-store.contract.ts'

/*
 * Records read as they were written, whatever they hold; any single bit changed, in key or value, is told; keys sort as
 * their parts do; and what another release wrote is refused by its version, not guessed at.
 */

const test = suite('record format')

/** As objects are that anybody writes. */
const plain = { noNullPrototype: true } as const

const log = fc.stringMatching(/^[A-Za-z0-9_-]{21}[AQgw]$/) as fc.Arbitrary<LogId>
const document = fc.stringMatching(/^pn\/[a-z]{1,60}\.example\/[A-Za-z0-9.~@+-]{1,128}$/) as fc.Arbitrary<DocumentId>
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
const number = fc.oneof(fc.nat(300), fc.maxSafeNat(), fc.constantFrom(127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1))

const head: fc.Arbitrary<LogHead> = fc
  .record(
    {
      log,
      server: fc.stringMatching(/^12D3KooW[A-Za-z1-9]{44}$/) as fc.Arbitrary<ServerId>,
      length: number,
      hash,
      bytes: number,
      clock: number,
      forked: fc.boolean(),
    },
    plain,
  )
  .map(({ forked, ...rest }) => (forked ? { ...rest, forked } : rest))

const index: fc.Arbitrary<IndexRecord> = fc.record(
  {
    document,
    heads: fc.array(head, { maxLength: 10 }),
    superseded: fc.array(fc.record({ log, seq: number }, plain), { maxLength: 10 }),
    digest: hash,
    epoch: number,
  },
  plain,
)

function storedValue({ value }: Operation): Uint8Array {
  if (!value) throw new Error('The operation removes.')
  return value
}

test('records read as they were written', () => {
  fc.assert(
    fc.property(index, number, fc.uint8Array({ maxLength: 500 }), (record, seq, bytes) => {
      const stored = putIndex(record)
      assert.equal(readIndex(stored.key, storedValue(stored)), record)
      const { log } = record.heads[0] ?? { log: 'AAAAAAAAAAAAAAAAAAAAAA' as LogId }
      const entry = putEntry(record.document, { log, seq, bytes })
      assert.equal(readEntry(record.document, entry.key, storedValue(entry)), { log, seq, bytes })
      const local = putLocal('answer/größe 🔑', bytes)
      assert.equal(readLocal(local.key, storedValue(local)), { key: 'answer/größe 🔑', value: bytes })
    }),
  )
})

test('any bit changed in key or value is told', () => {
  const flipped = (bytes: Uint8Array, bit: number): Uint8Array =>
    bytes.map((byte, at) => (at === bit >>> 3 ? byte ^ (1 << (bit & 7)) : byte))
  const home = 'pn/a.example/home' as DocumentId
  const entry = { log: 'AAAAAAAAAAAAAAAAAAAAAA' as LogId, seq: 5, bytes: Uint8Array.of(1, 2, 3) }
  const { key, ...rest } = putEntry(home, entry)
  const value = storedValue({ key, ...rest })
  for (let bit = 0; bit < 8 * value.length; bit++)
    assert.throws(
      () => readEntry(home, key, flipped(value, bit)),
      (error: unknown) => error instanceof CorruptRecord,
    )
  for (let bit = 0; bit < 8 * key.length; bit++)
    assert.throws(
      () => readEntry(home, flipped(key, bit), value),
      (error: unknown) => error instanceof CorruptRecord,
    )
  for (let length = 0; length < value.length; length++)
    assert.throws(
      () => readEntry(home, key, value.subarray(0, length)),
      (error: unknown) => error instanceof CorruptRecord,
    )
})

test('keys sort by document, then log, then number', () => {
  const position = fc.tuple(document, log, number)
  const compare = (a: string | number, b: string | number): number => (a < b ? -1 : Number(a > b))
  fc.assert(
    fc.property(position, position, (a, b) => {
      const wanted = compare(a[0], b[0]) || compare(a[1], b[1]) || compare(a[2], b[2])
      assert.is(Buffer.compare(entryKey(...a), entryKey(...b)), wanted)
    }),
  )
})

/** A record as a release with the next format version would write it. */
function ofNextRelease(write: () => Operation): Operation {
  const written = write()
  const { key } = written
  const value = Buffer.from(storedValue(written))
  value[0] = formatVersion + 1
  const payload = value.subarray(0, value.length - 32)
  value.set(new Uint8Array(createHash('sha256').update(key).update(payload).digest()), payload.length)
  return { key, value }
}

test('a record of another format version is refused, and says which', () => {
  const { key, ...rest } = ofNextRelease(() => putLocal('answer/1', Uint8Array.of(1)))
  const value = storedValue({ key, ...rest })
  assert.throws(
    () => readLocal(key, value),
    (error: unknown) =>
      error instanceof UnknownFormat && new RegExp(`local answer/1.*version ${formatVersion + 1}`).test(error.message),
  )
})

test('a store of another format version is refused when it is opened', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cpns-format-'))
  try {
    await (await openLevelLogStore(folder)).close()
    const level = new ClassicLevel<Uint8Array, Uint8Array>(folder, { keyEncoding: 'view', valueEncoding: 'view' })
    await level.put(metaKey('format'), storedValue(putMeta('format', Uint8Array.of(formatVersion + 1))))
    await level.close()
    assert.instance(await rejection(openLevelLogStore(folder)), UnknownFormat)
  } finally {
    await rm(folder, { recursive: true })
  }
})

test.run()
