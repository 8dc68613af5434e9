import { randomUUID } from 'node:crypto'
import { nodeSha256 } from '../../src/adapters/sha256.ts'
import { RequestRefused } from '../../src/client/errors.ts'
import { uploadMedia } from '../../src/client/media.ts'
import type { MethodSpec } from '../../src/federation/command.ts'
import type { NodeLimits } from '../../src/node/surroundings.ts'
import type { SubscriberRight } from '../../src/ports/key-source.ts'
import { operatorId } from '../../src/ports/names.ts'
import type { Push } from '../../src/ports/push.ts'
import { SimulatedClient } from '../../src/simulation/federation/client.ts'
import { SimulatedFederation } from '../../src/simulation/federation/federation.ts'
import { deathOf, type SimulatedServer } from '../../src/simulation/federation/server.ts'
import type { HostOptions } from '../../src/simulation/host.ts'
import type { Undo } from '../../src/simulation/network.ts'
import { World } from '../../src/simulation/world.ts'
import { messageDeposit } from '../../src/storage/methods/objects.ts'
import { mailboxSync } from '../../src/storage/methods/sync.ts'
import { userRegister } from '../../src/storage/methods/users.ts'
import type { NewObject } from '../../src/storage/objects.ts'
import { hashOf } from '../ports/media-store.contract.ts'
import { production } from '../simulation/production.ts'

/*
 * Production nodes in a simulated world with users of message storage, and clients with the SDK at each server.
 */

export const a = operatorId('a.example')
export const b = operatorId('b.example')
export const alice = { operator: a, user: 'alice' }
export const aliceAddress = 'tel:+4930123456'
export const bobAddress = 'tel:+4930654321'

const patienceMs = 120_000
const pollMs = 100

export class StorageWorld {
  readonly federation: SimulatedFederation
  readonly #clients = new Map<string, SimulatedClient>()
  #healing: Undo = () => {}

  private constructor(federation: SimulatedFederation) {
    this.federation = federation
  }

  static async start(
    servers: Readonly<Record<string, number>>,
    limits: NodeLimits = {},
    seed = 1,
    push?: (world: World) => Push,
    host: (name: string) => HostOptions = () => ({}),
  ): Promise<StorageWorld> {
    const world = new World({ seed, production, guard: false })
    const federation = await SimulatedFederation.create(world, {
      operators: Object.entries(servers).map(([name, count]) => ({ name, servers: count })),
      limits: () => limits,
      ...(push && { push: push(world) }),
      host,
    })
    const made = new StorageWorld(federation)
    made.#giveRights('provisioner', ['provision'])
    made.#giveRights('function', ['deposit'])
    federation.start()
    await made.linked()
    return made
  }

  get nowMs(): number {
    return this.federation.world.epochMs + Math.ceil(this.federation.world.nowMs)
  }

