import { createEnds } from '../commands/ends.ts'
import type { DocumentNotice, Documents, Registers } from '../document/documents.ts'
import type { Known } from '../document/facts.ts'
import { ownerOf, parseDocumentId } from '../document/names.ts'
import type { Entitlement } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { indexDocument, indexPartsOf, isIndex } from './index-parts.ts'
import type { MailboxFact } from './mailbox-facts.ts'
import { type MailboxName, mailboxDocument, mailboxOf, partDocument } from './names.ts'
import { changesOf } from './records.ts'

/*
 * Which operators may hold the documents of a mailbox: its owner, and for the mailbox document and its conversations those with
 * an unexpired grant in it. `devices/…` stay with their owner; `directory/…` go to whoever federates, if the policy says so.
 * An operator whose grant has ended, or that learns that the user was erased, drops what it holds. Who was away when it ended is not
 * sent that, and asks (`standing.ts`).
 *
 * It is asked for every push, so the answer comes from memory.
 */

export interface MailboxGrants extends Entitlement {
  /** Learns what is known of a mailbox document, or that it is not held any more: to be told of all that are held, and of every change. */
  learned(mailbox: DocumentId, known: Known<MailboxFact> | undefined): Promise<void>
  stop(): void
  /** Mailboxes of an operator that are held here by its grant. */
  heldOf(operator: OperatorId): DocumentId[]
  /** That the grant has ended by which a mailbox is held here: what is here of it goes, and is not taken again by this grant. */
  end(mailbox: DocumentId): Promise<void>
}

type Granted = ReadonlyMap<OperatorId, number>

/** By then each server has asked whether a grant stands, that has a link to whom to ask. */
const endingMs = 2 * 3_600_000
/** By then all that a mailbox had when it was granted has come, or a link has gone, and the next one compares everything. */
const arrivingMs = 2 * 3_600_000
const retryMs = 30_000

