import type { OperatorId } from '../ports/names.ts'
import { keys, type NetworkRecords, pneKey } from './records.ts'
import type { NetworkView } from './view.ts'

/*
 * Registers of an operator's own document of a PN that can never count again:
 *
 * - of an earlier epoch;
 * - admissions that lapsed, and registrations of who is no member or never confirmed, each `keptMs` after its end: by then
 *   also what another server did under them, cut off from here, has ended;
 * - ends of registrations that have ended by themselves since;
 * - claims to be the active gateway, and administrators, that lost to a later one, or whose gateway or element is gone,
 *   `keptMs` after they were made: for so long the loser is named.
 *
 * Whatever writes in the document clears some of them in passing. So a PN whose elements come and go for years has a
 * document as large as its roster, and who fills it with nonsense fills it for a day.
 */

/** So many at a time, so that no command pays for all that went before it. */
const maxAtOnce = 64

export function leftovers(own: NetworkRecords, view: NetworkView, now: number, of: Origin): string[] {
  const { epoch } = view.inventory
  const isPast = (record: { readonly epoch: number }) => record.epoch < epoch
  const isOver = (end: number) => end + of.keptMs <= now
  const isMember = (key: string) => view.admissions.has(key)
  const isHome = of.operator === view.inventory.home

  const roster = [...own.roster].flatMap(([member, { pne, record }]) => {
    const hasLapsed = record.pendingUntil !== undefined && isOver(record.pendingUntil) && !isMember(member)
    return isPast(record) || hasLapsed ? [isHome ? keys.roster(pne) : keys.admission(pne)] : []
  })
  // What was undone elsewhere may stand there for ever; what was registered under an admission of ours has ended by then.
  const undone = own.undone.flatMap(({ document, pne, upTo, record }) =>
    isPast(record) || (document === of.operator && isOver(record.stamp)) ? [keys.undone(document, pne, upTo)] : [],
  )
  const registrations = own.registrations.flatMap(({ pne, transaction, record }) => {
    const hasEnded = isOver(record.expires) && (record.state === 'pending' || !isMember(pneKey(pne)))
    return isPast(record) || hasEnded ? [keys.registration(pne, transaction)] : []
  })
  const ends = own.ends.flatMap(({ pne, transaction, record }) =>
    isPast(record) || record.until <= now ? [keys.ended(pne, transaction)] : [],
  )
  const gateways = [...own.gateways].flatMap(([id, record]) => (isPast(record) ? [keys.gateway(id)] : []))
  const grants = [...own.grants].flatMap(([grantee, record]) => (isPast(record) ? [keys.grant(grantee)] : []))
  const revoked = own.revoked.flatMap(({ operator, grant, record }) =>
    isPast(record) ? [keys.revoked(operator, grant)] : [],
  )
  const [claim] = view.claims
  const claims = [...own.claims].flatMap(([id, record]) => {
    const isLatest = claim?.gateway.operator === of.operator && claim.gateway.gatewayId === id
    return isPast(record) || (isOver(record.since) && !isLatest) ? [keys.claim(id)] : []
  })
  const [administrator] = view.administrators
  const admins = [...own.admins.values()].flatMap(({ pne, record }) => {
    const isAdministrator = administrator !== undefined && pneKey(administrator) === pneKey(pne)
    return isPast(record) || (isOver(record.stamp) && !isAdministrator) ? [keys.admin(pne)] : []
  })
  const settings = settingNames.flatMap(name => {
    const record = own.settings[name]
    return record && isPast(record) ? [keys.setting(name)] : []
  })
  const rest = [...gateways, ...grants, ...revoked, ...claims, ...admins, ...settings]
  return [...roster, ...undone, ...registrations, ...ends, ...rest].slice(0, maxAtOnce)
}

const settingNames = ['alias', 'expires', 'connectionMode'] as const

interface Origin {
  /** Whose document it is. */
  readonly operator: OperatorId
  readonly keptMs: number
}
