import { createActorSystem } from '../../src/actor/system.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { Documents } from '../../src/document/documents.ts'
import type { DocumentLimits } from '../../src/document/limits.ts'
import type { MethodSpec } from '../../src/federation/command.ts'
import { operatorId } from '../../src/ports/names.ts'
import { createStorage, type StorageService } from '../../src/storage/create-storage.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import type { NewObject } from '../../src/storage/objects.ts'
import type { StoragePolicy } from '../../src/storage/policy.ts'

/*
 * One server's message storage with its documents on disk, called as a session calls it.
 */

export const home = operatorId('a.example')
const crypto = nodeCrypto()
const random = systemRandom()

export interface StorageServer {
  readonly documents: Documents
  readonly storage: StorageService
  /** Actors in memory. */
  active(): number
  call<P, R>(spec: MethodSpec<P, R>, params: P): Promise<R>
  close(): Promise<void>
}

/** Random once, then counted: drawing a name for each command is the client's work, which is not measured here. */
const idsOf = toBase64url(random.bytes(9))
let ids = 0
export const newId = (): string => `${idsOf}${(++ids).toString(36).padStart(10, '0')}`

export async function storageServer(
  folder: string,
  {
    limits = {},
    policy = {},
  }: { readonly limits?: Partial<DocumentLimits>; readonly policy?: Partial<StoragePolicy> } = {},
): Promise<StorageServer> {
  // Nothing else does, while the server takes a breath.
  const clock = systemClock({ holdsProcess: true })
  const identity = serverIdentity(home, new Uint8Array(32).fill(1), crypto)
  const store = await openLevelLogStore(folder)
  const actors = createActorSystem({ clock, random })
  const ports = {
    store,
    crypto,
    clock,
    random,
    actors,
    telemetry: { log: () => {}, count: () => {}, observe: () => {} },
  }
  const authorship = { mayHaveWritten: () => true, servers: () => [identity.server] }
  const documents = createDocuments({
    ...ports,
    operator: home,
    identity,
    authorship,
    limits,
  })
  const storage = createStorage({
    ...ports,
    operator: home,
    server: identity.server,
    secrets: { macKeys: [{ version: 1, key: new Uint8Array(32).fill(2) }] },
    documents,
    keys: {
      find: async identity => ({
        identity,
        credential: { kind: 'psk', key: new Uint8Array(32) },
        rights: ['provision', 'deposit'],
      }),
    },
    policy,
  })
  await storage.start()
  const methods = new Map(storage.commands.map(command => [command.spec.method, command]))

  return {
    documents,
    storage,
    active: () => actors.activeCount(),
    async call(spec, params) {
      // As a session does: parameters come parsed.
      const parsed = spec.params.parse(params)
      return (await methods.get(spec.method)?.execute(parsed, { operator: home, identity: 'client' })) as never
    },
    async close() {
      await storage.stop()
      await actors.drain()
      await store.close()
    },
  }
}

/** A user without addresses, whose mailbox the client that calls may read, change and deposit in. */
export const register = (server: StorageServer, user: string) =>
  server.call(userRegister, {
    commandId: newId(),
    user,
    addresses: [],
    subscribers: [{ operator: home, identity: 'client', rights: ['read', 'write', 'deposit'] }],
  })

export const messageOf = (conversationId: string, date: number, text: string): NewObject => ({
  type: 'message',
  direction: 'in',
  date,
  from: 'tel:+4930654321',
  to: ['tel:+4930123456'],
  conversationId,
  contributionId: 'c1',
  imdnMessageId: newId(),
  contentType: 'text/plain',
  text,
})
