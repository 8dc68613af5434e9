import { createActorSystem } from '../../src/actor/system.ts'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { serverIdentity } from '../../src/adapters/identity.ts'
import { openLevelLogStore } from '../../src/adapters/level-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { toBase64url } from '../../src/commands/framing.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { Documents } from '../../src/document/documents.ts'
import { createInventory, type InventoryService } from '../../src/inventory/create-inventory.ts'
import type { PneChallengeResult, PneRegisterResult } from '../../src/inventory/methods.ts'
import {
  type RegistrationAnswer,
  type SealedRegistration,
  sealRegistration,
} from '../../src/inventory/registration/seal.ts'
import { confirmProof } from '../../src/inventory/registration/session-proof.ts'
import { operatorId } from '../../src/ports/names.ts'

/*
 * One server with its documents on disk, and what a gateway asks of it for a PNE, step by step: so that the work of the
 * server can be measured apart from that of the PNEs, which do theirs elsewhere.
 */

export const home = operatorId('a.example')
export const owner = 'owner'
export const gatewayId = 'hub'
export const crypto = nodeCrypto()
const clientCrypto = webCrypto()
const random = systemRandom()
const pskOf = (identity: string) => crypto.sha256(new TextEncoder().encode(`key of ${identity}`))

export interface BenchServer {
  readonly documents: Documents
  readonly inventory: InventoryService
  call<T>(method: string, params: object): Promise<T>
  close(): Promise<void>
}

const newId = () => toBase64url(random.bytes(16))

export async function benchServer(folder: string): Promise<BenchServer> {
  const clock = systemClock()
  const key = new Uint8Array(32)
  const identity = serverIdentity(home, key.fill(1), crypto)
  const registration = await crypto.hpke.generateKeyPair()
  const secrets = {
    registrationKeys: [{ epoch: 1, ...registration }],
    macKeys: [{ version: 1, key: new Uint8Array(32).fill(2) }],
    cpnsIdKey: new Uint8Array(32).fill(3),
  }
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
  const documents = createDocuments({ ...ports, operator: home, identity, authorship })
  const inventory = createInventory({
    ...ports,
    operator: home,
    identity,
    documents,
    keys: { find: async identity => ({ identity, credential: { kind: 'psk', key: pskOf(identity) } }) },
    secrets,
  })
  await inventory.start()
  const methods = new Map(inventory.commands.map(command => [command.spec.method, command]))

  return {
    documents,
    inventory,
    async call(method, params) {
      const command = methods.get(method)
      if (!command) throw new Error(`There is no method ${method}.`)
      // As a session does: parameters come parsed.
      const parsed = command.spec.params.parse(params)
      return (await command.execute(parsed, { operator: home, identity: owner })) as never
    },
    async close() {
      inventory.stop()
      await actors.drain()
      await store.close()
    },
  }
}

/** A Personal Network with its gateway. */
export async function establish(server: BenchServer, pnId: string): Promise<void> {
  await server.call('pn.establish', { commandId: newId(), alias: 'Bench', pnId })
  await server.call('gateway.attach', { commandId: newId(), home, pnId, gatewayId })
}

export const admit = (server: BenchServer, pnId: string, pneIds: readonly string[]): Promise<unknown> =>
  server.call('pn.update', {
    commandId: newId(),
    home,
    pnId,
    operation: 'add',
    pnes: pneIds.map(pneId => ({ operator: home, pneId })),
  })

/** A PNE on its way: each step of the server takes what the PNE has made of the one before. */
export class BenchPne {
  readonly pnId: string
  readonly pneId: string
  #challenge: PneChallengeResult | undefined
  #request: SealedRegistration | undefined
  #result: PneRegisterResult | undefined
  #answer: RegistrationAnswer | undefined
  #proof: string | undefined

  constructor(pnId: string, pneId: string) {
    this.pnId = pnId
    this.pneId = pneId
  }

  get #way() {
    return { home, pnId: this.pnId, gatewayId, operator: home }
  }

  async challenge(server: BenchServer): Promise<void> {
    this.#challenge = await server.call('pne.challenge', this.#way)
  }

  /** The PNE's own work. Who has registered before goes by the name that it was given then; who has not seals its own. */
  async seal(): Promise<void> {
    const { pneId } = this
    const pseudonym = this.#answer?.pseudonym
    this.#request = await sealRegistration(clientCrypto, {
      way: this.#way,
      pneId,
      transaction: newId(),
      challenge: there(this.#challenge),
      credential: { kind: 'psk', key: pskOf(pneId), ...(pseudonym === undefined ? {} : { pseudonym }) },
      content: { mode: 'PNE', capabilities: { audio: 'stereo', display: '1080p' } },
    })
  }

  async register(server: BenchServer): Promise<void> {
    this.#result = await server.call('pne.register', there(this.#request).params)
  }

  /** The PNE's own work. */
  async open(): Promise<void> {
    const request = there(this.#request)
    const { transaction } = request.params
    this.#answer = await request.openAnswer(there(this.#result).sealed)
    const { sessionKey, cpnsId } = this.#answer
    this.#proof = await confirmProof(clientCrypto, sessionKey, {
      ...this.#way,
      transaction,
      pneId: this.pneId,
      cpnsId,
    })
  }

  async confirm(server: BenchServer): Promise<void> {
    const { transaction } = there(this.#request).params
    await server.call('pne.confirm', { ...this.#way, transaction, pneId: this.pneId, proof: there(this.#proof) })
  }
}

/** All steps of a registration. */
export async function register(server: BenchServer, pne: BenchPne): Promise<void> {
  await pne.challenge(server)
  await pne.seal()
  await pne.register(server)
  await pne.open()
  await pne.confirm(server)
}

function there<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('The step before this one is missing.')
  return value
}

/** Does `work` for each, so many at a time. */
export async function each<T>(all: readonly T[], atOnce: number, work: (one: T) => Promise<unknown>): Promise<number> {
  const left = all.values()
  const worker = async () => {
    for (const one of left) await work(one)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  return all.length
}
