import { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire'
import * as fc from 'fast-check'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import {
  type Entry,
  encodeEntry,
  isSigned,
  MalformedEntry,
  openEntry,
  openStoredEntry,
  pathBytesAtMost,
  type SealedEntry,
  sealEntry,
  sealTogether,
  sizeOfStored,
} from '../../src/document/entry.ts'
import { blindBytes, type EntryPath, maxSteps, rootAbove, treeOf } from '../../src/document/entry-tree.ts'
import { newLogId } from '../../src/document/log.ts'
import { Sealing } from '../../src/document/sealing.ts'
import { Signatures } from '../../src/document/signatures.ts'
import type { Crypto } from '../../src/ports/crypto.ts'
import type { ServerIdentity } from '../../src/ports/identity.ts'
import { publicKeyOf } from '../../src/ports/names.ts'
import { type TestServer, testOperator } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto, home } from './document-server.ts'

/*
 * Entries that share a signature are each proved by it, alone and wherever they are passed on; nothing that was not signed is, whatever
 * is done to the way to the root; and each of them has one encoding only. It fails if a path of one entry proves another, if a node
 * can be passed off as an entry, or if the memory of checked roots lets anything through that a check would refuse.
 */

const test = suite('Entries signed together')
const [server, other] = testOperator('a.example', 2).servers as [TestServer, TestServer]
const random = seededRandom('signed together')

const entryOf = (number: number, by = server): Entry => ({
  document: home,
  log: newLogId(seededRandom(`log ${number}`)),
  server: by.id,
  seq: 0,
  prev: new Uint8Array(0),
  update: Uint8Array.of(number & 0xff, number >>> 8),
  supersedes: [],
  after: [],
})

function together(count: number, by = server): SealedEntry[] {
  const unsigned = Array.from({ length: count }, (_, number) => encodeEntry(entryOf(number, by), crypto))
  return sealTogether(unsigned, random.bytes(count * blindBytes), by.identity, crypto)
}

const isRefused = (bytes: Uint8Array): boolean => {
  try {
    openEntry(bytes, crypto)
    return false
  } catch (error) {
    assert.instance(error, MalformedEntry)
    return true
  }
}

/** Whether it is taken as written by the server: an entry that names somebody else is his to answer for. */
function holds(bytes: Uint8Array): boolean {
  if (isRefused(bytes)) return false
  const opened = openEntry(bytes, crypto)
  return opened.entry.server === server.id && new Signatures(crypto).hold(opened)
}

test('each of any number of entries is opened as it was sealed, and is signed', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), count => {
      const sealed = together(count)
      assert.is(new Set(sealed.map(({ signature }) => Buffer.from(signature).toString('hex'))).size, 1)
      for (const [at, each] of sealed.entries()) {
        const opened = openEntry(each.bytes, crypto)
        assert.equal(opened, each)
        assert.equal(opened.entry, entryOf(at))
        assert.equal(openStoredEntry(each.bytes), entryOf(at))
        assert.ok(isSigned(opened, crypto))
        const alone = sealEntry(entryOf(at), server.identity, crypto)
        assert.equal(opened.hash, alone.hash, 'its name does not tell with whom it was signed')
        assert.is(opened.size, alone.bytes.length)
        assert.is(sizeOfStored(each.bytes), opened.size)
        assert.ok(each.bytes.length <= opened.size + pathBytesAtMost)
      }
    }),
    { numRuns: 25 },
  )
})

test('one is signed as it always was', () => {
  const [only] = together(1)
  assert.equal(only, sealEntry(entryOf(0), server.identity, crypto))
})

test('the largest tree there may be is taken, and no larger one is made', () => {
  const hashes = Array.from({ length: 2 ** maxSteps + 1 }, (_, number) => encodeEntry(entryOf(number), crypto).hash)
  const blinds = random.bytes(hashes.length * blindBytes)
  const { root, paths } = treeOf(hashes.slice(0, -1), blinds, crypto)
  for (const [at, path] of paths.entries()) assert.equal(rootAbove(hashes[at] as Uint8Array, path, crypto), root)
  assert.throws(() => treeOf(hashes, blinds, crypto), RangeError)
  assert.throws(() => treeOf(hashes.slice(0, 1), blinds, crypto), RangeError)
  assert.throws(() => treeOf([], blinds, crypto), RangeError)
})

