import { fromBinary } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import { asDocumentId } from '../document/names.ts'
import { type DocumentId, InvalidName, type ServerId, serverId } from '../ports/names.ts'
import { checkShape, MalformedFrame, type Shape } from './frame-shape.ts'

/*
 * What all frames of wire.proto have in common: they are bounded before anything is built from them, and ids in them are ids.
 */

/** Checks bounds, then decodes. @throws {MalformedFrame} */
export function decoded<T extends { readonly $typeName: string }>(
  schema: GenMessage<T>,
  expected: Shape,
  frame: Uint8Array,
): T {
  checkShape(frame, expected)
  try {
    return fromBinary(schema, frame, { readUnknownFields: false }) as T
  } catch (error) {
    throw new MalformedFrame(`The frame cannot be read (${error instanceof Error ? error.message : error}).`)
  }
}

export const documentFrom = (text: string): DocumentId => named(text, asDocumentId)
export const serverFrom = (text: string): ServerId => named(text, serverId)

function named<T>(text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof InvalidName) throw new MalformedFrame(error.message)
    throw error
  }
}

export function timeFrom(ms: bigint): number {
  if (ms > 8_640_000_000_000_000n) throw new MalformedFrame('The time is beyond all calendars.')
  return Number(ms)
}
