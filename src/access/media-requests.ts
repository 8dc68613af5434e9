import { isSegment } from '../document/names.ts'
import type { AnswerRequest, HttpAnswer, HttpRequest } from '../ports/http.ts'
import { isMediaHash, type MediaName } from '../ports/media-store.ts'
import { isOperatorId } from '../ports/names.ts'
import type { Subject } from '../ports/spans.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Media, UploadTicket } from '../storage/media/media.ts'
import type { MediaTicket } from '../storage/media/ticket.ts'
import { mediaPath } from '../storage/methods/media.ts'
import type { AccessLimits } from './limits.ts'
import {
  aboutMedia,
  busy,
  exposed,
  partialUpload,
  preflight,
  problem,
  refusalOf,
  uploadFields,
} from './media-answers.ts'
import { rangeOf } from './media-range.ts'

/*
 * Media over HTTP, at /v1/media/<operator>/<user>/<hash>. GET and HEAD as RFC 9110 has them, with ranges. Uploads as in
 * draft-ietf-httpbis-resumable-upload: since name, size and type of a media are known before its bytes are, its own URL is the
 * upload resource, and nothing has to be created. With a ticket to send, HEAD tells `Upload-Offset` and `Upload-Complete`;
 * PATCH (`application/partial-upload`) appends at `Upload-Offset`, and ends the upload with `Upload-Complete: ?1`; DELETE drops
 * it.
 */

export interface MediaRequestsOptions {
  readonly media: Media
  readonly telemetry: Telemetry
  readonly limits: Pick<AccessLimits, 'maxTransfers' | 'maxTransfersOfOne'>
}

