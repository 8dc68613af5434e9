import { base64url } from 'multiformats/bases/base64'
import { contentAt, type History, type Moment, type PastEntry, readHistory } from '../../document/history.ts'
import { decodeVersion, localKeys, receiptServer } from '../../document/local-records.ts'
import { type DocumentName, ownerOf, parseDocumentId } from '../../document/names.ts'
import type { IndexRecord, LogHead } from '../../ports/log-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import { ContentWithheld, NotHeld, page } from './held.ts'
import type { PageWanted, Sources } from './inspection.ts'
import type { DocumentContent, DocumentHistory, DocumentPage, DocumentReport } from './shapes.ts'

/*
 * Documents as their logs are: who has written how much of them, who holds them, how they came to be what they are.
 */

/** Documents of which an operator may read what they say; all others hold what users say to each other. */
const readable: ReadonlySet<DocumentName['kind']> = new Set(['pn', 'visit', 'directory', 'policy'])

export const documentList = (sources: Sources, prefix: string, wanted: PageWanted): Promise<DocumentPage> =>
  page(sources, prefix, wanted, async index => summaryOf(index))

export async function documentOf(sources: Sources, document: DocumentId): Promise<DocumentReport> {
  const index = await sources.store.index(document)
  if (!index) throw notHeld(document)
  return {
    ...summaryOf(index),
    authors: [...Map.groupBy(index.heads, ({ server }) => server)].map(([server, heads]) => ({
      server,
      logs: heads.map(({ log, length, bytes, forked }) => ({
        ...{ log, bytes, entries: length, isForked: forked === true },
      })),
    })),
    superseded: [...index.superseded],
    receipts: await receiptsOf(sources, index),
  }
}

export async function historyOf(sources: Sources, document: DocumentId, limit: number): Promise<DocumentHistory> {
  const { index, entries, isWhole } = await read(sources, document)
  const shown = entries.slice(-limit).map(({ said, ...entry }) => ({ ...entry, kinds: kindsOf(said) }))
  return { document, digest: base64url.baseEncode(index.digest), isWhole, total: entries.length, entries: shown }
}

export async function contentOf(sources: Sources, document: DocumentId, moment: Moment): Promise<DocumentContent> {
  const { kind } = parseDocumentId(document)
  if (!readable.has(kind)) {
    throw new ContentWithheld(
      `What ${document} says is its user's: of documents of kind ${kind} an operator sees sizes and versions, in its history.`,
    )
  }
  const { entries, isWhole } = await read(sources, document)
  const registers: DocumentContent['registers'] = []
  for (const [key, { value, server, stamp }] of contentAt(entries, moment).entries())
    if (value !== null) registers.push({ key, value, server, stamp })
  return { document, isWhole, registers }
}

function summaryOf({ document, heads, digest, epoch }: IndexRecord): DocumentPage['items'][number] {
  return {
    document,
    owner: ownerOf(document),
    digest: base64url.baseEncode(digest),
    epoch,
    logs: heads.length,
    entries: sum(heads, ({ length }) => length),
    bytes: sum(heads, ({ bytes }) => bytes),
    forked: heads.filter(({ forked }) => forked === true).length,
  }
}

async function receiptsOf({ store, crypto }: Sources, index: IndexRecord): Promise<DocumentReport['receipts']> {
  const receipts: DocumentReport['receipts'] = []
  for await (const { key, value } of store.localScan(localKeys(index.document, crypto).receipts)) {
    const held = decodeVersion(value)
    const lacks = sum(index.heads, ({ log, length }) => Math.max(0, length - (held.get(log) ?? 0)))
    receipts.push({ server: receiptServer(key), lacks })
  }
  return receipts
}

async function read({ store, crypto }: Sources, document: DocumentId): Promise<History> {
  const history = await readHistory(store, document, crypto)
  if (history) return history
  throw notHeld(document)
}

const notHeld = (document: DocumentId): NotHeld =>
  new NotHeld(`This server does not hold ${document}; cpns document list shows what it holds.`)

function kindsOf(said: PastEntry['said']): Record<string, number> {
  const kinds = Map.groupBy(said, ({ key }) => key.split('/', 1)[0] ?? '')
  return Object.fromEntries([...kinds].map(([kind, all]) => [kind, all.length]))
}

const sum = (heads: readonly LogHead[], of: (head: LogHead) => number): number =>
  heads.reduce((total, head) => total + of(head), 0)
