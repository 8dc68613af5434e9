import { syncProtocol } from '../../federation/link.ts'
import { requestProtocol } from '../../federation/requests.ts'
import type { Packet } from '../packet.ts'
import type { TrafficClass } from './run-data.ts'

/*
 * What a packet is sent for, told from its bytes alone: fields of wire.proto and entry.proto are counted where they lie, nothing
 * is decoded. It is asked for every packet of a run.
 */

/** Fields of `Sync`, by wire.proto. */
const syncKinds = ['', '', '', 'have', 'entries', 'manifest', 'beat', 'behind', 'linked', 'query', 'answer'] as const
export type SyncKind = Exclude<(typeof syncKinds)[number], ''>

const havePurpose = 6
const receipt = 0
const entriesField = 2
const signedEntry = 1
const entryUpdate = 6

/** One field of a protobuf message: where its content lies, or, of a number, its value. */
type Visit = (field: number, from: number, to: number, value: number) => void

/** The fields of the message in `bytes[from, to)`. Whatever is no protobuf ends it. */
function visit(bytes: Uint8Array, from: number, to: number, seen: Visit): void {
  let at = from
  const varint = (): number => {
    let value = 0
    for (let scale = 1; at < to; scale *= 128) {
      const byte = bytes[at++] ?? 0
      value += (byte & 0x7f) * scale
      if (byte < 0x80) break
    }
    return value
  }
  while (at < to) {
    const tag = varint()
    const value = varint()
    if ((tag & 7) === 0) seen(tag >>> 3, at, at, value)
    else if ((tag & 7) === 2) {
      seen(tag >>> 3, at, Math.min(to, at + value), value)
      at += value
    } else return
  }
}

/** What a frame of `/cpns/sync/1` is. */
export function syncKindOf(frame: Uint8Array): SyncKind | undefined {
  const kind = syncKinds[(frame[0] ?? 0) >>> 3]
  return kind === '' ? undefined : kind
}

/** Bytes of updates inside of a frame of entries. */
function updateBytes(frame: Uint8Array): number {
  let bytes = 0
  visit(frame, 0, frame.length, (_, from, to) => {
    visit(frame, from, to, (field, entryFrom, entryTo) => {
      if (field !== entriesField) return
      visit(frame, entryFrom, entryTo, (part, partFrom, partTo) => {
        if (part !== signedEntry) return
        visit(frame, partFrom, partTo, (inner, _from, _to, length) => {
          if (inner === entryUpdate) bytes += length
        })
      })
    })
  })
  return bytes
}

function isReceipt(frame: Uint8Array): boolean {
  let purpose = receipt
  visit(frame, 0, frame.length, (_, from, to) => {
    visit(frame, from, to, (field, _from, _to, value) => {
      if (field === havePurpose) purpose = value
    })
  })
  return purpose === receipt
}

/** Adds the packet's bytes to the classes that they belong to. */
export function account({ channel, about, bytes, frame }: Packet, into: Record<TrafficClass, number>): void {
  if (channel === 'client') into.clients += bytes
  else if (about === requestProtocol) into.requests += bytes
  else if (about !== syncProtocol || !(frame instanceof Uint8Array)) into.metadata += bytes
  else accountSync(frame, bytes, into)
}

function accountSync(frame: Uint8Array, bytes: number, into: Record<TrafficClass, number>): void {
  switch (syncKindOf(frame)) {
    case 'entries': {
      const payload = updateBytes(frame)
      into.payload += payload
      into.metadata += bytes - payload
      break
    }
    case 'query':
    case 'answer':
    case 'behind':
      into.reconciliation += bytes
      break
    case 'have':
      into[isReceipt(frame) ? 'metadata' : 'reconciliation'] += bytes
      break
    default:
      into.metadata += bytes
  }
}
