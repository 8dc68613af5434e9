import type { ActorSystem } from '../actor/types.ts'
import { createProofCheck } from '../commands/proofs.ts'
import type { Documents, Registers } from '../document/documents.ts'
import { type FactProgress, Facts } from '../document/facts.ts'
import { parseDocumentId } from '../document/names.ts'
import type { Command, Principal } from '../federation/command.ts'
import type { CommandHandler, Entitlement, Federation } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { MediaStore } from '../ports/media-store.ts'
import { type DocumentId, type OperatorId, operatorId, type ServerId } from '../ports/names.ts'
import type { Push } from '../ports/push.ts'
import type { Random } from '../ports/random.ts'
import type { SearchIndex } from '../ports/search-index.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { ZipFormat } from '../ports/zip-format.ts'
import { createMailboxArchives, type MailboxArchives } from './archive/mailbox-archives.ts'
import { createAuthority, type Reach, reachOf } from './authority.ts'
import { attaching, deviceProcedures } from './devices/device-procedures.ts'
import { createSubscriptions } from './devices/subscriptions.ts'
import { commandOf, type DispatchOptions, handlerOf, type Procedure } from './dispatch.ts'
import { createMailboxGrants } from './entitlement.ts'
import { createErasure } from './erasure.ts'
import { type MailboxFact, mailboxFacts } from './mailbox-facts.ts'
import type { Media } from './media/media.ts'
import { offerMedia } from './media/offer-media.ts'
import { createMet } from './met.ts'
import type { MailboxRight } from './methods/users.ts'
import { type MailboxName, mailboxDocument, mailboxOf } from './names.ts'
import { createNotifier } from './notifications/notifier.ts'
import { objectProcedures } from './object-procedures.ts'
import { createOwedRecords } from './owed.ts'
import { type ChangeablePolicy, changingPolicy, type StoragePolicy } from './policy.ts'
import { isLiving } from './records.ts'
import { createSearch } from './search/create-search.ts'
import { searchProcedure } from './search/searching.ts'
import { createStanding } from './standing.ts'
import { createUpkeep } from './upkeep.ts'
import { userProcedures } from './user-procedures.ts'
import { createUsers } from './users.ts'
import { createWriters } from './writers.ts'

export interface StorageOptions {
  readonly operator: OperatorId
  readonly server: ServerId
  readonly documents: Documents
  readonly keys: KeySource
  readonly secrets: Pick<OperatorSecrets, 'macKeys'>
  /** Left out: this operator sends no Web Push. */
  readonly push?: Push | undefined
  readonly actors: ActorSystem
  /** For what this server alone remembers; documents go through `documents`. */
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  /** Absent: no archives are written or read. */
  readonly zip?: ZipFormat
  readonly policy?: Partial<StoragePolicy>
  /** Without it mailboxes are not searched. */
  readonly searchIndex?: SearchIndex
  /** Left out: this server takes no media. */
  readonly media?: { readonly store: MediaStore; readonly macKeys: () => OperatorSecrets['macKeys'] } | undefined
}

/** Message storage at one server: its commands, and who may hold and who may read its documents. */
export interface StorageService {
  readonly commands: readonly Command[]
  readonly archives?: MailboxArchives
  /** Known from `start` on; the federation needs it, so it comes first, and the federation joins. */
  readonly entitlement: Entitlement
  readonly media: Media | undefined
  /** Counts for whatever is asked from now on; what is stored stays. */
  changePolicy(to: ChangeablePolicy): void
  /** To be called once, before `start`. */
  join(federation: Federation): void
  /**
   * Names what was interrupted, and learns what may be held by whom; to be awaited before the federation starts. Clients may be
   * served meanwhile: what their commands need of it is learned first. Breaks off when the signal says so.
   */
  start(signal?: AbortSignal): Promise<void>
  /** How far the start has come. */
  readonly starting: FactProgress
  stop(): Promise<void>
  /** Whether a client may read a document of a mailbox as it is. */
  mayRead(principal: Principal, document: DocumentId): Promise<boolean>
}

/** The mailbox as it is now, for somebody who may do this there. */
export interface Admitted {
  readonly mailbox: Registers
  readonly reach: Reach
}
export type Admit = (right: MailboxRight, name: MailboxName, principal: Principal) => Promise<Admitted>

