import type { NetworkMeter } from '../../ports/network-meter.ts'
import type { ReplicaStore } from '../../ports/replica-store.ts'
import { type Content, type Flag, type Scope, scope as scopeSchema } from '../../storage/fields.ts'
import { linkFollow, mailboxFetch } from '../../storage/methods/objects.ts'
import type { MailboxName } from '../../storage/names.ts'
import type { NewObject } from '../../storage/objects.ts'
import { ProtocolViolation } from '../errors.ts'
import type { ClientPorts, Session, SessionOptions } from '../session.ts'
import { ChangeImpossible, createEdits, type Edits } from './edits.ts'
import type { ConnectionState, MessageStoreEvent } from './events.ts'
import { keepInStep } from './in-step.ts'
import { inTurn } from './in-turn.ts'
import { type LocalChange, type LocalIntent, localChange } from './local-changes.ts'
import { createMetering } from './metering.ts'
import type { FollowedLink, FullObject, MailObject } from './objects.ts'
import { pendingChanges } from './pending.ts'
import { nameOf, openReplica, type Position, ReplicaMismatch } from './replica.ts'
import { keys, ranges } from './replica-state.ts'
import { type Container, createShown } from './shown.ts'
import type { SyncResult } from './synchronise.ts'

export interface MessageStoreOptions {
  /**
   * The user's subscription at the home operator, with its servers; and, if the user has any, subscriptions at other operators
   * that hold the mailbox, to be used when the home operator is out of reach.
   */
  readonly session: SessionOptions | readonly [SessionOptions, ...SessionOptions[]]
  /** One of the user's CPM addresses. */
  readonly address: string
  /** What this device is called, uniquely among the user's devices. */
  readonly deviceId: string
  /** As people call it, in lists of the user's devices. Default: its id. */
  readonly deviceName?: string
  /** Where the replica is kept. It belongs to the store, which closes it. */
  readonly replica: ReplicaStore
  /** What is kept here. Default: everything. Another one than the last time fetches anew what is in it. */
  readonly scope?: Scope
  /**
   * How much of each object; asked at each sync. Default: `full`. What came with less is completed by `fetch`, and by the first
   * sync that takes `full`.
   */
  readonly content?: Content | (() => Content)
  /**
   * Whether the network is metered, as far as the application knows; {@link MessageStore.setMetered} says it later. Default: as the
   * platform says, and not where it says nothing.
   */
  readonly isMetered?: boolean
  readonly sync?: {
    /** Now and then, without a reason. Default: a quarter of an hour; `false`: not. */
    readonly everyMs?: number | false
    /** When a server says that something is new. Default: yes. */
    readonly onNotification?: boolean
    /** When the user has done something. Default: yes. */
    readonly onChange?: boolean
    /** Objects that come in one page. */
    readonly pageSize?: number
  }
  /** Whether to begin without a connection. Default: no. */
  readonly startOffline?: boolean
  /** Hears what happens. It must not throw. */
  readonly onEvent?: (event: MessageStoreEvent) => void
}

/**
 * A user's messages on one device: there without a connection, and in step with the servers when there is one. All that is
 * read comes from the replica; all that is done is kept, and shown, before it resolves, and told to the servers when they can
 * be reached. Objects are called by their ids, which are unique in the mailbox.
 */
export interface MessageStore {
  readonly connection: ConnectionState
  /** Known once a server has said so. */
  readonly mailbox: MailboxName | undefined
  /** Whether the network is metered. */
  readonly isMetered: boolean
  /** How much of each object comes now: what is wanted, but no more than lists where the user prefers that on metered networks. */
  readonly content: Content
  /** Changes of this device that servers have not taken, or do not show yet. */
  readonly waiting: readonly LocalChange[]

