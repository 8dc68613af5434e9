import {
  type AlwaysOn,
  alwaysOn,
  browserPolicyStore,
  type MessageStore,
  type MessageStoreEvent,
  openBrowserReplica,
  openMessageStore,
  type SessionOptions,
} from '../../src/client/index.ts'

/* Runs in a page: see `message-store.test.ts`. */

/** What a page is told, as what can be passed into it. */
export interface ToldStore {
  readonly session: Omit<SessionOptions, 'credential'>
  readonly key: readonly number[]
  readonly address: string
  readonly deviceId: string
  readonly startOffline?: boolean
}

declare global {
  var openStore: (told: ToldStore) => Promise<void>
  var store: MessageStore
  var startAlwaysOn: (told: ToldStore) => void
  var online: AlwaysOn
  /** Names of what was told, in order. */
  var events: MessageStoreEvent['kind'][]
}

globalThis.openStore = async ({ session, key, ...told }) => {
  globalThis.events = []
  globalThis.store = await openMessageStore({
    ...told,
    session: { ...session, credential: { kind: 'psk', key: Uint8Array.from(key) } },
    replica: await openBrowserReplica(told.deviceId),
    sync: { everyMs: 500 },
    onEvent: ({ kind }) => events.push(kind),
  })
}

globalThis.startAlwaysOn = ({ session, key }) => {
  const credential = { kind: 'psk' as const, key: Uint8Array.from(key) }
  globalThis.online = alwaysOn({ homes: [{ ...session, credential }], store: browserPolicyStore() })
}
