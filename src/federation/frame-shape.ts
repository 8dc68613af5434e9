import { BinaryReader, WireType } from '@bufbuild/protobuf/wire'

/*
 * The shape that a protobuf message may have, checked on its bytes in one linear pass that builds nothing. A decoder
 * without it turns a frame of two-byte fields into half a million objects before anybody can count them.
 */

/** Bytes that are not such a message. The message says what is wrong with them. */
export class MalformedFrame extends Error {
  override readonly name = 'MalformedFrame'
}

/** What a field may have. `most`: how often it may stand; without it, once. */
export type FieldShape =
  | { readonly kind: 'number'; readonly most?: number }
  | { readonly kind: 'bytes'; readonly most?: number; readonly maxBytes: number }
  | { readonly kind: 'message'; readonly shape: Shape }

/** Field number → what it may have. A field that is not named may not stand. */
export type Shape = ReadonlyMap<number, FieldShape>

export const number = (most = 1): FieldShape => ({ kind: 'number', most })
export const bytes = (maxBytes: number, most = 1): FieldShape => ({ kind: 'bytes', maxBytes, most })
export const message = (...fields: readonly [field: number, shape: FieldShape][]): FieldShape => ({
  kind: 'message',
  shape: new Map(fields),
})
export const shape = (...fields: readonly [field: number, shape: FieldShape][]): Shape => new Map(fields)

/** @throws {MalformedFrame} */
export function checkShape(frame: Uint8Array, expected: Shape): void {
  const counts = new Map<number, number>()
  const reader = new BinaryReader(frame)
  try {
    while (reader.pos < reader.len) {
      const [field, type] = reader.tag()
      const rule = expected.get(field)
      if (!rule) throw new MalformedFrame(`Field ${field} does not belong there.`)
      const count = (counts.get(field) ?? 0) + checkField(reader, field, type, rule)
      counts.set(field, count)
      const most = rule.kind === 'message' ? 1 : (rule.most ?? 1)
      if (count > most) throw new MalformedFrame(`Field ${field} stands more than ${most} times.`)
    }
    if (reader.pos > reader.len) throw new MalformedFrame('The frame ends within a field.')
  } catch (error) {
    if (error instanceof MalformedFrame) throw error
    throw new MalformedFrame(`The frame cannot be read (${error instanceof Error ? error.message : error}).`)
  }
}

/** Checks one field and passes over it. Returns how many values it has: packed numbers are several. */
function checkField(reader: BinaryReader, field: number, type: WireType, rule: FieldShape): number {
  if (type === WireType.Varint && rule.kind === 'number') {
    reader.skip(type)
    return 1
  }
  if (type !== WireType.LengthDelimited) throw new MalformedFrame(`Field ${field} has the wrong type ${type}.`)
  const content = reader.bytes()
  if (rule.kind === 'number') return packedCount(content)
  if (rule.kind === 'message') checkShape(content, rule.shape)
  else if (content.length > rule.maxBytes) {
    throw new MalformedFrame(`Field ${field} has ${content.length} bytes, more than ${rule.maxBytes}.`)
  }
  return 1
}

/** Each number ends with the one byte that has no high bit. */
function packedCount(content: Uint8Array): number {
  let count = 0
  for (const byte of content) if (byte < 0x80) count++
  return count
}
