import * as encoding from 'lib0/encoding'

/*
 * Writes Yjs updates (V1) piece by piece, as no Yjs would: each piece is bytes, so any of them can be a lie.
 */

export type Piece = Uint8Array | number | readonly Piece[]

/** Pieces one after the other; a number is written as a varint. */
export function bytes(...pieces: readonly Piece[]): Uint8Array {
  const encoder = encoding.createEncoder()
  write(encoder, pieces)
  return encoding.toUint8Array(encoder)
}

function write(encoder: encoding.Encoder, piece: Piece): void {
  if (typeof piece === 'number') encoding.writeVarUint(encoder, piece)
  else if (piece instanceof Uint8Array) encoding.writeUint8Array(encoder, piece)
  else for (const part of piece) write(encoder, part)
}

export const raw = (...values: readonly number[]): Uint8Array => Uint8Array.from(values)

export const text = (content: string): Uint8Array => {
  const encoder = encoding.createEncoder()
  encoding.writeVarString(encoder, content)
  return encoding.toUint8Array(encoder)
}

/** lib0's "any" encoding of whatever it can encode, JSON or not. */
export function anyOf(content: unknown): Uint8Array {
  const encoder = encoding.createEncoder()
  encoding.writeAny(encoder, content as Parameters<typeof encoding.writeAny>[1])
  return encoding.toUint8Array(encoder)
}

/** As long as every server's id. */
export const someServer = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'

/** A register as it stands in an item: the length of the content, then the content. */
export const register = (
  value: unknown = 1,
  stamp: unknown = 1_700_000_000_000,
  server: unknown = someServer,
): Piece => [1, anyOf([stamp, server, value])]

/** An item that is the first of its key. */
export const first = (root: string, key: string, content: Piece = register()): Piece => [
  raw(0x28),
  1,
  text(root),
  text(key),
  content,
]

/** An item that follows another of its key. */
export const next = (client: number, origin: number, content: Piece = register()): Piece => [
  raw(0xa8),
  client,
  origin,
  content,
]

export const section = (client: number, clock: number, items: readonly Piece[]): Piece => [
  items.length,
  client,
  clock,
  ...items,
]

export const deletes = (client: number, ...ranges: readonly (readonly [from: number, length: number])[]): Piece => [
  1,
  client,
  ranges.length,
  ...ranges,
]

export const noDeletes: Piece = 0

/** An update of one client. */
export const update = (
  client: number,
  clock: number,
  items: readonly Piece[],
  deleted: Piece = noDeletes,
): Uint8Array => bytes(1, section(client, clock, items), deleted)
