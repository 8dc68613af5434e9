import { z } from 'zod'
import { spec, time } from '../commands/fields.ts'
import type { NotificationSpec } from '../federation/command.ts'
import { applicationName, channelName, contentType, messageName, topicName, urgency } from './fields.ts'

/*
 * What a client asks for its application channels, and what it is told on its connection. Application servers come over HTTP: see
 * `src/channels/README.md`.
 */

/** Where the messages of a channel are: `/v1/channels/<channel>/messages`, and each below it by its id. */
export const channelsPath = '/v1/channels/'
export const messagesPath = (channel: string): string => `${channelsPath}${channel}/messages`

const maxAcknowledged = 128
const channel = channelName

const exampleChannel = 'q83vEjRWeJASNFZ4kKvN7w'
const exampleMessage = 'ESIzRFVmd4iZqrvM3e7_AA'

export const channelOpen = spec({
  method: 'channel.open',
  summary:
    'Opens the channel of an application, or finds it open, and has what waits in it given on this connection from now on, instead of on another one that had it before at this server.',
  params: z.strictObject({
    application: applicationName,
    /** Of several places where the subscriber has the application: each has a channel of its own. */
    instance: applicationName,
    /** Credentials of this generation and before are to be worth nothing: another one is made, once. */
    renew: z.int().min(1).optional(),
  }),
  result: z.strictObject({
    channel,
    /** Where the application server sends to: any of them, each at another server of the operator; the answering one first. */
    urls: z.array(z.string()).min(1),
    /** For the application server, and for nobody else. */
    credential: z.string(),
    generation: z.int().min(1),
    /** Milliseconds since 1970. */
    opened: time,
  }),
  refusals: [409],
  example: {
    params: { application: 'weather.example', instance: 'phone-1' },
    result: {
      channel: exampleChannel,
      urls: [`https://c1.a.example/v1/channels/${exampleChannel}/messages`],
      credential: 'eyJrZXkiOjF9.5Q8J2zRZ3d0m5y1k9S0hQwz0n9mJt6nB8gW1T6yqk0E',
      generation: 1,
      opened: 1_790_000_000_000,
    },
  },
})

export const channelClose = spec({
  method: 'channel.close',
  summary:
    'Closes a channel: what waits in it is dropped, and its credentials are worth nothing any more. A channel that is not open is no error.',
  params: z.strictObject({ channel }),
  result: z.strictObject({}),
  refusals: [],
  example: { params: { channel: exampleChannel }, result: {} },
})

export const channelList = spec({
  method: 'channel.list',
  summary: 'The channels that the subscriber has open, and how much waits in each.',
  params: z.strictObject({}),
  result: z.strictObject({
    channels: z.array(
      z.strictObject({
        channel,
        application: applicationName,
        instance: applicationName,
        generation: z.int().min(1),
        opened: time,
        waiting: z.int().min(0),
      }),
    ),
  }),
  refusals: [],
  example: {
    params: {},
    result: {
      channels: [
        {
          channel: exampleChannel,
          application: 'weather.example',
          instance: 'phone-1',
          generation: 1,
          opened: 1_790_000_000_000,
          waiting: 0,
        },
      ],
    },
  },
})

export const channelAcknowledge = spec({
  method: 'channel.acknowledge',
  summary:
    'Says that the application has dealt with messages of a channel: they are given to nobody any more, once this is answered. Messages that do not wait there are passed over.',
  params: z.strictObject({ channel, messages: z.array(messageName).min(1).max(maxAcknowledged) }),
  result: z.strictObject({}),
  refusals: [404],
  example: { params: { channel: exampleChannel, messages: [exampleMessage] }, result: {} },
})

export const channelMethods = [channelOpen, channelClose, channelList, channelAcknowledge] as const

export const channelMessage = z.strictObject({
  id: messageName,
  /** Milliseconds since 1970. Within a channel they come in this order, as far as the server knows them. */
  at: time,
  expires: time,
  /** Milliseconds until it ends, as it is given: for clients whose clock is not the server's. */
  leftMs: z.int().min(0),
  urgency,
  topic: topicName.optional(),
  type: contentType,
  /** The content as text if it is such, else as `data`, base64url. */
  text: z.string().optional(),
  data: z.base64url().optional(),
})
export type ChannelMessageShape = z.infer<typeof channelMessage>

export const channelMessages = {
  method: 'channel.messages',
  summary:
    'Messages of a channel, in its order. Each is given once on a connection, and again on the next one until it is acknowledged, withdrawn, replaced, or has ended.',
  params: z.strictObject({ channel, messages: z.array(channelMessage).min(1) }),
  example: {
    channel: exampleChannel,
    messages: [
      {
        id: exampleMessage,
        at: 1_790_000_000_000,
        expires: 1_790_000_060_000,
        leftMs: 60_000,
        urgency: 'high',
        type: 'application/json',
        text: '{"warning":"storm"}',
      },
    ],
  },
} as const satisfies NotificationSpec<unknown>

export const channelClosed = {
  method: 'channel.closed',
  summary:
    'Nothing of the channel is given on this connection any more: the subscriber has closed it, or has opened it on another connection to this server.',
  params: z.strictObject({ channel, why: z.enum(['closed', 'taken']) }),
  example: { channel: exampleChannel, why: 'taken' },
} as const satisfies NotificationSpec<unknown>

export const channelNotifications = [channelMessages, channelClosed] as const
