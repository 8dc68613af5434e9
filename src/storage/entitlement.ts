import type { Documents, Registers } from '../document/documents.ts'
import { ownerOf, parseDocumentId } from '../document/names.ts'
import type { Entitlement } from '../federation/federation.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type MailboxName, mailboxDocument, mailboxOf, partDocument } from './names.ts'
import { changesOf, grantsOf, isLiving, keys, userOf } from './records.ts'

/*
 * Which operators may hold the documents of a mailbox: its owner, and for the mailbox document and its conversations those with
 * an unexpired grant in it. `devices/…` stay with their owner; `directory/…` go to whoever federates, if the policy says so.
 * An operator whose grant has ended, or that learns that the user was erased, drops what it holds.
 *
 * It is asked for every push, so the answer comes from memory.
 */

export interface MailboxGrants extends Entitlement {
  /** Reads the grants of every mailbox held here, then follows them. */
  start(): Promise<void>
  stop(): void
}

type Granted = ReadonlyMap<OperatorId, number>

const longestWaitMs = 3_600_000
/** Mailbox documents read at once at the start. */
const readAtOnce = 16

export function createMailboxGrants(options: {
  readonly self: OperatorId
  readonly documents: Documents
  readonly isDirectoryShared: boolean
  readonly clock: Clock
  readonly telemetry: Telemetry
}): MailboxGrants {
  const { self, documents, clock, telemetry } = options
  const known = new Map<DocumentId, { readonly granted: Granted; readonly cancel: Cancel }>()
  const listeners = new Set<(document: DocumentId) => void>()
  const reading = new Map<DocumentId, boolean>()
  let unsubscribe: Cancel | undefined

  const isGranted = (mailbox: DocumentId, operator: OperatorId): boolean => {
    const until = known.get(mailbox)?.granted.get(operator)
    return until !== undefined && clock.now() < until
  }

  /** Read again when it has changed meanwhile; a reading at a time. */
  async function refresh(mailbox: DocumentId): Promise<void> {
    if (reading.has(mailbox)) {
      reading.set(mailbox, true)
      return
    }
    do {
      reading.set(mailbox, false)
      try {
        await read(mailbox)
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        telemetry.log('error', 'storage.grants.unreadable', { document: mailbox, message })
        await learn(mailbox, new Map())
      }
    } while (reading.get(mailbox))
    reading.delete(mailbox)
  }

  async function read(mailbox: DocumentId): Promise<void> {
    const content = await documents.read(mailbox)
    const granted = new Map([...grantsOf(content)].map(({ operator, expires }) => [operator, expires]))
    await learn(mailbox, granted, partsNamedIn(mailbox, content))
    if (ownerOf(mailbox) !== self && hasEnded(content)) await drop(mailbox)
  }

  /** Nothing of the user is there any more, or nothing for us. */
  const hasEnded = (content: Registers): boolean =>
    userOf(content) !== undefined &&
    (!isLiving(content) ||
      ![...grantsOf(content)].some(({ operator, expires }) => operator === self && expires > clock.now()))

  async function drop(mailbox: DocumentId): Promise<void> {
    for (const document of await Array.fromAsync(documentsOf(documents, mailboxOf(mailbox))))
      if (document !== mailbox) await documents.forget(document)
    await documents.forget(mailbox)
    telemetry.count('cpns_replicas_dropped_total')
    telemetry.log('info', 'storage.replica.dropped', { document: mailbox })
  }

  async function learn(mailbox: DocumentId, granted: Granted, named: readonly DocumentId[] = []): Promise<void> {
    const before = known.get(mailbox)
    before?.cancel()
    if (!unsubscribe) return
    if (granted.size === 0) known.delete(mailbox)
    else known.set(mailbox, { granted, cancel: announceNextEnd(mailbox, granted) })
    if (!isEqual(before?.granted ?? new Map(), granted)) await announce(mailbox, named)
  }

  function announceNextEnd(mailbox: DocumentId, granted: Granted): Cancel {
    const ends = [...granted.values()].filter(end => end > clock.now())
    if (ends.length === 0) return () => {}
    return clock.after(Math.min(Math.min(...ends) - clock.now(), longestWaitMs), () => {
      known.set(mailbox, { granted, cancel: announceNextEnd(mailbox, granted) })
      if (ends.some(end => end <= clock.now())) void refresh(mailbox).then(() => announce(mailbox))
    })
  }

  /** The conversations too, they follow the mailbox: those that are here, and those that it names and that were refused before. */
  async function announce(mailbox: DocumentId, named: readonly DocumentId[] = []): Promise<void> {
    const held = await Array.fromAsync(documentsOf(documents, mailboxOf(mailbox)))
    for (const document of new Set([mailbox, ...held, ...named])) for (const listener of listeners) listener(document)
  }

  return {
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

    async start() {
      unsubscribe = documents.subscribe(({ document, index, keys: written }) => {
        if (!document.startsWith('mailbox/')) return
        if (!index) void learn(document, new Map())
        else if (!written || written.some(decides)) void refresh(document)
      })
      let batch: Promise<void>[] = []
      for await (const { document } of documents.list('mailbox/')) {
        batch.push(refresh(document))
        if (batch.length < readAtOnce) continue
        await Promise.all(batch)
        batch = []
      }
      await Promise.all(batch)
    },

    stop() {
      unsubscribe?.()
      unsubscribe = undefined
      for (const { cancel } of known.values()) cancel()
      known.clear()
    },
  }
}

function partsNamedIn(mailbox: DocumentId, content: Registers): DocumentId[] {
  const name = mailboxOf(mailbox)
  if (!name) return []
  const parts = new Set<DocumentId>()
  for (const { container, part } of changesOf(content)) parts.add(partDocument(name, container, part))
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

/** Whether a register of a mailbox says who may hold it. */
const decides = (key: string): boolean => key === keys.user || key.startsWith(keys.grant(''))

const isEqual = (a: Granted, b: Granted): boolean =>
  a.size === b.size && [...a].every(([operator, expires]) => b.get(operator) === expires)