test('no byte can be changed, cut off or added', () => {
  const sealed = together(11)
  fc.assert(
    fc.property(fc.nat(10), fc.nat(), fc.integer({ min: 1, max: 255 }), (which, at, change) => {
      const { bytes } = sealed[which] as SealedEntry
      const changed = Uint8Array.from(bytes)
      changed[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ change
      assert.not.ok(holds(changed))
      assert.not.ok(holds(bytes.subarray(0, at % bytes.length)))
      assert.ok(isRefused(Uint8Array.of(...bytes, change)))
    }),
    { numRuns: 500 },
  )
})

// --- paths by hand

interface Fields {
  readonly blind?: Uint8Array | undefined
  readonly turns?: number | undefined
  readonly siblings?: Uint8Array | undefined
}

const fieldsOf = ({ path }: SealedEntry): Fields => ({ ...path })

function pathOf({ path }: SealedEntry): EntryPath {
  if (path) return path
  throw new Error('It was signed alone.')
}

/** The message with another path, each field as it is said to be; without one if it is `undefined`. */
function withPath({ bytes, size }: SealedEntry, { blind, turns, siblings }: Fields): Uint8Array {
  const writer = new BinaryWriter().raw(bytes.subarray(0, size))
  if (blind) writer.uint32(26).bytes(blind)
  if (turns !== undefined) writer.uint32(32).uint32(turns)
  if (siblings) writer.uint32(42).bytes(siblings)
  return writer.finish()
}

const present = ({ blind, turns, siblings }: Fields): Fields => ({ blind, turns: turns || undefined, siblings })

test('a path that says the same otherwise, or is none, is refused', () => {
  const [first, second] = together(3) as [SealedEntry, SealedEntry, SealedEntry]
  const path = present(fieldsOf(second))
  assert.ok(holds(withPath(second, path)), 'written by hand as it was it passes')
  const { blind, turns, siblings } = path as Required<Fields> & { turns: number; siblings: Uint8Array }
  const others: [string, Uint8Array][] = [
    ['no turns, spelled out', withPath(first, { ...present(fieldsOf(first)), turns: 0 })],
    ['no blind', withPath(second, { turns, siblings })],
    ['a blind too short', withPath(second, { blind: new Uint8Array(15), turns, siblings })],
    ['no siblings', withPath(second, { blind, turns })],
    ['an empty path spelled out', withPath(second, { blind: new Uint8Array(0), siblings: new Uint8Array(0) })],
    ['siblings cut off', withPath(second, { blind, turns, siblings: siblings.subarray(1) })],
    ['more turns than steps', withPath(second, { blind, turns: 4, siblings })],
    ['more steps than allowed', withPath(second, { blind, turns, siblings: new Uint8Array(32 * (maxSteps + 1)) })],
    ['a field twice', Uint8Array.of(...withPath(second, path), 0x20, turns)],
    ['fields in another order', withPathLast(second, path)],
    ['a padded number', padded(second, path)],
  ]
  for (const [what, bytes] of others) assert.ok(isRefused(bytes), what)
})

function withPathLast({ bytes, size }: SealedEntry, { blind, turns = 0, siblings }: Fields): Uint8Array {
  const writer = new BinaryWriter().raw(bytes.subarray(0, size))
  return writer
    .uint32(42)
    .bytes(siblings ?? new Uint8Array())
    .uint32(26)
    .bytes(blind ?? new Uint8Array())
    .uint32(32)
    .uint32(turns)
    .finish()
}

function padded({ bytes, size }: SealedEntry, { blind, turns = 0, siblings }: Fields): Uint8Array {
  const writer = new BinaryWriter().raw(bytes.subarray(0, size))
  writer.uint32(26).bytes(blind ?? new Uint8Array())
  writer.uint32(32).raw(Uint8Array.of(turns | 0x80, 0))
  return writer
    .uint32(42)
    .bytes(siblings ?? new Uint8Array())
    .finish()
}

test('another way up, another entry, or another server: the signature does not hold', () => {
  const sealed = together(4)
  const [one, two] = sealed as [SealedEntry, SealedEntry]
  const path = present(fieldsOf(two))
  const siblings = path.siblings as Uint8Array
  const swapped = Uint8Array.of(...siblings.subarray(32), ...siblings.subarray(0, 32))
  const [theirs] = together(4, other) as [SealedEntry]
  const alone = sealEntry(entryOf(1), server.identity, crypto)
  const others: [string, Uint8Array][] = [
    ['the other half on the other side', withPath(two, { ...path, turns: undefined })],
    ['a turn more', withPath(two, { ...path, turns: 3 })],
    ['the steps in another order', withPath(two, { ...path, siblings: swapped })],
    ['a step less', withPath(two, { ...path, siblings: siblings.subarray(0, 32) })],
    ['a step more', withPath(two, { ...path, siblings: Uint8Array.of(...siblings, ...siblings.subarray(32)) })],
    ['the blind of another', withPath(two, { ...path, blind: one.path?.blind })],
    ['the path of another', withPath(two, present(fieldsOf(one)))],
    ['without its path', withPath(two, {})],
    ['a path to a signature of its own', withPath(alone, path)],
    ['signed by another server', withSignature(two, theirs.signature)],
  ]
  for (const [what, bytes] of others) {
    assert.not.ok(isRefused(bytes), `${what}: can be read`)
    assert.not.ok(holds(bytes), what)
  }
})

function withSignature({ bytes, size }: SealedEntry, signature: Uint8Array): Uint8Array {
  const changed = bytes.slice()
  changed.set(signature, size - signature.length)
  return changed
}

test('a root is no entry, and neither is a node: what was signed for one purpose proves nothing of the other', () => {
  const [one, two] = together(2) as [SealedEntry, SealedEntry]
  const root = rootAbove(one.hash, pathOf(one), crypto)
  // The root's signature, as that of an entry alone.
  const { path: _, ...pathless } = one
  assert.not.ok(isSigned({ ...pathless, hash: root }, crypto))
  // An entry signed alone, as the root of a tree of nothing but its hash: it lacks a step.
  assert.ok(isRefused(withPath(two, { blind: new Uint8Array(blindBytes), siblings: new Uint8Array(0) })))
})

test('what is hashed of a leaf, a node and an entry begins differently', () => {
  const hashed: number[] = []
  const counting: Pick<Crypto, 'sha256'> = {
    sha256: (...parts) => {
      hashed.push(parts[0]?.[0] ?? -1)
      return crypto.sha256(...parts)
    },
  }
  const unsigned = [0, 1].map(number => encodeEntry(entryOf(number), counting))
  sealTogether(unsigned, random.bytes(2 * blindBytes), server.identity, counting)
  assert.equal(hashed, [10, 10, 0, 0, 1])
})

// --- the memory of roots

function counted(): { readonly signatures: Signatures; readonly checks: () => number } {
  let checks = 0
  const verify: Crypto['ed25519']['verify'] = (...input) => {
    checks++
    return crypto.ed25519.verify(...input)
  }
  return {
    signatures: new Signatures({ ...crypto, ed25519: { ...crypto.ed25519, verify } }),
    checks: () => checks,
  }
}

test('what was signed together is one check, and that it holds for one says nothing of what is forged', () => {
  const { signatures, checks } = counted()
  const sealed = together(16)
  for (const each of sealed) assert.ok(signatures.hold(each))
  assert.is(checks(), 1)
  const [one, two] = sealed as [SealedEntry, SealedEntry]
  const forged = encodeEntry({ ...entryOf(0), update: Uint8Array.of(9) }, crypto)
  assert.not.ok(signatures.hold({ ...one, entry: forged.entry, hash: forged.hash }))
  assert.not.ok(signatures.hold({ ...one, path: pathOf(two) }))
  assert.not.ok(signatures.hold({ ...one, entry: { ...one.entry, server: other.id } }), 'signed by another server')
  const changed = one.signature.slice()
  changed[0] = (changed[0] ?? 0) ^ 1
  assert.not.ok(signatures.hold({ ...one, signature: changed }), 'a root that is known, under another signature')
  assert.is(checks(), 5, 'nothing false is remembered, and nothing of it believed')
  assert.ok(signatures.hold(one))
  assert.is(checks(), 5)
})

test('of the roots that were met those met last are remembered', () => {
  const { signatures, checks } = counted()
  const first = together(2)
  assert.ok(signatures.hold(first[0] as SealedEntry))
  // As many other roots as are remembered, whose signatures nobody would make here: those of the first, under other names.
  let said = true
  const lenient = new Signatures({ ...crypto, ed25519: { ...crypto.ed25519, verify: () => said } })
  const [one] = first as [SealedEntry]
  const path = pathOf(one)
  const at = (number: number): SealedEntry => {
    const blind = new Uint8Array(blindBytes)
    new DataView(blind.buffer).setUint32(0, number)
    return { ...one, path: { ...path, blind } }
  }
  for (let number = 0; number <= 8_192; number++) assert.ok(lenient.hold(at(number)))
  said = false
  assert.not.ok(lenient.hold(at(0)), 'the oldest is checked again')
  for (const number of [1, 4_000, 8_192]) assert.ok(lenient.hold(at(number)))
  assert.is(checks(), 1)
})

// --- who signs

test('what waits is signed together, in groups of thirty-two at the most, when the first of it is wanted', () => {
  let signed = 0
  const identity: ServerIdentity = {
    ...server.identity,
    sign: (purpose, digest) => {
      signed++
      return server.identity.sign(purpose, digest)
    },
  }
  for (const count of [1, 2, 15, 31, 32, 33, 65, 100]) {
    signed = 0
    const sealing = new Sealing(identity, crypto, random)
    const waiting = Array.from({ length: count }, (_, number) => sealing.add(encodeEntry(entryOf(number), crypto)))
    assert.is(signed, 0, 'nothing is signed before it is wanted')
    for (const [at, each] of [...waiting.entries()].reverse()) {
      const bytes = each.seal()
      assert.ok(bytes.length <= each.bytesAtMost)
      assert.is(each.seal(), bytes)
      const opened = openEntry(bytes, crypto)
      assert.equal(opened.entry, entryOf(at))
      assert.ok(isSigned(opened, crypto))
    }
    assert.is(signed, Math.ceil(count / 32))
  }
})

test('siblings are the same hashes to whoever reads the message by the protocol alone', () => {
  const [, two] = together(2) as [SealedEntry, SealedEntry]
  const reader = new BinaryReader(two.bytes)
  const found = new Map<number, unknown>()
  while (reader.pos < reader.len) {
    const tag = reader.uint32()
    found.set(tag >>> 3, (tag & 7) === 0 ? reader.uint32() : reader.bytes())
  }
  assert.equal([...found.keys()], [1, 2, 3, 4, 5])
  const leaf = (hash: Uint8Array, blind: Uint8Array) => crypto.sha256(Uint8Array.of(0, ...blind, ...hash))
  const node = crypto.sha256(
    Uint8Array.of(
      1,
      ...(found.get(5) as Uint8Array),
      ...leaf(crypto.sha256(found.get(1) as Uint8Array), found.get(3) as Uint8Array),
    ),
  )
  const message = Uint8Array.of(...new TextEncoder().encode('cpns-entries-v1\0'), ...node)
  assert.ok(crypto.ed25519.verify(publicKeyOf(server.id), message, found.get(2) as Uint8Array))
})

test.run()
