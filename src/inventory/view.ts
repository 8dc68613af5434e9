import { digest as sha256 } from 'lib0/hash/sha256'
import { toBase64url, utf8 } from '../commands/framing.ts'
import type { Registers } from '../document/documents.ts'
import type { OperatorId } from '../ports/names.ts'
import { type Administrator, administratorsOf } from './administrators.ts'
import { conflictsOf } from './conflicts.ts'
import type { ConnectionMode, Pne, Right } from './fields.ts'
import { type AttachedGateway, activityOf, type Claim } from './gateways/active.ts'
import type { Inventory, InventoryMember } from './inventory-shape.ts'
import { compare, sortedBy } from './order.ts'
import type { StampedRegistration } from './records/registrations.ts'
import type { Admission } from './records/roster.ts'
import type { Stamped } from './records/stamped.ts'
import {
  type GrantRecord,
  type NetworkRecord,
  type NetworkRecords,
  pneKey,
  type ReleaseRecord,
  readRecords,
} from './records.ts'

/*
 * What several operators mean together: a pure function of their documents and a time. Every server, and every client,
 * that has the same documents and asks about the same time gets the same inventory, whatever order the documents came in.
 *
 * - The home document decides: the PN, its grants, its roster. A `visit/…` document counts as far as an unexpired grant of
 *   the home operator says so, and what stands in it names that grant and the PN's epoch.
 * - A PNE is a member if the home operator, or one with the right `admit`, has admitted it, and the home operator has not
 *   removed it since.
 * - A registration is its own operator's word alone, is of a member, and was made under no admission that was undone.
 * - Of several registrations of one PNE the latest active one counts; the others are reported as superseded. A pending one
 *   shows only where there is no active one, and leaves nothing when it expires. One that its PNE has ended counts never
 *   again; that the PNE was registered still does.
 * - A gateway is the owner or a member, and one for no longer than that. One of them is the active one; see
 *   `gateways/active.ts`. The administrator is a member too; see `administrators.ts`.
 * - Settings of the PN are what was said of them last in this epoch. From when on the PN is not open, no gateway admits.
 * - A PN that was released or has expired has no members.
 * - What was said on two sides that did not know of each other is reported; see `conflicts.ts`.
 */

/** Which PN is meant. */
export interface NetworkName {
  readonly home: OperatorId
  readonly pnId: string
}

/** The documents of one PN. Visits of operators that were granted nothing may be there or not: it makes no difference. */
export interface NetworkDocuments {
  /** `pn/<home>/<pnId>` */
  readonly home: Registers
  /** `visit/<operator>/<home>/<pnId>` by operator. */
  readonly visits: ReadonlyMap<OperatorId, Registers>
}

/** The effective inventory at a time (milliseconds since 1970), or `undefined` where no PN was ever established. */
export function effectiveInventory(
  name: NetworkName,
  { home, visits }: NetworkDocuments,
  at: number,
): Inventory | undefined {
  const read = {
    home: readRecords(home, 'pn'),
    visits: new Map([...visits].map(([operator, visit]) => [operator, readRecords(visit, 'visit')])),
  }
  return viewOf(name, read, at)?.inventory
}

/** {@link NetworkDocuments}, read. */
export interface NetworkSources {
  readonly home: NetworkRecords
  readonly visits: ReadonlyMap<OperatorId, NetworkRecords>
}

/** The inventory with what only servers need of its making. */
export interface NetworkView {
  readonly inventory: Inventory
  /** The command that established it, and the last that released it, then or before: by them repetitions are known. */
  readonly command: string
  /** That its records name: also when it was released since, which begins the next. */
  readonly epoch: number
  readonly lastRelease: ReleaseRecord | undefined
  /** Grants that count now, with their ids. */
  readonly grants: ReadonlyMap<OperatorId, Stamped<GrantRecord>>
  /** Grants as they were last given in this epoch, ended or not. */
  readonly given: ReadonlyMap<OperatorId, Stamped<GrantRecord>>
  /** By {@link pneKey}: who admitted each member, and since when; the earliest first. */
  readonly admissions: ReadonlyMap<string, readonly CountedAdmission[]>
  /** By {@link pneKey}: what the PNE's own operator has said of it under its grant, whether it counts now or not. */
  readonly registrations: ReadonlyMap<string, readonly StampedRegistration[]>
  /** By {@link pneKey}: which of its admissions were undone. */
  readonly undone: ReadonlyMap<string, Undone>
  /** Claims to be the active gateway, the latest first. */
  readonly claims: readonly Claim[]
  /** Members that were made administrators and that nobody has removed since: the first is the administrator. */
  readonly administrators: readonly Administrator[]
  /** From when on gateways admit nobody on their own; `undefined`: they may. */
  readonly closedSince: number | undefined
}