  #giveRights(identity: string, rights: readonly SubscriberRight[]): void {
    for (const operator of this.federation.operators) {
      const key = operator.keyOf(identity)
      operator.subscribers.add({ identity, credential: { kind: 'psk', key }, rights })
    }
  }

  server(name: string): SimulatedServer {
    return this.federation.server(name)
  }

  /** A subscriber of the server's operator that knows this server alone; one that has several devices says which it is. */
  client(identity: string, server: string, device?: string): SimulatedClient {
    const host = `${device === undefined ? '' : `${device}.`}${identity}@${server}`
    const known = this.#clients.get(host)
    if (known) return known
    const { operator } = this.server(server)
    const index = operator.servers.findIndex(card => card.host === server)
    const client = new SimulatedClient(this.federation.world, operator, identity, host, [index])
    this.#clients.set(host, client)
    return client
  }

  /** Calls until the outcome is known. */
  call<P, R>(identity: string, server: string, spec: MethodSpec<P, R>, params: P): Promise<R> {
    return this.inside(() => this.client(identity, server).insist(spec, params))
  }

  /** The status and cause of the refusal, or `not refused`. */
  async refusal<P, R>(identity: string, server: string, spec: MethodSpec<P, R>, params: P): Promise<string> {
    try {
      await this.call(identity, server, spec, params)
      return 'not refused'
    } catch (error) {
      if (error instanceof RequestRefused) return `${error.status} ${error.reason}`
      throw error
    }
  }

  async registerAlice(server = 'a.example/1'): Promise<void> {
    await this.call('provisioner', server, userRegister, {
      commandId: newId(),
      user: 'alice',
      addresses: [aliceAddress],
      subscribers: [{ operator: a, identity: 'alice', rights: ['read', 'write', 'deposit'] }],
    })
  }

  deposit(text: string, more: Partial<NewObject> = {}, server = 'a.example/1', identity = 'function') {
    return this.call(identity, server, messageDeposit, { commandId: newId(), ...alice, object: message(text, more) })
  }

  /** The same for those who do more inside. */
  depositing(text: string, server = 'a.example/1') {
    return this.client('function', server).insist(messageDeposit, {
      commandId: newId(),
      ...alice,
      object: message(text),
    })
  }

  /** Sends media that an object is going to refer to; answers how it does. */
  async upload(bytes: Uint8Array, type = 'image/png', server = 'a.example/1') {
    await this.inside(async () => {
      const client = this.client('alice', server)
      const { http, clock, clientCrypto } = client.ports
      const ports = { http, clock, crypto: clientCrypto, sha256: nodeSha256 }
      await uploadMedia(await client.session(), ports, { ...alice, data: new Uint8Array(bytes), type })
    })
    return { hash: hashOf(bytes), size: bytes.length, type }
  }

  /** All pages of a sync, as one. */
  async sync(
    params: Partial<Parameters<typeof mailboxSync.params.parse>[0] & object> = {},
    server = 'a.example/1',
    identity = 'alice',
  ) {
    type Page = ReturnType<typeof mailboxSync.result.parse>
    const pages: Page[] = []
    for (let next: object = params; ; ) {
      const page: Page = await this.call(identity, server, mailboxSync, { ...alice, ...next })
      pages.push(page)
      if (page.cursor === undefined) break
      const { token: _, ...rest } = params as { token?: string }
      next = { ...rest, cursor: page.cursor }
    }
    const last = pages.at(-1) as Page
    return {
      kind: last.kind,
      created: pages.flatMap(({ created }) => created),
      changed: pages.flatMap(({ changed }) => changed),
      left: pages.flatMap(({ left }) => left),
      vanished: pages.flatMap(({ vanished }) => vanished),
      containers: pages.flatMap(({ containers }) => containers),
      vanishedContainers: pages.flatMap(({ vanishedContainers }) => vanishedContainers),
      lagging: pages.some(({ lagging }) => lagging),
      token: last.token as string,
      pages: pages.length,
    }
  }

  partition(...sides: readonly (readonly string[])[]): void {
    this.#healing()
    const hosts = sides.map(side => [
      ...side,
      ...[...this.#clients.values()]
        .filter(({ host }) => side.some(server => host.name.endsWith(`@${server}`)))
        .map(({ host }) => host.name),
    ])
    this.#healing = this.federation.world.network.partition(hosts)
  }

  heal(): void {
    this.#healing()
    this.#healing = () => {}
  }

  crash(name: string, downMs = 500, fate: 'unsynced' | 'lose' = 'unsynced'): void {
    const { world } = this.federation
    const victim = this.server(name)
    world.at(Math.ceil(world.nowMs), 'crash', () => {
      victim.crash(deathOf({ kind: fate }))
      world.at(Math.round(world.nowMs + downMs), 'start', () => {
        // Who crashes again while it is down is started once.
        if (!victim.host.run) victim.start()
      })
    })
  }

  /** Waits until all servers of one side are linked, and no others. */
  async linked(
    sides: readonly (readonly string[])[] = [this.federation.servers.map(({ name }) => name)],
  ): Promise<void> {
    const linksOf = (name: string) => (this.server(name).node?.federation.links() ?? []).filter(isUp).length
    await this.until(
      () => sides.every(side => side.every(name => linksOf(name) === side.length - 1)),
      'servers are linked',
    )
  }

  /** Waits until servers that hold a document of the mailbox hold it with equal content. */
  async converged(sides?: readonly (readonly string[])[]): Promise<void> {
    await this.linked(sides)
    const all = sides ?? [this.federation.servers.map(({ name }) => name)]
    for (const side of all) await this.#agreed(side)
  }

  /** Waits until a server holds the mailbox. */
  holds(name: string): Promise<void> {
    return this.until(async () => (await this.#held(name)).length > 0, `${name} holds the mailbox`)
  }

  async #agreed(side: readonly string[]): Promise<void> {
    let held: readonly (readonly string[])[] = []
    const isAgreed = async () => {
      held = await Promise.all(side.map(name => this.#held(name)))
      // Who holds a mailbox holds all of it; its owner's servers do.
      const holders = held.filter((lines, at) => lines.length > 0 || side[at]?.startsWith(a))
      return new Set(holders.map(lines => lines.join('\n'))).size <= 1
    }
    await this.until(
      isAgreed,
      () => `documents are equal:\n${held.map((lines, at) => `${side[at]} ${lines.join(' ')}`).join('\n')}`,
    )
  }

  /** The documents that a server holds, with their digests. */
  async #held(name: string): Promise<string[]> {
    const lines: string[] = []
    for (const prefix of ['mailbox/', 'conversation/'])
      for await (const { document, digest } of this.server(name).node?.documents.list(prefix) ?? [])
        lines.push(`${document} ${Buffer.from(digest).toString('hex')}`)
    return lines
  }

  async until(isSo: () => boolean | Promise<boolean>, what: string | (() => string)): Promise<void> {
    const endMs = this.federation.world.nowMs + patienceMs
    for (;;) {
      if (await this.inside(async () => isSo())) return
      if (this.federation.world.nowMs > endMs)
        throw new Error(`Not in time: ${typeof what === 'string' ? what : what()}.`)
      await this.pass(pollMs)
    }
  }

  /** Whether a text stands anywhere on the disk of a server. */
  isOnDisk(server: string, text: string): boolean {
    const bytes = Buffer.from(text)
    for (const { value } of this.server(server).host.disk.records) if (Buffer.from(value).includes(bytes)) return true
    return false
  }

  async pass(durationMs: number): Promise<void> {
    const { world } = this.federation
    const ending = await world.run({ untilUs: Math.round((world.nowMs + durationMs) * 1_000) })
    if (ending.kind === 'failed') throw ending.error
  }

  /** Does something for which virtual time must pass. */
  async inside<T>(work: () => Promise<T>): Promise<T> {
    const { world } = this.federation
    let outcome: { value: T } | { error: unknown } | undefined
    world.at(Math.ceil(world.nowMs), 'test', () => {
      void work().then(
        value => {
          outcome = { value }
        },
        error => {
          outcome = { error }
        },
      )
    })
    const untilUs = Math.round((world.nowMs + patienceMs) * 1_000)
    const ending = await world.run({ untilUs, when: () => outcome !== undefined })
    if (ending.kind === 'failed') throw ending.error
    if (!outcome) throw new Error('It did not end in time.')
    if ('error' in outcome) throw outcome.error
    return outcome.value
  }
}

const isUp = ({ state }: { readonly state: string }): boolean => state === 'up'

export const newId = (): string => randomUUID()

export const message = (text: string, more: Partial<NewObject> = {}): NewObject => ({
  type: 'message',
  direction: 'in',
  date: 1_795_000_000_000,
  from: bobAddress,
  to: [aliceAddress],
  conversationId: 'lunch',
  contentType: 'text/plain',
  text,
  ...more,
})
