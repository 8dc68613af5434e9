import { createDecoder, type Decoder, hasContent, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding'
import {
  createEncoder,
  type Encoder,
  toUint8Array,
  writeVarString,
  writeVarUint,
  writeVarUint8Array,
} from 'lib0/encoding'

/*
 * The y-protocol messages of binary frames, as y-websocket has them, without its writing half. At `/v1/client` each
 * frame begins with the channel as a variable-length integer; at `/v1/documents` it does not.
 */

const sync = 0
const awareness = 1
const auth = 2
const queryAwareness = 3

const step1 = 0
const step2 = 1
const update = 2
const permissionDenied = 0

/** A Yjs update without content: no structs, no deletions. */
const emptyUpdateBytes = 2
/** Clients that may have written to a document, each a log: far more than a document ever has. */
const maxStateVectorClients = 10_000

export type YMessage =
  /** What the sender already has: asks for the rest. */
  | { readonly kind: 'step1'; readonly stateVector: Uint8Array }
  /** Content: the answer to `step1`, or a later change. */
  | { readonly kind: 'step2' | 'update'; readonly update: Uint8Array }
  | { readonly kind: 'denied'; readonly reason: string }
  /** Presence, or the question for it: it has no meaning here. */
  | { readonly kind: 'awareness' }

/** Whether an update says anything at all. */
export const hasChanges = (bytes: Uint8Array): boolean =>
  bytes.length !== emptyUpdateBytes || bytes.some(byte => byte !== 0)

/** `undefined` for bytes that are no message. */
export function parseMessage(bytes: Uint8Array): YMessage | undefined {
  try {
    const decoder = createDecoder(bytes)
    const message = messageOf(decoder)
    return message && !hasContent(decoder) ? message : undefined
  } catch {
    return undefined // the bytes end in the middle of something
  }
}

function messageOf(decoder: Decoder): YMessage | undefined {
  switch (readVarUint(decoder)) {
    case sync:
      return syncMessageOf(decoder)
    case awareness:
      readVarUint8Array(decoder)
      return { kind: 'awareness' }
    case queryAwareness:
      return { kind: 'awareness' }
    case auth:
      return readVarUint(decoder) === permissionDenied ? { kind: 'denied', reason: readVarString(decoder) } : undefined
    default:
      return undefined
  }
}

function syncMessageOf(decoder: Decoder): YMessage | undefined {
  switch (readVarUint(decoder)) {
    case step1: {
      const stateVector = readVarUint8Array(decoder)
      return isStateVector(stateVector) ? { kind: 'step1', stateVector } : undefined
    }
    case step2:
      return { kind: 'step2', update: readVarUint8Array(decoder) }
    case update:
      return { kind: 'update', update: readVarUint8Array(decoder) }
    default:
      return undefined
  }
}

/** Yjs itself takes a state vector on trust. @throws when the bytes end too early. */
function isStateVector(bytes: Uint8Array): boolean {
  const decoder = createDecoder(bytes)
  const clients = readVarUint(decoder)
  if (clients > maxStateVectorClients) return false
  for (let client = 0; client < clients; client++) {
    readVarUint(decoder)
    readVarUint(decoder)
  }
  return !hasContent(decoder)
}

/** The channel that a frame begins with, and the message after it. */
export function parseChannelFrame(
  frame: Uint8Array,
): { readonly channel: number; readonly message: YMessage } | undefined {
  try {
    const decoder = createDecoder(frame)
    const channel = readVarUint(decoder)
    const message = parseMessage(frame.subarray(decoder.pos))
    return message && { channel, message }
  } catch {
    return undefined
  }
}

/** A message, with the channel before it if there is one. */
export const encodeMessage = (message: YMessage, channel?: number): Uint8Array =>
  encoded(encoder => {
    if (channel !== undefined) writeVarUint(encoder, channel)
    writeMessage(encoder, message)
  })

function writeMessage(encoder: Encoder, message: YMessage): void {
  switch (message.kind) {
    case 'step1':
      writeVarUint(encoder, sync)
      writeVarUint(encoder, step1)
      writeVarUint8Array(encoder, message.stateVector)
      return
    case 'step2':
    case 'update':
      writeVarUint(encoder, sync)
      writeVarUint(encoder, message.kind === 'step2' ? step2 : update)
      writeVarUint8Array(encoder, message.update)
      return
    case 'denied':
      writeVarUint(encoder, auth)
      writeVarUint(encoder, permissionDenied)
      writeVarString(encoder, message.reason)
      return
    case 'awareness':
      // An awareness update of nobody: a message that every client reads and none is changed by.
      writeVarUint(encoder, awareness)
      writeVarUint8Array(encoder, Uint8Array.of(0))
  }
}

/** One update for many readers, encoded once: with its channel, and without. */
export interface SharedFrame {
  readonly withChannel: Uint8Array
  /** The same bytes, less the channel. */
  readonly bare: Uint8Array
}

export function encodeShared(update: Uint8Array, channel: number): SharedFrame {
  const withChannel = encodeMessage({ kind: 'update', update }, channel)
  const prefixBytes = encoded(encoder => writeVarUint(encoder, channel)).length
  return { withChannel, bare: withChannel.subarray(prefixBytes) }
}

function encoded(write: (encoder: Encoder) => void): Uint8Array {
  const encoder = createEncoder()
  write(encoder)
  return toUint8Array(encoder)
}
