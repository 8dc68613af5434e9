import { z } from 'zod'
import { askNode } from '../../adapters/control-socket.ts'
import type { Moment } from '../../document/history.ts'
import type { Inspection, PageWanted } from './inspection.ts'
import {
  documentContent,
  documentHistory,
  documentPage,
  documentReport,
  mailboxPage,
  mailboxReport,
  networkPage,
  networkReport,
} from './shapes.ts'

/** The node that runs does not show what it was asked for. The message is what it said. */
export class InspectionRefused extends Error {
  override readonly name = 'InspectionRefused'
}

type Query = Readonly<Record<string, string | number | boolean | undefined>>

/** What the node behind a socket lets its operator look into. @throws {NodeNotReached} {@link InspectionRefused} */
export function inspectionOverSocket(path: string): Inspection {
  async function ask<S extends z.ZodType>(shape: S, target: string, query: Query): Promise<z.output<S>> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined)
    const search = new URLSearchParams(given.map(([name, value]) => [name, String(value)]))
    const { status, lines } = await askNode(path, 'GET', `${target}?${search}`)
    const text = (await Array.fromAsync(lines)).join('\n')
    if (status !== 200) throw new InspectionRefused(reasonIn(text) ?? `The node answered ${status}.`)
    return shape.parse(JSON.parse(text))
  }
  const paged = ({ after, limit }: PageWanted): Query => ({ after, limit })

  return {
    networks: page => ask(networkPage, '/v1/networks', paged(page)),
    network: ({ home, pnId }, { at, said } = {}) =>
      ask(networkReport, `/v1/networks/${home}/${encodeURIComponent(pnId)}`, { at, said }),
    mailboxes: page => ask(mailboxPage, '/v1/mailboxes', paged(page)),
    mailbox: ({ operator, user }) => ask(mailboxReport, `/v1/mailboxes/${operator}/${encodeURIComponent(user)}`, {}),
    documents: (prefix, page) => ask(documentPage, '/v1/documents', { prefix, ...paged(page) }),
    document: id => ask(documentReport, '/v1/document', { id }),
    history: (id, limit) => ask(documentHistory, '/v1/document/history', { id, limit }),
    content: (id, moment = {}) => ask(documentContent, '/v1/document/content', { id, ...momentQuery(moment) }),
  }
}

const momentQuery = ({ at, version }: Moment): Query => ({
  at,
  version: version && [...version].map(([log, length]) => `${log}:${length}`).join(','),
})

const refusal = z.object({ message: z.string() })

function reasonIn(text: string): string | undefined {
  try {
    return refusal.safeParse(JSON.parse(text)).data?.message
  } catch {
    return undefined
  }
}
