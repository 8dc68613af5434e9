import { z } from 'zod'
import { operator, segment } from '../commands/fields.ts'
import { CommandRefused } from '../federation/command.ts'
import type { AnswerRequest, HttpAnswer, HttpRequest } from '../ports/http.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { ArchiveFormat } from '../storage/archive/archived.ts'
import type { MailboxArchives } from '../storage/archive/mailbox-archives.ts'
import { type MailboxName, mailboxDocument } from '../storage/names.ts'
import { archivesPath } from './protocol.ts'
import type { Tickets } from './tickets.ts'

/*
 * Archives of mailboxes over HTTP: `GET /v1/archive/<operator>/<user>?format=mbox` downloads one, `POST` uploads one and
 * answers what has become of it. Whoever asks shows a ticket for the mailbox document (`session.ticket`), as
 * `Authorization: Bearer` or as `?ticket=`; whether its bearer may read, or write, is asked when it is shown.
 */

export interface ArchiveRequestsOptions {
  readonly archives: MailboxArchives
  readonly tickets: Pick<Tickets, 'check'>
  readonly telemetry: Telemetry
}

/** Each takes time and a disk that others need too. */
const maxAtOnce = 4
const archiveFormat = z.enum(['mbox', 'zip'])
const mediaTypes: Readonly<Record<ArchiveFormat, string>> = { mbox: 'application/mbox', zip: 'application/zip' }
const mailboxName = z.strictObject({ operator, user: segment })

export function archiveRequests({ archives, tickets, telemetry }: ArchiveRequestsOptions): AnswerRequest {
  let underWay = 0

  return async request => {
    const [path = '', query = ''] = request.target.split('?', 2)
    if (!path.startsWith(archivesPath)) return undefined
    try {
      const asked = parsed(path.slice(archivesPath.length), new URLSearchParams(query))
      const answer = await answerTo(request, asked)
      telemetry.count('cpns_archives_total', { method: request.method, outcome: String(answer.status) })
      return answer
    } catch (error) {
      if (!(error instanceof CommandRefused)) throw error
      telemetry.count('cpns_archives_total', { method: request.method, outcome: String(error.status) })
      return refusal(error)
    }
  }

  async function answerTo(request: HttpRequest, { name, format, ticket }: Asked): Promise<HttpAnswer> {
    if (request.method !== 'GET' && request.method !== 'POST') {
      return { status: 405, fields: { allow: 'GET, POST' }, body: 'GET exports a mailbox, POST imports into it.' }
    }
    const { authorization = '' } = request.fields
    const shown = ticket ?? /^Bearer (\S+)$/i.exec(authorization)?.[1] ?? ''
    const bearer = tickets.check(shown, mailboxDocument(name))
    if (!bearer) {
      throw new CommandRefused(
        401,
        'The ticket is not good for this mailbox, or has expired. session.ticket gives one.',
      )
    }
    if (underWay >= maxAtOnce) {
      throw new CommandRefused(503, 'This server reads and writes as many archives as it can.', 'OVERLOADED', 5_000)
    }
    const { principal } = bearer
    if (request.method === 'GET') return download(name, format, await archives.export(name, principal, format))
    const report = await counted(() => archives.import(name, principal, format, request.body))
    return { status: 200, fields: json, body: `${JSON.stringify(report)}\n` }
  }

  function download({ user }: MailboxName, format: ArchiveFormat, archive: AsyncIterable<Uint8Array>): HttpAnswer {
    const fields = {
      'content-type': mediaTypes[format],
      'content-disposition': `attachment; filename="${user}.${format}"`,
      'cache-control': 'no-store',
    }
    return { status: 200, fields, body: countedStream(archive) }
  }

  async function* countedStream(archive: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    underWay += 1
    try {
      yield* archive
    } finally {
      underWay -= 1
    }
  }

  async function counted<T>(work: () => Promise<T>): Promise<T> {
    underWay += 1
    try {
      return await work()
    } finally {
      underWay -= 1
    }
  }
}

interface Asked {
  readonly name: MailboxName
  readonly format: ArchiveFormat
  readonly ticket: string | undefined
}

function parsed(room: string, query: URLSearchParams): Asked {
  const [operator, user, ...more] = room.split('/').map(decoded)
  const name = mailboxName.safeParse({ operator, user })
  const format = archiveFormat.safeParse(query.get('format') ?? 'mbox')
  if (!name.success || !format.success || more.length > 0) {
    throw new CommandRefused(404, `Archives are at ${archivesPath}<operator>/<user>?format=mbox or zip.`)
  }
  return { name: name.data, format: format.data, ticket: query.get('ticket') ?? undefined }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}

const json = { 'content-type': 'application/json', 'cache-control': 'no-store' }

const refusal = ({ status, reason, message, retryAfterMs }: CommandRefused): HttpAnswer => ({
  status,
  fields: { ...json, ...(retryAfterMs !== undefined && { 'retry-after': String(Math.ceil(retryAfterMs / 1_000)) }) },
  body: `${JSON.stringify({ reason, message })}\n`,
})
