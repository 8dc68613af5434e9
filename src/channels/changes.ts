import type { Mutation, Register, Registers, RegisterWrite } from '../document/documents.ts'
import type { ServerId } from '../ports/names.ts'
import { type ChannelLimits, clockMarginMs, messageOverheadBytes } from './limits.ts'
import { standingOf, stateOf, type Waiting, waitingIn } from './queue.ts'
import {
  asMessage,
  asSettled,
  type ChannelRecord,
  channelIn,
  channelsIn,
  floorIn,
  keys,
  type MessageRecord,
  namesIn,
  type Settlement,
  written,
} from './records.ts'
import { refusals } from './refusals.ts'

/*
 * How the document of a subscriber's channels changes: each a decision on what is there, written with it in one entry.
 */

/** Removals of one entry: it holds more, but others wait for it. */
const maxRemovals = 512

/** Opens a channel that is not; with `renew`, what was opened by a credential of that generation gets another one. */
export function opening(
  { channel, ...place }: { channel: string; application: string; instance: string; identity: string },
  renew: number | undefined,
  { maxChannels }: Pick<ChannelLimits, 'maxChannels'>,
): Mutation<ChannelRecord> {
  const { application, instance, identity } = place
  return (registers, now) => {
    const known = channelIn(registers, channel)
    if (known && (renew === undefined || renew < known.generation)) return { writes: [], answer: known }
    if (!known && [...channelsIn(registers)].length >= maxChannels) throw refusals.tooManyChannels(maxChannels)
    const generation = known ? known.generation + 1 : floorIn(registers) + 1
    const { since, opened } = known ?? { since: generation, opened: now }
    const record = { application, instance, opened, since, generation }
    const isNew = registers.get(keys.subscriber)?.value !== identity
    const writes = [written(keys.channel(channel), record)]
    if (isNew) writes.push(written(keys.subscriber, identity))
    return { writes, answer: record }
  }
}

/** Closes a channel: its credentials are worth nothing from now on, and what waits in it goes. */
export const closing =
  (channel: string, server: ServerId): Mutation<void> =>
  registers => {
    const known = channelIn(registers, channel)
    if (!known) return { writes: [], answer: undefined }
    const floor = Math.max(known.generation, floorIn(registers))
    const waiting = [...registers.entries(keys.messages(channel))].filter(isThere).slice(0, maxRemovals)
    return {
      writes: [
        written(keys.channel(channel), null),
        written(keys.floor(server), floor),
        ...waiting.map(([key]) => written(key, null)),
      ],
      answer: undefined,
    }
  }

/** A message as it comes, but for its place in the order. */
export type Incoming = Omit<MessageRecord, 'at' | 'expires'> & { readonly ttlMs: number }

/** What is answered to its sender. */
export interface Taken {
  readonly state: 'waiting' | Settlement
  readonly expires: number
}

/** Takes a message; the same one again changes nothing, and is answered as before. */
export function taking(
  channel: string,
  id: string,
  { ttlMs, ...message }: Incoming,
  limits: Pick<ChannelLimits, 'maxQueued' | 'maxQueuedBytes' | 'maxSettled'>,
): Mutation<Taken> {
  return (registers, now) => {
    requireStanding(registers, channel, message.generation)
    const known = stateOf(registers, channel, id, now)
    if (known) {
      if (known.print !== message.print) throw refusals.keyReused()
      return { writes: [], answer: { state: known.state, expires: known.expires } }
    }
    const waiting = waitingIn(registers, channel, now)
    const replaced = waiting.filter(({ topic }) => topic !== undefined && topic === message.topic)
    if (waiting.length - replaced.length >= limits.maxQueued) throw refusals.channelFull(limits.maxQueued)
    if (bytesIn(registers) + message.bytes + messageOverheadBytes > limits.maxQueuedBytes)
      throw refusals.subscriberFull()
    const at = Math.max(now, (waiting.at(-1)?.at ?? 0) + 1)
    const expires = now + ttlMs
    return {
      writes: [
        written(keys.message(channel, id), { ...message, at, expires }),
        ...settling(registers, channel, replaced, 'replaced', limits),
      ],
      answer: { state: 'waiting', expires },
    }
  }
}

/** What the client has acknowledged. What does not wait there is passed over: it was acknowledged before, or has ended. */
export const acknowledging =
  (channel: string, ids: readonly string[], limits: Pick<ChannelLimits, 'maxSettled'>): Mutation<void> =>
  registers => {
    if (!channelIn(registers, channel)) throw refusals.channelUnknown()
    const named = new Set(ids)
    const there: Waiting[] = []
    for (const id of named) {
      const message = asMessage(registers.get(keys.message(channel, id)))
      if (message) there.push({ ...message, id })
    }
    return { writes: settling(registers, channel, there, 'acknowledged', limits), answer: undefined }
  }

