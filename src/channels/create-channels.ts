import { asCommandRefusal } from '../commands/refusals.ts'
import type { Documents } from '../document/documents.ts'
import { ownerOf } from '../document/names.ts'
import type { Command, MethodSpec, Principal } from '../federation/command.ts'
import type { Federation } from '../federation/federation.ts'
import type { Concern } from '../federation/lacking.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { acknowledging, closing, opening } from './changes.ts'
import { createChannelCredentials } from './credentials.ts'
import { createDelivery } from './delivery.ts'
import { createInbound, type Inbound } from './inbound.ts'
import { type ChannelLimits, defaultChannelLimits } from './limits.ts'
import { channelAcknowledge, channelClose, channelList, channelOpen, messagesPath } from './methods.ts'
import { channelOf, channelsDocument } from './names.ts'
import { waitingIn } from './queue.ts'
import { channelsIn } from './records.ts'
import { refusals } from './refusals.ts'
import { createUpkeep } from './upkeep.ts'

export interface ChannelsOptions {
  readonly operator: OperatorId
  readonly server: ServerId
  readonly documents: Documents
  readonly keys: KeySource
  readonly macKeys: () => OperatorSecrets['macKeys']
  /** Base URLs at which clients reach the operator's servers, `wss://…`: this one's first. */
  readonly urls: () => readonly string[]
  /** Servers of the operator beside this one, by its manifest. */
  readonly others: () => number
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  readonly limits?: Partial<ChannelLimits>
}

/** Application channels at one server. */
export interface ChannelsService {
  readonly commands: readonly Command[]
  /** For application servers. */
  readonly inbound: Inbound
  readonly limits: ChannelLimits
  /** To be called once, before `start`. */
  join(federation: Federation): void
  start(): void
  stop(): void
}

export function createChannels(options: ChannelsOptions): ChannelsService {
  const { operator: self, server, documents, keys, clock, random, crypto, telemetry } = options
  const limits = { ...defaultChannelLimits, ...options.limits }
  const credentials = createChannelCredentials({ operator: self, macKeys: options.macKeys, crypto })
  const { replicationMs, sweepEveryMs: everyMs } = limits
  let joined: Federation | undefined
  const isReplicated = async (document: DocumentId): Promise<boolean> => {
    if (options.others() === 0) return true
    const durability = await joined?.replicated([document], { replicated: 1, timeoutMs: replicationMs })
    return durability?.isReached === true
  }
  const delivery = createDelivery({ documents, clock, telemetry, limits })
  const upkeep = createUpkeep({ self, server, documents, keys, clock, telemetry, everyMs })
  const inbound = createInbound({
    ...{ self, documents, keys, credentials, isReplicated, clock, random, crypto, telemetry, limits },
  })
  let unsubscribe: Cancel = () => {}

  /** Channels are a matter between a subscriber and its own operator. */
  function documentOf({ operator, identity }: Principal): DocumentId {
    if (operator !== self) throw refusals.elsewhere(operator)
    return channelsDocument(self, identity, crypto)
  }

  const concern = (principal: Principal): Concern => [documentOf(principal)]

  const urlsOf = (channel: string): string[] =>
    options.urls().map(url => `${url.replace(/^ws/, 'http').replace(/\/+$/, '')}${messagesPath(channel)}`)

  const commands = [
    command(
      channelOpen,
      async ({ application, instance, renew }, principal, connection) => {
        const document = documentOf(principal)
        const { identity } = principal
        const channel = channelOf({ operator: self, identity, application, instance }, crypto)
        const place = { channel, application, instance, identity }
        const { generation, opened } = await documents.write(document, opening(place, renew, limits))
        // By way of others it is opened, and nothing is given.
        if (connection) delivery.attach(document, channel, connection)
        const credential = credentials.sign({ channel, identity, application, generation })
        return { channel, urls: urlsOf(channel), credential, generation, opened }
      },
      concern,
    ),

    command(
      channelClose,
      async ({ channel }, principal) => {
        await documents.write(documentOf(principal), closing(channel, server))
        return {}
      },
      concern,
    ),

    command(channelList, async (_, principal) => {
      const registers = await documents.read(documentOf(principal))
      const now = clock.now()
      const channels = [...channelsIn(registers)].map(([channel, { application, instance, generation, opened }]) => ({
        ...{ channel, application, instance, generation, opened },
        waiting: waitingIn(registers, channel, now).length,
      }))
      return { channels }
    }),

    command(
      channelAcknowledge,
      async ({ channel, messages }, principal) => {
        await documents.write(documentOf(principal), acknowledging(channel, messages, limits))
        telemetry.count('cpns_channel_messages_acknowledged_total', {}, messages.length)
        return {}
      },
      concern,
    ),
  ]

  return {
    commands,
    inbound,
    limits,
    join(federation) {
      joined = federation
    },

    start() {
      unsubscribe = documents.subscribe(({ document, index }) => {
        if (index && document.startsWith('channels/') && ownerOf(document) === self) delivery.changed(document)
      })
      upkeep.start()
    },

    stop() {
      unsubscribe()
      upkeep.stop()
      delivery.stop()
    },
  }
}

type Connection = NonNullable<NonNullable<Parameters<Command['execute']>[3]>['connection']>

/** The one place where a method's own types end: callers have parsed its parameters by its schema. */
function command<Params, Result>(
  spec: MethodSpec<Params, Result>,
  execute: (params: Params, principal: Principal, connection: Connection | undefined) => Promise<Result>,
  concern?: (principal: Principal) => Concern,
): Command {
  const made: Command<Params, Result> = {
    spec,
    execute: (params, principal, _, options) => execute(params, principal, options?.connection).catch(asCommandRefusal),
    ...(concern && { concern: (_, principal) => concern(principal) }),
  }
  return made as Command
}
