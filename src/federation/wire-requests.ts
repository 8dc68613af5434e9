import { create, toBinary } from '@bufbuild/protobuf'
import { base64url } from 'multiformats/bases/base64'
import type { Json } from '../document/documents.ts'
import { isOperatorId } from '../ports/names.ts'
import { type Durability, type DurabilityWish, maxReplicas, maxReplicationMs } from './durability.ts'
import type { CommandAnswer, CommandProof, ForwardedCommand } from './federation.ts'
import { MalformedFrame } from './frame-shape.ts'
import {
  AnswerSchema,
  RequestSchema,
  type Durability as WireDurability,
  type DurabilityWish as WireDurabilityWish,
} from './wire_pb.ts'
import { answerShape, maxJsonBytes, requestShape } from './wire-shapes.ts'
import { decoded, documentFrom, serverFrom, timeFrom } from './wire-values.ts'

/*
 * The frames of /cpns/request/1 as values that the rest can trust.
 */

export interface Request {
  readonly command: ForwardedCommand
  readonly timeoutMs: number
}

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
