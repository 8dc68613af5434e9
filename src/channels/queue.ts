import type { Registers } from '../document/documents.ts'
import {
  asMessage,
  asSettled,
  channelIn,
  floorIn,
  keys,
  type MessageRecord,
  namesIn,
  type Settlement,
} from './records.ts'

/*
 * What waits in a channel: a pure function of the document and the time, the same on every server that holds the same entries,
 * whatever two servers took at once.
 */

export interface Waiting extends MessageRecord {
  readonly id: string
}

/** What waits in a channel, in its order: as it was taken, and of two with one topic the later one alone. */
export function waitingIn(registers: Registers, channel: string, now: number): readonly Waiting[] {
  const since = channelIn(registers, channel)?.since ?? 0
  const standing: Waiting[] = []
  for (const [key, register] of registers.entries(keys.messages(channel))) {
    const message = asMessage(register)
    const id = namesIn(key)?.id
    if (!message || id === undefined || message.expires <= now || message.generation < since) continue
    if (!asSettled(registers.get(keys.settled(channel, id)))) standing.push({ ...message, id })
  }
  standing.sort(inOrder)
  const latest = new Map(standing.map(({ topic, id }) => [topic, id]))
  return standing.filter(({ topic, id }) => topic === undefined || latest.get(topic) === id)
}

/** By its place, and where two servers gave the same one, by its name. */
const inOrder = (a: Waiting, b: Waiting): number => a.at - b.at || (a.id < b.id ? -1 : 1)

/** What is known of a message; `undefined`: nothing, or no longer. */
export function stateOf(
  registers: Registers,
  channel: string,
  id: string,
  now: number,
): { readonly state: 'waiting' | Settlement; readonly expires: number; readonly print: string } | undefined {
  const settled = asSettled(registers.get(keys.settled(channel, id)))
  if (settled) return { state: settled.how, expires: settled.expires, print: settled.print }
  const message = asMessage(registers.get(keys.message(channel, id)))
  if (!message || message.expires <= now) return undefined
  const isThere = waitingIn(registers, channel, now).some(each => each.id === id)
  return { state: isThere ? 'waiting' : 'replaced', expires: message.expires, print: message.print }
}

/**
 * What a credential of this generation is worth.
 *
 * - `open`: it is the channel's, or a later one that another server has given.
 * - `unheard`: the channel was opened at another server, of which this one has not heard yet.
 * - `renewed`: the client has had another one made in its place.
 * - `closed`: the client has closed the channel.
 * - `unknown`: one of the two before, or `unheard`: what would tell is not here.
 */
export type Standing = 'open' | 'unheard' | 'renewed' | 'closed' | 'unknown'

export function standingOf(registers: Registers, channel: string, generation: number): Standing {
  const record = channelIn(registers, channel)
  if (record) return generation >= record.generation ? 'open' : 'renewed'
  if (generation > floorIn(registers)) return 'unheard'
  return registers.get(keys.channel(channel)) ? 'closed' : 'unknown'
}
