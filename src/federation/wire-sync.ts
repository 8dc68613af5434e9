import { create, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import { base64url } from 'multiformats/bases/base64'
import type { DocumentId, LogId, ServerId } from '../ports/names.ts'
import { entriesFrame } from './entries-frame.ts'
import { MalformedFrame } from './frame-shape.ts'
import type { Echo } from './peer-clock.ts'
import { type Answer, type Query, saltBytes } from './reconciliation/parts.ts'
import { assertQueried, partsFields, partsFrom } from './reconciliation/parts-wire.ts'
import { longestReductionMs, type Reduction } from './reductions.ts'
import {
  SyncSchema,
  type Entries as WireEntries,
  type Have as WireHave,
  type Linked as WireLinked,
  type Query as WireQuery,
} from './wire_pb.ts'
import { hashBytes, logBytes, syncShape } from './wire-shapes.ts'
import { decoded, documentFrom, serverFrom, timeFrom } from './wire-values.ts'

/*
 * The frames of /cpns/sync/1 as values that the rest can trust: ids are ids, columns fit, nothing is longer than allowed.
 */

/** What somebody holds of one log. */
export interface Head {
  readonly log: LogId
  readonly length: number
  readonly hash: Uint8Array
  readonly forked?: boolean
}

/** In the order of the numbers that stand for them. */
const purposes = ['receipt', 'ask', 'reply'] as const
export type Purpose = (typeof purposes)[number]

export interface Have {
  readonly type: 'have'
  readonly document: DocumentId
  readonly heads: readonly Head[]
  readonly purpose: Purpose
  /** See `manifests_after` in wire.proto. */
  readonly manifestsAfter?: number
}

export interface Entries {
  readonly type: 'entries'
  readonly document: DocumentId
  readonly entries: readonly Uint8Array[]
  /** Of the document's owner, if they were asked for. */
  readonly manifests?: readonly Uint8Array[]
}

const maxHeldMs = 2 ** 32 - 1

export type SyncMessage =
  | Query
  | Answer
  | Have
  | Entries
  | { readonly type: 'manifest'; readonly manifest: Uint8Array }
  | {
      readonly type: 'beat'
      readonly clock: number
      readonly usedPercent: number
      /** Left out: none is asked for. */
      readonly reduction?: Reduction
      /** Of the last beat that came; left out before the first. */
      readonly echo?: Echo
    }
  | { readonly type: 'behind' }
  /** See `Linked` in wire.proto. */
  | { readonly type: 'linked'; readonly lives: ReadonlyMap<ServerId, number> }

export function encodeSync(sync: SyncMessage): Uint8Array {
  if (sync.type === 'entries') return entriesFrame(sync)
  return toBinary(SyncSchema, create(SyncSchema, { content: syncFields(sync) }))
}

function syncFields(sync: Exclude<SyncMessage, Entries>): MessageInitShape<typeof SyncSchema>['content'] & object {
  switch (sync.type) {
    case 'query': {
      const { id, salt, documents, parts } = sync
      return { case: 'query', value: { id, salt, documents, parts: partsFields(parts) } }
    }
    case 'answer': {
      const { id, documents, parts, isBusy } = sync
      return { case: 'answer', value: { id, documents, parts: partsFields(parts), busy: isBusy } }
    }
    case 'have':
      return { case: 'have', value: haveFields(sync) }
    case 'manifest':
      return { case: 'manifest', value: sync.manifest }
    case 'beat':
      return {
        case: 'beat',
        value: {
          clockMs: BigInt(sync.clock),
          usedPercent: sync.usedPercent,
          reductionPercent: sync.reduction?.percent ?? 0,
          reductionValidMs: sync.reduction?.validMs ?? 0,
          echoClockMs: BigInt(sync.echo?.clockMs ?? 0),
          echoHeldMs: Math.min(maxHeldMs, Math.floor(sync.echo?.heldMs ?? 0)),
        },
      }
    case 'behind':
      return { case: 'behind', value: {} }
    case 'linked':
      return { case: 'linked', value: { servers: [...sync.lives.keys()], lives: [...sync.lives.values()] } }
  }
}

const haveFields = ({ document, heads, purpose, manifestsAfter }: Have) => ({
  document,
  logs: column(
    heads.map(({ log }) => base64url.baseDecode(log)),
    logBytes,
  ),
  lengths: heads.map(({ length }) => length),
  hashes: column(
    heads.map(({ hash }) => hash),
    hashBytes,
  ),
  forked: heads.flatMap(({ forked }, index) => (forked ? [index] : [])),
  purpose: purposes.indexOf(purpose),
  ...(manifestsAfter !== undefined && { manifestsAfter: BigInt(manifestsAfter) }),
})

/** @throws {MalformedFrame} */
export function decodeSync(frame: Uint8Array): SyncMessage {
  const { content } = decoded(SyncSchema, syncShape, frame)
  switch (content.case) {
    case 'query':
      return queryFrom(content.value)
    case 'answer': {
      const { id, documents, parts, busy } = content.value
      return { type: 'answer', id, documents, parts: partsFrom(parts), isBusy: busy }
    }
    case 'have':
      return haveFrom(content.value)
    case 'entries':
      return entriesFrom(content.value)
    case 'manifest':
      return { type: 'manifest', manifest: content.value }
    case 'beat': {
      const { clockMs, usedPercent, reductionPercent, reductionValidMs, echoClockMs, echoHeldMs } = content.value
      return {
        type: 'beat',
        clock: timeFrom(clockMs),
        usedPercent: Math.min(100, usedPercent),
        ...(reductionPercent > 0 && {
          reduction: {
            percent: Math.min(100, reductionPercent),
            validMs: Math.min(longestReductionMs, reductionValidMs),
          },
        }),
        ...(echoClockMs > 0n && { echo: { clockMs: timeFrom(echoClockMs), heldMs: echoHeldMs } }),
      }
    }
    case 'behind':
      return { type: 'behind' }
    case 'linked':
      return { type: 'linked', lives: livesFrom(content.value) }
    case undefined:
      throw new MalformedFrame('The message says nothing.')
  }
}

function queryFrom({ id, salt, documents, parts: wire }: WireQuery): Query {
  if (salt.length !== saltBytes) throw new MalformedFrame(`A salt has ${saltBytes} bytes.`)
  const parts = partsFrom(wire)
  assertQueried(parts)
  return { type: 'query', id, salt, documents, parts }
}

const entriesFrom = ({ document, entries, manifests }: WireEntries): Entries => ({
  type: 'entries',
  document: documentFrom(document),
  entries,
  ...(manifests.length > 0 && { manifests }),
})

function haveFrom({ document, logs, lengths, hashes, forked, purpose: code, manifestsAfter }: WireHave): Have {
  const purpose = purposes[code]
  if (!purpose) throw new MalformedFrame(`Purpose ${code} is not known.`)
  if (logs.length !== lengths.length * logBytes || hashes.length !== lengths.length * hashBytes) {
    throw new MalformedFrame('The columns of the logs do not fit together.')
  }
  const cut = new Set(forked)
  const heads = lengths.map((length, index) => ({
    log: base64url.baseEncode(logs.subarray(index * logBytes, (index + 1) * logBytes)) as LogId,
    length,
    hash: hashes.slice(index * hashBytes, (index + 1) * hashBytes),
    ...(cut.has(index) && { forked: true }),
  }))
  return {
    type: 'have',
    document: documentFrom(document),
    heads,
    purpose,
    ...(manifestsAfter !== undefined && { manifestsAfter: numberFrom(manifestsAfter) }),
  }
}

function livesFrom({ servers, lives }: WireLinked): ReadonlyMap<ServerId, number> {
  if (servers.length !== lives.length) throw new MalformedFrame('Each linked server has one number.')
  return new Map(servers.map((text, index) => [serverFrom(text), lives[index] ?? 0]))
}

function numberFrom(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new MalformedFrame('No manifest has such a number.')
  return Number(value)
}

/** Values of one length, one after another. */
function column(values: readonly Uint8Array[], lengthBytes: number): Uint8Array {
  const joined = new Uint8Array(values.length * lengthBytes)
  for (const [index, value] of values.entries()) joined.set(value, index * lengthBytes)
  return joined
}
