import { createHash, randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { type ServerFolder, serverFolder, trustEachOther } from '../../examples/support/operators.ts'
import { type LogLine, type ServerProcess, startServer } from '../../examples/support/server-process.ts'
import { addSubscriber } from '../../src/adapters/subscriber-store.ts'
import {
  connect,
  type Inventory,
  type NetworkName,
  openGateway,
  operatorId,
  type PneRegistration,
  type PnGateway,
  personalNetworkElement,
  pnEstablish,
  pnGrant,
  pnInventory,
  pnUpdate,
  type Session,
  type SessionOptions,
  serverId,
} from '../../src/client/node.ts'
import type { SubscriberRight } from '../../src/ports/key-source.ts'
import { temporaryFolder } from '../fixtures/temporary-folder.ts'
import { until } from '../fixtures/until.ts'
import { assertNoneIn, secretsOfFolder } from './log-secrets.ts'

/** A server that runs, or ran. */
export interface Server {
  readonly home: ServerFolder
  readonly process: ServerProcess
}

/** The servers, clients and folders of one test: whatever it starts ends with it, also when it fails. */
export interface Stage extends AsyncDisposable {
  /** A path in the stage's own folder. */
  path(name: string): string
  /** The folder of a server: of a new operator, or one more of that of `founder`. */
  folder(name: string, operator: string, founder?: ServerFolder): Promise<ServerFolder>
  /** Starts a server in a process of its own, perhaps under another program. */
  start(home: ServerFolder, wrapper?: readonly string[]): Promise<Server>
  /** A running server for each operator named, or several for one that is named again; all trust and reach each other. */
  federation<const Operators extends readonly string[]>(
    ...operators: Operators
  ): Promise<{ readonly [Index in keyof Operators]: Server }>
  /** A client; a server that does not know the subscriber yet is told of it. */
  session(server: Server, identity: string, options?: Partial<SessionOptions>): Promise<Session>
  /** A PN gateway named as its subscriber, with a door for PNEs. */
  gateway(server: Server, identity: string, network: NetworkName): Promise<PnGateway>
  /** Registers a PNE of the server's operator through a gateway of whichever. */
  register(gateway: PnGateway, network: NetworkName, server: Server, pneId: string): Promise<PneRegistration>
  /** What a client of these servers of one operator connects with, the first one preferred. */
  options(identity: string, ...servers: readonly Server[]): Promise<SessionOptions>
  /** Makes sure that the server knows a subscriber, with these rights if it is new. Answers the subscriber's key. */
  subscribed(home: ServerFolder, identity: string, rights?: readonly SubscriberRight[]): Promise<Uint8Array>
  /** Does this at the end, before what was started earlier ends. */
  atEnd(action: () => unknown): void
}

export async function openStage(): Promise<Stage> {
  const root = await temporaryFolder()
  const endings: (() => unknown)[] = [root.remove]
  /** Of each server's folder: who was added, and the last addition, since each rewrites what the file holds. */
  const added = new Map<string, { readonly identities: Set<string>; last: Promise<void> }>()
  const atEnd = (action: () => unknown) => void endings.push(action)
  const path = (name: string) => join(root.path, name)

  async function folder(name: string, operator: string, founder?: ServerFolder): Promise<ServerFolder> {
    const made = await serverFolder(path(name), operator, founder)
    atEnd(() => made.link.close())
    return made
  }

  async function start(home: ServerFolder, wrapper?: readonly string[]): Promise<Server> {
    const process = await startServer(home.config, wrapper)
    // Whatever the test is about: nothing that its server knows and nobody else may is in its log.
    atEnd(async () => {
      await process.stop('SIGKILL')
      const keys = [...(added.get(home.folder)?.identities ?? [])].map(identity => keyOf(home.operator, identity))
      assertNoneIn(process.log, [...keys, ...(await secretsOfFolder(home.config))], home.operator)
    })
    return { home, process }
  }

  /** Founders first, then who joins them, then trust: so that every manifest that is pinned names all servers. */
  async function folders(operators: readonly string[]): Promise<ServerFolder[]> {
    const made = new Map<number, ServerFolder>()
    const founding = operators.map((operator, index) => ({
      operator,
      index,
      isFirst: operators.indexOf(operator) === index,
    }))
    const founders = founding.filter(({ isFirst }) => isFirst)
    await Promise.all(
      founders.map(async ({ operator, index }) => made.set(index, await folder(`server-${index}`, operator))),
    )
    for (const { operator, index } of founding.filter(({ isFirst }) => !isFirst)) {
      made.set(index, await folder(`server-${index}`, operator, made.get(operators.indexOf(operator))))
    }
    const all = operators.flatMap((_, index) => made.get(index) ?? [])
    for (const [index, one] of all.entries()) {
      for (const other of all.slice(index + 1)) if (one.operator !== other.operator) await trustEachOther(one, other)
    }
    return all
  }

  async function subscribed(
    { folder, operator }: ServerFolder,
    identity: string,
    rights: readonly SubscriberRight[] = [],
  ): Promise<Uint8Array> {
    const key = keyOf(operator, identity)
    const there = added.get(folder) ?? { identities: new Set(), last: Promise.resolve() }
    added.set(folder, there)
    if (!there.identities.has(identity)) {
      there.identities.add(identity)
      const subscriber = { identity, credential: { kind: 'psk', key }, rights } as const
      there.last = there.last.then(() => addSubscriber(filesOf(folder), subscriber))
    }
    await there.last
    return key
  }

  async function options(identity: string, ...servers: readonly Server[]): Promise<SessionOptions> {
    const [first] = servers
    if (!first) throw new Error('A client needs a server.')
    for (const { home } of servers) await subscribed(home, identity)
    return {
      operator: operatorId(first.home.operator),
      identity,
      credential: { kind: 'psk', key: keyOf(first.home.operator, identity) },
      servers: servers.map(({ home }) => serverId(home.serverId)),
      urls: servers.map(({ process }) => process.clientUrl),
      timeoutMs: 60_000,
    }
  }

  return {
    path,
    folder,
    start,
    options,
    subscribed,
    atEnd,

    async federation<const Operators extends readonly string[]>(...operators: Operators) {
      const servers = await Promise.all((await folders(operators)).map(home => start(home)))
      await linked(...servers)
      return servers as { readonly [Index in keyof Operators]: Server }
    },

    async session(server, identity, more) {
      const session = await connect({ ...(await options(identity, server)), ...more })
      atEnd(() => session.close())
      return session
    },

    async gateway(server, gatewayId, network) {
      const session = await options(gatewayId, server)
      const gateway = await openGateway({ gatewayId, networks: [network], session })
      atEnd(() => gateway.stop())
      return gateway
    },

    async register(gateway, network, { home }, pneId) {
      const key = await subscribed(home, pneId)
      const operator = operatorId(home.operator)
      return personalNetworkElement({ gatewayUrl: gateway.url(), ...network, operator, pneId, key }).register()
    },

    async [Symbol.asyncDispose]() {
      const failures: unknown[] = []
      for (const end of endings.reverse()) {
        try {
          await end()
        } catch (failure) {
          failures.push(failure)
        }
      }
      if (failures.length > 0) throw new AggregateError(failures, 'The stage could not be cleared.')
    },
  }
}

/** The key follows from the name, so that any server of the operator may be told of the subscriber. */
export const keyOf = (operator: string, identity: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update(`${identity} of ${operator}`).digest())

// --- links

/** Whether the line says this of the link to that server. */
export const isAbout = ({ event, fields }: LogLine, name: string, peer: Server): boolean =>
  event === name && fields?.peer === peer.home.serverId

const filesOf = (folder: string) => ({
  store: join(folder, 'subscribers.json'),
  key: join(folder, 'keys/subscribers.key'),
})

const pairs = (servers: readonly Server[]) =>
  servers.flatMap(one => servers.flatMap(other => (one.home.serverId === other.home.serverId ? [] : { one, other })))

/** Waits until the log of each server says that it has a link to each other. */
export async function linked(...servers: readonly Server[]): Promise<void> {
  await Promise.all(
    pairs(servers).map(({ one, other }) =>
      one.process.seen(`a link to ${other.home.operator}`, line => isAbout(line, 'link.up', other)),
    ),
  )
}

/** Severs every connection between servers at the socket, and waits until each has noticed. */
export async function cut(...servers: readonly Server[]): Promise<void> {
  const noticed = pairs(servers).map(({ one, other }) => {
    const past = new Set(one.process.log)
    const isNews = (line: LogLine) => isAbout(line, 'link.down', other) && !past.has(line)
    return one.process.seen(`the end of the link to ${other.home.operator}`, isNews)
  })
  for (const { home } of servers) home.link.cut()
  await Promise.all(noticed)
}

export function heal(...servers: readonly Server[]): void {
  for (const { home } of servers) home.link.heal()
}

// --- Personal Networks

const dayMs = 24 * 60 * 60 * 1000

/** A command names itself. */
export const newCommand = () => ({ commandId: randomUUID() })

/** Establishes a PN with its first members, `operator/pneId`, and grants other operators everything in it. */
export async function establish(
  owner: Session,
  network: NetworkName,
  members: readonly string[],
  grantees: readonly Pick<ServerFolder, 'operator' | 'fingerprint'>[] = [],
): Promise<void> {
  await owner.call(pnEstablish, { ...newCommand(), alias: 'Home', pnId: network.pnId })
  const pnes = members.map(member => {
    const [operator = '', pneId = ''] = member.split('/')
    return { operator: operatorId(operator), pneId }
  })
  if (pnes.length > 0) await owner.call(pnUpdate, { ...newCommand(), ...network, operation: 'add', pnes })
  for (const { operator, fingerprint } of grantees) {
    await owner.call(pnGrant, {
      ...newCommand(),
      ...network,
      operator: operatorId(operator),
      fingerprint,
      rights: ['register', 'admit', 'gateway'],
      expires: Date.now() + dayMs,
    })
  }
}

/** Waits until the client's server knows the PN, and lets the client read it. */
export const arrived = (reader: Session, network: NetworkName): Promise<Inventory> =>
  until(() => reader.call(pnInventory, network), { what: `${network.pnId} has arrived` })

export const activeIn = ({ members }: Inventory): string[] =>
  members.filter(({ state }) => state === 'active').map(({ pneId }) => pneId)
