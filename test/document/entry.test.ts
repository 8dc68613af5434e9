import { BinaryWriter } from '@bufbuild/protobuf/wire'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Entry,
  isSigned,
  MalformedEntry,
  openEntry,
  openStoredEntry,
  sealEntry,
} from '../../src/document/entry.ts'
import { decodeEquivocation, encodeEquivocation } from '../../src/document/equivocation-record.ts'
import { newLogId } from '../../src/document/log.ts'
import { testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto, home } from './document-server.ts'

/*
 * An entry has one encoding, and nothing else decodes: whatever a peer does to the bytes, they are refused or were not
 * changed. It fails if any field can be repeated, reordered, padded, spelled out as its default or added, since then one
 * entry would have two hashes, and two servers could hold "different" entries that say the same.
 */

const server = testOperator('a.example').servers[0]
if (!server) throw new Error('The test operator has no server.')
const { identity } = server

const logIds = fc.string({ minLength: 1, maxLength: 9 }).map(seed => newLogId(seededRandom(seed)))
const hashes = fc.uint8Array({ minLength: 32, maxLength: 32 })
const seqs = fc.oneof(fc.nat(300), fc.nat({ max: 2 ** 31 - 1 }))
const entries: fc.Arbitrary<Entry> = fc
  .record({
    document: fc.constant(home),
    log: logIds,
    server: fc.constant(server.id),
    seq: seqs,
    prev: hashes,
    update: fc.uint8Array({ maxLength: 300 }),
    supersedes: fc.array(fc.record({ log: logIds, seq: seqs, hash: hashes }, { noNullPrototype: true }), {
      maxLength: 3,
    }),
    after: fc.array(fc.record({ log: logIds, length: seqs.map(seq => Math.max(1, seq)) }, { noNullPrototype: true }), {
      maxLength: 3,
    }),
  })
  .map(entry => ({ ...entry, prev: entry.seq === 0 ? new Uint8Array(0) : entry.prev }))

const isRefused = (bytes: Uint8Array): boolean => {
  try {
    openEntry(bytes, crypto)
    return false
  } catch (error) {
    assert.instance(error, MalformedEntry)
    return true
  }
}

test('what is sealed is opened the same', () => {
  fc.assert(
    fc.property(entries, entry => {
      const sealed = sealEntry(entry, identity, crypto)
      const opened = openEntry(sealed.bytes, crypto)
      assert.equal(opened.entry, entry)
      assert.equal(opened.hash, sealed.hash)
      assert.ok(isSigned(opened, crypto))
      assert.equal(openStoredEntry(sealed.bytes), entry)
    }),
  )
})

test('a changed byte is refused, or breaks the signature', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.integer({ min: 1, max: 255 }), (entry, at, change) => {
      const { bytes } = sealEntry(entry, identity, crypto)
      const changed = Uint8Array.from(bytes)
      changed[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ change
      if (isRefused(changed)) return
      const opened = openEntry(changed, crypto)
      assert.ok(opened.entry.server !== server.id || !isSigned(opened, crypto))
    }),
    { numRuns: 500 },
  )
})

test('bytes cut off, added or moved about are refused', () => {
  fc.assert(
    fc.property(entries, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 8 }), (entry, at, more) => {
      const { bytes } = sealEntry(entry, identity, crypto)
      assert.ok(isRefused(bytes.subarray(0, at % bytes.length)))
      assert.ok(isRefused(Uint8Array.of(...bytes, ...more)))
      assert.ok(isRefused(Uint8Array.of(...more, ...bytes)))
    }),
  )
})

/** A signed entry whose inner message is written by `write`. */
function handmade(write: (writer: BinaryWriter) => void): Uint8Array {
  const inner = new BinaryWriter()
  write(inner)
  const signature = new Uint8Array(64)
  return new BinaryWriter().uint32(10).bytes(inner.finish()).uint32(18).bytes(signature).finish()
}

const log = newLogId(seededRandom('handmade'))
const names = (writer: BinaryWriter): BinaryWriter =>
  writer.uint32(10).string(home).uint32(18).string(log).uint32(26).string(server.id)

test('an encoding that says the same otherwise is refused', () => {
  assert.not.ok(isRefused(handmade(names)), 'the plainest entry passes')
  const others: [string, (writer: BinaryWriter) => void][] = [
    ['default spelled out', writer => names(writer).uint32(32).uint32(0)],
    ['empty update spelled out', writer => names(writer).uint32(50).bytes(new Uint8Array(0))],
    ['unknown field', writer => names(writer).uint32(80).uint32(1)],
    ['field repeated', writer => names(writer).uint32(26).string(server.id)],
    ['fields reordered', writer => writer.uint32(18).string(log).uint32(10).string(home).uint32(26).string(server.id)],
    ['another wire type', writer => names(writer).uint32(33).raw(new Uint8Array(8))],
    [
      'padded tag',
      writer => writer.raw(Uint8Array.of(0x8a, 0x00)).string(home).uint32(18).string(log).uint32(26).string(server.id),
    ],
    ['no prev', writer => names(writer).uint32(32).uint32(1)],
    ['prev in the first', writer => names(writer).uint32(42).bytes(new Uint8Array(32))],
    [
      'a document that is none',
      writer => writer.uint32(10).string('pn/x').uint32(18).string(log).uint32(26).string(server.id),
    ],
    [
      'a log that is none',
      writer => writer.uint32(10).string(home).uint32(18).string('log').uint32(26).string(server.id),
    ],
    ['no server', writer => writer.uint32(10).string(home).uint32(18).string(log)],
    [
      'a sequence number beyond the last',
      writer =>
        names(writer)
          .uint32(32)
          .uint32(2 ** 31)
          .uint32(42)
          .bytes(new Uint8Array(32)),
    ],
    ['text that is no UTF-8', writer => names(writer.uint32(10).bytes(Uint8Array.of(0xff)))],
    ['a group', writer => names(writer).uint32(35).uint32(36)],
  ]
  for (const [what, write] of others) assert.ok(isRefused(handmade(write)), what)
})

test('evidence is read as it was written', () => {
  const [first, second] = [Uint8Array.of(1, 2, 3), Uint8Array.of(4)]
  assert.equal(decodeEquivocation(encodeEquivocation({ first, second })), { first, second })
})

test.run()