/** What was undone of the admissions of one PNE. */
export interface Undone {
  /** By the operator in whose document they stand: up to the stamp that they had. */
  readonly upTo: ReadonlyMap<OperatorId, number>
  /** The latest `since` of any: what was registered under an admission of then or before counts no more. */
  readonly since: number
}

/** An admission that counts, with the operator in whose document it stands. */
export interface CountedAdmission {
  readonly document: OperatorId
  readonly record: Stamped<Admission>
}

/** As {@link effectiveInventory}, for servers. */
export function viewOf(name: NetworkName, { home, visits }: NetworkSources, at: number): NetworkView | undefined {
  const { network, release } = home
  if (!network) return undefined

  const released = release !== undefined && release.epoch > network.epoch
  const settings = settingsOf(home, network)
  const { epoch } = network
  const expired = settings.expires !== undefined && settings.expires <= at
  const state = released ? 'released' : expired ? 'expired' : 'live'

  const given = new Map(
    sortedBy([...home.grants], ([operator]) => operator).filter(
      ([operator, grant]) => operator !== name.home && grant.epoch === epoch,
    ),
  )
  const grants = new Map([...given].filter(([, grant]) => at < grant.expires))
  const sources = sourcesOf(name.home, home, grants, visits, epoch)
  const undone = undoneBy(home, epoch)
  const admitted = admittedBy(undone, sources, settings.closedSince)
  const registrations = registrationsOf(sources)
  const elements = membersOf(admitted, registrations, undone, at)
  const members = state === 'live' ? elements : []
  const mayBeGateway = new Set([pneKey({ operator: name.home, pneId: network.owner }), ...elements.map(keyOfMember)])
  const gateways = sources
    .filter(source => source.may('gateway'))
    .flatMap(gatewaysOf)
    .filter(({ shown: { operator, identity } }) => mayBeGateway.has(pneKey({ operator, pneId: identity })))
  const inOrder = sortedBy(gateways, ({ shown }) => `${shown.operator}/${shown.gatewayId}`)
  const activity = activityOf(inOrder, state === 'live', at)
  const admissions = new Map(members.map(member => [keyOfMember(member), member.admissions]))
  const administrators = administratorsOf(home.admins, epoch, pne =>
    admissions.has(pneKey(pne)) ? sinceUndone(undone, pneKey(pne)) : undefined,
  )

  /** Made when it is first asked for: few who look at a PN want it. */
  let version: string | undefined

  return {
    inventory: {
      home: name.home,
      pnId: name.pnId,
      alias: settings.alias,
      owner: network.owner,
      state,
      epoch: released ? release.epoch : epoch,
      get version() {
        version ??= versionOf(epoch, settings, members)
        return version
      },
      connectionMode: settings.connectionMode,
      ...(settings.expires === undefined ? {} : { expires: settings.expires }),
      ...(administrators[0] ? { administrator: administrators[0] } : {}),
      gateways: [...activity.gateways],
      members: members.map(member => member.shown),
      grants: [...grants].map(([operator, { fingerprint, rights, expires }]) => ({
        operator,
        fingerprint,
        rights: [...new Set(rights)].sort(),
        expires,
      })),
      superseded: members.flatMap(member => member.superseded),
      conflicts: conflictsOf({
        claims: activity.claims,
        administrators,
        members,
        release: released ? release : undefined,
        registrations,
      }),
    },
    command: network.command,
    epoch,
    lastRelease: release,
    given,
    grants,
    admissions,
    registrations,
    undone,
    claims: activity.claims,
    administrators,
    closedSince: settings.closedSince,
  }
}

