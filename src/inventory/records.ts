import { z } from 'zod'
import { asJson } from '../commands/plain.ts'
import type { Json, Register, Registers } from '../document/documents.ts'
import { isSegment } from '../document/names.ts'
import { isOperatorId, type OperatorId } from '../ports/names.ts'
import { connectionMode, type Pne, priority, right, zone } from './fields.ts'
import { type AdministratorSaid, type AdminRecord, administratorOf } from './records/administrators.ts'
import { type ClaimRecord, type ClaimSaid, claimOf } from './records/claims.ts'
import {
  type EndedRecord,
  type EndSaid,
  endOf,
  type RegistrationRecord,
  type RegistrationSaid,
  registrationOf,
  type StampedEnd,
  type StampedRegistration,
} from './records/registrations.ts'
import {
  type Admission,
  type AdmissionSaid,
  admissionOf,
  type Undoing,
  type UndoingSaid,
  type UndoneRecord,
  undoingOf,
} from './records/roster.ts'
import { type SettingSaid, type Settings, settingOf } from './records/settings.ts'
import { epoch, grantId, read, type Stamped, time } from './records/stamped.ts'

/*
 * What the registers of `pn/…` and `visit/…` documents mean: their keys, the shapes of their values, and one pass that
 * reads a document; members, registrations, settings and claims have their shapes in files of `records/`. A replica holds
 * what another operator chose to write, so nothing here trusts a value: what does not parse is left out and counted.
 * Unknown keys, and unknown fields of known values, belong to later versions: they are passed over in silence.
 *
 * Every record names the epoch of the PN it was said in, and in a `visit/…` document the grant it was said under, so
 * that a PN which is established anew, or a grant that is given anew, starts with nothing of the old.
 */

const identity = z.string().min(1).max(128)

/** `pn`, in the home document: the PN itself. */
const networkRecord = z.object({
  alias: z.string().min(1).max(128),
  /** Identity of the owner, a subscriber of the home operator. */
  owner: identity,
  epoch,
  /** Absent: until it is released. */
  expires: time.optional(),
  /** Absent: gateways may admit, as before there were modes. */
  connectionMode: connectionMode.optional(),
  /** The command that established it: by it a repetition is known. */
  command: z.string().min(1).max(64),
})

/** `release`, in the home document: epochs below this one have ended. A key of its own, so that no other write undoes it. */
const releaseRecord = z.object({ epoch, command: z.string().min(1).max(64) })

/** `grant/<operator>`, in the home document. */
const grantRecord = z.object({
  epoch,
  /** Stays over renewals; what the grantee writes names it. */
  id: grantId,
  /** Of the grantee's root keys: by it also operators that do not know the grantee can tell its documents. */
  fingerprint: z.string().min(16).max(64),
  rights: z.array(right).max(8),
  expires: time,
})

/**
 * `revoked/<operator>/<grantId>`, in the home document: whatever else is said of this grant, it is over. A key of its own, so
 * that who gives it for longer, at a server that has not heard of the revocation, does not undo it: the grantee is told its end.
 */
const revokedRecord = z.object({ epoch })

/** `gateway/<gatewayId>`, in the document of the gateway's operator. */
const gatewayRecord = z.object({
  epoch,
  grant: grantId.optional(),
  identity,
  priority: priority.optional(),
  zone: zone.optional(),
  /** When it attached, if it has said something else of itself since. */
  attached: time.optional(),
})

export type NetworkRecord = z.infer<typeof networkRecord>
export type ReleaseRecord = z.infer<typeof releaseRecord>
export type GrantRecord = z.infer<typeof grantRecord>
export type RevokedRecord = z.infer<typeof revokedRecord>
export type GatewayRecord = z.infer<typeof gatewayRecord>

/** Where each record stands. Flat composite keys: two servers that write at once never share more than one register. */
export const keys = {
  network: 'pn',
  release: 'release',
  grant: (grantee: OperatorId) => `grant/${grantee}`,
  revoked: (grantee: OperatorId, grant: string) => `revoked/${grantee}/${grant}`,
  setting: (name: keyof Settings) => `setting/${name}`,
  gateway: (gatewayId: string) => `gateway/${gatewayId}`,
  claim: (gatewayId: string) => `claim/${gatewayId}`,
  admin: (pne: Pne) => `admin/${pneKey(pne)}`,
  /** Of a `pn/…` document. */
  roster: (pne: Pne) => `roster/${pneKey(pne)}`,
  /** Of a `visit/…` document: as `roster/…`, under the right `admit`. */
  admission: (pne: Pne) => `admission/${pneKey(pne)}`,
  undoings: (document: OperatorId, pne: Pne) => `undone/${document}/${pneKey(pne)}/`,
  undone: (document: OperatorId, pne: Pne, stamp: number) => `undone/${document}/${pneKey(pne)}/${stamp}`,
  registrations: (pne: Pne) => `registration/${pneKey(pne)}/`,
  registration: (pne: Pne, transaction: string) => `registration/${pneKey(pne)}/${transaction}`,
  ended: (pne: Pne, transaction: string) => `ended/${pneKey(pne)}/${transaction}`,
} as const

