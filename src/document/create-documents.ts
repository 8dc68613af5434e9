import type { ActorKind, ActorSystem } from '../actor/types.ts'
import type { DocumentId } from '../ports/names.ts'
import { DocumentActor, type DocumentMessage, type Surroundings } from './document-actor.ts'
import { type DocumentNotice, type Documents, type Mutation, NotTheOwner, type Observation } from './documents.ts'
import { type DocumentLimits, defaultLimits } from './limits.ts'
import { encodeVersion, localKeys } from './local-records.ts'
import { missing } from './missing.ts'
import { ownerOf } from './names.ts'
import { OwnLogs } from './own-logs.ts'
import type { DocumentsContext } from './replica.ts'

export interface DocumentsOptions extends Omit<DocumentsContext, 'limits'> {
  readonly actors: ActorSystem
  readonly limits?: Partial<DocumentLimits>
}

/** The documents of a server, kept in `store`, an actor for each that is in use. */
export function createDocuments(options: DocumentsOptions): Documents {
  const { actors, store, crypto, operator } = options
  const context: DocumentsContext = { ...options, limits: { ...defaultLimits, ...options.limits } }
  const { limits } = context
  const listeners = new Set<(notice: DocumentNotice) => void>()
  const around: Surroundings = {
    context,
    ownLogs: new OwnLogs(),
    publish: notice => {
      for (const listener of listeners) listener(notice)
    },
  }
  const kind: ActorKind<DocumentMessage> = {
    name: 'document',
    create: key => new DocumentActor(key as DocumentId, around),
    passivation: { idleMs: limits.idleMs, maxActive: limits.maxActive },
  }
  const patience = { timeoutMs: limits.askTimeoutMs }
  const actorOf = (document: DocumentId) => actors.actor(kind, document)

  function assertOwned(document: DocumentId): void {
    if (ownerOf(document) === operator) return
    throw new NotTheOwner(
      `${document} is written by ${ownerOf(document)}; ${operator} holds a replica. Forward the command.`,
    )
  }

  return {
    async write<T>(document: DocumentId, mutation: Mutation<T>): Promise<T> {
      assertOwned(document)
      return (await actorOf(document).ask({ type: 'write', mutation }, patience)) as T
    },
    read: document => actorOf(document).ask({ type: 'read' }, patience),
    index: document => store.index(document),
    list: (prefix, from = prefix) => store.scan({ from, to: `${prefix}\uffff` }),
    ingest: (document, entries, source) => actorOf(document).ask({ type: 'ingest', entries, source }, patience),
    missing: (document, version, maxBytes, hashes) => missing(document, version, maxBytes, hashes, context),
    async receipt(document, server, version) {
      if (ownerOf(document) !== operator || server === context.identity.server) return
      const key = localKeys(document, crypto).receipt(server)
      await store.commit({ documents: [], local: [{ key, value: encodeVersion(version) }] })
    },
    async compact(document) {
      assertOwned(document)
      await actorOf(document).ask({ type: 'compact' }, patience)
    },
    forget: document => actorOf(document).ask({ type: 'forget' }, patience),
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
  }
}