  /** Those with objects here; the one with the latest first. */
  conversations(): Promise<readonly Container[]>
  folders(): Promise<readonly Container[]>
  /** Objects of a conversation or folder, the latest first; `before`: those that follow this one. Default limit: 50. */
  objects(
    container: string,
    page?: { readonly before?: Position; readonly limit?: number },
  ): Promise<readonly MailObject[]>
  get(id: string): Promise<MailObject | undefined>
  /** Objects here whose text, subject or sender has all the words, the latest first. Default limit: 50. */
  search(
    words: string,
    options?: { readonly container?: string; readonly limit?: number },
  ): Promise<readonly MailObject[]>

  /** @throws {ChangeImpossible} {@link ReplicaFailed}, and then nothing was changed; as all that follow do */
  setFlag(ids: string | readonly string[], ...flags: readonly Flag[]): Promise<void>
  clearFlag(ids: string | readonly string[], ...flags: readonly Flag[]): Promise<void>
  /** Stores an object in its conversation, or in a user folder. @returns its id */
  deposit(object: NewObject, options?: { readonly folder?: string; readonly flags?: readonly Flag[] }): Promise<string>
  /** Stores a draft; in place of an earlier one, which is expunged. @returns its id */
  saveDraft(object: NewObject, options?: { readonly folder?: string; readonly replaces?: string }): Promise<string>
  /** @returns the ids of the copies */
  copy(ids: string | readonly string[], folder: string): Promise<readonly string[]>
  /** From one user folder to another. */
  move(ids: string | readonly string[], folder: string): Promise<void>
  /** Removes for good. */
  expunge(ids: string | readonly string[]): Promise<void>
  /** @returns its id */
  createFolder(name: string, options?: { readonly parent?: string }): Promise<string>
  renameFolder(folder: string, name: string): Promise<void>
  /** With all that lies in it. */
  removeFolder(folder: string): Promise<void>

  /**
   * All of an object, asked for if only a list or a link of it is here, and kept.
   * @throws {ObjectGone} when it is not there any more; and as calls of a session do
   */
  fetch(id: string): Promise<FullObject>
  /** What the link of an object leads to. @throws {RequestRefused} 410 when that is gone; and as calls of a session do */
  follow(id: string): Promise<FollowedLink>

  /**
   * The session of the moment, and whose mailbox it is, for what the servers alone can do: `downloadMedia(session, ports,
   * { ...mailbox, hash })`, `session.call(mailboxSearch, { ...mailbox, … })`. To be asked for anew each time: the store may
   * go to another server.
   * @throws {NotConnected} and, the first time, as calls of a session do
   */
  reach(): Promise<{ readonly session: Session; readonly mailbox: MailboxName }>

  /**
   * A sync that begins after this call.
   * @throws {NotConnected} {@link AnswerLost} {@link RequestRefused} {@link ReplicaFailed} what kept it from its end
   */
  sync(): Promise<SyncResult>
  /**
   * The network is metered from now on, or not any more: then what came as a list is completed. `undefined`: as the platform
   * says.
   */
  setMetered(isMetered: boolean | undefined): void
  /** Whether the user prefers that a media of this size is fetched, here and now, without being asked for. */
  wantsMedia(sizeBytes: number): boolean
  goOffline(): void
  goOnline(): void
  /** Leaves the server for another one. */
  goElsewhere(): void
  /** Ends it; what waits is kept in the replica. */
  close(): Promise<void>
}

/** The server says that the object is not there any more; the next sync says so too. */
export class ObjectGone extends Error {
  override readonly name = 'ObjectGone'
}

const defaultEveryMs = 15 * 60_000
const defaultPageSize = 500
const defaultLimit = 50
/** More than a user does on a device that is away for long; a program that does more is to sync now and then. */
const maxWaiting = 10_000

export interface MessageStorePorts extends ClientPorts {
  /** Absent where the platform knows nothing of what its network costs. */
  readonly meter?: NetworkMeter
}

/**
 * Opens the replica, and begins to keep it in step.
 * @throws {ReplicaMismatch} when it is of another address; {@link UnknownFormat} when a later release wrote it; {@link ReplicaFailed}
 */
