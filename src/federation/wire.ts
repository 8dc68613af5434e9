import { create, fromBinary, type MessageInitShape, toBinary } from '@bufbuild/protobuf'
import type { GenMessage } from '@bufbuild/protobuf/codegenv2'
import { base64url } from 'multiformats/bases/base64'
import type { Json } from '../document/documents.ts'
import { asDocumentId } from '../document/names.ts'
import {
  type DocumentId,
  InvalidName,
  isOperatorId,
  type LogId,
  type OperatorId,
  type ServerId,
  serverId,
} from '../ports/names.ts'
import { type Durability, type DurabilityWish, maxReplicas, maxReplicationMs } from './durability.ts'
import type { CommandAnswer, CommandProof, ForwardedCommand } from './federation.ts'
import { checkShape, MalformedFrame, type Shape } from './frame-shape.ts'
import type { Echo } from './peer-clock.ts'
import { type Answer, type Query, saltBytes } from './reconciliation/parts.ts'
import { assertQueried, partsFields, partsFrom } from './reconciliation/parts-wire.ts'
import { longestReductionMs, type Reduction } from './reductions.ts'
import {
  AnswerSchema,
  GreetingSchema,
  RequestSchema,
  SyncSchema,
  type Durability as WireDurability,
  type DurabilityWish as WireDurabilityWish,
  type Entries as WireEntries,
  type Have as WireHave,
  type Linked as WireLinked,
  type Query as WireQuery,
} from './wire_pb.ts'
import {
  answerShape,
  greetingShape,
  hashBytes,
  logBytes,
  maxJsonBytes,
  requestShape,
  runBytes,
  syncShape,
} from './wire-shapes.ts'

/*
 * The frames of wire.proto as values that the rest can trust: ids are ids, columns fit, nothing is longer than allowed.
 */

export { MalformedFrame } from './frame-shape.ts'
export {
  maxAuthorManifests,
  maxEntriesPerFrame,
  maxFrameBytes,
  maxHelloManifestBytes,
  maxHelloManifests,
  maxJsonBytes,
} from './wire-shapes.ts'

export interface Hello {
  readonly versions: readonly number[]
  readonly operator: OperatorId
  readonly manifests: readonly Uint8Array[]
  readonly run: Uint8Array
  /** Milliseconds since 1970. */
  readonly clock: number
}

export type Greeting =
  | { readonly type: 'hello'; readonly hello: Hello }
  /** `refused`: the reason, if so. */
  | { readonly type: 'verdict'; readonly refused: string | undefined }

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

export interface Request {
  readonly command: ForwardedCommand
  readonly timeoutMs: number
}