export function createStorage(options: StorageOptions): StorageService {
  const { operator: self, documents, keys, actors, store, clock, random, crypto, telemetry, zip } = options
  const { policy, change: changePolicy } = changingPolicy(options.policy)
  let joined: Federation | undefined
  const federation = () => {
    if (!joined) throw new Error('Message storage has joined no federation yet; call join first.')
    return joined
  }

  const authority = createAuthority({ self, keys })
  const owed = createOwedRecords(store, crypto, operatorId)
  const writers = createWriters({ self, server: options.server, actors, documents, owed, clock, random, policy })
  const { isDirectoryShared } = policy
  const grants = createMailboxGrants({
    ...{ self, documents, isDirectoryShared, clock, telemetry },
    refresh: mailbox => facts.refresh(mailbox),
  })
  const facts = new Facts<MailboxFact>({
    ...{ derivation: mailboxFacts, documents, store, clock, telemetry },
    learned: grants.learned,
  })
  const standing = createStanding({ self, grants, documents, clock, telemetry })
  const erasure = createErasure({ documents, store, crypto, clock, telemetry })
  const met = createMet(store, crypto)
  const upkeep = createUpkeep({
    self,
    server: options.server,
    met,
    documents,
    writers,
    erasure,
    clock,
    telemetry,
    policy,
  })
  const users = createUsers({
    ...{ self, documents, writers, crypto, policy },
    now: () => clock.now(),
    fingerprintOf: operator => federation().fingerprintOf(operator),
  })
  const { macKeys } = options.secrets
  const subscriptions = options.push && createSubscriptions({ documents, push: options.push, macKeys, crypto, random })
  const notifier = createNotifier({
    ...{ self, server: options.server, documents, federation, clock, random, crypto, telemetry },
    policy: policy.devices,
    pace: policy.notifications,
    push: options.push && subscriptions && { port: options.push, subscriptions },
  })
  const admit: Admit = async (right, name, principal) => {
    const mailbox = await documents.read(mailboxDocument(name))
    return { mailbox, reach: await authority.require(right, name, mailbox, principal) }
  }

  const dispatch: DispatchOptions = {
    ...{ self, documents, federation },
    proofs: createProofCheck({ self, keys, crypto, clock }),
  }
  const commands: Command[] = []
  const handlers = new Map<string, CommandHandler>()
  /** The one place where a method's own types end: callers have parsed its parameters by its schema. */
  function offer<Params, Result>(procedure: Procedure<Params, Result>): void {
    commands.push(commandOf(procedure, dispatch) as Command)
    if (procedure.kind === 'change') handlers.set(procedure.spec.method, handlerOf(procedure, dispatch))
  }
  const media =
    options.media &&
    offerMedia(offer, {
      ...{ self, documents, admit, clock, crypto, telemetry, policy, federation },
      ...options.media,
      mayHold: grants.mayHold,
    })
  userProcedures(offer, { users, authority, admit })
  const { attached, synced } = notifier
  objectProcedures(offer, { documents, writers, admit, media: media?.media, clock, crypto, policy, synced })
  const ofDevices = { self, documents, writers, admit, policy: policy.devices, subscriptions, attached }
  deviceProcedures(offer, ofDevices)
  commands.push(attaching(ofDevices) as Command)

  const { searchIndex: index } = options
  const memoryMs = policy.tokenMs
  const search = index && createSearch({ documents, index, actors, clock, telemetry, memoryMs })
  if (search) offer(searchProcedure({ search, documents, admit }))

  return {
    commands,
    ...(zip && {
      archives: createMailboxArchives({
        ...{ self, documents, writers, admit, crypto, policy, zip },
        ...(options.media && { media: options.media.store }),
        ...(media && { obtain: media.media.obtain }),
      }),
    }),
    entitlement: grants,
    media: media?.media,
    changePolicy,

    join(found) {
      joined = found
      if (media) found.serveMedia(media.give)
      for (const [method, handler] of handlers) found.handle(method, handler)
      notifier.join(found)
      standing.join(found)
    },

    get starting() {
      return facts.progress
    },

    async start(signal) {
      facts.follow()
      upkeep.start()
      media?.keeping.start()
      notifier.start()
      search?.start()
      await writers.recover(signal)
      await facts.load(signal)
    },

    async stop() {
      search?.stop()
      media?.keeping.stop()
      upkeep.stop()
      standing.stop()
      grants.stop()
      await notifier.stop()
      await facts.stop()
    },

    async mayRead(principal, document) {
      const { kind } = parseDocumentId(document)
      const name = kind === 'mailbox' || kind === 'conversation' ? mailboxOf(document) : undefined
      if (name) await facts.know(mailboxDocument(name))
      if (!name || !grants.mayHold(document, self)) return false
      const mailbox = await documents.read(mailboxDocument(name))
      const reach = isLiving(mailbox) ? reachOf(mailbox, principal) : undefined
      // A document is read whole or not at all.
      return reach?.isWhole === true && reach.rights.has('read')
    },
  }
}
