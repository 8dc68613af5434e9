import { createDecoder, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding'
import {
  createEncoder,
  toUint8Array,
  writeUint8Array,
  writeVarString,
  writeVarUint,
  writeVarUint8Array,
} from 'lib0/encoding'
import { Doc, encodeStateVector } from 'yjs'

/* The words of the y-protocol that a client needs; hocuspocus has the document's name before each. */

export const sync = 0
export const step1 = 0
export const step2 = 1
export const update = 2
const authentication = 2
const token = 0
/** Of hocuspocus: an update was taken. */
export const syncStatus = 8

export function message(of: number, bytes: Uint8Array, prefix = ''): Uint8Array {
  const encoder = createEncoder()
  if (prefix !== '') writeVarString(encoder, prefix)
  writeVarUint(encoder, sync)
  writeVarUint(encoder, of)
  writeVarUint8Array(encoder, bytes)
  return toUint8Array(encoder)
}

const nothing = encodeStateVector(new Doc())

/** Of a client that has nothing yet. */
export const firstStep = message(step1, nothing)
export const firstStepOf = (room: string): Uint8Array => message(step1, nothing, room)

/** On a channel of a session of this server. */
export function firstStepOn(channel: number): Uint8Array {
  const encoder = createEncoder()
  writeVarUint(encoder, channel)
  writeUint8Array(encoder, firstStep)
  return toUint8Array(encoder)
}

/** What hocuspocus wants to hear first; no token is asked for, so any is good. */
export function hocuspocusProof(room: string): Uint8Array {
  const encoder = createEncoder()
  writeVarString(encoder, room)
  writeVarUint(encoder, authentication)
  writeVarUint(encoder, token)
  writeVarString(encoder, '')
  writeVarString(encoder, '4.7.0')
  return toUint8Array(encoder)
}

export interface YMessage {
  readonly type: number
  /** Of a message of synchronisation. */
  readonly step?: number
  readonly bytes?: Uint8Array
}

/** @param hasName whether the document's name stands before it */
export function read(frame: Uint8Array, hasName: boolean): YMessage {
  const decoder = createDecoder(frame)
  if (hasName) readVarString(decoder)
  const type = readVarUint(decoder)
  return type === sync ? { type, step: readVarUint(decoder), bytes: readVarUint8Array(decoder) } : { type }
}