/** Checks bounds, then decodes. @throws {MalformedFrame} */
function decoded<T extends { readonly $typeName: string }>(
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

// --- hello

export function encodeGreeting(greeting: Greeting): Uint8Array {
  const content =
    greeting.type === 'hello'
      ? { case: 'hello' as const, value: helloFields(greeting.hello) }
      : {
          case: 'verdict' as const,
          value: { accepted: greeting.refused === undefined, reason: greeting.refused ?? '' },
        }
  return toBinary(GreetingSchema, create(GreetingSchema, { content }))
}

const helloFields = ({ versions, operator, manifests, run, clock }: Hello) => ({
  versions: [...versions],
  operator,
  manifests: [...manifests],
  run,
  clockMs: BigInt(clock),
})

/** @throws {MalformedFrame} */
export function decodeGreeting(frame: Uint8Array): Greeting {
  const { content } = decoded(GreetingSchema, greetingShape, frame)
  switch (content.case) {
    case 'hello': {
      const { versions, operator, manifests, run, clockMs } = content.value
      if (!isOperatorId(operator)) throw new MalformedFrame('The operator is not one.')
      if (run.length !== runBytes) throw new MalformedFrame(`A run has ${runBytes} bytes.`)
      return { type: 'hello', hello: { versions, operator, manifests, run, clock: timeFrom(clockMs) } }
    }
    case 'verdict': {
      const { accepted, reason } = content.value
      return { type: 'verdict', refused: accepted ? undefined : reason || 'unknown' }
    }
    case undefined:
      throw new MalformedFrame('The greeting says nothing.')
  }
}

// --- sync

export function encodeSync(sync: SyncMessage): Uint8Array {
  return toBinary(SyncSchema, create(SyncSchema, { content: syncFields(sync) }))
}

function syncFields(sync: SyncMessage): MessageInitShape<typeof SyncSchema>['content'] & object {
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
    case 'entries':
      return { case: 'entries', value: entriesFields(sync) }
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

const entriesFields = ({ document, entries, manifests = [] }: Entries) => ({
  document,
  entries: [...entries],
  manifests: [...manifests],
})

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

// --- request

export function encodeRequest({ command, timeoutMs }: Request): Uint8Array {
  const { method, params, proof, durability } = command
  return toBinary(
    RequestSchema,
    create(RequestSchema, {
      method,
      params: jsonBytes(params),
      timeoutMs,
      ...(proof && { proof: proofFields(proof) }),
      ...(durability && { durability }),
    }),
  )
}

const proofFields = ({ expires, signature, ...names }: CommandProof) => ({
  ...names,
  expiresMs: BigInt(expires),
  signature: base64url.baseDecode(signature),
})

/** @throws {MalformedFrame} */
export function decodeRequest(frame: Uint8Array): Request {
  const { method, params, proof, timeoutMs, durability: wish } = decoded(RequestSchema, requestShape, frame)
  if (!/^[a-z]+(\.[a-zA-Z]+)+$/.test(method)) throw new MalformedFrame('The method is not one.')
  const durability = wish && { durability: wishFrom(wish) }
  if (!proof) return { command: { method, params: jsonFrom(params), ...durability }, timeoutMs }
  const { operator, identity, executor, document, commandId, expiresMs, signature } = proof
  if (!isOperatorId(operator) || !isOperatorId(executor))
    throw new MalformedFrame('An operator of the proof is not one.')
  const names = { operator, identity, executor, document: documentFrom(document), commandId }
  const checked = { ...names, expires: timeFrom(expiresMs), signature: base64url.baseEncode(signature) }
  return { command: { method, params: jsonFrom(params), proof: checked, ...durability }, timeoutMs }
}

function wishFrom({ replicated, timeoutMs }: WireDurabilityWish): DurabilityWish {
  if (replicated < 1 || replicated > maxReplicas || (timeoutMs ?? 0) > maxReplicationMs)
    throw new MalformedFrame('More is wanted of the durability than can be.')
  return { replicated, ...(timeoutMs !== undefined && { timeoutMs }) }
}

export function encodeAnswer(answer: CommandAnswer): Uint8Array {
  const content = answer.ok
    ? { case: 'value' as const, value: jsonBytes(answer.value) }
    : {
        case: 'refusal' as const,
        value: {
          status: answer.status,
          cause: answer.cause.slice(0, 64),
          message: answer.message.slice(0, 512),
          ...(answer.retryAfterMs !== undefined && { retryAfterMs: Math.max(0, Math.round(answer.retryAfterMs)) }),
        },
      }
  const durability = answer.ok ? answer.durability : undefined
  return toBinary(
    AnswerSchema,
    create(AnswerSchema, {
      content,
      ...(durability && { durability: { ...durability, replicated: [...durability.replicated] } }),
    }),
  )
}

/** @throws {MalformedFrame} */
export function decodeAnswer(frame: Uint8Array): CommandAnswer {
  const { content, durability } = decoded(AnswerSchema, answerShape, frame)
  switch (content.case) {
    case 'value':
      return {
        ok: true,
        value: jsonFrom(content.value),
        ...(durability && { durability: durabilityFrom(durability) }),
      }
    case 'refusal': {
      const { status, cause, message, retryAfterMs } = content.value
      return { ok: false, status, cause, message, ...(retryAfterMs !== undefined && { retryAfterMs }) }
    }
    case undefined:
      throw new MalformedFrame('The answer says nothing.')
  }
}

const durabilityFrom = ({ stored, replicated, isReached }: WireDurability): Durability => ({
  stored: serverFrom(stored),
  replicated: replicated.map(serverFrom),
  isReached,
})

/** The JSON of a command or answer, or a frame too large for it. @throws {MalformedFrame} */
function jsonBytes(value: Json): Uint8Array {
  const text = new TextEncoder().encode(JSON.stringify(value))
  if (text.length <= maxJsonBytes) return text
  throw new MalformedFrame(`${text.length} bytes of JSON do not fit: at most ${maxJsonBytes} may be sent.`)
}

function jsonFrom(text: Uint8Array): Json {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text)) as Json
  } catch {
    throw new MalformedFrame('The JSON cannot be read.')
  }
}

// --- values

const documentFrom = (text: string): DocumentId => named(text, asDocumentId)
const serverFrom = (text: string): ServerId => named(text, serverId)

function named<T>(text: string, parse: (text: string) => T): T {
  try {
    return parse(text)
  } catch (error) {
    if (error instanceof InvalidName) throw new MalformedFrame(error.message)
    throw error
  }
}

function timeFrom(ms: bigint): number {
  if (ms > 8_640_000_000_000_000n) throw new MalformedFrame('The time is beyond all calendars.')
  return Number(ms)
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
