import { z } from 'zod'
import { asJson } from '../commands/plain.ts'
import type { Register, Registers, RegisterWrite } from '../document/documents.ts'
import { applicationName, contentType, messageName, topicName, urgency } from './fields.ts'

/*
 * What `channels/<operator>/<subscriber>` holds. It stays with its operator's servers.
 *
 *     subscriber               whose the document is
 *     channel/<channel>        an open channel; a mark when it was closed
 *     floor/<server>           no credential of a closed channel is of a later generation than the greatest of these
 *     message/<channel>/<id>   a message that waits; a mark as soon as it does not
 *     settled/<channel>/<id>   what has become of it, until it would have ended
 *
 * A message and what has become of it are two registers, so that of a message which two servers took, one of which gave it, the
 * word that it was given holds, whichever was written later.
 */

export const keys = {
  subscriber: 'subscriber',
  channel: (channel: string) => `channel/${channel}`,
  floor: (server: string) => `floor/${server}`,
  messages: (channel: string) => `message/${channel}/`,
  message: (channel: string, id: string) => `message/${channel}/${id}`,
  settled: (channel: string, id: string) => `settled/${channel}/${id}`,
} as const

const stamp = z.int().min(0)

const channelRecord = z.object({
  application: applicationName,
  instance: applicationName,
  /** Milliseconds since 1970. */
  opened: stamp,
  /** The generation at which it was opened: messages taken by earlier credentials were for another channel, closed since. */
  since: z.int().min(1),
  /** Of its present credential: those of earlier ones are worth nothing any more. */
  generation: z.int().min(1),
})
export type ChannelRecord = z.infer<typeof channelRecord>

const messageRecord = z.object({
  /** Its place in the order of its channel: milliseconds since 1970 when it was taken, or just after the last one. */
  at: stamp,
  /** Milliseconds since 1970. */
  expires: stamp,
  /** Of the credential that it came with. */
  generation: z.int().min(1),
  urgency,
  topic: topicName.optional(),
  type: contentType,
  /** The content as text if it is such, else `data`, base64url. */
  text: z.string().optional(),
  data: z.string().optional(),
  /** Of the content. */
  bytes: z.int().min(0),
  /** Of all that its sender said, so that another message under the same key is noticed. */
  print: z.string().max(64),
})
export type MessageRecord = z.infer<typeof messageRecord>

/** What becomes of a message that no longer waits, other than to end. */
export const settlement = z.enum(['acknowledged', 'withdrawn', 'replaced'])
export type Settlement = z.infer<typeof settlement>

const settledRecord = z.object({ how: settlement, expires: stamp, print: z.string().max(64) })
export type SettledRecord = z.infer<typeof settledRecord>

/** Each value is parsed once: it never changes, and is looked at again whenever something else does. */
function reading<T extends object>(schema: z.ZodType<T>): (register: Register | undefined) => T | undefined {
  const known = new WeakMap<object, T>()
  return register => {
    const value = register?.value
    if (typeof value !== 'object' || value === null) return undefined
    const before = known.get(value)
    if (before) return before
    const parsed = schema.safeParse(value)
    if (!parsed.success) return undefined
    known.set(value, parsed.data)
    return parsed.data
  }
}

const asChannel = reading(channelRecord)
export const asMessage = reading(messageRecord)
export const asSettled = reading(settledRecord)

export const channelIn = (registers: Registers, channel: string): ChannelRecord | undefined =>
  asChannel(registers.get(keys.channel(channel)))

export function* channelsIn(registers: Registers): Generator<readonly [channel: string, record: ChannelRecord]> {
  for (const [key, register] of registers.entries('channel/')) {
    const record = asChannel(register)
    if (record) yield [key.slice('channel/'.length), record]
  }
}

/** The greatest generation that a channel closed here may have had. */
export function floorIn(registers: Registers): number {
  let floor = 0
  for (const [, { value }] of registers.entries('floor/')) if (typeof value === 'number') floor = Math.max(floor, value)
  return floor
}

/** Channel and id of a register of a message, or of what has become of one; `undefined` for other keys. */
export function namesIn(key: string): { readonly channel: string; readonly id: string } | undefined {
  const [, channel, id, ...rest] = key.split('/')
  if (channel === undefined || id === undefined || rest.length > 0) return undefined
  return messageName.safeParse(id).success ? { channel, id } : undefined
}

export const written = (key: string, value: object | number | string | null): RegisterWrite => ({
  key,
  value: asJson(value),
})