/** What the PN was established with, or what was said of it since. */
interface Settings {
  readonly alias: string
  readonly expires: number | undefined
  readonly connectionMode: ConnectionMode
  readonly closedSince: number | undefined
}

function settingsOf({ settings }: NetworkRecords, network: NetworkRecord): Settings {
  const { epoch } = network
  const alias = settings.alias?.epoch === epoch ? settings.alias.value : network.alias
  const expires = settings.expires?.epoch === epoch ? (settings.expires.value ?? undefined) : network.expires
  const mode = settings.connectionMode?.epoch === epoch ? settings.connectionMode : undefined
  const connectionMode = mode?.value ?? network.connectionMode ?? 'open'
  return { alias, expires, connectionMode, closedSince: connectionMode === 'open' ? undefined : (mode?.since ?? 0) }
}

/** A document that counts: what its operator may say in this PN, and whether a record was said under that right. */
interface Source {
  readonly operator: OperatorId
  readonly records: NetworkRecords
  may(right: Right): boolean
  counts(record: { readonly epoch: number; readonly grant?: string | undefined }): boolean
}

function sourcesOf(
  homeOperator: OperatorId,
  home: NetworkRecords,
  grants: ReadonlyMap<OperatorId, Stamped<GrantRecord>>,
  visits: ReadonlyMap<OperatorId, NetworkRecords>,
  epoch: number,
): Source[] {
  const own: Source = {
    operator: homeOperator,
    records: home,
    may: () => true,
    counts: record => record.epoch === epoch,
  }
  const visiting = [...grants].flatMap(([operator, grant]): Source[] => {
    const records = visits.get(operator)
    if (!records) return []
    return [
      {
        operator,
        records,
        may: right => grant.rights.includes(right),
        counts: record => record.epoch === epoch && record.grant === grant.id,
      },
    ]
  })
  return [own, ...visiting]
}

const gatewaysOf = ({ operator, records, counts }: Source): AttachedGateway[] =>
  [...records.gateways]
    .filter(([, record]) => counts(record))
    .map(([gatewayId, { identity, stamp, attached = stamp, priority = 0, zone }]) => {
      const claim = records.claims.get(gatewayId)
      const place = zone === undefined ? {} : { zone }
      return {
        shown: { gatewayId, operator, identity, since: attached, priority, ...place },
        claim: claim && counts(claim) ? claim : undefined,
      }
    })

/** A PNE that somebody entitled to it has admitted, with the admissions that count, the earliest first. */
interface Admitted {
  readonly pne: Pne
  readonly admissions: readonly CountedAdmission[]
}

function admittedBy(
  undone: ReadonlyMap<string, Undone>,
  sources: readonly Source[],
  closedSince = Number.POSITIVE_INFINITY,
): Admitted[] {
  const admitted = new Map<string, { pne: Pne; admissions: CountedAdmission[] }>()
  for (const source of sources.filter(({ may }) => may('admit'))) {
    for (const [key, { pne, record }] of source.records.roster) {
      if (!source.counts(record)) continue
      if (record.stamp <= (undone.get(key)?.upTo.get(source.operator) ?? -1)) continue
      if (record.pendingUntil !== undefined && record.since > closedSince) continue
      const found = admitted.get(key) ?? { pne, admissions: [] }
      found.admissions.push({ document: source.operator, record })
      admitted.set(key, found)
    }
  }
  for (const { admissions } of admitted.values()) admissions.sort((a, b) => a.record.since - b.record.since)
  return sortedBy([...admitted.values()], ({ pne }) => pneKey(pne))
}

/** The home operator alone undoes: what others would take back of theirs must not touch what is registered. */
function undoneBy(home: NetworkRecords, epoch: number): Map<string, Undone> {
  const undone = new Map<string, { upTo: Map<OperatorId, number>; since: number }>()
  for (const { document, pne, upTo, record } of home.undone) {
    if (record.epoch !== epoch) continue
    const key = pneKey(pne)
    const found = undone.get(key) ?? { upTo: new Map<OperatorId, number>(), since: -1 }
    found.upTo.set(document, Math.max(upTo, found.upTo.get(document) ?? -1))
    found.since = Math.max(found.since, record.since)
    undone.set(key, found)
  }
  return undone
}