export function createMailboxGrants(options: {
  readonly self: OperatorId
  readonly documents: Documents
  readonly isDirectoryShared: boolean
  readonly clock: Clock
  readonly telemetry: Telemetry
  /** Has a mailbox document told anew. */
  readonly refresh: (mailbox: DocumentId) => Promise<void>
}): MailboxGrants {
  const { self, documents, clock, telemetry } = options
  const known = new Map<DocumentId, Granted>()
  const listeners = new Set<(document: DocumentId) => void>()
  /** Of each operator one string for all grants. */
  const operators = new Map<OperatorId, OperatorId>()
  const ends = createEnds<DocumentId>(clock, haveEnded)
  /** Grants to this operator that have ended before their time, by when that is, and until when its other servers may not know it yet. */
  const ended = new Map<DocumentId, { readonly expires: number; readonly until: number }>()
  /** Mailboxes that were granted to this operator lately, and until when index parts of them are looked into as they come. */
  const arriving = new Map<DocumentId, number>()
  let isStopped = false
  const unsubscribe = documents.subscribe(noticed)

  const isGranted = (mailbox: DocumentId, operator: OperatorId): boolean => {
    const until = known.get(mailbox)?.get(operator)
    return until !== undefined && clock.now() < until
  }

  async function learned(mailbox: DocumentId, said: Known<MailboxFact> | undefined): Promise<void> {
    if (!said) return learn(mailbox, new Map(), [])
    const granted = new Map(said.fact.given.map(([operator, expires]) => [interned(operator), expires]))
    await learn(mailbox, granted, said.content ? partsNamedIn(mailbox, said.content) : [])
    if (ownerOf(mailbox) !== self && (hasEnded(said.fact) || isEnded(mailbox, granted))) await drop(mailbox)
  }

  function interned(operator: OperatorId): OperatorId {
    const one = operators.get(operator) ?? operator
    operators.set(one, one)
    return one
  }

  /** Nothing of the user is there any more, or nothing for us. */
  const hasEnded = ({ user, given }: MailboxFact): boolean =>
    user === 'erased' ||
    (user === 'living' && !given.some(([operator, expires]) => operator === self && expires > clock.now()))

  /** Whether this operator was told that its grant has ended, which still stands there. */
  function isEnded(mailbox: DocumentId, granted: Granted): boolean {
    const end = ended.get(mailbox)
    const expires = granted.get(self)
    if (!end || expires === undefined) return false
    if (expires !== end.expires) ended.delete(mailbox)
    return expires === end.expires
  }

  function hasEndedHere(document: DocumentId): boolean {
    const name = ended.size > 0 ? mailboxOf(document) : undefined
    const mailbox = name && mailboxDocument(name)
    const end = mailbox && ended.get(mailbox)
    if (!end) return false
    if (end.until > clock.now()) return true
    ended.delete(mailbox)
    return false
  }

  /** The mailbox document last: by it the rest is found. */
  async function drop(mailbox: DocumentId): Promise<void> {
    try {
      for (const document of await Array.fromAsync(documentsOf(documents, mailboxOf(mailbox))))
        if (document !== mailbox) await documents.forget(document)
      await documents.forget(mailbox)
      telemetry.count('cpns_replicas_dropped_total')
      telemetry.log('info', 'storage.replica.dropped', { document: mailbox })
    } catch (error) {
      telemetry.log('error', 'storage.replica.not-dropped', { document: mailbox, message: String(error) })
      later(() => void options.refresh(mailbox))
    }
  }

  function later(act: () => void): void {
    clock.after(retryMs, () => {
      if (!isStopped) act()
    })
  }

  async function learn(mailbox: DocumentId, granted: Granted, named: readonly DocumentId[]): Promise<void> {
    if (isStopped) return
    const before = known.get(mailbox)
    if (granted.size === 0) known.delete(mailbox)
    else known.set(mailbox, granted)
    const end = nextEnd(granted)
    if (end !== undefined && end !== (before && nextEnd(before))) ends.at(mailbox, end)
    if (isEqual(before ?? new Map(), granted)) return
    if (isGranted(mailbox, self) && ownerOf(mailbox) !== self) arriving.set(mailbox, clock.now() + arrivingMs)
    await announce(mailbox, named)
  }

  /** An index part has come of a mailbox that was just granted: what it names was refused before, as the mailbox was not known. */
  async function indexCame(document: DocumentId, mailbox: DocumentId): Promise<void> {
    const until = arriving.get(mailbox)
    if (until === undefined || listeners.size === 0) return
    if (until < clock.now()) arriving.delete(mailbox)
    for (const named of partsNamedIn(document, await documents.read(document)))
      if (!(await documents.index(named))) for (const listener of listeners) listener(named)
  }

  function noticed({ document, index, source }: DocumentNotice): void {
    if (arriving.size === 0 || !index || source === 'own' || !isIndex(document)) return
    const name = mailboxOf(document)
    if (!name) return
    indexCame(document, mailboxDocument(name)).catch(error => {
      telemetry.log('warn', 'storage.index-unread', { document, message: String(error) })
    })
  }

  function nextEnd(granted: Granted): number | undefined {
    const now = clock.now()
    let next: number | undefined
    for (const end of granted.values()) if (end > now && (next === undefined || end < next)) next = end
    return next
  }

  function haveEnded(mailbox: DocumentId, end: number): void {
    const granted = known.get(mailbox)
    if (!granted || ![...granted.values()].includes(end)) return
    const next = nextEnd(granted)
    if (next !== undefined) ends.at(mailbox, next)
    void options.refresh(mailbox).then(() => announce(mailbox))
  }

  /** The conversations too, they follow the mailbox: those that are here, and those that it names and that were refused before. */
  async function announce(mailbox: DocumentId, named: readonly DocumentId[] = []): Promise<void> {
    if (listeners.size === 0) return
    try {
      const held = await Array.fromAsync(documentsOf(documents, mailboxOf(mailbox)))
      for (const document of new Set([mailbox, ...held, ...named])) for (const listener of listeners) listener(document)
    } catch (error) {
      telemetry.log('error', 'storage.grants.unreadable', { document: mailbox, message: String(error) })
      later(() => void announce(mailbox, named))
    }
  }

  return {
    heldOf: operator =>
      [...known]
        .filter(([mailbox, granted]) => ownerOf(mailbox) === operator && granted.has(self))
        .map(([mailbox]) => mailbox),

    async end(mailbox) {
      const expires = known.get(mailbox)?.get(self)
      if (expires === undefined) return
      ended.set(mailbox, { expires, until: clock.now() + endingMs })
      await options.refresh(mailbox)
    },

    hasEnded: hasEndedHere,

    mayHold(document, operator) {
      const name = parseDocumentId(document)
      if (name.owner === operator) return true
      switch (name.kind) {
        case 'mailbox':
          return isGranted(document, operator)
        case 'conversation':
          return isGranted(mailboxDocument({ operator: name.owner, user: name.user }), operator)
        case 'directory':
          // Of others' directories those come that their owners give.
          return name.owner !== self || options.isDirectoryShared
        default:
          return false
      }
    },

    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    learned,

    stop() {
      isStopped = true
      unsubscribe()
      ends.stop()
      known.clear()
    },
  }
}

/** Parts that a mailbox document names, or an index part, and index parts. */
function partsNamedIn(document: DocumentId, said: Registers): DocumentId[] {
  const name = mailboxOf(document)
  if (!name) return []
  const parts = new Set<DocumentId>()
  for (const { container, part } of changesOf(said)) parts.add(partDocument(name, container, part))
  for (const { part } of indexPartsOf(said)) parts.add(indexDocument(name, part))
  return [...parts]
}

/** The documents of a mailbox that are held here. */
export async function* documentsOf(
  documents: Pick<Documents, 'list' | 'index'>,
  name: MailboxName | undefined,
): AsyncGenerator<DocumentId> {
  if (!name) return
  const mailbox = mailboxDocument(name)
  if (await documents.index(mailbox)) yield mailbox
  for await (const { document } of documents.list(`conversation/${name.operator}/${name.user}/`)) yield document
}

const isEqual = (a: Granted, b: Granted): boolean =>
  a.size === b.size && [...a].every(([operator, expires]) => b.get(operator) === expires)
