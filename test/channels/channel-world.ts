import type { Channel, ChannelListener, ChannelMessage } from '../../src/client/channels.ts'
import { openChannel } from '../../src/client/channels.ts'
import { keepSession, type Session } from '../../src/client/session.ts'
import { asDocumentId } from '../../src/document/names.ts'
import type { NodeLimits } from '../../src/node/surroundings.ts'
import type { HttpClient } from '../../src/ports/http-client.ts'
import { SimulatedClient } from '../../src/simulation/federation/client.ts'
import { clientUrlOf } from '../../src/simulation/federation/operator.ts'
import type { SimulatedServer } from '../../src/simulation/federation/server.ts'
import { StorageWorld } from '../storage/storage-world.ts'

/*
 * Production nodes of one operator in a simulated world, an application on a client with the SDK, and its application server on a
 * host of its own that speaks HTTP.
 */

export const operator = 'a.example'
export const application = 'weather.example'
export const direct = 'https://push.weather.example'

export interface Answer {
  readonly status: number
  readonly fields: Readonly<Record<string, string>>
  readonly body: Record<string, unknown>
}

export interface Sending {
  readonly ttl?: string
  readonly urgency?: string
  readonly topic?: string
  readonly key?: string
  readonly type?: string
  readonly credential?: string
}

/** What an application was told, in order. */
export interface App {
  readonly client: SimulatedClient
  readonly session: Session
  readonly channel: Channel
  readonly given: ChannelMessage[]
  readonly texts: string[]
  readonly events: string[]
}

export class ChannelWorld {
  readonly world: StorageWorld
  readonly #http: HttpClient
  #phones = 0

  private constructor(world: StorageWorld) {
    this.world = world
    this.#http = world.federation.world.host('push.weather.example').boot().http
  }

  static async start(servers = 2, limits: NodeLimits = {}, seed = 1): Promise<ChannelWorld> {
    return new ChannelWorld(await StorageWorld.start({ [operator]: servers }, limits, seed))
  }

  /**
   * A new process of a client of a subscriber, on a host of its own, with its application's channel open. It prefers its operator's
   * servers in this order.
   */
  async app(...what: Parameters<ChannelWorld['begin']>): Promise<App> {
    const app = await this.begin(...what)
    await this.world.until(() => app.channel.address !== undefined, 'the channel is open')
    return app
  }

  /** The same, whether or not a server lets it in. */
  async begin(
    identity = 'alice',
    servers: readonly number[] = [0, 1],
    more: Partial<ChannelListener> = {},
    takesMs?: () => number,
  ): Promise<App> {
    const { federation } = this.world
    const host = `phone-${++this.#phones}`
    const client = new SimulatedClient(federation.world, federation.operator(operator), identity, host, servers)
    const options = { ...client.identity, urls: servers.map(index => urlOf(federation.servers[index])) }
    const session = await this.world.inside(() => keepSession(client.clientPorts, options))
    const given: ChannelMessage[] = []
    const texts: string[] = []
    const events: string[] = []
    const channel = openChannel(session, client.clientPorts, {
      application,
      direct,
      listener: {
        async message(message) {
          given.push(message)
          texts.push(message.text())
          if (takesMs) await client.pause(takesMs())
        },
        opened: () => events.push('opened'),
        direct: address => events.push(`direct ${address}`),
        back: () => events.push('back'),
        closed: why => events.push(`closed: ${why}`),
        ...more,
      },
    })
    return { client, session, channel, given, texts, events }
  }

  /** Its process ends. */
  end({ session }: App): Promise<void> {
    return this.world.inside(async () => session.close())
  }

  /** The URL of a channel's messages at a server. */
  url(app: App, server: string): string {
    const { address } = this.world.server(server).card
    return `http://${address}:8080/v1/channels/${app.channel.address?.channel}/messages`
  }

  /** One request, inside of virtual time. @throws {ConnectFailed} when there was no answer */
  async request(
    method: string,
    url: string,
    fields: Readonly<Record<string, string>>,
    body: Uint8Array<ArrayBuffer> = new Uint8Array(0),
  ): Promise<Answer> {
    const answer = await this.#http.send({ method, url, fields, body, signal: new AbortController().signal })
    const chunks: Uint8Array[] = []
    for await (const chunk of answer.body) chunks.push(chunk)
    const text = Buffer.concat(chunks).toString()
    return { status: answer.status, fields: answer.fields, body: text.startsWith('{') ? JSON.parse(text) : { text } }
  }

  /** Sends a message at one server, as an application server does. Inside. */
  posting(app: App, text: string | Uint8Array<ArrayBuffer>, server: string, said: Sending = {}): Promise<Answer> {
    const { ttl = '3600', urgency, topic, key, type, credential = app.channel.address?.credential } = said
    const body = typeof text === 'string' ? new TextEncoder().encode(text) : text
    const fields = {
      authorization: `Bearer ${credential}`,
      ttl,
      'content-length': String(body.length),
      ...(urgency !== undefined && { urgency }),
      ...(topic !== undefined && { topic }),
      ...(key !== undefined && { 'idempotency-key': key }),
      ...(type !== undefined && { 'content-type': type }),
    }
    return this.request('POST', this.url(app, server), fields, body)
  }

  post(app: App, text: string | Uint8Array<ArrayBuffer>, server = 'a.example/1', said: Sending = {}): Promise<Answer> {
    return this.world.inside(() => this.posting(app, text, server, said))
  }

  /** What a server says of a message, or does with it. Inside. */
  asking(app: App, message: unknown, server = 'a.example/1', method = 'GET'): Promise<Answer> {
    const authorization = `Bearer ${app.channel.address?.credential}`
    return this.request(method, `${this.url(app, server)}/${message}`, { authorization })
  }

  about(app: App, message: unknown, server = 'a.example/1', method = 'GET'): Promise<Answer> {
    return this.world.inside(() => this.asking(app, message, server, method))
  }

  isGiven(app: App, count: number): Promise<void> {
    return this.world.until(
      () => app.given.length >= count,
      () => `${count} messages are given, not ${app.texts}`,
    )
  }

  /** Waits until a server says this of a message. */
  isSaid(app: App, message: unknown, state: string, server = 'a.example/1'): Promise<void> {
    let said: unknown
    return this.world.until(
      async () => {
        const { body } = await this.asking(app, message, server)
        said = body.state ?? body.cause
        return said === state
      },
      () => `${server} says ${state} and not ${said}`,
    )
  }

  /** How many messages are in a server's document of the subscriber. */
  waiting(app: App, server = 'a.example/1'): Promise<number> {
    return this.world.inside(() => this.holding(app, server))
  }

  /** How many registers under a prefix are there that are no marks. Inside. */
  async holding(app: App, server: string, prefix = 'message/'): Promise<number> {
    const registers = await this.world.server(server).node?.documents.read(documentOf(app))
    return [...(registers?.entries(prefix) ?? [])].filter(([, { value }]) => value !== null).length
  }
}

const urlOf = (server: SimulatedServer | undefined): string => (server ? clientUrlOf(server.card) : '')
const documentOf = ({ client }: App) => asDocumentId(`channels/${operator}/${client.name}`)
