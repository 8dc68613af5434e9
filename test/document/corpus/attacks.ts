import { convertUpdateFormatV1ToV2 } from 'yjs'
import type { GuardRefusal } from '../../../src/document/guard.ts'
import { type Scene, sceneAfter } from './applied.ts'
import { HonestWriter, otherLogs, ownLog } from './honest.ts'
import {
  anyOf,
  bytes,
  deletes,
  first,
  next,
  noDeletes,
  type Piece,
  raw,
  register,
  section,
  someServer,
  text,
  update,
} from './update.ts'

/*
 * Updates that a hostile operator could sign. Each names the rule that stops it; where several would, the first to be met.
 * Together they hold at least one update per rule that no other rule stops, which guard.test.ts proves by leaving each out.
 */

export interface Attack {
  readonly name: string
  readonly update: Uint8Array
  readonly refusal: GuardRefusal
  /** Whether only the log's history shows it: it passes when it comes in, and is stopped before it is applied. */
  readonly needsHistory?: true
}

const { root, clientId } = ownLog
const victim = otherLogs[0]?.clientId as number

/** Before every attack the log has honestly written a, b, c at clocks 0–2 and then a again at clock 3. */
const writer = new HonestWriter()
const honestUpdates = [
  writer.commit(['a', 'b', 'c'].map(key => ({ key, stamp: 1, value: key }))),
  writer.commit([{ key: 'a', stamp: 2, value: { again: [1, 2.5, -3, 'ü', null, true] } }]),
]
const clock = 4
export const attackScene: Scene = sceneAfter(honestUpdates, clock)

/** An honest continuation of the scene, for attacks that spoil one. */
export const honestContinuation = writer.commit([
  { key: 'a', stamp: 3, value: 'größe' },
  { key: 'b', stamp: 3, value: [{}, [], -0, 1e300, 2 ** 40] },
  { key: 'd', stamp: 3, value: false },
])

const times = <T>(count: number, make: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => make(index))
const own = (...items: readonly Piece[]): Uint8Array => update(clientId, clock, items)
const keyed = (content: Piece): Uint8Array => own(first(root, 'd', content))
const valued = (value: Piece): Uint8Array => keyed([1, raw(117), 3, anyOf(1), anyOf(someServer), value])
const nestedArrays = (depth: number): Piece => [times(depth - 1, () => raw(117, 1)), raw(117, 0)]
const textOfBytes = (...content: readonly number[]): Piece => [content.length, raw(...content)]

function littleFloat(value: number, size: 4 | 8): Piece {
  const view = new DataView(new ArrayBuffer(size))
  if (size === 4) view.setFloat32(0, value)
  else view.setFloat64(0, value)
  return [raw(size === 4 ? 124 : 123), new Uint8Array(view.buffer)]
}

const wrongContents: readonly (readonly [name: string, item: Piece])[] = [
  ['a GC struct that swallows a billion clocks', [raw(0), 1e9]],
  ['a GC struct that reads on like an item', [raw(0), register()]],
  ['a Skip struct', [raw(10), 5]],
  ['deleted content', [raw(0x21), 1, text(root), text('d'), 1]],
  ['deleted content after another', [raw(0xa1), clientId, 3, 2 ** 40]],
  ['JSON content', [raw(0x22), 1, text(root), text('d'), 1, text('1')]],
  ['binary content', [raw(0x23), 1, text(root), text('d'), 2, raw(1, 2)]],
  ['string content in a list', [raw(0x04), 1, text(root), text('hello')]],
  ['an embed', [raw(0x25), 1, text(root), text('d'), text('{}')]],
  ['a format mark', [raw(0x26), 1, text(root), text('bold'), text('true')]],
  ['a nested map', [raw(0x27), 1, text(root), text('d'), 1]],
  ['a subdocument', [raw(0x29), 1, text(root), text('d'), text('guid'), anyOf({})]],
  ['content of a kind that does not exist', [raw(0x3f), 1, text(root), text('d'), 1]],
  ['an element of a list, not of a map', [raw(0x08), 1, text(root), register()]],
  ['an item with a right origin', [raw(0x68), clientId, 3, register()]],
  ['an item with both origins', [raw(0xe8), clientId, 3, clientId, 3, register()]],
  ['an item that claims no key after one that has', [raw(0x88), clientId, 3, register()]],
]