export async function openMessageStore(ports: MessageStorePorts, options: MessageStoreOptions): Promise<MessageStore> {
  const { address, deviceId, replica: store, sync = {}, onEvent = () => {} } = options
  const ways = 'operator' in options.session ? [options.session] : [...options.session]
  const [home] = ways
  if (!home) throw new RangeError('A message store needs a subscription at the home operator.')
  const turn = inTurn()
  const replica = await openReplica(store, address, scopeSchema.parse(options.scope ?? {}))
  const pending = pendingChanges(await keptChanges(store))
  const shown = createShown(replica, pending)
  const edits = createEdits(ports, home, pending.changes.at(-1)?.time ?? 0)
  const { content = 'full' } = options
  const metering = createMetering({
    meter: ports.meter,
    isMetered: options.isMetered,
    wanted: typeof content === 'function' ? content : () => content,
    preferences: () => replica.state.preferences,
    tell: onEvent,
    takesMore: () => inStep.soon(),
  })
  const inStep = keepInStep({
    ...{ ports, ways, address, replica, pending, turn },
    device: deviceId,
    deviceName: options.deviceName ?? deviceId,
    metering,
    pageSize: sync.pageSize ?? defaultPageSize,
    everyMs: sync.everyMs === false ? undefined : (sync.everyMs ?? defaultEveryMs),
    onNotification: sync.onNotification ?? true,
    tell: onEvent,
  })

  /** Keeps what is done, and shows it. */
  function change(make: () => Promise<readonly LocalIntent[]>): Promise<void> {
    return turn(async () => {
      const intents = await make()
      if (intents.length === 0) return
      if (pending.changes.length + intents.length > maxWaiting) {
        throw new ChangeImpossible('TOO_MANY', `${maxWaiting} changes wait for a server, as many as may.`)
      }
      const first = (pending.changes.at(-1)?.seq ?? 0) + 1
      const changes = intents.map((intent, at): LocalChange => ({ ...intent, seq: first + at }))
      await replica.write(
        {},
        changes.map(value => ({ key: keys.change(value.seq), value: JSON.parse(JSON.stringify(value)) })),
      )
      for (const change of changes) pending.add(change)
      onEvent({ kind: 'changed', created: [], changed: [], left: [], vanished: [], containers: [] })
      if (sync.onChange ?? true) inStep.soon()
    })
  }

  /** @throws {ChangeImpossible} OBJECT_UNKNOWN */
  async function known(ids: string | readonly string[]): Promise<MailObject[]> {
    const found: MailObject[] = []
    for (const id of typeof ids === 'string' ? [ids] : new Set(ids)) found.push(await one(id))
    return found
  }

  const one = async (id: string): Promise<MailObject> => {
    const object = await shown.object(id)
    if (object) return object
    throw new ChangeImpossible('OBJECT_UNKNOWN', `There is no object ${id} here.`)
  }

  async function requireFolder(folder: string): Promise<void> {
    const folders = await shown.containers('folder')
    if (folders.some(({ container }) => container === folder)) return
    throw new ChangeImpossible('FOLDER_UNKNOWN', `There is no folder ${folder} here.`)
  }

  async function made(
    make: () => ReturnType<Edits['deposit']>,
    also: () => Promise<readonly LocalIntent[]> = async () => [],
  ) {
    let id = ''
    await change(async () => {
      const { intent, id: its } = await make()
      id = its
      return [intent, ...(await also())]
    })
    return id
  }

  if (!options.startOffline) inStep.connection.goOnline()
  return {
    get connection() {
      return inStep.connection.state
    },
    get mailbox() {
      return replica.state.mailbox
    },
    get isMetered() {
      return metering.isMetered
    },
    get content() {
      return metering.content()
    },
    get waiting() {
      return pending.changes
    },

    conversations: () => turn(() => shown.containers('conversation')),
    folders: () => turn(() => shown.containers('folder')),
    objects: (container, { before, limit = defaultLimit } = {}) => turn(() => shown.objects(container, before, limit)),
    get: id => turn(() => shown.object(id)),
    search: (words, { container, limit = defaultLimit } = {}) =>
      turn(async () => {
        const wanted = words.toLocaleLowerCase().split(/\s+/).filter(Boolean)
        const found: MailObject[] = []
        await shown.each(object => {
          if (container !== undefined && object.container !== container) return
          const text = textOf(object)
          if (wanted.every(word => text.includes(word))) found.push(object)
        })
        return found.sort((a, b) => b.date - a.date).slice(0, limit)
      }),

    setFlag: (ids, ...flags) => change(async () => edits.flag(await known(ids), flags, [])),
    clearFlag: (ids, ...flags) => change(async () => edits.flag(await known(ids), [], flags)),
    deposit: (object, { folder, flags = [] } = {}) =>
      made(async () => {
        if (folder !== undefined) await requireFolder(folder)
        return edits.deposit(object, folder, flags)
      }),
    saveDraft: (object, { folder, replaces } = {}) =>
      made(
        async () => {
          if (folder !== undefined) await requireFolder(folder)
          return edits.deposit(object, folder, ['\\Draft'])
        },
        async () => (replaces === undefined ? [] : edits.expunge(await known(replaces))),
      ),
    async copy(ids, folder) {
      let copies: readonly string[] = []
      await change(async () => {
        await requireFolder(folder)
        const { intents, ids: made } = await edits.copy(await known(ids), folder)
        copies = made
        return intents
      })
      return copies
    },
    move: (ids, folder) =>
      change(async () => {
        await requireFolder(folder)
        return edits.move(await known(ids), folder)
      }),
    expunge: ids => change(async () => edits.expunge(await known(ids))),
    createFolder: (name, { parent } = {}) =>
      made(async () => {
        if (parent !== undefined) await requireFolder(parent)
        return edits.createFolder(name, parent)
      }),
    renameFolder: (folder, name) =>
      change(async () => {
        await requireFolder(folder)
        return [edits.renameFolder(folder, name)]
      }),
    removeFolder: folder =>
      change(async () => {
        await requireFolder(folder)
        return [edits.removeFolder(folder)]
      }),

    async fetch(id) {
      const object = await turn(() => one(id))
      if (object.content === 'full') return object
      const { way, mailbox } = await inStep.reach()
      const { objects } = await way.session.call(mailboxFetch, { ...mailbox, objects: [nameOf(object)] })
      const [fetched] = objects
      if (!fetched) throw new ObjectGone(`${id} is not there any more.`)
      const full = await turn(async () => {
        await replica.complete([fetched])
        return shown.object(id)
      })
      if (!full) throw new ObjectGone(`${id} is not there any more.`)
      if (full.content !== 'full') throw new ProtocolViolation('Asked for all of an object, a server gave less.')
      return full
    },
    async follow(id) {
      const object = await turn(() => one(id))
      const { way, mailbox } = await inStep.reach()
      return way.session.call(linkFollow, { ...mailbox, object: nameOf(object) })
    },

    async reach() {
      const { way, mailbox } = await inStep.reach()
      return { session: way.session, mailbox }
    },
    sync: () => inStep.sync(),
    setMetered: isMetered => metering.set(isMetered),
    wantsMedia: sizeBytes => metering.wantsMedia(sizeBytes),
    goOffline: () => inStep.connection.goOffline(),
    goOnline: () => inStep.connection.goOnline(),
    goElsewhere: () => inStep.connection.goElsewhere(),
    async close() {
      metering.stop()
      await inStep.stop()
      await turn(() => store.close())
    },
  }
}

/** @throws {ReplicaMismatch} */
async function keptChanges(store: ReplicaStore): Promise<readonly LocalChange[]> {
  const kept = await store.scan(ranges.changes)
  return kept.map(({ value }) => {
    const change = localChange.safeParse(value).data
    if (!change) throw new ReplicaMismatch('A change that waits cannot be understood: something else wrote it.')
    return change
  })
}

/** What a search looks at. */
const textOf = (object: MailObject): string =>
  object.content === 'links'
    ? ''
    : [object.subject, object.from, object.content === 'full' ? object.text : undefined]
        .filter(Boolean)
        .join('\n')
        .toLocaleLowerCase()
