import { create, fromBinary, toBinary } from '@bufbuild/protobuf'
import { base64url } from 'multiformats/bases/base64'
import { isSegment } from '../document/names.ts'
import { isMediaHash, type MediaFacts, type MediaName } from '../ports/media-store.ts'
import { isOperatorId } from '../ports/names.ts'
import { checkShape, MalformedFrame } from './frame-shape.ts'
import { MediaSchema } from './wire_pb.ts'
import { mediaShape } from './wire-shapes.ts'

/*
 * The frames of /cpns/media/1 as values that the rest can trust.
 */

export { maxMediaChunkBytes } from './wire-shapes.ts'

export type MediaFrame =
  | { readonly type: 'wanted'; readonly name: MediaName }
  | { readonly type: 'found'; readonly facts: MediaFacts }
  | { readonly type: 'from'; readonly from: number }
  | { readonly type: 'chunk'; readonly chunk: Uint8Array }
  | { readonly type: 'refusal'; readonly status: number; readonly cause: string; readonly message: string }

export function encodeMedia(frame: MediaFrame): Uint8Array {
  return toBinary(MediaSchema, create(MediaSchema, { content: contentOf(frame) }))
}

function contentOf(frame: MediaFrame) {
  switch (frame.type) {
    case 'wanted': {
      const { operator, user, hash } = frame.name
      return { case: 'wanted' as const, value: { operator, user, hash: base64url.baseDecode(hash) } }
    }
    case 'found':
      return { case: 'found' as const, value: { size: BigInt(frame.facts.size), type: frame.facts.type } }
    case 'from':
      return { case: 'from' as const, value: BigInt(frame.from) }
    case 'chunk':
      return { case: 'chunk' as const, value: frame.chunk }
    case 'refusal': {
      const { status, cause, message } = frame
      return { case: 'refusal' as const, value: { status, cause: cause.slice(0, 64), message: message.slice(0, 512) } }
    }
  }
}

/** @throws {MalformedFrame} */
export function decodeMedia(bytes: Uint8Array): MediaFrame {
  checkShape(bytes, mediaShape)
  const { content } = decoded(bytes)
  switch (content.case) {
    case 'wanted': {
      const { operator, user } = content.value
      const hash = base64url.baseEncode(content.value.hash)
      if (!isOperatorId(operator) || !isSegment(user) || !isMediaHash(hash))
        throw new MalformedFrame('What is wanted is no media.')
      return { type: 'wanted', name: { operator, user, hash } }
    }
    case 'found': {
      const { size, type } = content.value
      if (!/^[\x21-\x7e]+$/.test(type)) throw new MalformedFrame('The type of the media is none.')
      return { type: 'found', facts: { size: numberOf(size), type } }
    }
    case 'from':
      return { type: 'from', from: numberOf(content.value) }
    case 'chunk':
      return { type: 'chunk', chunk: content.value }
    case 'refusal': {
      const { status, cause, message } = content.value
      return { type: 'refusal', status, cause, message }
    }
    case undefined:
      throw new MalformedFrame('The message says nothing.')
  }
}

function decoded(bytes: Uint8Array) {
  try {
    return fromBinary(MediaSchema, bytes, { readUnknownFields: false })
  } catch (error) {
    throw new MalformedFrame(`The frame cannot be read (${error instanceof Error ? error.message : error}).`)
  }
}

function numberOf(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new MalformedFrame('The number is beyond all sizes.')
  return Number(value)
}
