import { WebSocket } from 'ws'
import { z } from 'zod'
import { type Access, type AccessOptions, createAccess } from '../../src/access/create-access.ts'
import type { AccessLimits } from '../../src/access/limits.ts'
import type { LoadLimits } from '../../src/access/load/create-load.ts'
import type { MayRead } from '../../src/access/may-read.ts'
import { subprotocol } from '../../src/access/protocol.ts'
import { createActorSystem } from '../../src/actor/system.ts'
import { webCrypto } from '../../src/adapters/browser/crypto.ts'
import { systemClock } from '../../src/adapters/clock.ts'
import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { memoryLogStore } from '../../src/adapters/memory-log-store.ts'
import { systemRandom } from '../../src/adapters/random.ts'
import { websocketClient } from '../../src/adapters/websocket-client.ts'
import { type WebsocketListenerOptions, websocketListener } from '../../src/adapters/websocket-listener.ts'
import { authenticate, type ClientCredential, type ClientIdentity, type Entry } from '../../src/client/authenticate.ts'
import { type ClientPorts, openSession, type Session, type SessionOptions } from '../../src/client/session.ts'
import { openWire } from '../../src/client/wire.ts'
import { type Attached, createAttached } from '../../src/commands/attached.ts'
import { createDocuments } from '../../src/document/create-documents.ts'
import type { Documents } from '../../src/document/documents.ts'
import { type Command, CommandRefused } from '../../src/federation/command.ts'
import type { Socket } from '../../src/ports/client-sockets.ts'
import type { Clock } from '../../src/ports/clock.ts'
import type { Credential, KeySource } from '../../src/ports/key-source.ts'
import type { LoadProbe } from '../../src/ports/load-probe.ts'
import type { DocumentId } from '../../src/ports/names.ts'
import { SimulatedLoadProbe } from '../../src/simulation/load-probe.ts'
import { testOperator } from '../fixtures/operators.ts'
import { RecordingTelemetry } from '../fixtures/recording-telemetry.ts'

/*
 * One server's access on a real websocket, over real documents in memory, with the subscribers alice (a pre-shared key)
 * and bob (an Ed25519 key), and three commands to call.
 */
export const crypto = nodeCrypto()
export const operator = testOperator('a.example', 2)
export const home = 'pn/a.example/home' as DocumentId

/** For what comes at once on a machine at rest: a bound, never a wait. */
const patienceMs = 60_000

const bobKey = new Uint8Array(32).fill(0xb0)
export const secrets = {
  alice: { kind: 'psk', key: new Uint8Array(32).fill(0xa1) },
  bob: { kind: 'ed25519', privateKey: bobKey },
} as const satisfies Record<string, ClientCredential>
export const credentials = new Map<string, Credential>([
  ['alice', secrets.alice],
  ['bob', { kind: 'ed25519', publicKey: crypto.ed25519.publicKey(bobKey) }],
])

export const macKeys = [{ version: 1, key: new Uint8Array(32).fill(7) }]

export interface RigOptions {
  readonly limits?: Partial<AccessLimits>
  readonly clock?: Clock
  readonly mayRead?: MayRead
  readonly keys?: KeySource
  readonly commands?: readonly Command[]
  readonly listener?: Partial<WebsocketListenerOptions>
  /** Which of the operator's servers. */
  readonly server?: 0 | 1
  readonly clientUrls?: () => readonly string[]
  readonly probe?: LoadProbe
  readonly load?: Partial<LoadLimits>
  readonly federation?: AccessOptions['federation']
  readonly replicated?: AccessOptions['replicated']
  readonly urlsOf?: AccessOptions['urlsOf']
  readonly policies?: AccessOptions['policies']
}

export interface Rig {
  readonly access: Access
  readonly documents: Documents
  readonly attached: Attached
  readonly telemetry: RecordingTelemetry
  /** Of the client endpoint. */
  readonly url: string
  readonly base: string
  stop(): Promise<void>
}

export async function startRig(options: RigOptions = {}): Promise<Rig> {
  const clock = options.clock ?? systemClock()
  const telemetry = new RecordingTelemetry()
  const server = operator.servers[options.server ?? 0]
  if (!server) throw new Error('The test operator has two servers.')
  const random = systemRandom()
  const actors = createActorSystem({ clock: systemClock(), random })
  const store = memoryLogStore()
  const { identity } = server
  const authorship = { mayHaveWritten: () => true, servers: () => [server.id] }
  const documents = createDocuments({
    operator: operator.id,
    identity,
    actors,
    store,
    crypto,
    clock: systemClock(),
    random,
    authorship,
    telemetry,
  })
  const attached = createAttached()
  const access = createAccess({
    identity,
    listener: websocketListener({ host: '127.0.0.1', port: 0, telemetry, ...options.listener }),
    documents,
    commands: options.commands ?? [echo, refusing, broken],
    notifications: [],
    attached,
    replicated: options.replicated ?? (async () => ({ stored: identity.server, replicated: [], isReached: false })),
    mayRead: options.mayRead ?? (() => true),
    keys: options.keys ?? { find: async identity => subscriberOf(identity) },
    macKeys: () => macKeys,
    probe: options.probe ?? new SimulatedLoadProbe(),
    ...(options.load && { load: options.load }),
    ...(options.federation && { federation: options.federation }),
    ...(options.urlsOf && { urlsOf: options.urlsOf }),
    ...(options.policies && { policies: options.policies }),
    actors,
    clock,
    random,
    crypto,
    telemetry,
    limits: { stopMs: 500, ...options.limits },
    ...(options.clientUrls ? { clientUrls: options.clientUrls } : {}),
  })
  await access.start()
  return {
    access,
    documents,
    attached,
    telemetry,
    base: access.url(),
    url: `${access.url()}/v1/client`,
    async stop() {
      await access.stop()
      await actors.drain()
      await store.close()
    },
  }
}

