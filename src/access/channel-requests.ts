import { channelName, contentType, idempotencyKey, messageName, topicName, urgency } from '../channels/fields.ts'
import type { Inbound, Posted } from '../channels/inbound.ts'
import type { ChannelLimits } from '../channels/limits.ts'
import { channelsPath, messagesPath } from '../channels/methods.ts'
import { refusals } from '../channels/refusals.ts'
import type { AnswerRequest, HttpAnswer, HttpFields, HttpRequest } from '../ports/http.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { busy, problem, refusalOf } from './media-answers.ts'

/*
 * Application servers over HTTP, with the fields of RFC 8030 where they fit: `POST /v1/channels/<channel>/messages` sends a
 * message, `GET` and `DELETE` of what `Location` then names tell what has become of it and take it back. See
 * `src/channels/README.md`.
 */

export interface ChannelRequestsOptions {
  readonly inbound: Inbound
  readonly telemetry: Telemetry
  readonly limits: Pick<ChannelLimits, 'maxBodyBytes' | 'maxAtOnce' | 'maxTtlMs'>
  /** Whether the server has so much to do, or is about to go, that others are to be asked. */
  readonly isShedding: () => boolean
}

/** Answers requests below `/v1/channels/`, and no others. */
export function createChannelRequests(options: ChannelRequestsOptions): AnswerRequest {
  const { inbound, telemetry, limits } = options
  let underWay = 0

  return async request => {
    const [path = ''] = request.target.split('?', 1)
    if (!path.startsWith(channelsPath)) return undefined
    const answer = await counted(() => answerTo(request, path)).catch(refusalOf)
    telemetry.count('cpns_channel_requests_total', { method: known(request.method), status: String(answer.status) })
    return { ...answer, fields: { ...safe, ...answer.fields } }
  }

  async function counted(work: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    if (options.isShedding() || underWay >= limits.maxAtOnce)
      return busy(503, 'OVERLOADED', 'This server has too much to do. Try another one of the operator, or later.')
    underWay += 1
    try {
      return await work()
    } finally {
      underWay -= 1
    }
  }

  async function answerTo(request: HttpRequest, path: string): Promise<HttpAnswer> {
    const place = placeIn(path)
    if (!place) return problem(404, 'UNKNOWN', `Messages are at ${channelsPath}<channel>/messages and below it.`)
    const { channel, message } = place
    const bearer = bearerOf(request)
    if (bearer === undefined) throw refusals.noCredential()
    if (message === undefined)
      return request.method === 'POST' ? post(request, bearer, channel) : otherMethod('POST', 'POST sends a message.')
    if (request.method === 'GET') return json(200, await inbound.find(bearer, channel, message))
    if (request.method !== 'DELETE') return otherMethod('GET, DELETE', 'GET tells of a message, DELETE takes it back.')
    await inbound.withdraw(bearer, channel, message)
    return { status: 204 }
  }

  async function post(request: HttpRequest, bearer: string, channel: string): Promise<HttpAnswer> {
    const said = headIn(request.fields)
    if ('objection' in said) return problem(400, 'MALFORMED', said.objection)
    if (Number(request.fields['content-length'] ?? 0) > limits.maxBodyBytes)
      throw refusals.tooLarge(limits.maxBodyBytes)
    const body = await bodyOf(request)
    const { isReplicated, ...taken } = await inbound.send(bearer, channel, { ...said, body })
    const location = `${messagesPath(channel)}/${taken.message}`
    const fields = { location, ttl: String(Math.floor(Math.min(said.ttlMs, limits.maxTtlMs) / 1_000)) }
    return json(isReplicated ? 201 : 202, taken, fields)
  }

  async function bodyOf({ body }: HttpRequest): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let bytes = 0
    for await (const chunk of body) {
      bytes += chunk.length
      if (bytes > limits.maxBodyBytes) throw refusals.tooLarge(limits.maxBodyBytes)
      chunks.push(chunk)
    }
    return Uint8Array.from(chunks.flatMap(chunk => [...chunk]))
  }
}

const known = (method: string): string => (['GET', 'POST', 'DELETE'].includes(method) ? method : 'other')

const safe: HttpFields = { 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' }

function otherMethod(allow: string, detail: string): HttpAnswer {
  const answer = problem(405, 'MALFORMED', detail)
  return { ...answer, fields: { ...answer.fields, allow } }
}

const json = (status: number, body: object, fields: HttpFields = {}): HttpAnswer => ({
  status,
  fields: { ...fields, 'content-type': 'application/json' },
  body: `${JSON.stringify(body)}\n`,
})

function placeIn(path: string): { readonly channel: string; readonly message?: string } | undefined {
  const [channel = '', messages, message, ...rest] = path.slice(channelsPath.length).split('/')
  if (!channelName.safeParse(channel).success || messages !== 'messages' || rest.length > 0) return undefined
  if (message === undefined) return { channel }
  return messageName.safeParse(message).success ? { channel, message } : undefined
}

/** Never in a URL: what stands there ends up in logs. */
const bearerOf = ({ fields }: HttpRequest): string | undefined =>
  /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(fields.authorization ?? '')?.[1]

const textType = 'text/plain'
const maxTtlDigits = 10

function headIn(fields: HttpFields): Omit<Posted, 'body'> | { readonly objection: string } {
  const { ttl = '', topic } = fields
  if (!/^\d+$/.test(ttl) || ttl.length > maxTtlDigits || Number(ttl) === 0)
    return { objection: 'TTL is needed: for how many seconds the message may wait, at least 1.' }
  const urgent = urgency.safeParse(fields.urgency ?? 'normal')
  if (!urgent.success) return { objection: 'Urgency is very-low, low, normal or high.' }
  const topical = topicName.optional().safeParse(topic)
  if (!topical.success) return { objection: 'A Topic has 1 to 32 characters of base64url.' }
  // As a structured field it is a string in quotes; many senders leave them away.
  const key = idempotencyKey.optional().safeParse(fields['idempotency-key']?.replace(/^"(.*)"$/, '$1'))
  if (!key.success) return { objection: 'An Idempotency-Key has 1 to 128 visible characters.' }
  const type = contentType.safeParse(fields['content-type'] ?? textType)
  if (!type.success) return { objection: 'Content-Type is a media type, such as application/json.' }
  return { ttlMs: Number(ttl) * 1_000, urgency: urgent.data, topic: topical.data, key: key.data, type: type.data }
}
