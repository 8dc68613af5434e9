/*
 * Property: what is encoded is decoded as the same; whatever else arrives is refused as malformed, in time linear in its
 * bytes, before anything is built from it. Fails when a bound is missing (a frame of a million fields is accepted, or
 * takes long), or when a decoder lets another error out.
 */
import { create, toBinary } from '@bufbuild/protobuf'
import * as fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { CommandAnswer } from '../../src/federation/federation.ts'
import { MalformedFrame } from '../../src/federation/frame-shape.ts'
import { below, root } from '../../src/federation/reconciliation/place.ts'
import { SyncSchema } from '../../src/federation/wire_pb.ts'
import { decodeGreeting, encodeGreeting, type Greeting } from '../../src/federation/wire-greeting.ts'
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequest,
  type Request,
} from '../../src/federation/wire-requests.ts'
import { maxFrameBytes, maxJsonBytes } from '../../src/federation/wire-shapes.ts'
import { decodeSync, encodeSync, type SyncMessage } from '../../src/federation/wire-sync.ts'
import {
  type DocumentId,
  type LogId,
  type OperatorId,
  type ServerId,
  serverOfPublicKey,
} from '../../src/ports/names.ts'

const document = 'pn/a.example/home' as DocumentId
const operator = 'a.example' as OperatorId
const bytes = (length: number, seed = 7) => Uint8Array.from({ length }, (_, index) => (index * seed) & 0xff)
const log = Buffer.from(bytes(16)).toString('base64url') as LogId

const deep = Array.from({ length: 15 }, (_, depth) => depth).reduce((place, digit) => below(place, digit), root)

const greetings: Greeting[] = [
  {
    type: 'hello',
    hello: { versions: [1, 2], operator, manifests: [bytes(10), bytes(500)], run: bytes(16), clock: 1e12 },
  },
  { type: 'verdict', refused: undefined },
  { type: 'verdict', refused: 'revoked' },
]
const syncs: SyncMessage[] = [
  {
    type: 'query',
    id: 4_000_000_000,
    salt: bytes(8),
    documents: 1_000_000,
    parts: [
      { kind: 'node', place: root, present: 0x8001, hashes: bytes(16) },
      { kind: 'bucket', place: deep, hashes: bytes(24) },
      { kind: 'bucket', place: below(root, 15), hashes: new Uint8Array() },
      { kind: 'lacking', place: root, hashes: bytes(8) },
    ],
  },
  { type: 'query', id: 0, salt: bytes(8), documents: 0, parts: [] },
  {
    type: 'answer',
    id: 7,
    documents: 3,
    parts: [{ kind: 'node', place: deep, present: 2, hashes: bytes(8) }],
    isBusy: true,
  },
  { type: 'answer', id: 7, documents: 3, parts: [], isBusy: false },
  { type: 'have', document, heads: [], purpose: 'receipt' },
  {
    type: 'have',
    document,
    heads: [
      { log, length: 5, hash: bytes(32) },
      { log, length: 1, hash: bytes(32, 3), forked: true },
    ],
    purpose: 'ask',
  },
  { type: 'entries', document, entries: [bytes(1), bytes(300), new Uint8Array()] },
  { type: 'entries', document, entries: [bytes(200)], manifests: [bytes(130), bytes(5)] },
  { type: 'manifest', manifest: bytes(40) },
  { type: 'beat', clock: 1_800_000_000_000, usedPercent: 40 },
  { type: 'beat', clock: 1_800_000_000_000, usedPercent: 100, reduction: { percent: 30, validMs: 5_000 } },
  { type: 'beat', clock: 1_800_000_000_000, usedPercent: 0, echo: { clockMs: 1_799_999_999_000, heldMs: 4_321 } },
  { type: 'behind' },
  { type: 'linked', lives: new Map() },
  { type: 'linked', lives: new Map([[serverOfPublicKey(bytes(32)), 4_000_000_000]]) },
]
const proof = {
  operator,
  identity: 'user-1',
  executor: 'b.example' as OperatorId,
  document,
  commandId: 'c'.repeat(22),
  expires: 1_800_000_000_000,
  signature: Buffer.from(bytes(64)).toString('base64url'),
}
const server = (seed: number): ServerId => serverOfPublicKey(bytes(32, seed))
const requests: Request[] = [
  { command: { method: 'pne.register', params: { a: [1, 'x', null] } }, timeoutMs: 10_000 },
  { command: { method: 'pn.update', params: {}, proof }, timeoutMs: 1 },
  { command: { method: 'pn.update', params: {}, proof, durability: { replicated: 2 } }, timeoutMs: 1 },
  { command: { method: 'pn.update', params: {}, durability: { replicated: 16, timeoutMs: 0 } }, timeoutMs: 1 },
]
const answers: CommandAnswer[] = [
  { ok: true, value: { deep: { er: [true] } } },
  { ok: true, value: 1, durability: { stored: server(1), replicated: [server(2), server(3)], isReached: true } },
  { ok: true, value: 1, durability: { stored: server(1), replicated: [], isReached: false } },
  { ok: false, status: 409, cause: 'CONFLICT', message: 'There is one already.' },
  { ok: false, status: 503, cause: 'OVERLOADED', message: 'Later.', retryAfterMs: 0 },
]

const decoders = [decodeGreeting, decodeSync, decodeRequest, decodeAnswer]

function refuses(decode: (frame: Uint8Array) => unknown, frame: Uint8Array): void {
  try {
    decode(frame)
  } catch (error) {
    assert.instance(error, MalformedFrame)
    return
  }
  assert.unreachable('should have been refused')
}

