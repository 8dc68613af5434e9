import { asError, MailboxFull } from '../../actor/errors.ts'
import type { ActorKind, ActorSystem } from '../../actor/types.ts'
import type { DocumentNotice, Documents } from '../../document/documents.ts'
import { parseDocumentId } from '../../document/names.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import { isOperatorId } from '../../ports/names.ts'
import type { IndexPage, IndexQuery, SearchIndex } from '../../ports/search-index.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { type MailboxName, mailboxOf } from '../names.ts'
import { type Answer, Indexer, type IndexerMessage } from './indexer.ts'

/** Search of the mailboxes that this server holds. */
export interface Search {
  /** Brings every index into step in the background, and keeps it so. */
  start(): void
  stop(): void
  /**
   * One page, by an index that has all that was here when this was called. `isLagging`: this server itself has not all that the
   * mailbox speaks of.
   * @throws {CommandRefused} SEARCH_BEHIND, SEARCH_UNAVAILABLE, SEARCH_TOO_BROAD; {@link MailboxFull} {@link AskTimeout}
   */
  query(name: MailboxName, query: IndexQuery): Promise<{ readonly page: IndexPage; readonly isLagging: boolean }>
  /** Those of the media that some object refers to, with the same promises; for whoever is about to remove media. */
  referenced(name: MailboxName, hashes: readonly string[]): Promise<ReadonlySet<string>>
}

export interface SearchOptions {
  readonly documents: Pick<Documents, 'read' | 'subscribe'>
  readonly index: SearchIndex
  readonly actors: ActorSystem
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** After so long it is not remembered any more what was removed. */
  readonly memoryMs: number
  readonly limits?: Partial<SearchLimits>
}

export interface SearchLimits {
  /** How long a query waits for the index. */
  readonly patienceMs: number
  /** Changes within so long are put into the index together. */
  readonly changesMs: number
}

const defaultLimits: SearchLimits = { patienceMs: 5_000, changesMs: 500 }
/** Beyond its patience a question takes no longer than a step and a query. */
const overtimeMs = 10_000
const idleMs = 60_000
const capacity = 64

/**
 * A mailbox is indexed when it is first searched; from then on its index follows what changes, so that what is erased there is
 * soon erased here; and it goes when the mailbox does, or this server's right to hold it.
 */
export function createSearch(options: SearchOptions): Search {
  const { documents, index, actors, clock, telemetry } = options
  const limits = { ...defaultLimits, ...options.limits }
  /** By key: mailboxes that there are indexes of. All others have nothing to follow. */
  const indexed = new Set<string>()
  const changing = new Map<string, Cancel>()
  let unsubscribe: Cancel | undefined
  let isStopped = false

  const kind: ActorKind<IndexerMessage> = {
    name: 'search',
    mailbox: { capacity },
    passivation: { idleMs, maxActive: 1_000 },
    create: key =>
      new Indexer(nameOf(key), {
        ...options,
        isIndexed: (name, isIndexed) => (isIndexed ? indexed.add(keyOf(name)) : indexed.delete(keyOf(name))),
      }),
  }

  async function ask<T>(
    name: MailboxName,
    run: (position: string) => Promise<T>,
  ): Promise<{ readonly value: T; readonly isLagging: boolean }> {
    const { patienceMs } = limits
    const answer = await actors
      .actor(kind, keyOf(name))
      .ask<Answer<T>>({ type: 'ask', run, patienceMs }, { timeoutMs: patienceMs + overtimeMs })
    return answer
  }

  function follow({ document }: DocumentNotice): void {
    const { kind } = parseDocumentId(document)
    const name = kind === 'mailbox' || kind === 'conversation' ? mailboxOf(document) : undefined
    if (!name || !indexed.has(keyOf(name)) || changing.has(keyOf(name))) return
    changing.set(
      keyOf(name),
      clock.after(limits.changesMs, () => {
        changing.delete(keyOf(name))
        tellChanged(name)
      }),
    )
  }

  function tellChanged(name: MailboxName): void {
    try {
      actors.actor(kind, keyOf(name)).tell({ type: 'changed' })
    } catch (error) {
      // Those who fill its mailbox ask it to go on.
      if (!(error instanceof MailboxFull)) throw error
    }
  }

  /** One after the other: what changed while the server was away, and mailboxes that are gone. */
  async function sweep(): Promise<void> {
    const names = await index.mailboxes()
    for (const name of names) indexed.add(keyOf(name))
    for (const name of names) {
      if (isStopped) return
      await ask(name, async () => undefined).catch(() => undefined)
    }
  }

  return {
    start() {
      unsubscribe = documents.subscribe(follow)
      sweep().catch(error => telemetry.log('error', 'search.sweep-failed', { error: asError(error).message }))
    },

    stop() {
      isStopped = true
      unsubscribe?.()
      for (const cancel of changing.values()) cancel()
      changing.clear()
    },

    async query(name, query) {
      const { value, isLagging } = await ask(name, position => index.query(name, position, query))
      return { page: value, isLagging }
    },

    async referenced(name, hashes) {
      return (await ask(name, position => index.held(name, position, 'media', hashes))).value
    },
  }
}

const keyOf = ({ operator, user }: MailboxName): string => `${operator}/${user}`

function nameOf(key: string): MailboxName {
  const [operator = '', user = ''] = key.split('/')
  if (!isOperatorId(operator)) throw new Error(`"${key}" is no mailbox.`)
  return { operator, user }
}