const broken: readonly (readonly [name: string, content: readonly number[]])[] = [
  ['a stray continuation byte', [0x61, 0x80]],
  ['a surrogate', [0xed, 0xa0, 0x80]],
  ['an overlong zero', [0xc0, 0x80]],
  ['half a character', [0xe2, 0x82]],
  ['a code point beyond Unicode', [0xf4, 0x90, 0x80, 0x80]],
]

const attack = (name: string, refusal: GuardRefusal, bytesOf: Uint8Array): Attack => ({
  name,
  refusal,
  update: bytesOf,
})

export const attacks: readonly Attack[] = [
  // Of the update as a whole
  attack('nothing at all', 'truncated', raw()),
  ...times(honestContinuation.length, length =>
    attack(`an honest update cut after ${length} bytes`, 'truncated', honestContinuation.slice(0, length)),
  ),
  attack('32 million structs claimed in few bytes', 'truncated', bytes(1, 2 ** 25, clientId, clock)),
  attack('more than 256 KiB', 'is too large', keyed(register('x'.repeat(256 * 1024)))),
  attack('no client and no deletes', 'of several clients', bytes(0, 0)),
  attack(
    'a client that is claimed not to be there',
    'of several clients',
    bytes(0, section(clientId, clock, [first(root, 'd')]), 0),
  ),
  attack(
    'two clients',
    'of several clients',
    bytes(2, section(clientId, clock, [first(root, 'd')]), section(victim, 3, [first(root, 'e')]), 0),
  ),
  attack(
    'two clients claimed, one there',
    'of several clients',
    bytes(2, section(clientId, clock, [first(root, 'd')]), 0),
  ),
  attack(
    '12,000 clients at one spot',
    'of several clients',
    bytes(
      12_000,
      times(12_000, client => section(client, 0, [first('x', 'd', [1, raw(126)])])),
      0,
    ),
  ),
  attack('a client without items', 'has no items', own()),
  attack('a byte left over', 'has bytes left over', bytes(honestContinuation, raw(0))),
  attack('an honest update twice over', 'has bytes left over', bytes(honestContinuation, honestContinuation)),
  attack('an honest update in format V2', 'of several clients', convertUpdateFormatV1ToV2(honestContinuation)),
  attack('two awareness states', 'of another client', bytes(1, 2, 7, 1, text('{"user":{}}'))),

  // Of the client and its clock
  attack('a GC struct over the victim’s future', 'of another client', update(victim, 0, [[raw(0), 1e9]])),
  attack('an item under another client', 'of another client', update(victim, clock, [first(root, 'd')])),
  attack(
    'an overwrite of another client’s item',
    'of another client',
    update(clientId, clock, [next(victim, 0)], deletes(clientId, [0, 1])),
  ),
  attack('an origin of a client nobody knows', 'of another client', own(next(99, 0))),
  attack('a clock that was used before', 'clock is not the next', update(clientId, clock - 1, [first(root, 'd')])),
  attack('the log’s beginning once more', 'clock is not the next', update(clientId, 0, [first(root, 'd')])),
  attack('a gap in the clocks', 'clock is not the next', update(clientId, clock + 1, [first(root, 'd')])),
  attack(
    'a clock at the end of what a number can hold',
    'clock is not the next',
    update(clientId, 2 ** 53 - 1, [first(root, 'd')]),
  ),
  attack(
    'a clock beyond 2^53',
    'number is out of range',
    bytes(1, 1, clientId, raw(0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20), first(root, 'd'), 0),
  ),
  attack(
    'a clock with a zero byte after it',
    'number is padded',
    bytes(1, 1, clientId, raw(0x84, 0x00), first(root, 'd'), 0),
  ),
  attack(
    'a count with a thousand zero bytes after it',
    'number is padded',
    bytes(raw(0x81, ...times(1_000, () => 0x80), 0x00), 1, clientId, clock, first(root, 'd'), 0),
  ),

  // Of an item's kind and place
  ...wrongContents.map(([name, item]) => attack(name, 'content is not ContentAny of length 1', own(item))),
  attack(
    '3,000 maps, one in the other',
    'content is not ContentAny of length 1',
    own(
      [raw(0x27), 1, text(root), text('d'), 1],
      ...times(2_999, depth => [raw(0x27), 0, clientId, clock + depth, text('d'), 1]),
    ),
  ),
  attack('content of length 0', 'content is not ContentAny of length 1', keyed([0, anyOf([1, someServer, 1])])),
  attack(
    'content of length 2, of which one is there',
    'content is not ContentAny of length 1',
    keyed([2, anyOf([1, someServer, 1])]),
  ),
  attack(
    'content of length 2',
    'content is not ContentAny of length 1',
    keyed([2, anyOf([1, someServer, 1]), anyOf([2, someServer, 2])]),
  ),
  attack('another log’s root', 'is not in the root of the log', own(first(otherLogs[0]?.root as string, 'd'))),
  attack('a root of nobody', 'is not in the root of the log', own(first('', 'd'))),
  attack('a root whose name begins alike', 'is not in the root of the log', own(first(`${root}A`, 'd'))),
  attack(
    '50,000 roots, all pending',
    'is too large',
    update(
      clientId,
      clock + 1,
      times(50_000, index => first(`r${index}`, 'd', [1, raw(126)])),
    ),
  ),
  attack(
    '2,000 roots',
    'is not in the root of the log',
    own(...times(2_000, index => first(`r${index}`, 'd', register(1, 1)))),
  ),
  attack(
    'a parent that is an item',
    'is not in the root of the log',
    own([raw(0x28), 0, clientId, 3, text('d'), register()]),
  ),
  attack(
    'a parent that is neither root nor item',
    'is not in the root of the log',
    own([raw(0x28), 2, text(root), text('d'), register()]),
  ),
  attack('a root that is no text', 'text is not UTF-8', own([raw(0x28), 1, textOfBytes(0xff), text('d'), register()])),

  // Of keys and origins
  attack('an empty key', 'key is not 1 to 1024 bytes', own(first(root, ''))),
  attack('a key of 1,025 bytes', 'key is not 1 to 1024 bytes', own(first(root, 'k'.repeat(1_025)))),
  attack('a key of 513 characters and 1,026 bytes', 'key is not 1 to 1024 bytes', own(first(root, 'ü'.repeat(513)))),
  attack('the key __proto__', 'name is __proto__', own(first(root, '__proto__'))),
  attack('one key twice', 'writes a key twice', own(first(root, 'd'), first(root, 'd'))),
  attack('one key 2,000 times', 'writes a key twice', own(...times(2_000, () => first(root, 'd', register(1, 1))))),
  attack(
    'one origin twice',
    'writes a key twice',
    update(clientId, clock, [next(clientId, 3), next(clientId, 3)], deletes(clientId, [3, 1])),
  ),
  attack(
    'an origin that is the item itself',
    'origin is not of an earlier update',
    update(clientId, clock, [next(clientId, clock)], deletes(clientId, [clock, 1])),
  ),
  attack(
    'an origin that comes later',
    'origin is not of an earlier update',
    update(clientId, clock, [next(clientId, clock + 1), first(root, 'd')], deletes(clientId, [clock + 1, 1])),
  ),
  attack(
    'an origin of the same update',
    'origin is not of an earlier update',
    update(clientId, clock, [first(root, 'd'), next(clientId, clock)], deletes(clientId, [clock, 1])),
  ),
  attack('an origin in the far future', 'origin is not of an earlier update', own(next(clientId, 2 ** 52))),
  {
    ...attack('a key that is there already', 'is not the first item of its key', own(first(root, 'b'))),
    needsHistory: true,
  },
  {
    ...attack(
      'a key that was overwritten',
      'is not the first item of its key',
      own(first(root, 'd'), first(root, 'a')),
    ),
    needsHistory: true,
  },
  {
    ...attack(
      'an origin that was overwritten',
      'is not after the last item of its key',
      update(clientId, clock, [next(clientId, 0)], deletes(clientId, [0, 1])),
    ),
    needsHistory: true,
  },

  // Of registers
  attack('a value without stamp and server', 'register is not [stamp, server, value]', keyed([1, anyOf('v')])),
  attack('a register of two', 'register is not [stamp, server, value]', keyed([1, anyOf([1, someServer])])),
  attack(
    'a register of two that claims three',
    'value is not JSON',
    keyed([1, raw(117), 3, anyOf(1), anyOf(someServer)]),
  ),
  attack(
    'a register of four that has three',
    'register is not [stamp, server, value]',
    keyed([1, raw(117), 4, anyOf(1), anyOf(someServer), anyOf(1)]),
  ),
  attack(
    'an object that reads on like a register',
    'register is not [stamp, server, value]',
    keyed([1, raw(118), 3, anyOf(1), anyOf(someServer), anyOf(1)]),
  ),
  attack(
    'a server that is an array of nothing',
    'register is not [stamp, server, value]',
    keyed([1, raw(117), 3, anyOf(1), raw(117), text(someServer), anyOf(1)]),
  ),
  attack('a server that is a number', 'register is not [stamp, server, value]', keyed(register(1, 1, 7))),
  attack('a server without a name', 'server is not 52 bytes', keyed(register(1, 1, ''))),
  attack('a server of 53 bytes', 'server is not 52 bytes', keyed(register(1, 1, 's'.repeat(53)))),
  attack('a server of 52 characters and 104 bytes', 'server is not 52 bytes', keyed(register(1, 1, 'ü'.repeat(52)))),
  ...[-1, 0.5, 8.64e15 + 2, 2 ** 53, Number.NaN, Number.POSITIVE_INFINITY, '1', null, [1], 1n].map(stamp =>
    attack(`the stamp ${typeof stamp} ${stamp}`, 'stamp is no time', keyed(register(1, stamp))),
  ),
  attack('a stamp of no type', 'stamp is no time', keyed([1, raw(117, 3), anyOf(someServer), anyOf(1)])),

  // Of values
  attack('undefined', 'value is not JSON', valued(anyOf(undefined))),
  attack('a bigint', 'value is not JSON', valued(anyOf(1n))),
  attack('bytes', 'value is not JSON', valued(anyOf(raw(1, 2, 3)))),
  attack('a type that does not exist', 'value is not JSON', valued(raw(0))),
  attack('undefined inside', 'value is not JSON', valued(anyOf({ a: [undefined] }))),
  ...[Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY].flatMap(value => [
    attack(`${value} as float32`, 'value is not JSON', valued(littleFloat(value, 4))),
    attack(`${value} as float64`, 'value is not JSON', valued(littleFloat(value, 8))),
  ]),
  attack(
    'an integer beyond 2^53',
    'number is out of range',
    valued(raw(125, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01)),
  ),
  attack(
    'an integer of a thousand digits',
    'number is out of range',
    valued(raw(125, ...times(1_000, () => 0xff), 0x01)),
  ),
  attack(
    'an integer that overflows to nothing',
    'number is out of range',
    valued(raw(125, 0x81, ...times(160, () => 0x80), 0x01)),
  ),
  attack('an integer with a zero byte after it', 'number is padded', valued(raw(125, 0x81, 0x00))),
  attack('17 arrays, one in the other', 'value nests too deep', valued(nestedArrays(17))),
  attack(
    '17 objects, one in the other',
    'value nests too deep',
    valued([times(16, () => [raw(118, 1), text('a')]), raw(118, 0)]),
  ),
  attack('10,000 arrays, one in the other', 'value nests too deep', valued(nestedArrays(10_000))),
  attack('an array of a billion, claimed in few bytes', 'value is not JSON', valued([raw(117), 1e9])),
  attack('an object of a billion members, claimed in few bytes', 'truncated', valued([raw(118), 1e9])),
  attack('a text of a billion bytes, claimed in few', 'truncated', valued([raw(119), 1e9])),
  attack(
    'the member __proto__',
    'name is __proto__',
    valued([raw(118, 1), text('__proto__'), anyOf({ isAdmin: true })]),
  ),
  attack(
    'the member __proto__ inside',
    'name is __proto__',
    valued([raw(117, 1, 118, 1), text('__proto__'), anyOf(null)]),
  ),
  ...broken.flatMap(([name, content]) => [
    attack(
      `${name} in a key`,
      'text is not UTF-8',
      own([raw(0x28), 1, text(root), textOfBytes(...content), register()]),
    ),
    attack(
      `${name} in a server`,
      'text is not UTF-8',
      keyed([1, raw(117, 3), anyOf(1), raw(119), textOfBytes(...content), anyOf(1)]),
    ),
    attack(`${name} in a value`, 'text is not UTF-8', valued([raw(119), textOfBytes(...content)])),
    attack(`${name} in a member`, 'text is not UTF-8', valued([raw(118, 1), textOfBytes(...content), anyOf(1)])),
  ]),

  // Of deletes
  attack(
    'deletes of another client',
    'of another client',
    update(clientId, clock, [first(root, 'd')], deletes(victim, [0, 1])),
  ),
  attack(
    'deletes of two clients',
    'of several clients',
    update(clientId, clock, [first(root, 'd')], [2, clientId, 1, 3, 1, victim, 1, 0, 1]),
  ),
  attack(
    'deletes of two clients that are not there',
    'of several clients',
    update(clientId, clock, [first(root, 'd')], 2),
  ),
  attack(
    '20,000 ranges for a client nobody knows',
    'of another client',
    update(clientId, clock, [first(root, 'd')], deletes(99, ...times(20_000, index => [2 * index, 1] as const))),
  ),
  attack(
    'a delete of a register that is not overwritten',
    'deletes what it does not overwrite',
    update(clientId, clock, [first(root, 'd')], deletes(clientId, [1, 1])),
  ),
  attack(
    'a delete of what it writes',
    'deletes what it does not overwrite',
    update(clientId, clock, [first(root, 'd')], deletes(clientId, [clock, 1])),
  ),
  attack(
    'a delete of more than it overwrites',
    'deletes what it does not overwrite',
    update(clientId, clock, [next(clientId, 1)], deletes(clientId, [1, 2])),
  ),
  attack(
    'a delete twice',
    'deletes are not sorted',
    update(clientId, clock, [next(clientId, 1)], deletes(clientId, [1, 1], [1, 1])),
  ),
  attack(
    'a delete of everything that ever will be',
    'deletes what it does not overwrite',
    update(clientId, clock, [next(clientId, 1)], deletes(clientId, [1, 2 ** 53 - 1])),
  ),
  attack(
    'an overwrite without its delete',
    'does not delete what it overwrites',
    update(clientId, clock, [next(clientId, 1)], noDeletes),
  ),
  attack(
    'deletes out of order',
    'deletes are not sorted',
    update(clientId, clock, [next(clientId, 1), next(clientId, 3)], deletes(clientId, [3, 1], [1, 1])),
  ),
  attack(
    'ranges that touch',
    'deletes are not sorted',
    update(clientId, clock, [next(clientId, 1), next(clientId, 2)], deletes(clientId, [1, 1], [2, 1])),
  ),
  attack('deletes of no range', 'deletes nothing', update(clientId, clock, [first(root, 'd')], deletes(clientId))),
  attack(
    'a range of nothing',
    'deletes nothing',
    update(clientId, clock, [first(root, 'd')], deletes(clientId, [1, 0])),
  ),
  attack(
    'a billion ranges claimed in few bytes',
    'truncated',
    update(clientId, clock, [next(clientId, 1)], [1, clientId, 1e9, 1, 1]),
  ),
]