/** Whether a member is still in the PN under this admission: what was registered or joined under it counts. */
export const isStillIn = ({ admissions, undone }: NetworkView, pne: Pne, admission: number): boolean =>
  admissions.has(pneKey(pne)) && admission > sinceUndone(undone, pneKey(pne))

const sinceUndone = (undone: ReadonlyMap<string, Undone>, key: string): number => undone.get(key)?.since ?? -1

interface Member {
  readonly shown: InventoryMember
  readonly superseded: readonly InventoryMember[]
  readonly admissions: readonly CountedAdmission[]
}

const keyOfMember = ({ shown }: Member): string => pneKey(shown)

function membersOf(
  admitted: readonly Admitted[],
  registrations: ReadonlyMap<string, readonly StampedRegistration[]>,
  undone: ReadonlyMap<string, Undone>,
  at: number,
): Member[] {
  return admitted.flatMap(found => {
    const key = pneKey(found.pne)
    const made = (registrations.get(key) ?? []).filter(({ record }) => record.admission > sinceUndone(undone, key))
    const member = memberOf(found, made, at)
    return member ? [member] : []
  })
}

/** What each PNE's own operator says of it. */
function registrationsOf(sources: readonly Source[]): Map<string, StampedRegistration[]> {
  const said = sources
    .filter(({ may }) => may('register'))
    .flatMap(({ operator, records, counts }) =>
      records.registrations.filter(({ pne, record }) => pne.operator === operator && counts(record)),
    )
  return Map.groupBy(said, ({ pne }) => pneKey(pne))
}

/** `made`: its registrations under admissions that stand, or that a later one has taken the place of. */
function memberOf({ pne, admissions }: Admitted, made: readonly StampedRegistration[], at: number): Member | undefined {
  const [first] = admissions
  if (!first) return undefined
  const standing = made.filter(({ record, isEnded }) => at < record.expires && !isEnded)
  const wasRegistered = standing.length > 0 || made.some(({ record }) => record.state === 'active')
  const isHeld = admissions.some(({ record }) => record.pendingUntil === undefined || at < record.pendingUntil)
  if (!isHeld && !wasRegistered) return undefined

  const latestFirst = standing.sort(laterFirst)
  const active = latestFirst.filter(({ record }) => record.state === 'active')
  const winner = active[0] ?? latestFirst[0]
  return {
    shown: winner ? shownRegistration(winner) : { ...pne, state: 'member', since: first.record.since },
    superseded: active.slice(1).map(shownRegistration),
    admissions,
  }
}

function shownRegistration({ pne, record }: StampedRegistration): InventoryMember {
  const { cpnsId, gatewayId, mode, capabilities, services, state, expires, stamp } = record
  const open = state === 'active' && services ? { services } : {}
  return { ...pne, cpnsId, gatewayId, mode, capabilities, ...open, state, expires, since: stamp }
}

/** By (stamp, server), as registers are ordered; the transaction decides between two that one server wrote at once. */
const laterFirst = (a: StampedRegistration, b: StampedRegistration): number =>
  b.record.stamp - a.record.stamp || compare(b.record.server, a.record.server) || compare(b.transaction, a.transaction)

/**
 * 128 bits of SHA-256 over the settings, and who is in the roster and since when. Synchronous and in plain JavaScript, since the view runs
 * in browsers too, whose own SHA-256 is neither.
 */
function versionOf(epoch: number, { alias, expires, connectionMode }: Settings, members: readonly Member[]): string {
  const roster = members.map(({ shown, admissions }) => [
    shown.operator,
    shown.pneId,
    admissions.map(({ document, record }) => [document, record.since]),
  ])
  return toBase64url(sha256(utf8(JSON.stringify([epoch, alias, expires ?? null, connectionMode, roster]))).slice(0, 16))
}
