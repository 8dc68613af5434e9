import type { Moment } from '../../document/history.ts'
import type { NetworkName } from '../../inventory/view.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { LogStore } from '../../ports/log-store.ts'
import type { DocumentId } from '../../ports/names.ts'
import type { MailboxName } from '../../storage/names.ts'
import { contentOf, documentList, documentOf, historyOf } from './documents.ts'
import { mailboxList, mailboxOf } from './mailboxes.ts'
import { networkList, networkOf } from './networks.ts'
import type {
  DocumentContent,
  DocumentHistory,
  DocumentPage,
  DocumentReport,
  MailboxPage,
  MailboxReport,
  NetworkPage,
  NetworkReport,
} from './shapes.ts'

/*
 * What an operator may look into of the documents that a server holds. It reads nothing but the store, and so says the same of a
 * server that runs and, read from its folder, of one that does not.
 */

export interface PageWanted {
  /** The `next` of the page before. */
  readonly after?: string
  /** How many documents are looked at; a page may show less. 1 to {@link maxPage}. */
  readonly limit: number
}
export const maxPage = 1_000

export interface NetworkWanted {
  /** As of when; left out: now. */
  readonly at?: number
  /** Whether each register is listed, with who wrote it. */
  readonly said?: boolean
}

/** @throws {NotHeld} {@link ContentWithheld} {@link CorruptRecord} {@link HistoryUnsteady} from all of its methods that look at one thing. */
export interface Inspection {
  networks(page: PageWanted): Promise<NetworkPage>
  network(name: NetworkName, wanted?: NetworkWanted): Promise<NetworkReport>
  mailboxes(page: PageWanted): Promise<MailboxPage>
  mailbox(name: MailboxName): Promise<MailboxReport>
  /** @param prefix of their ids, such as `pn/a.example/` */
  documents(prefix: string, page: PageWanted): Promise<DocumentPage>
  document(document: DocumentId): Promise<DocumentReport>
  /** @param limit how many entries, the latest */
  history(document: DocumentId, limit: number): Promise<DocumentHistory>
  content(document: DocumentId, moment?: Moment): Promise<DocumentContent>
}

/** What an inspection reads by. */
export interface Sources {
  readonly store: Pick<LogStore, 'index' | 'scan' | 'entries' | 'local' | 'localScan'>
  readonly crypto: Pick<Crypto, 'sha256'>
  /** Milliseconds since 1970. */
  readonly now: () => number
}

export const inspectionOf = (sources: Sources): Inspection => ({
  networks: page => networkList(sources, page),
  network: (name, wanted = {}) => networkOf(sources, name, wanted),
  mailboxes: page => mailboxList(sources, page),
  mailbox: name => mailboxOf(sources, name),
  documents: (prefix, page) => documentList(sources, prefix, page),
  document: document => documentOf(sources, document),
  history: (document, limit) => historyOf(sources, document, limit),
  content: (document, moment = {}) => contentOf(sources, document, moment),
})