/** Answers requests below `/v1/media/`, and no others. */
export function createMediaRequests({ media, telemetry, limits }: MediaRequestsOptions): AnswerRequest {
  const transfers = new Map<string, number>()
  let underWay = 0

  return async request => {
    const [path = ''] = request.target.split('?', 1)
    if (!path.startsWith(mediaPath)) return undefined
    if (request.method === 'OPTIONS') return preflight
    const method = known(request.method)
    const span = telemetry.spans?.begin('media', subjectOf(request), { method }, request.fields.traceparent)
    const work = () => answerTo(request, path).catch(refusalOf)
    const answer = await (span ? span.within(work) : work())
    telemetry.count('cpns_media_requests_total', { method, status: String(answer.status) })
    const fields = { ...exposed, ...answer.fields }
    if (!span) return { ...answer, fields }
    if (typeof answer.body !== 'object') {
      span.end(String(answer.status))
      return { ...answer, fields }
    }
    return { ...answer, fields, body: measured(answer.body, bytes => span.end(String(answer.status), { bytes })) }
  }

  function subjectOf(request: HttpRequest): Subject {
    const ticket = ticketOf(request)
    return ticket ? { client: { operator: ticket.operator, identity: ticket.identity } } : {}
  }

  async function answerTo(request: HttpRequest, path: string): Promise<HttpAnswer> {
    const name = nameOf(path)
    if (!name) return problem(404, 'UNKNOWN', `Media are at ${mediaPath}<operator>/<user>/<hash>.`)
    const ticket = ticketOf(request)
    if (!ticket || !isFor(ticket, name)) {
      const answer = problem(
        401,
        'AUTH_FAILED',
        'No ticket, or one that is not for this, or has expired. media.ticket gives one.',
      )
      return { ...answer, fields: { ...answer.fields, 'www-authenticate': 'Bearer' } }
    }
    return transferred(ticket, () => {
      switch (request.method) {
        case 'GET':
          return ticket.direction === 'down' ? get(request, ticket, name) : Promise.resolve(wrongTicket)
        case 'HEAD':
          return ticket.direction === 'down' ? get(request, ticket, name) : offset(ticket)
        case 'PATCH':
          return ticket.direction === 'up' ? append(request, ticket) : Promise.resolve(wrongTicket)
        case 'DELETE':
          return ticket.direction === 'up' ? cancel(ticket) : Promise.resolve(wrongTicket)
        default:
          return Promise.resolve({ ...preflight, status: 405 })
      }
    })
  }

  /** Counts what is under way, until the body of the answer has gone. */
  async function transferred({ identity }: MediaTicket, work: () => Promise<HttpAnswer>): Promise<HttpAnswer> {
    const own = transfers.get(identity) ?? 0
    if (own >= limits.maxTransfersOfOne)
      return busy(429, 'RATE_LIMITED', 'Too many transfers of this subscriber are under way.')
    if (underWay >= limits.maxTransfers) return busy(503, 'OVERLOADED', 'This server has as many transfers as it can.')
    transfers.set(identity, own + 1)
    underWay += 1
    const leave = () => {
      underWay -= 1
      const left = (transfers.get(identity) ?? 1) - 1
      if (left > 0) transfers.set(identity, left)
      else transfers.delete(identity)
    }
    try {
      const answer = await work()
      if (typeof answer.body !== 'object') {
        leave()
        return answer
      }
      return { ...answer, body: followed(answer.body, leave) }
    } catch (error) {
      leave()
      throw error
    }
  }

  function ticketOf({ fields, target, method }: HttpRequest): MediaTicket | undefined {
    const [, bearer] = /^Bearer ([A-Za-z0-9_.-]+)$/i.exec(fields.authorization ?? '') ?? []
    // What is in a URL ends up in logs and histories: good enough for showing pictures, not for changing anything.
    const isReading = method === 'GET' || method === 'HEAD'
    const text = bearer ?? (isReading ? new URLSearchParams(target.split('?', 2)[1]).get('ticket') : null)
    const ticket = text === null ? undefined : media.open(text)
    return bearer === undefined && ticket?.direction === 'up' ? undefined : ticket
  }

  async function get({ fields, method }: HttpRequest, ticket: MediaTicket, name: MediaName): Promise<HttpAnswer> {
    const record = await media.find(ticket, name)
    const etag = `"${name.hash}"`
    const about = aboutMedia(record, etag)
    if (matchesEtag(fields['if-none-match'], etag)) return { status: 304, fields: about }
    const mayRange = fields['if-range'] === undefined || fields['if-range'] === etag
    const range = method === 'GET' && mayRange ? rangeOf(fields.range, record.size) : undefined
    if (range === 'unsatisfiable') {
      const answer = problem(416, 'MALFORMED', `The media has ${record.size} bytes.`)
      return { ...answer, fields: { ...answer.fields, 'content-range': `bytes */${record.size}` } }
    }
    const { from, to } = range ?? { from: 0, to: record.size }
    return {
      status: range ? 206 : 200,
      fields: {
        ...about,
        'content-length': String(to - from),
        ...(range && { 'content-range': `bytes ${from}-${to - 1}/${record.size}` }),
      },
      ...(method === 'GET' && { body: media.read(name, { from, to }) }),
    }
  }

  async function offset(ticket: UploadTicket): Promise<HttpAnswer> {
    const upload = await media.upload(ticket)
    return { status: 204, fields: uploadFields(upload.offset, upload.isStored, ticket) }
  }

  async function append(request: HttpRequest, ticket: UploadTicket): Promise<HttpAnswer> {
    const { fields, body } = request
    if (fields['content-type'] !== partialUpload) return problem(415, 'MALFORMED', `PATCH takes ${partialUpload}.`)
    const at = integerOf(fields['upload-offset'])
    const isLast = { '?1': true, '?0': false }[fields['upload-complete'] ?? '']
    if (at === undefined || isLast === undefined) {
      return problem(400, 'MALFORMED', 'Upload-Offset, an integer, and Upload-Complete, ?1 or ?0, are needed.')
    }
    const length = integerOf(fields['content-length']) ?? 0
    const announced = integerOf(fields['upload-length']) ?? ticket.size
    if (announced !== ticket.size || at + length > ticket.size) {
      return problem(413, 'TOO_LARGE', `The ticket is for ${ticket.size} bytes.`)
    }
    const upload = await media.upload(ticket)
    if (upload.offset !== at) {
      const answer = problem(409, 'OFFSET_MISMATCH', `The upload goes on at ${upload.offset}, not at ${at}.`)
      return { ...answer, fields: { ...answer.fields, ...uploadFields(upload.offset, upload.isStored, ticket) } }
    }
    const reached = await upload.append(body)
    if (!isLast) return { status: 204, fields: uploadFields(reached, false, ticket) }
    await upload.finish()
    return { status: 201, fields: { ...uploadFields(reached, true, ticket), etag: `"${ticket.hash}"` } }
  }

  async function cancel(ticket: UploadTicket): Promise<HttpAnswer> {
    const upload = await media.upload(ticket)
    await upload.discard()
    return { status: 204 }
  }
}

const known = (method: string): string => (['GET', 'HEAD', 'PATCH', 'DELETE'].includes(method) ? method : 'other')

const matchesEtag = (field: string | undefined, etag: string): boolean =>
  (field ?? '').split(',').some(each => ['*', etag, `W/${etag}`].includes(each.trim()))

const integerOf = (field: string | undefined): number | undefined =>
  field !== undefined && /^\d{1,15}$/.test(field) ? Number(field) : undefined

function nameOf(path: string): MediaName | undefined {
  const [operator = '', encoded = '', hash = '', ...rest] = path.slice(mediaPath.length).split('/')
  const user = percentDecoded(encoded)
  if (user === undefined || rest.length > 0) return undefined
  if (!isOperatorId(operator) || !isSegment(user) || !isMediaHash(hash)) return undefined
  return { operator, user, hash }
}

function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const isFor = (ticket: MediaTicket, { operator, user, hash }: MediaName): boolean =>
  ticket.operator === operator && ticket.user === user && (ticket.hash === undefined || ticket.hash === hash)

const wrongTicket = problem(403, 'NOT_AUTHORISED', 'The ticket is for the other direction.')

/** @param ended hears how much has gone, when all of it has or nobody takes more */
async function* measured(body: AsyncIterable<Uint8Array>, ended: (bytes: number) => void): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      yield chunk
    }
  } finally {
    ended(bytes)
  }
}

async function* followed(body: AsyncIterable<Uint8Array>, ended: () => void): AsyncGenerator<Uint8Array> {
  try {
    yield* body
  } finally {
    ended()
  }
}