/** One string for a PNE; unambiguous, since neither part contains a slash. */
export const pneKey = (pne: Pne): string => `${pne.operator}/${pne.pneId}`

/** A grant that was revoked. */
export interface Revoked {
  readonly operator: OperatorId
  readonly grant: string
  readonly record: Stamped<RevokedRecord>
}

/** What one document of a PN says. */
export interface NetworkRecords {
  readonly network: Stamped<NetworkRecord> | undefined
  readonly release: Stamped<ReleaseRecord> | undefined
  readonly settings: Settings
  /** Those that were not revoked. */
  readonly grants: ReadonlyMap<OperatorId, Stamped<GrantRecord>>
  readonly revoked: readonly Revoked[]
  readonly gateways: ReadonlyMap<string, Stamped<GatewayRecord>>
  /** By gateway id. */
  readonly claims: ReadonlyMap<string, Stamped<ClaimRecord>>
  /** By {@link pneKey}. */
  readonly admins: ReadonlyMap<string, { readonly pne: Pne; readonly record: Stamped<AdminRecord> }>
  /** By {@link pneKey}; also the admissions of a `visit/…` document. */
  readonly roster: ReadonlyMap<string, { readonly pne: Pne; readonly record: Stamped<Admission> }>
  readonly undone: readonly Undoing[]
  readonly registrations: readonly StampedRegistration[]
  readonly ends: readonly StampedEnd[]
  /** Registers under known keys that were passed over because key or value is not what it should be. */
  readonly ignored: number
}

/** What one register says; `undefined`: nothing that this version knows of; `ignored`: nothing, though its key is known. */
type Said =
  | { readonly of: 'pn'; readonly record: Stamped<NetworkRecord> }
  | { readonly of: 'release'; readonly record: Stamped<ReleaseRecord> }
  | { readonly of: 'grant'; readonly operator: OperatorId; readonly record: Stamped<GrantRecord> }
  | ({ readonly of: 'revoked' } & Revoked)
  | SettingSaid
  | { readonly of: 'gateway'; readonly gatewayId: string; readonly record: Stamped<GatewayRecord> }
  | ClaimSaid
  | AdministratorSaid
  | AdmissionSaid
  | UndoingSaid
  | RegistrationSaid
  | EndSaid
  | 'ignored'
  | undefined

/**
 * What the registers of documents were found to say. A register never changes and stands under one key, so who reads a
 * document again reads what is new in it.
 */
export type ReadBefore = WeakMap<Register, { readonly said: Said }>

/** Reads a `pn/…` or `visit/…` document. Never throws for what it contains. */
export function readRecords(registers: Registers, kind: 'pn' | 'visit', before?: ReadBefore): NetworkRecords {
  const grants = new Map<OperatorId, Stamped<GrantRecord>>()
  const revoked: Revoked[] = []
  const gateways = new Map<string, Stamped<GatewayRecord>>()
  const claims = new Map<string, Stamped<ClaimRecord>>()
  const admins = new Map<string, { pne: Pne; record: Stamped<AdminRecord> }>()
  const roster = new Map<string, { pne: Pne; record: Stamped<Admission> }>()
  const undone: Undoing[] = []
  const registrations: StampedRegistration[] = []
  const ends: StampedEnd[] = []
  let network: Stamped<NetworkRecord> | undefined
  let release: Stamped<ReleaseRecord> | undefined
  let settings: Settings = {}
  let ignored = 0

  function take(said: Said): void {
    if (said === undefined) return
    if (said === 'ignored') {
      ignored += 1
      return
    }
    switch (said.of) {
      case 'pn':
        network = said.record
        return
      case 'release':
        release = said.record
        return
      case 'grant':
        grants.set(said.operator, said.record)
        return
      case 'revoked':
        revoked.push(said)
        return
      case 'gateway':
        gateways.set(said.gatewayId, said.record)
        return
      case 'setting':
        settings = { ...settings, ...said.settings }
        return
      case 'claim':
        claims.set(said.gatewayId, said.record)
        return
      case 'admin':
        admins.set(pneKey(said.pne), said)
        return
      case 'roster':
        roster.set(pneKey(said.pne), said)
        return
      case 'undone':
        undone.push(said)
        return
      case 'registration':
        registrations.push(said)
        return
      case 'ended':
        ends.push(said)
    }
  }

  for (const [key, register] of registers.entries()) {
    if (register.value === null) continue
    const known = before?.get(register) ?? { said: saidBy(key, register, kind) }
    before?.set(register, known)
    take(known.said)
  }
  return {
    network,
    release,
    settings,
    grants: withoutRevoked(grants, revoked),
    revoked,
    gateways,
    claims,
    admins,
    roster,
    undone,
    registrations: withEnds(registrations, ends),
    ends,
    ignored,
  }
}

