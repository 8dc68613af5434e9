import { z } from 'zod'
import { utf8 } from '../../commands/framing.ts'

/*
 * What is inside of the frames of a secure session: requests and answers of JSON-RPC 2.0, their id being the frame's
 * counter, and notices as notifications. Both halves use this file.
 */

const version = z.literal('2.0')
const call = z.object({ jsonrpc: version, id: z.int(), method: z.string().min(1).max(128), params: z.unknown() })
const failure = z.object({
  code: z.int(),
  message: z.string(),
  data: z
    .object({
      status: z.int(),
      reason: z.string(),
      retryAfterMs: z.number().min(0).optional(),
      executor: z.string().optional(),
      commandId: z.string().optional(),
      expires: z.number().optional(),
    })
    .optional()
    .catch(undefined),
})
const answer = z.union([
  z.object({ jsonrpc: version, id: z.int(), error: failure }),
  z.object({ jsonrpc: version, id: z.int(), result: z.unknown() }),
])
const notification = z.object({ jsonrpc: version, method: z.string().min(1).max(128), params: z.unknown() })

export interface InnerCall {
  readonly method: string
  readonly params: unknown
}
export type InnerError = z.infer<typeof failure>
export type InnerOutcome = { readonly result: unknown } | { readonly error: InnerError }

export const encodeCall = (id: number, { method, params }: InnerCall): Uint8Array =>
  padded({ jsonrpc: '2.0', id, method, params })

/** `undefined` when it is no call, or not the one that the frame says. */
export function parseCall(id: number, plaintext: Uint8Array): InnerCall | undefined {
  const parsed = call.safeParse(jsonOf(plaintext))
  return parsed.success && parsed.data.id === id ? parsed.data : undefined
}

export const encodeOutcome = (id: number, outcome: InnerOutcome): Uint8Array =>
  padded({ jsonrpc: '2.0', id, ...outcome })

export function parseOutcome(id: number, plaintext: Uint8Array): InnerOutcome | undefined {
  const parsed = answer.safeParse(jsonOf(plaintext))
  return parsed.success && parsed.data.id === id ? parsed.data : undefined
}

export const encodeNotice = ({ method, params }: InnerCall): Uint8Array => padded({ jsonrpc: '2.0', method, params })

export function parseNotice(plaintext: Uint8Array): InnerCall | undefined {
  const parsed = notification.safeParse(jsonOf(plaintext))
  return parsed.success ? parsed.data : undefined
}

/** What is relayed shows its length: only that of whole blocks. */
const blockBytes = 64

function padded(message: object): Uint8Array {
  const text = utf8(JSON.stringify(message))
  const bytes = new Uint8Array(Math.ceil(text.length / blockBytes) * blockBytes).fill(0x20)
  bytes.set(text)
  return bytes
}

function jsonOf(plaintext: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder().decode(plaintext))
  } catch {
    return undefined
  }
}
