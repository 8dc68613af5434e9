import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { type StoredObject, sizeOf, storedObject } from '../../../src/storage/objects.ts'

/* Stored objects of every kind, with values that are meant to break out of wherever they are put. */

export interface Sample {
  readonly object: StoredObject
  readonly folder?: string
  readonly media: readonly Uint8Array[]
}

const hostile = fc.constantFrom(
  'From me',
  '>From me',
  '=?utf-8?B?AAAA?=',
  '=?x',
  '--=_cpns_',
  '"; x="y',
  'a  b',
  '日本語のとても長い題名'.repeat(8),
  'x'.repeat(400),
  '; id=other',
  '%0d%0a',
  '\u2028Bcc: x@y.example',
  'Ende ',
  ' Anfang',
  '👩‍👩‍👧‍👦',
)
const line = (maxLength: number) =>
  fc
    .oneof(
      hostile,
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 80 }),
      fc.string({ unit: 'binary', minLength: 1 }),
    )
    .map(text =>
      text
        .replace(/\p{Cc}/gu, '·')
        .slice(0, maxLength)
        .toWellFormed(),
    )
const address = fc.constantFrom(
  'tel:+4930123456',
  'sip:alice@a.example',
  'bob@b.example',
  '=?utf-8?q?x?=@a.example',
  "o'neil+tag@b.example",
)
const text = fc.oneof(
  hostile,
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.string({ unit: 'binary', maxLength: 100 }).map(value => value.toWellFormed()),
  fc
    .array(
      fc.constantFrom('From me\n', '>From you\n', '\n', '.\n', '--=_cpns_x\n', '\r\n', '\r', ' ', '\t\n', '= \n', 'ü'),
      {
        maxLength: 12,
      },
    )
    .map(pieces => pieces.join('')),
)
const id = fc.stringMatching(/^[A-Za-z0-9_-]{22}$/)
const name = fc.record({
  container: fc.constantFrom('c-lunch-2026', 'h-abc', 'f-keep', 'c-a~b@c+d'),
  part: fc.nat({ max: 999_999_999 }),
  id,
})
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc.integer({ min: 1, max: 90_000 }).map(length => new Uint8Array(length).fill(length % 251)),
)
const time = fc.oneof(fc.nat({ max: 4_000_000_000_000 }), fc.constantFrom(0, 8.64e15))
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

const anyLink = fc.oneof(
  fc
    .record({ to: fc.constant('object' as const), operator: fc.constant('b.example'), user: fc.constant('u-1') })
    .chain(link => name.map(of => ({ ...link, ...of }))),
  fc.constant({ to: 'conversation' as const, operator: 'b.example', user: 'u-1', container: 'c-x' }),
)
const session = fc.record({
  kind: fc.constantFrom('1-1', 'Ad-Hoc'),
  participants: fc.array(address, { maxLength: 5 }),
  started: time,
})
const groupState = fc.record({
  timestamp: time,
  lastFocusSessionId: line(255),
  kind: fc.constantFrom('Closed', 'Open'),
  participants: fc.array(fc.record({ name: line(128), address }), { maxLength: 5 }),
})

/** Each with its media, of which every hash is right. */
export const anySample: fc.Arbitrary<Sample> = fc
  .record({
    name,
    said: fc.record({
      type: fc.constantFrom('message', 'file-transfer', 'session-info', 'group-state', 'media'),
      direction: fc.constantFrom('in', 'out'),
      date: time,
      stored: time,
      from: address,
      to: fc.array(address, { maxLength: 12 }),
      subject: maybe(line(512)),
      conversationId: line(128),
      contributionId: maybe(line(128)),
      inReplyToContributionId: maybe(line(128)),
      imdnMessageId: maybe(line(128)),
      context: maybe(line(64)),
      correlator: maybe(line(512)),
      contentType: fc.constantFrom('text/plain', 'text/html', 'multipart/mixed', 'application/x-cpm-session'),
      text: maybe(text),
      link: maybe(anyLink),
      copyOf: maybe(id),
    }),
    session,
    groupState,
    flags: fc.subarray([
      '\\Seen',
      '\\Answered',
      '\\Flagged',
      '\\Deleted',
      '\\Draft',
      '$Forwarded',
      '$MDNSent',
      '\\read-report-sent',
    ]),
    media: fc.array(
      fc.record({ bytes, type: fc.constantFrom('image/png', 'message/rfc822', 'text/plain'), name: maybe(line(255)) }),
      {
        maxLength: 3,
      },
    ),
    folder: maybe(line(128)),
  })
  .map(({ name, said, session, groupState, flags, media, folder }) => {
    const refs = media.map(({ bytes, type, name }) => {
      const hash = createHash('sha256').update(bytes).digest('base64url')
      return { hash, size: bytes.length, type, ...(name !== undefined && { name }) }
    })
    const content = { ...(said.text !== undefined && { text: said.text }), ...(refs.length > 0 && { media: refs }) }
    const object = storedObject.parse(
      Object.fromEntries(
        Object.entries({
          ...name,
          ...said,
          ...content,
          flags,
          size: sizeOf(content),
          ...(said.type === 'session-info' && { session }),
          ...(said.type === 'group-state' && { groupState }),
        }).filter(([, value]) => value !== undefined),
      ),
    )
    return { object, ...(folder !== undefined && { folder }), media: media.map(({ bytes }) => bytes) }
  })
