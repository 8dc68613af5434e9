import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { NetworkView } from '../view.ts'
import type { Activity, GatewayPresence, PnePresence, Presence } from './methods.ts'

/*
 * What servers say of who is there, and what it means together: a pure function of the view and of what they say. An
 * operator speaks of its own gateways, of its own PNEs, and of those that registered through a gateway of it, as their own
 * operators say in the inventory; what it says of others is passed over.
 */

/** What one server says of one element. */
export interface Entry {
  readonly of: 'pne' | 'gateway'
  readonly operator: OperatorId
  /** PNE ID or gateway ID. */
  readonly id: string
  readonly isReachable: boolean
  readonly state: Activity
  /** Milliseconds since 1970. */
  readonly lastSeen: number
}

/** What one server says, in one Personal Network. */
export interface Statement {
  readonly server: ServerId
  readonly operator: OperatorId
  /** By {@link entryKey}. */
  readonly entries: ReadonlyMap<string, Entry>
}

/** No part contains a slash. */
export const entryKey = ({ of, operator, id }: Pick<Entry, 'of' | 'operator' | 'id'>): string =>
  `${of}/${operator}/${id}`

/** Who of the Personal Network is there, in the order of the inventory. */
export function presenceOf({ inventory }: NetworkView, statements: readonly Statement[]): Presence {
  const gatewaysOf = new Map<string, Set<OperatorId>>()
  for (const { gatewayId, operator } of inventory.gateways) {
    gatewaysOf.set(gatewayId, (gatewaysOf.get(gatewayId) ?? new Set()).add(operator))
  }
  return {
    pnes: inventory.members.map(({ operator, pneId, gatewayId }): PnePresence => {
      const relaying = gatewayId === undefined ? undefined : gatewaysOf.get(gatewayId)
      const maySpeak = (speaker: OperatorId) => speaker === operator || relaying?.has(speaker) === true
      return { operator, pneId, ...standingOf({ of: 'pne', operator, id: pneId }, statements, maySpeak) }
    }),
    gateways: inventory.gateways.map(
      ({ operator, gatewayId }): GatewayPresence => ({
        operator,
        gatewayId,
        ...standingOf({ of: 'gateway', operator, id: gatewayId }, statements, speaker => speaker === operator),
      }),
    ),
  }
}

function standingOf(
  subject: Pick<Entry, 'of' | 'operator' | 'id'>,
  statements: readonly Statement[],
  maySpeak: (speaker: OperatorId) => boolean,
): Pick<PnePresence, 'reach' | 'state' | 'lastSeen'> {
  const key = entryKey(subject)
  const said = statements.flatMap(({ server, operator, entries }) => {
    const entry = maySpeak(operator) ? entries.get(key) : undefined
    return entry ? [{ entry, server, isOwn: operator === subject.operator }] : []
  })
  const [first, ...others] = said
  if (!first) return { reach: 'unknown' }
  const { entry } = others.reduce((best, next) => (counts(next, best) ? next : best), first)
  const { isReachable, state, lastSeen } = entry
  return { reach: isReachable ? 'reachable' : 'unreachable', state, lastSeen }
}

/** Whether this gateway can be reached, as its own operator says; `undefined`: it says nothing. */
export function reachOf(gateway: Pick<Entry, 'of' | 'operator' | 'id'>, statements: readonly Statement[]) {
  const { reach } = standingOf(gateway, statements, speaker => speaker === gateway.operator)
  return reach === 'unknown' ? undefined : reach === 'reachable'
}

interface Said {
  readonly entry: Entry
  readonly server: ServerId
  readonly isOwn: boolean
}

/** Whether `a` counts before `b`: who is reachable anywhere is; then its own operator's word; then the latest. */
function counts(a: Said, b: Said): boolean {
  if (a.entry.isReachable !== b.entry.isReachable) return a.entry.isReachable
  if (a.isOwn !== b.isOwn) return a.isOwn
  if (a.entry.lastSeen !== b.entry.lastSeen) return a.entry.lastSeen > b.entry.lastSeen
  return a.server > b.server
}

/** What is another now; of who left the inventory nothing is known any more. When somebody was seen is no change alone. */
export function changesOf(before: Presence, now: Presence): Presence {
  return {
    pnes: changed(
      before.pnes,
      now.pnes,
      ({ pneId }) => pneId,
      ({ operator, pneId }) => ({ operator, pneId, reach: 'unknown' }),
    ),
    gateways: changed(
      before.gateways,
      now.gateways,
      ({ gatewayId }) => gatewayId,
      ({ operator, gatewayId }) => ({ operator, gatewayId, reach: 'unknown' }),
    ),
  }
}

interface Standing {
  readonly operator: OperatorId
  readonly reach: 'reachable' | 'unreachable' | 'unknown'
  readonly state?: Activity | undefined
}

function changed<T extends Standing>(
  before: readonly T[],
  now: readonly T[],
  idOf: (each: T) => string,
  unknown: (each: T) => T,
): T[] {
  const keyOf = (each: T) => `${each.operator}/${idOf(each)}`
  const known = new Map(before.map(each => [keyOf(each), each]))
  const present = new Set(now.map(keyOf))
  const left = before.filter(each => each.reach !== 'unknown' && !present.has(keyOf(each)))
  return [...now.filter(each => isOther(known.get(keyOf(each)), each)), ...left.map(unknown)]
}

const isOther = (before: Standing | undefined, now: Standing): boolean =>
  (before?.reach ?? 'unknown') !== now.reach || before?.state !== now.state