/** What its sender takes back. @throws {CommandRefused} 404; 409 when the client has it */
export const withdrawing =
  (channel: string, id: string, generation: number, limits: Pick<ChannelLimits, 'maxSettled'>): Mutation<void> =>
  (registers, now) => {
    requireStanding(registers, channel, generation)
    const state = stateOf(registers, channel, id, now)?.state
    if (!state) throw refusals.messageUnknown()
    if (state === 'acknowledged') throw refusals.acknowledged()
    const message = asMessage(registers.get(keys.message(channel, id)))
    const there = state === 'waiting' && message ? [{ ...message, id }] : []
    return { writes: settling(registers, channel, there, 'withdrawn', limits), answer: undefined }
  }

/** @throws {CommandRefused} when a credential of this generation does not open the channel, as far as is known here */
export function requireStanding(registers: Registers, channel: string, generation: number): void {
  const standing = standingOf(registers, channel, generation)
  if (standing === 'renewed') throw refusals.renewed()
  if (standing === 'closed') throw refusals.closed()
  if (standing === 'unknown') throw refusals.unheard()
}

/**
 * Removes what is not needed any more: what has ended, what was given, what is of a closed channel. What other servers wrote is
 * theirs to remove, until they are late with it. Answers whether there is more.
 */
export const tidying =
  (server: ServerId): Mutation<boolean> =>
  (registers, now) => {
    const isDue = (register: Register, at: number) => at + (register.server === server ? 0 : foreignMarginMs) <= now
    const writes: RegisterWrite[] = []
    for (const [key, register] of registers.entries('message/')) {
      const names = namesIn(key)
      const message = asMessage(register)
      if (!names || !message) continue
      const { channel, id } = names
      const isOver = isDue(register, message.expires)
      const isLeft = asSettled(registers.get(keys.settled(channel, id))) || isOfClosed(registers, channel, message)
      if (isOver || (isLeft && isDue(register, register.stamp))) writes.push(written(key, null))
    }
    for (const [key, register] of registers.entries('settled/')) {
      const names = namesIn(key)
      const settled = asSettled(register)
      if (!names || !settled) continue
      const { channel, id } = names
      const message = keys.message(channel, id)
      // Sent again elsewhere, it may have longer to live: it goes first.
      if (settled.expires <= now && asMessage(registers.get(message))) {
        writes.push(written(message, null))
        continue
      }
      const isLeft = channelIn(registers, channel) === undefined && registers.get(keys.channel(channel)) !== undefined
      if (isDue(register, settled.expires + clockMarginMs) || (isLeft && isDue(register, register.stamp)))
        writes.push(written(key, null))
    }
    return { writes: writes.slice(0, maxRemovals), answer: writes.length > maxRemovals }
  }

const foreignMarginMs = 3_600_000

/** Everything, of a subscriber that is none any more. Answers whether there is more. */
export const erasing: Mutation<boolean> = registers => {
  const there = [...registers.entries()].filter(isThere)
  return { writes: there.slice(0, maxRemovals).map(([key]) => written(key, null)), answer: there.length > maxRemovals }
}

const isThere = ([, { value }]: readonly [string, Register]): boolean => value !== null

function isOfClosed(registers: Registers, channel: string, { generation }: MessageRecord): boolean {
  const record = channelIn(registers, channel)
  return record ? generation < record.since : generation <= floorIn(registers)
}

function settling(
  registers: Registers,
  channel: string,
  messages: readonly Waiting[],
  how: Settlement,
  { maxSettled }: Pick<ChannelLimits, 'maxSettled'>,
): RegisterWrite[] {
  if (messages.length === 0) return []
  return [
    ...forgetting(registers, messages.length, maxSettled),
    ...messages.flatMap(({ id, expires, print }) => [
      written(keys.message(channel, id), null),
      written(keys.settled(channel, id), { how, expires, print }),
    ]),
  ]
}

/** Makes room for what is to be remembered: of the channel of which most is, what ends first is forgotten. */
function forgetting(registers: Registers, more: number, maxSettled: number): RegisterWrite[] {
  const byChannel = new Map<string, { readonly key: string; readonly expires: number }[]>()
  let count = more
  for (const [key, register] of registers.entries('settled/')) {
    const settled = asSettled(register)
    const channel = namesIn(key)?.channel
    if (!settled || channel === undefined) continue
    count += 1
    const known = byChannel.get(channel)
    if (known) known.push({ key, expires: settled.expires })
    else byChannel.set(channel, [{ key, expires: settled.expires }])
  }
  if (count <= maxSettled) return []
  const [fullest = []] = [...byChannel.values()].sort((a, b) => b.length - a.length)
  fullest.sort((a, b) => a.expires - b.expires)
  return fullest.slice(0, count - maxSettled).map(({ key }) => written(key, null))
}

function bytesIn(registers: Registers): number {
  let bytes = 0
  for (const [, register] of registers.entries('message/')) {
    const message = asMessage(register)
    if (message) bytes += message.bytes + messageOverheadBytes
  }
  return bytes
}
