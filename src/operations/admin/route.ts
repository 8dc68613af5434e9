import { z } from 'zod'
import { AdminRefusal } from './refusal.ts'

/*
 * What one route of the admin API is: where it stands, who may ask, what it takes and what it answers. From a list of these
 * the node serves its socket and its TCP port alike, describes itself (OpenAPI) and keeps its audit log.
 *
 *   route({
 *     method: 'POST', path: '/v1/peers/:operator/quarantine', scope: 'operate', summary: 'Closes the links with an operator.',
 *     params: z.strictObject({ operator: z.string() }), body: z.strictObject({ why: z.string() }),
 *     answers: { 200: json('It is in quarantine.', z.object({ since: z.int() })) },
 *     handle: ({ params, body }, answer) => answer(200, { since: quarantine(params.operator, body.why) }),
 *   })
 */

/** What a caller needs: nothing (`open`), a token to look (`read`), or one to change things (`operate`, which includes `read`). */
export type Scope = 'open' | 'read' | 'operate'

/** Who asks, as the audit log names it: `owner` for whoever may use the socket, else `token:<name>:<id>`. */
export interface Principal {
  readonly name: string
  readonly scope: Exclude<Scope, 'open'>
}

export type Payload = string | Uint8Array | ReadableStream<Uint8Array>

/** One kind of answer: its media type, its schema for the description, and how it is written. */
export interface Content<T> {
  readonly description: string
  readonly type: string
  readonly schema: z.ZodType
  /** A method, so that answers of all types fit into one table. */
  write(body: T): Payload
}

export const json = <S extends z.ZodType>(description: string, schema: S): Content<z.output<S>> => ({
  description,
  type: 'application/json',
  schema,
  write: body => JSON.stringify(body),
})

/** One JSON text for each line, as they come. The schema is that of a line. */
export const lines = <S extends z.ZodType>(description: string, schema: S): Content<ReadableStream<z.output<S>>> => ({
  description,
  type: 'application/x-ndjson',
  schema,
  write: body => encoded(body, line => `${JSON.stringify(line)}\n`),
})

/** Server-sent events (WHATWG HTML, 9.2), each with JSON as its data. The schema is that of the data. */
export const events = <S extends z.ZodType>(description: string, schema: S): Content<ReadableStream<z.output<S>>> => ({
  description,
  type: 'text/event-stream',
  schema,
  write: body => encoded(body, event => `data: ${JSON.stringify(event)}\n\n`),
})

/** Text or bytes of any media type, whole or as a stream. */
export const raw = (description: string, type: string): Content<Payload> => ({
  description,
  type,
  schema: z.string(),
  write: body => body,
})

export type Answers = Readonly<Record<number, Content<unknown>>>

type BodyOf<C> = C extends Content<infer T> ? T : never

/** Gives an answer that the route's table has; with headers besides `content-type` if need be. */
export type Answer<A extends Answers> = <S extends keyof A & number>(
  status: S,
  body: BodyOf<A[S]>,
  headers?: Readonly<Record<string, string>>,
) => Served

export interface Asked<P, Q, B> {
  readonly params: P
  readonly query: Q
  readonly body: B
  readonly by: Principal | undefined
}

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

interface About {
  /** Anything but GET changes something, and stands in the audit log. */
  readonly method: Method
  /** With `:name` for a parameter. */
  readonly path: string
  readonly scope: Scope
  readonly summary: string
  /** Default: 4 KiB. */
  readonly maxBodyBytes?: number
  readonly answers: Answers
}

interface RouteSpecification<P, Q, B, A extends Answers> extends About {
  readonly params?: z.ZodType<P>
  /** Values come as text: take `z.coerce` and `z.stringbool`. */
  readonly query?: z.ZodType<Q>
  readonly body?: z.ZodType<B>
  readonly answers: A
  /** @throws {AdminRefusal} for what it refuses; anything else is a fault of the node, answered as 500. */
  handle(asked: Asked<P, Q, B>, answer: Answer<A>): Served | Promise<Served>
}

/** As it came, not checked yet. */
export interface RawRequest {
  readonly params: unknown
  readonly query: unknown
  readonly body: unknown
  readonly by: Principal | undefined
}

/** As it goes out. */
export interface Served {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Payload
}

export interface Route extends About {
  readonly params: z.ZodType | undefined
  readonly query: z.ZodType | undefined
  readonly body: z.ZodType | undefined
  /** @throws {AdminRefusal} */
  serve(request: RawRequest): Promise<Served>
}

export function route<A extends Answers, P = undefined, Q = undefined, B = undefined>(
  specification: RouteSpecification<P, Q, B, A>,
): Route {
  const { params, query, body, answers } = specification
  const answer: Answer<A> = (status, content, headers = {}) => {
    const described: Content<unknown> | undefined = answers[status]
    if (!described) throw new Error(`${specification.path} has no answer ${status}.`)
    return { status, headers: { 'content-type': described.type, ...headers }, payload: described.write(content) }
  }
  return {
    ...specification,
    ...{ params, query, body },
    serve: async request =>
      specification.handle(
        {
          params: checked('path', params, request.params),
          query: checked('query', query, request.query),
          body: checked('body', body, request.body ?? {}),
          by: request.by,
        },
        answer,
      ),
  }
}

/** @throws {AdminRefusal} 400, saying what is wrong */
function checked<T>(part: string, schema: z.ZodType<T> | undefined, value: unknown): T {
  // Where there is no schema the type of the part is undefined, by the defaults of `route`.
  if (!schema) return undefined as T
  const result = schema.safeParse(value)
  if (result.success) return result.data
  throw new AdminRefusal(400, `The ${part} is not as expected: ${z.prettifyError(result.error)}`)
}

function encoded<T>(stream: ReadableStream<T>, textOf: (item: T) => string): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder()
  const encode = new TransformStream<T, Uint8Array>({
    transform: (item, controller) => controller.enqueue(encoder.encode(textOf(item))),
  })
  return stream.pipeThrough(encode)
}