/** A bare connection that has authenticated as alice; what it heard until then is forgotten. */
export async function authenticatedClient(rig: Rig): Promise<RawClient> {
  const { crypto, clock } = clientPorts()
  const client = await RawClient.connect(rig.url)
  await authenticate(openWire(client.asSocket(), clock), rig.base, identityOf('alice'), crypto, patienceMs)
  client.heard.length = 0
  return client
}

const subscriberOf = (identity: string) => {
  const credential = credentials.get(identity)
  return credential && { identity, credential }
}

const text = z.strictObject({ text: z.string().max(100), times: z.int().positive().optional() })

export const echo: Command<z.infer<typeof text>, { text: string }> = {
  spec: {
    method: 'test.echo',
    summary: 'Answers what it was told.',
    params: text,
    result: z.strictObject({ text: z.string() }),
    refusals: [],
  },
  execute: async ({ text }, { identity }, proof) => ({
    text: `${identity}: ${text}${proof ? ` by ${proof.identity}` : ''}`,
  }),
}

export const refusing: Command<{ status: 409 | 503 }, never> = {
  spec: {
    method: 'test.refuse',
    summary: 'Refuses.',
    params: z.strictObject({ status: z.literal([409, 503]) }),
    result: z.never(),
    refusals: [409],
  },
  execute: async ({ status }) => {
    throw new CommandRefused(status, 'Not now.', 'TESTING', 250)
  },
}

export const broken: Command<Record<string, never>, never> = {
  spec: {
    method: 'test.break',
    summary: 'Fails.',
    params: z.strictObject({}),
    result: z.never(),
    refusals: [],
  },
  execute: () => Promise.reject(new TypeError('a secret detail')),
}

/** What was heard on a bare websocket. */
export class RawClient {
  readonly heard: unknown[] = []
  readonly bytes: Uint8Array[] = []
  closed: { readonly code: number; readonly reason: string } | undefined
  readonly #socket: WebSocket

  constructor(socket: WebSocket) {
    this.#socket = socket
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.bytes.push(new Uint8Array(data))
      else this.heard.push(JSON.parse(String(data)))
    })
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: String(reason) }
    })
    socket.on('error', () => {})
  }

  static async connect(url: string, protocols: readonly string[] = [subprotocol]): Promise<RawClient> {
    const socket = new WebSocket(url, [...protocols])
    const client = new RawClient(socket)
    await new Promise<void>((resolve, reject) => {
      socket.once('open', resolve)
      socket.once('error', reject)
    })
    return client
  }

  send(frame: unknown): void {
    const isRaw = typeof frame === 'string' || frame instanceof Uint8Array
    this.#socket.send(isRaw ? frame : JSON.stringify(frame))
  }

  /** The same connection as the SDK takes one: what it hears is heard here as well. */
  asSocket(): Socket {
    return {
      send: frame => this.#socket.send(frame),
      bufferedBytes: () => this.#socket.bufferedAmount,
      close: (code, reason) => this.#socket.close(code, reason),
      listen: ({ message }) =>
        this.#socket.on('message', (data: Buffer, isBinary) => {
          if (!isBinary) message(String(data))
        }),
    }
  }

  pause(): void {
    this.#socket.pause()
  }

  end(): void {
    this.#socket.terminate()
  }
}

export const clientPorts = (): ClientPorts => ({
  sockets: websocketClient(),
  crypto: webCrypto(),
  clock: systemClock({ holdsProcess: true }),
})

export const identityOf = (
  name: keyof typeof secrets,
  credential: ClientCredential = secrets[name],
): ClientIdentity => ({
  operator: operator.id,
  identity: name,
  credential,
  servers: operator.servers.map(({ id }) => id),
})

/** An authenticated SDK session. */
export const sessionAt = (
  base: string,
  name: keyof typeof secrets = 'alice',
  options: Partial<SessionOptions> = {},
): Promise<Session> =>
  openSession(clientPorts(), { ...identityOf(name), urls: [base], timeoutMs: patienceMs, ...options })

/** Authenticates over a connection of its own, as a session does, with what it brings along. */
export async function authenticateAt(base: string, name: keyof typeof secrets, entry: Entry = {}) {
  const ports = clientPorts()
  const socket = await ports.sockets.connect(`${base}/v1/client`, [subprotocol])
  const wire = openWire(socket, ports.clock, { notification() {}, bytes() {}, closed() {} })
  try {
    return await authenticate(wire, base, identityOf(name), ports.crypto, patienceMs, entry)
  } finally {
    wire.close()
  }
}
