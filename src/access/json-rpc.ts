import { z } from 'zod'
import { CommandRefused, type Status } from '../federation/command.ts'
import { type RedirectionShape, redirection } from './protocol.ts'

/*
 * JSON-RPC 2.0, both directions, parsed once: what leaves this file as a message is one.
 *
 * Refusals carry the response code of the design twice: as `error.code`, from the space that JSON-RPC leaves to
 * applications, and as `error.data.status`, which also the errors of JSON-RPC itself have.
 */

export type Id = string | number | null

export interface RpcError {
  readonly code: number
  readonly message: string
  readonly data?: {
    readonly status?: number | undefined
    readonly reason?: string | undefined
    readonly retryAfterMs?: number | undefined
    readonly executor?: string | undefined
    readonly commandId?: string | undefined
    readonly expires?: number | undefined
    readonly redirect?: RedirectionShape | undefined
  }
}

export type Incoming =
  | { readonly kind: 'request'; readonly id: Id; readonly method: string; readonly params: unknown }
  | { readonly kind: 'notification'; readonly method: string; readonly params: unknown }
  | { readonly kind: 'result'; readonly id: Id; readonly result: unknown }
  | { readonly kind: 'error'; readonly id: Id; readonly error: RpcError }
  /** Not a message; `error` is what to answer. */
  | { readonly kind: 'invalid'; readonly id: Id; readonly error: RpcError }

export type Frame =
  | { readonly kind: 'single'; readonly message: Incoming }
  | { readonly kind: 'batch'; readonly messages: readonly Incoming[] }

/** Messages in one batch. */
export const maxBatch = 16

export const parseError: RpcError = {
  code: -32700,
  message: 'The frame is not JSON.',
  data: { status: 400, reason: 'MALFORMED' },
}

const invalidRequest = (message: string): RpcError => ({
  code: -32600,
  message,
  data: { status: 400, reason: 'MALFORMED' },
})

const version = z.literal('2.0')
const id = z.union([z.string().max(128), z.number(), z.null()])
const call = z.object({
  jsonrpc: version,
  id: id.optional(),
  method: z.string().max(128),
  params: z.unknown().optional(),
})
const result = z.object({ jsonrpc: version, id, result: z.unknown() })
const failure = z.object({
  jsonrpc: version,
  id,
  error: z.object({
    code: z.int(),
    message: z.string(),
    data: z
      .object({
        status: z.int().optional().catch(undefined),
        reason: z.string().optional().catch(undefined),
        retryAfterMs: z.number().min(0).optional().catch(undefined),
        executor: z.string().optional().catch(undefined),
        commandId: z.string().optional().catch(undefined),
        expires: z.number().optional().catch(undefined),
        redirect: redirection.optional().catch(undefined),
      })
      .optional()
      .catch(undefined),
  }),
})
const hasId = z.object({ id })

export function parseFrame(text: string): Frame {
  const json = parseJson(text)
  if (json === undefined) return { kind: 'single', message: { kind: 'invalid', id: null, error: parseError } }
  if (!Array.isArray(json)) return { kind: 'single', message: incoming(json) }
  if (json.length === 0) return invalid('A batch has at least one message.')
  if (json.length > maxBatch) return invalid(`A batch has at most ${maxBatch} messages, not ${json.length}.`)
  return { kind: 'batch', messages: json.map(incoming) }
}

const invalid = (message: string): Frame => ({
  kind: 'single',
  message: { kind: 'invalid', id: null, error: invalidRequest(message) },
})

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function incoming(json: unknown): Incoming {
  const asCall = call.safeParse(json)
  if (asCall.success) {
    const { id, method, params } = asCall.data
    return id === undefined ? { kind: 'notification', method, params } : { kind: 'request', id, method, params }
  }
  const asFailure = failure.safeParse(json)
  if (asFailure.success) return { kind: 'error', id: asFailure.data.id, error: plainError(asFailure.data.error) }
  const asResult = result.safeParse(json)
  if (asResult.success) {
    return { kind: 'result', id: asResult.data.id, result: asResult.data.result }
  }
  const known = hasId.safeParse(json)
  return {
    kind: 'invalid',
    id: known.success ? known.data.id : null,
    error: invalidRequest(
      'Not a JSON-RPC 2.0 message: it has "jsonrpc": "2.0", a "method", and an "id" if an answer is wanted.',
    ),
  }
}

const plainError = ({ code, message, data }: z.infer<typeof failure>['error']): RpcError =>
  data === undefined ? { code, message } : { code, message, data }

/** A request if `id` is given, else a notification. */
export const encodeCall = (method: string, params: unknown, id?: Id): string =>
  JSON.stringify({ jsonrpc: '2.0', ...(id === undefined ? {} : { id }), method, params })

/** An answer, ready to be sent alone or in a batch. */
export type Answer = { readonly id: Id; readonly result: unknown } | { readonly id: Id; readonly error: RpcError }

export const encodeAnswer = (answer: Answer): string => JSON.stringify({ jsonrpc: '2.0', ...answer })
export const encodeBatch = (answers: readonly Answer[]): string => `[${answers.map(encodeAnswer).join(',')}]`

export const methodNotFound = (method: string): RpcError => ({
  code: -32601,
  message: `There is no method "${method}"; rpc.discover lists those that are.`,
  data: { status: 404, reason: 'METHOD_UNKNOWN' },
})

/** Says where in the parameters what was wrong. */
export function invalidParams(method: string, error: z.ZodError): RpcError {
  const issues = error.issues.slice(0, 8).map(issue => `${pathOf(issue.path)}: ${issue.message}`)
  return {
    code: -32602,
    message: `Parameters of ${method}: ${issues.join('; ')}`,
    data: { status: 400, reason: 'MALFORMED' },
  }
}

const pathOf = (path: readonly PropertyKey[]): string =>
  ['params', ...path]
    .map(part => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .slice(1)

export const refusalOf = ({ status, message, reason, retryAfterMs, details }: CommandRefused): RpcError => ({
  code: status,
  message,
  data: { status, reason, ...(retryAfterMs === undefined ? {} : { retryAfterMs }), ...details },
})

export const refuse = (status: Status, message: string, reason?: string, retryAfterMs?: number): RpcError =>
  refusalOf(new CommandRefused(status, message, reason, retryAfterMs))

/** What went wrong is for the server's log, under `reference`; the client learns only that it was not its fault. */
export const internalError = (reference: string): RpcError => ({
  code: -32603,
  message: `The server failed; its log has the reason under ${reference}. Try again, or at another server.`,
  data: { status: 500, reason: 'INTERNAL' },
})