test('entries are written as the library writes them', () => {
  const parts = fc.array(fc.uint8Array({ maxLength: 300, size: 'max' }), { maxLength: 5 })
  const large = fc.constantFrom(127, 128, 16_383, 16_384, 300_000).map(length => [bytes(length)])
  fc.assert(
    fc.property(fc.oneof(parts, large), parts, (entries, manifests) => {
      const content = { case: 'entries', value: { document, entries, manifests } } as const
      const written = encodeSync({ type: 'entries', document, entries, manifests })
      assert.equal(written, toBinary(SyncSchema, create(SyncSchema, { content })))
    }),
  )
})

test('every message comes back as it was sent', () => {
  for (const greeting of greetings) assert.equal(decodeGreeting(encodeGreeting(greeting)), greeting)
  for (const sync of syncs) assert.equal(decodeSync(encodeSync(sync)), sync)
  for (const request of requests) assert.equal(decodeRequest(encodeRequest(request)), request)
  for (const answer of answers) assert.equal(decodeAnswer(encodeAnswer(answer)), answer)
})

test('any bytes decode or are malformed, never anything else; so do mutants of good frames', () => {
  const good = [...greetings.map(encodeGreeting), ...syncs.map(encodeSync), ...requests.map(encodeRequest)]
  const mutant = fc.tuple(fc.constantFrom(...good), fc.nat(), fc.nat(255), fc.nat(4)).map(([frame, at, value, cut]) => {
    const changed = frame.slice(0, frame.length - cut)
    if (changed.length > 0) changed[at % changed.length] = value
    return changed
  })
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), mutant), fc.constantFrom(...decoders), (frame, decode) => {
      try {
        decode(frame)
      } catch (error) {
        if (!(error instanceof MalformedFrame)) throw error
      }
    }),
    { numRuns: 20_000 },
  )
})

/** A message whose one field `outer` holds `inner`. */
const wrapped = (outer: number, inner: Uint8Array) =>
  Buffer.concat([Uint8Array.of((outer << 3) | 2, ...varint(inner.length)), inner])

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
}

test('frames of countless tiny fields are refused from their bytes', () => {
  const fill = (...pattern: number[]) =>
    Uint8Array.from({ length: maxFrameBytes - 16 }, (_, index) => pattern[index % pattern.length] ?? 0)
  const field = (number: number) => (number << 3) | 2
  for (const [decode, frame] of [
    [decodeSync, wrapped(4, fill(field(2), 0))],
    [decodeSync, wrapped(9, wrapped(4, fill(4 << 3, 1)))],
    [decodeSync, wrapped(10, wrapped(3, wrapped(4, fill(1))))],
    [decodeSync, wrapped(3, wrapped(3, fill(1)))],
    [decodeSync, wrapped(3, fill(3 << 3, 1))],
    [decodeSync, fill(field(7), 0)],
    [decodeSync, fill(field(15), 0)],
    [decodeGreeting, wrapped(1, fill(field(3), 0))],
    [decodeGreeting, wrapped(1, fill(1 << 3, 1))],
    [decodeAnswer, fill(field(1), 0)],
  ] as const)
    refuses(decode, frame)
})

test('what is too long, does not fit together, or is out of order is refused', () => {
  const query = { type: 'query' as const, id: 1, salt: bytes(8), documents: 1 }
  const node = { kind: 'node' as const, place: root, present: 1, hashes: bytes(8) }
  const bucket = { kind: 'bucket' as const, place: root, hashes: bytes(8) }
  for (const wrong of [
    { ...query, parts: [], salt: bytes(7) },
    { ...query, parts: [{ ...node, present: 3 }] },
    { ...query, parts: [{ ...node, present: 0, hashes: bytes(0) }] },
    { ...query, parts: [{ ...node, place: below(deep, 1) }] },
    { ...query, parts: [{ ...node, place: { ...deep, depth: 3 } }] },
    { ...query, parts: [{ ...bucket, place: { depth: 17, high: 0, low: 0 } }] },
    { ...query, parts: [{ ...bucket, place: { depth: 0, high: 1, low: 0 } }] },
    { ...query, parts: [{ ...bucket, hashes: bytes(65 * 8) }] },
    { ...query, parts: Array.from({ length: 17 }, () => node) },
    { ...query, parts: Array.from({ length: 257 }, () => bucket) },
    { ...query, parts: Array.from({ length: 257 }, () => ({ ...bucket, kind: 'lacking' as const })) },
    { type: 'answer' as const, id: 1, documents: 1, parts: Array.from({ length: 513 }, () => node), isBusy: false },
    { type: 'manifest' as const, manifest: bytes(140_000) },
    { type: 'beat' as const, clock: 8.7e15, usedPercent: 0 },
    { type: 'linked' as const, lives: new Map([['12D3KooWnobody' as ServerId, 1]]) },
  ])
    refuses(decodeSync, encodeSync(wrong))
  for (const durability of [{ replicated: 0 }, { replicated: 17 }, { replicated: 1, timeoutMs: 30_001 }])
    refuses(decodeRequest, encodeRequest({ command: { method: 'pn.update', params: {}, durability }, timeoutMs: 1 }))
  // One log, two lengths.
  const have = encodeSync({ type: 'have', document, heads: [{ log, length: 5, hash: bytes(32) }], purpose: 'ask' })
  const at = have.indexOf(0x1a, 2 + document.length)
  refuses(decodeSync, Buffer.concat([have.subarray(0, at), Uint8Array.of(0x1a, 2, 5), have.subarray(at + 3)]))
})

test('JSON that is too long is refused before it is sent', () => {
  refuses(() => encodeAnswer({ ok: true, value: 'x'.repeat(maxJsonBytes) }), bytes(0))
})

test.run()
