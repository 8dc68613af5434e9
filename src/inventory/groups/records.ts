import { z } from 'zod'
import { asJson } from '../../commands/plain.ts'
import type { Json, Register, Registers } from '../../document/documents.ts'
import { isSegment } from '../../document/names.ts'
import { isOperatorId, type OperatorId } from '../../ports/names.ts'
import { mode, type Pne } from '../fields.ts'
import { read, type Stamped } from '../records/stamped.ts'
import { pneKey, pneNamed } from '../records.ts'
import { generationId, history, joining } from './methods.ts'

/*
 * What the registers of service groups mean. They stand in the home document alone, and each names the epoch of the PN
 * it was said in: so a PN that is established anew has none of the old groups.
 *
 *   group/<groupId>                             the group itself, written once; its mark says that it was dissolved
 *   group-member/<groupId>/<operator>/<pneId>   a PNE has joined
 *   group-invite/<groupId>/<operator>/<pneId>   a PNE was invited
 *   group-offer/<groupId>                       ownership that is offered
 *   group-owner/<groupId>/<transfer>            ownership that was accepted
 *   group-key/<groupId>/<generation>            a content key was given out to these members; of the key, only its name
 *
 * Written at two servers that do not reach each other: joins are registers of their own, and all count; without its
 * first register no group has members, so a dissolution wins; of two owners the later counts, and both are there to be
 * seen.
 */

const time = z.int().min(0).max(8.64e15)
const epoch = z.int().min(1)
const operator = z.custom<OperatorId>(value => typeof value === 'string' && isOperatorId(value))
const pne = z.object({ operator, pneId: z.string().refine(isSegment) })
const text = z.string().min(1).max(128)
const labels = z.array(z.string().min(1).max(64)).max(16)
const command = z.string().min(1).max(64)

const groupRecord = z.object({
  epoch,
  name: text,
  keywords: labels,
  service: z.object({ serviceId: text, serviceName: text }),
  requirement: z.object({ mode: mode.optional(), capabilities: labels.optional(), services: labels.optional() }),
  joining,
  history,
  /** Its first owner. */
  creator: pne,
  /** The command that created it: by it a repetition is known. */
  command,
})

/** `admission`: `since` of the admission to the PN that it joined under; removed from the PN and added again, it is out. */
const memberRecord = z.object({ epoch, admission: time })
const inviteRecord = z.object({ epoch, by: z.string().min(1).max(400), expires: time })
const offerRecord = z.object({
  epoch,
  transfer: command,
  from: pne,
  to: pne,
  reason: z.string().max(256),
  expires: time,
})
const ownerRecord = z.object({ epoch, owner: pne })

/**
 * `number` rises from one generation to the next, whatever the clocks of the servers that name them say. `members`: tags of
 * those who may have the key, in order; see `view.ts`. `keyVersion`: of the operator's MAC keys.
 */
const keyRecord = z.object({
  epoch,
  number: z.int().min(1),
  keyVersion: z.int().min(0),
  members: z.array(z.string().length(16)).max(1_024),
})

export type GroupRecord = z.infer<typeof groupRecord>
export type MemberRecord = z.infer<typeof memberRecord>
export type InviteRecord = z.infer<typeof inviteRecord>
export type OfferRecord = z.infer<typeof offerRecord>
export type OwnerRecord = z.infer<typeof ownerRecord>
export type KeyRecord = z.infer<typeof keyRecord>

export const groupKeys = {
  group: (groupId: string) => `group/${groupId}`,
  member: (groupId: string, pne: Pne) => `group-member/${groupId}/${pneKey(pne)}`,
  invite: (groupId: string, pne: Pne) => `group-invite/${groupId}/${pneKey(pne)}`,
  offer: (groupId: string) => `group-offer/${groupId}`,
  owner: (groupId: string, transfer: string) => `group-owner/${groupId}/${transfer}`,
  key: (groupId: string, generation: string) => `group-key/${groupId}/${generation}`,
} as const

/** What one document says of one group. Any part may be missing: a dissolved group has everything but itself. */
export interface GroupRecords {
  readonly group: Stamped<GroupRecord> | undefined
  /** By {@link pneKey}. */
  readonly members: ReadonlyMap<string, { readonly pne: Pne; readonly record: Stamped<MemberRecord> }>
  readonly invites: ReadonlyMap<string, Stamped<InviteRecord>>
  readonly offer: Stamped<OfferRecord> | undefined
  /** By transfer. */
  readonly owners: ReadonlyMap<string, Stamped<OwnerRecord>>
  /** By generation. */
  readonly generations: ReadonlyMap<string, Stamped<KeyRecord>>
  /** Keys of all registers that name the group and hold something, understood or not. */
  readonly keys: readonly string[]
}

interface Gathered {
  group: Stamped<GroupRecord> | undefined
  members: Map<string, { pne: Pne; record: Stamped<MemberRecord> }>
  invites: Map<string, Stamped<InviteRecord>>
  offer: Stamped<OfferRecord> | undefined
  owners: Map<string, Stamped<OwnerRecord>>
  generations: Map<string, Stamped<KeyRecord>>
  keys: string[]
}

/** Reads the groups of a home document, by group id. Never throws for what it contains: what does not parse is left out. */
export function readGroups(home: Registers): ReadonlyMap<string, GroupRecords> {
  const groups = new Map<string, Gathered>()
  for (const [key, register] of home.entries('group')) {
    const [kind = '', groupId = '', ...rest] = key.split('/')
    if (register.value === null || !isSegment(groupId)) continue
    const group = groups.get(groupId) ?? emptyGroup()
    groups.set(groupId, group)
    group.keys.push(key)
    take(group, kind, rest, register)
  }
  return groups
}

const emptyGroup = (): Gathered => ({
  group: undefined,
  members: new Map(),
  invites: new Map(),
  offer: undefined,
  owners: new Map(),
  generations: new Map(),
  keys: [],
})

function take(group: Gathered, kind: string, rest: readonly string[], register: Register): void {
  const [first, second] = rest
  switch (`${kind} ${rest.length}`) {
    case 'group 0':
      group.group = read(groupRecord, register)
      return
    case 'group-member 2': {
      const found = pneNamed(first, second)
      const record = read(memberRecord, register)
      if (found && record) group.members.set(pneKey(found), { pne: found, record })
      return
    }
    case 'group-invite 2': {
      const found = pneNamed(first, second)
      const record = read(inviteRecord, register)
      if (found && record) group.invites.set(pneKey(found), record)
      return
    }
    case 'group-offer 0':
      group.offer = read(offerRecord, register)
      return
    case 'group-owner 1': {
      const record = read(ownerRecord, register)
      if (first && record) group.owners.set(first, record)
      return
    }
    case 'group-key 1': {
      const record = read(keyRecord, register)
      if (record && generationId.safeParse(first).success) group.generations.set(first ?? '', record)
    }
  }
}

/** A record as a register's value. Fields that are absent stay absent. */
export const asGroupValue = (
  record: GroupRecord | MemberRecord | InviteRecord | OfferRecord | OwnerRecord | KeyRecord,
): Json => asJson(record)