/** What a `pn/…` document says of the PN itself, without reading the rest; `undefined` when there is no such PN. */
export function networkIn(registers: Registers): Stamped<NetworkRecord> | undefined {
  const register = registers.get(keys.network)
  return register && register.value !== null ? read(networkRecord, register) : undefined
}

function withoutRevoked(
  grants: ReadonlyMap<OperatorId, Stamped<GrantRecord>>,
  revoked: readonly Revoked[],
): ReadonlyMap<OperatorId, Stamped<GrantRecord>> {
  if (revoked.length === 0) return grants
  const over = new Set(revoked.map(({ operator, grant }) => keys.revoked(operator, grant)))
  return new Map([...grants].filter(([operator, { id }]) => !over.has(keys.revoked(operator, id))))
}

function withEnds(registrations: StampedRegistration[], ends: readonly StampedEnd[]): readonly StampedRegistration[] {
  if (ends.length === 0) return registrations
  const ended = new Set(ends.map(({ pne, transaction }) => keys.ended(pne, transaction)))
  return registrations.map(said =>
    ended.has(keys.ended(said.pne, said.transaction)) ? { ...said, isEnded: true } : said,
  )
}

function saidBy(key: string, register: Register, kind: 'pn' | 'visit'): Said {
  const parts = key.split('/')
  const partCount = shapes[kind].get(parts[0] ?? '')
  if (partCount === undefined) return undefined
  return (parts.length === partCount && understood(parts, register)) || 'ignored'
}

function understood([first, second = '', third, fourth = '', fifth = '']: readonly string[], register: Register): Said {
  switch (first) {
    case 'pn': {
      const record = read(networkRecord, register)
      return record && { of: 'pn', record }
    }
    case 'release': {
      const record = read(releaseRecord, register)
      return record && { of: 'release', record }
    }
    case 'grant': {
      const record = read(grantRecord, register)
      return record && isOperatorId(second) ? { of: 'grant', operator: second, record } : undefined
    }
    case 'revoked': {
      const record = read(revokedRecord, register)
      return record && third && isOperatorId(second)
        ? { of: 'revoked', operator: second, grant: third, record }
        : undefined
    }
    case 'gateway': {
      const record = read(gatewayRecord, register)
      return record && isSegment(second) ? { of: 'gateway', gatewayId: second, record } : undefined
    }
    case 'setting':
      return settingOf(second, register)
    case 'claim':
      return claimOf(second, register)
    case 'admin':
      return administratorOf(pneNamed(second, third), register)
    case 'roster':
    case 'admission':
      return admissionOf(pneNamed(second, third), register)
    case 'undone':
      return undoingOf(second, pneNamed(third, fourth), fifth, register)
    case 'registration':
      return registrationOf(pneNamed(second, third), fourth, register)
    case 'ended':
      return endOf(pneNamed(second, third), fourth, register)
    default:
      return undefined
  }
}

/** The first part of each key that a kind of document may hold, with the number of parts that the key has. */
const shapes: Readonly<Record<'pn' | 'visit', ReadonlyMap<string, number>>> = {
  pn: new Map([
    ['pn', 1],
    ['release', 1],
    ['setting', 2],
    ['grant', 2],
    ['revoked', 3],
    ['gateway', 2],
    ['claim', 2],
    ['admin', 3],
    ['roster', 3],
    ['undone', 5],
    ['registration', 4],
    ['ended', 4],
  ]),
  visit: new Map([
    ['gateway', 2],
    ['claim', 2],
    ['admission', 3],
    ['registration', 4],
    ['ended', 4],
  ]),
}

/** The PNE that two parts of a key name, if they do. */
export function pneNamed(operatorPart: string | undefined, pneId: string | undefined): Pne | undefined {
  if (operatorPart === undefined || pneId === undefined) return undefined
  return isOperatorId(operatorPart) && isSegment(pneId) ? { operator: operatorPart, pneId } : undefined
}

/** The operators that a home document grants something, now or once: those whose `visit/…` documents can matter. */
export const granteesOf = (home: Registers): OperatorId[] =>
  [...home.entries('grant/')].flatMap(([key, { value }]) => {
    const grantee = key.slice('grant/'.length)
    return value !== null && isOperatorId(grantee) ? [grantee] : []
  })

/** A record as a register's value. Fields that are absent stay absent. */
export const asValue = (
  record:
    | NetworkRecord
    | ReleaseRecord
    | GrantRecord
    | RevokedRecord
    | GatewayRecord
    | ClaimRecord
    | AdminRecord
    | Admission
    | UndoneRecord
    | RegistrationRecord
    | EndedRecord,
): Json => asJson(record)
