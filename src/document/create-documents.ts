import { type IdleMs, Slices } from '../actor/slices.ts'
import type { ActorKind, ActorSystem } from '../actor/types.ts'
import { CorruptRecord, type IndexRecord } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import { spanned } from '../ports/spans.ts'
import { Damages } from './damage.ts'
import { DocumentActor, type Surroundings } from './document-actor.ts'
import type { DocumentMessage } from './document-messages.ts'
import { type DocumentNotice, type Documents, type Mutation, NotTheOwner, type Observation } from './documents.ts'
import { type DocumentLimits, defaultLimits } from './limits.ts'
import { encodeVersion, localKeys } from './local-records.ts'
import { missing } from './missing.ts'
import { ownerOf } from './names.ts'
import { OwnLogs } from './own-logs.ts'
import { RecentIndexes } from './recent-indexes.ts'
import type { DocumentsContext } from './replica.ts'
import { readRow } from './row.ts'
import { Sealing } from './sealing.ts'
import { Signatures } from './signatures.ts'

export interface DocumentsOptions
  extends Omit<DocumentsContext, 'limits' | 'damages' | 'slices' | 'indexes' | 'sealing' | 'signatures'> {
  readonly actors: ActorSystem
  /** By which what peers send makes room for what others want. Left out: nobody wants the event loop when it is not busy with that. */
  readonly idleMs?: IdleMs
  readonly limits?: Partial<DocumentLimits>
}

/** The documents of a server, kept in `store`, an actor for each that is in use. */
export function createDocuments(options: DocumentsOptions): Documents {
  const { actors, store, crypto, operator, identity, random } = options
  const damages = new Damages(store, crypto)
  const slices = new Slices(options.clock, options.idleMs)
  const indexes = new RecentIndexes(store)
  const context: DocumentsContext = {
    ...options,
    damages,
    slices,
    indexes,
    sealing: new Sealing(identity, crypto, random),
    signatures: new Signatures(crypto),
    limits: { ...defaultLimits, ...options.limits },
  }
  const { limits } = context
  const listeners = new Set<(notice: DocumentNotice) => void>()
  const around: Surroundings = {
    context,
    ownLogs: new OwnLogs(),
    publish: notice => {
      for (const listener of listeners) tell(listener, notice)
    },
  }
  /** What is durable is durable, whoever fails to hear of it. */
  function tell(listener: (notice: DocumentNotice) => void, notice: DocumentNotice): void {
    try {
      listener(notice)
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      context.telemetry.log('error', 'document.listener-failed', { document: notice.document, detail })
    }
  }
  const kind: ActorKind<DocumentMessage> = {
    name: 'document',
    create: key => new DocumentActor(key as DocumentId, around),
    passivation: { idleMs: limits.idleMs, maxActive: limits.maxActive, maxWeight: limits.maxActiveBytes },
  }
  const patience = { timeoutMs: limits.askTimeoutMs }
  const actorOf = (document: DocumentId) => actors.actor(kind, document)

  const isOwned = (document: DocumentId): boolean => ownerOf(document) === operator
  const notTheOwner = (document: DocumentId): Promise<never> =>
    Promise.reject(
      new NotTheOwner(
        `${document} is written by ${ownerOf(document)}; ${operator} holds a replica. Forward the command.`,
      ),
    )

  const examine = (document: DocumentId): Promise<number> => actorOf(document).ask({ type: 'examine' }, patience)

  /** Reads past the document's actor. If the disk has changed a record of it, the actor mends it, and it is read again. */
  async function mending<T>(document: DocumentId, read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      if (!(error instanceof CorruptRecord)) throw error
      await examine(document)
      return await read()
    }
  }

  /** An index record that the disk has changed is made anew, and the list goes on there. */
  async function* list(prefix: string, first = prefix): AsyncGenerator<IndexRecord> {
    const to = `${prefix}\uffff`
    for (let from = first; ; ) {
      try {
        for await (const record of store.scan({ from, to })) {
          from = `${record.document}\0`
          yield record
        }
        return
      } catch (error) {
        if (!(error instanceof CorruptRecord) || error.place.kind !== 'index') throw error
        const { document } = error.place
        await examine(document)
        from = document
      }
    }
  }

  return {
    write<T>(document: DocumentId, mutation: Mutation<T>): Promise<T> {
      if (!isOwned(document)) return notTheOwner(document)
      const span = context.telemetry.spans?.begin('document.write', { document })
      return spanned(span, () => actorOf(document).ask<T>({ type: 'write', mutation }, patience))
    },
    read: document => actorOf(document).ask({ type: 'read' }, patience),
    held: document => actorOf(document).ask({ type: 'held' }, patience),
    heldOfRow: row => readRow(row, context),
    count: prefix => store.count({ from: prefix, to: `${prefix}\uffff` }),
    room: document => actorOf(document).ask({ type: 'room' }, patience),
    index: document => mending(document, () => indexes.of(document)),
    list,
    ingest: (document, entries, source, turn = source) =>
      actorOf(document).ask({ type: 'ingest', entries, source, turn }, patience),
    missing: (document, version, maxBytes, hashes) =>
      mending(document, () => missing(document, version, maxBytes, hashes, context)),
    async receipt(document, server, version) {
      if (!isOwned(document) || server === context.identity.server) return
      const key = localKeys(document, crypto).receipt(server)
      await store.commit({ documents: [], local: [{ key, value: encodeVersion(version) }] })
    },
    compact(document) {
      if (!isOwned(document)) return notTheOwner(document)
      return actorOf(document).ask({ type: 'compact' }, patience)
    },
    forget: (document, digest) => actorOf(document).ask({ type: 'forget', digest }, patience),
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    async observe(document, observer): Promise<Observation> {
      const actor = actorOf(document)
      const epoch = await actor.ask<number>({ type: 'observe', observer }, patience)
      return {
        epoch,
        diff: stateVector => actor.ask({ type: 'diff', observer, stateVector }, patience),
        close: () => actor.tell({ type: 'unobserve', observer }),
      }
    },
    examine,
    async start() {
      await damages.read()
      // What lies aside of them is put together; nobody waits for it.
      for (const { document } of damages.all) {
        examine(document).catch((error: unknown) =>
          context.telemetry.log('error', 'document.not-mended', { document, detail: String(error) }),
        )
      }
    },
    damaged: () => damages.all,
    giveUp: document => actorOf(document).ask({ type: 'give-up' }, patience),
  }
}
