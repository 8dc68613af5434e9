import { z } from 'zod'
import { operator, segment } from '../../commands/fields.ts'
import { HistoryUnsteady, type Moment } from '../../document/history.ts'
import { asDocumentId } from '../../document/names.ts'
import { CorruptRecord } from '../../ports/log-store.ts'
import { type DocumentId, InvalidName, isLogId } from '../../ports/names.ts'
import { ContentWithheld, NotHeld } from '../inspection/held.ts'
import { type Inspection, maxPage } from '../inspection/inspection.ts'
import {
  documentContent,
  documentHistory,
  documentPage,
  documentReport,
  mailboxPage,
  mailboxReport,
  networkPage,
  networkReport,
} from '../inspection/shapes.ts'
import { AdminRefusal } from './refusal.ts'
import { json, type Route, route } from './route.ts'

/*
 * What the node holds, for its operator to look into: Personal Networks, mailboxes by their counts, documents by their logs.
 */

const limit = z.coerce.number().int().min(1).max(maxPage).default(100).describe('How many are looked at.')
const after = z.string().max(1_024).optional().describe('The `next` of the page before.')
const time = z.coerce.number().int().min(0).optional().describe('As of then, milliseconds since 1970.')
const page = z.strictObject({ after, limit })
const id = z.string().max(1_024).describe('Such as pn/a.example/home.')

const refusal = z.object({ message: z.string() })
const refusals = {
  403: json('It is not for the operator to read.', refusal),
  404: json('It is not held here.', refusal),
}

export function inspectionRoutes(inspection: Inspection): readonly Route[] {
  const networks = route({
    ...{ method: 'GET', path: '/v1/networks', scope: 'read' },
    summary: 'The Personal Networks that are held here, a page at a time.',
    query: page,
    answers: { 200: json('As they are now.', networkPage) },
    handle: async ({ query }, answer) => answer(200, await inspection.networks(given(query))),
  })
  const network = route({
    ...{ method: 'GET', path: '/v1/networks/:home/:pnId', scope: 'read' },
    summary: 'The effective inventory of a Personal Network, and which operator has said what of it.',
    params: z.strictObject({ home: operator, pnId: segment }),
    query: z.strictObject({ at: time, said: z.stringbool().default(false).describe('Lists all registers.') }),
    answers: { 200: json('Its inventory.', networkReport), ...refusals },
    handle: async ({ params, query }, answer) => answer(200, await refusing(inspection.network(params, given(query)))),
  })
  const mailboxes = route({
    ...{ method: 'GET', path: '/v1/mailboxes', scope: 'read' },
    summary: 'The mailboxes that are held here, by their counts, a page at a time.',
    query: page,
    answers: { 200: json('As they are now.', mailboxPage) },
    handle: async ({ query }, answer) => answer(200, await inspection.mailboxes(given(query))),
  })
  const mailbox = route({
    ...{ method: 'GET', path: '/v1/mailboxes/:operator/:user', scope: 'read' },
    summary: 'How full a mailbox is, and how far it is in step. Nothing of what is in it.',
    params: z.strictObject({ operator, user: segment }),
    answers: { 200: json('Its counts.', mailboxReport), ...refusals },
    handle: async ({ params }, answer) => answer(200, await refusing(inspection.mailbox(params))),
  })
  const documents = route({
    ...{ method: 'GET', path: '/v1/documents', scope: 'read' },
    summary: 'The documents that are held here, a page at a time.',
    query: z.strictObject({ prefix: z.string().max(1_024).default('').describe('Of their ids.'), after, limit }),
    answers: { 200: json('As they are now.', documentPage) },
    handle: async ({ query: { prefix, ...page } }, answer) =>
      answer(200, await inspection.documents(prefix, given(page))),
  })
  const document = route({
    ...{ method: 'GET', path: '/v1/document', scope: 'read' },
    summary: 'Who has written how much of a document, its digest, and what others have said to hold of it.',
    query: z.strictObject({ id }),
    answers: { 200: json('Its logs.', documentReport), ...refusals },
    handle: async ({ query }, answer) => answer(200, await refusing(inspection.document(documentOf(query.id)))),
  })
  const history = route({
    ...{ method: 'GET', path: '/v1/document/history', scope: 'read' },
    summary: 'The latest entries of a document, each with how many registers of which kinds it set.',
    query: z.strictObject({ id, limit }),
    answers: { 200: json('The latest last.', documentHistory), ...refusals },
    handle: async ({ query: { id, limit } }, answer) =>
      answer(200, await refusing(inspection.history(documentOf(id), limit))),
  })
  const content = route({
    ...{ method: 'GET', path: '/v1/document/content', scope: 'read' },
    summary: 'What a document says, or said, where that is for the operator to read.',
    query: z.strictObject({
      id,
      at: time,
      version: z
        .string()
        .max(100_000)
        .optional()
        .describe('As of a version: log:length, with commas between. Logs that are not named count for nothing.'),
    }),
    answers: { 200: json('Its registers.', documentContent), ...refusals },
    handle: async ({ query: { id, at, version } }, answer) => {
      const moment = { ...given({ at }), ...(version !== undefined && { version: versionOf(version) }) }
      return answer(200, await refusing(inspection.content(documentOf(id), moment)))
    },
  })
  return [networks, network, mailboxes, mailbox, documents, document, history, content]
}

/** What was not said is not there. */
function given<T extends object>(query: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined)) as never
}

/** @throws {AdminRefusal} */
async function refusing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (error instanceof NotHeld) throw new AdminRefusal(404, error.message)
    if (error instanceof ContentWithheld) throw new AdminRefusal(403, error.message)
    if (error instanceof HistoryUnsteady) throw new AdminRefusal(503, error.message)
    if (error instanceof CorruptRecord) throw new AdminRefusal(500, error.message)
    throw error
  }
}

/** @throws {AdminRefusal} */
function documentOf(text: string): DocumentId {
  try {
    return asDocumentId(text)
  } catch (error) {
    if (error instanceof InvalidName) throw new AdminRefusal(400, error.message)
    throw error
  }
}

/** @throws {AdminRefusal} */
function versionOf(text: string): NonNullable<Moment['version']> {
  return new Map(
    text.split(',').map(each => {
      const [, log = '', length = ''] = /^([^:]*):(\d{1,10})$/.exec(each) ?? []
      if (!isLogId(log)) throw new AdminRefusal(400, `"${each.slice(0, 60)}" is no log:length.`)
      return [log, Number(length)]
    }),
  )
}
