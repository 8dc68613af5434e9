import { z } from 'zod'
import { bytes, command, segment, spec, time } from '../../commands/fields.ts'
import type { NotificationSpec } from '../../federation/command.ts'
import { mode, network, pne } from '../fields.ts'

/*
 * Service groups: PNEs of one Personal Network that share a service. Whoever acts names itself as `pne`: at its own
 * operator that is checked against its session, at the home operator its operator vouches for it.
 */

const label = z.string().min(1).max(64)
const labels = z.array(label).max(16)
const title = z.string().min(1).max(128)

/** What a PNE must be and have when it joins: absent, nothing. */
export const memberRequirement = z.strictObject({
  /** `PNE` and `PN_GW` are met by `BOTH` too. */
  mode: mode.optional(),
  /** Names of capabilities that it must have registered, whatever their values. */
  capabilities: labels.optional(),
  /** Chargeable services that its registration must name. */
  services: labels.optional(),
})
export type MemberRequirement = z.infer<typeof memberRequirement>

export const service = z.strictObject({ serviceId: title, serviceName: title })
/** `open`: whoever meets the requirement. `invited`: who was invited besides. */
export const joining = z.enum(['open', 'invited'])
/** `closed`: a member gets the content keys of the times that it was a member. `open`: all that are kept. */
export const history = z.enum(['closed', 'open'])

/** A name for one state of the membership, and for the content key that exactly these members can have. */
export const generationId = z.string().regex(/^[A-Za-z0-9_-]{22}$/, { error: 'expected 22 characters of base64url' })
const transferId = z.string().min(1).max(64)

const described = {
  name: title,
  keywords: labels,
  service,
  requirement: memberRequirement,
  joining,
  history,
}

/** A service group as it is at one moment; see `view.ts`. */
export const serviceGroup = z.strictObject({
  groupId: segment,
  ...described,
  owner: pne,
  /** When it was created. */
  since: time,
  members: z.array(z.strictObject({ ...pne.shape, since: time })),
  /** The offer of ownership that is open. */
  offer: z.strictObject({ transfer: transferId, to: pne, reason: z.string(), expires: time }).optional(),
  /** Transfers that lost to a later one, accepted at a server that could not know of it. */
  contested: z.array(z.strictObject({ owner: pne, since: time })),
  /** What to name in content that is sealed now; absent until a member has asked for the key of this membership. */
  generation: generationId.optional(),
})
export type ServiceGroup = z.infer<typeof serviceGroup>

const acting = { ...network, groupId: segment, pne }
/** What administrators of the Personal Network may do too: they need not be PNEs, and leave `pne` out. */
const supervised = { ...network, groupId: segment, pne: pne.optional() }
const changed = z.strictObject({ group: serviceGroup })

const home = 'a.example'
const lamp = { operator: 'a.example', pneId: 'lamp' }
const radio = { operator: 'b.example', pneId: 'radio' }
const exampleIds = { commandId: 'aHVzaC1odXNoLWh1c2g', home, pnId: 'flat' }
const exampleGroup = {
  groupId: 'sg-3dHk2m1V0c9uQ2xq8o5x7A',
  name: 'Music',
  keywords: ['audio'],
  service: { serviceId: 'music.1', serviceName: 'Music everywhere' },
  requirement: { capabilities: ['speaker'] },
  joining: 'open',
  history: 'closed',
  owner: lamp,
  since: 1_764_150_000_000,
  members: [{ ...lamp, since: 1_764_150_000_000 }],
  contested: [],
} as const
const { groupId } = exampleGroup

export const groupCreate = spec({
  method: 'group.create',
  summary: 'Creates a service group in a Personal Network; the PNE that does becomes its owner and first member.',
  params: z.strictObject({
    ...command,
    ...network,
    pne,
    name: title,
    keywords: labels.optional(),
    service,
    requirement: memberRequirement.optional(),
    joining: joining.optional(),
    history: history.optional(),
  }),
  result: changed,
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: {
      ...exampleIds,
      pne: lamp,
      name: exampleGroup.name,
      keywords: exampleGroup.keywords,
      service: exampleGroup.service,
      requirement: exampleGroup.requirement,
    },
    result: { group: exampleGroup },
  },
})

export const groupJoin = spec({
  method: 'group.join',
  summary: 'Makes a registered PNE a member of a service group whose requirement it meets.',
  params: z.strictObject({ ...command, ...acting }),
  result: changed,
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { ...exampleIds, groupId, pne: radio },
    result: {
      group: { ...exampleGroup, members: [...exampleGroup.members, { ...radio, since: 1_764_150_060_000 }] },
    },
  },
})

export const groupLeave = spec({
  method: 'group.leave',
  summary:
    'Takes a PNE out of a service group: the PNE itself; or another, by the owner or an administrator. The content key changes.',
  params: z.strictObject({
    ...command,
    ...supervised,
    /** Who leaves, if it is not the one who says so. */
    member: pne.optional(),
  }),
  result: changed,
  refusals: [403, 404, 409, 410, 423],
  example: { params: { ...exampleIds, groupId, pne: radio }, result: { group: exampleGroup } },
})

export const groupInvite = spec({
  method: 'group.invite',
  summary: 'Invites a PNE of the Personal Network into a service group; it accepts by joining.',
  params: z.strictObject({ ...command, ...supervised, invitee: pne, expires: time }),
  result: z.strictObject({ expires: time }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { ...exampleIds, groupId, pne: lamp, invitee: radio, expires: 1_764_236_400_000 },
    result: { expires: 1_764_236_400_000 },
  },
})

export const groupTransfer = spec({
  method: 'group.transfer',
  summary: 'Offers a member the ownership of a service group; a later offer takes the place of an earlier one.',
  params: z.strictObject({
    ...command,
    ...supervised,
    candidate: pne,
    reason: z.string().max(256),
    /** When the offer lapses; ten minutes from now unless it says otherwise. */
    expires: time.optional(),
  }),
  result: z.strictObject({ transfer: transferId, expires: time }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { ...exampleIds, groupId, pne: lamp, candidate: radio, reason: 'The lamp goes on a journey.' },
    result: { transfer: exampleIds.commandId, expires: 1_764_150_600_000 },
  },
})

export const groupAnswer = spec({
  method: 'group.answer',
  summary: 'Accepts or refuses the ownership of a service group that was offered; the owner may take the offer back.',
  params: z.strictObject({ ...command, ...acting, transfer: transferId, accept: z.boolean() }),
  result: changed,
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { ...exampleIds, groupId, pne: radio, transfer: exampleIds.commandId, accept: true },
    result: {
      group: {
        ...exampleGroup,
        owner: radio,
        members: [...exampleGroup.members, { ...radio, since: 1_764_150_060_000 }],
      },
    },
  },
})

export const groupDissolve = spec({
  method: 'group.dissolve',
  summary: 'Ends a service group for all of its members, by its owner or an administrator of the Personal Network.',
  params: z.strictObject({ ...command, ...supervised }),
  result: z.strictObject({}),
  refusals: [403, 404, 410, 423],
  example: { params: { ...exampleIds, groupId, pne: lamp }, result: {} },
})

const sought = {
  /** In name, keywords or the service’s name, whatever the case of letters. */
  keyword: label.optional(),
  serviceId: title.optional(),
  /** What a PNE is and has: groups that ask for more are left out. */
  meets: memberRequirement.optional(),
}

export const groupFind = spec({
  method: 'group.find',
  summary: 'The service groups of a Personal Network that fit, from what this server holds of it.',
  params: z.strictObject({ ...network, ...sought }),
  result: z.strictObject({ groups: z.array(serviceGroup) }),
  refusals: [403, 404],
  example: { params: { home, pnId: 'flat', keyword: 'audio' }, result: { groups: [exampleGroup] } },
})

export const groupSearch = spec({
  method: 'group.search',
  summary:
    'Service groups that fit, of all Personal Networks that this server holds and the caller may read, in pages.',
  params: z.strictObject({
    ...sought,
    limit: z.int().min(1).max(100).optional(),
    /** Where the last page ended. */
    after: z.string().max(512).optional(),
  }),
  result: z.strictObject({
    groups: z.array(z.strictObject({ ...network, group: serviceGroup })),
    /** Absent: that was all. A page may be short, or empty, with more to come. */
    next: z.string().optional(),
  }),
  refusals: [],
  example: {
    params: { serviceId: 'music.1' },
    result: { groups: [{ home, pnId: 'flat', group: exampleGroup }] },
  },
})

/** Without a command id: no proof can ask for it, so the key goes to the PNE and to its own operator alone. */
export const groupKey = spec({
  method: 'group.key',
  summary:
    'The content key of a service group, for a member: of the present membership, or of an earlier one it was in.',
  params: z.strictObject({ ...acting, generation: generationId.optional() }),
  result: z.strictObject({ generation: generationId, key: bytes(32) }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: { home, pnId: 'flat', groupId, pne: lamp },
    result: { generation: 'Kc3zS0aVQ5m4b1n2E7y8Xw', key: 'c2l4dGVlbiBieXRlcyBhbmQgc2l4dGVlbiBtb3JlLi4' },
  },
})

/** For a PNE that was invited into a group. */
export const groupInvited = {
  method: 'group.invited',
  summary: 'A service group would have this PNE as a member: see group.find, and join.',
  params: z.strictObject({ ...network, groupId: segment }),
  example: { home, pnId: 'flat', groupId },
} as const satisfies NotificationSpec<unknown>

/** For the PNE that is to become the owner of a group. */
export const groupOffered = {
  method: 'group.offered',
  summary: 'The ownership of a service group is offered to this PNE: see group.find, and answer.',
  params: z.strictObject({ ...network, groupId: segment, transfer: transferId }),
  example: { home, pnId: 'flat', groupId, transfer: exampleIds.commandId },
} as const satisfies NotificationSpec<unknown>

export const groupNotifications = [groupInvited, groupOffered] as const

export type GroupCreateParams = z.infer<typeof groupCreate.params>
export type GroupChanged = z.infer<typeof changed>
export type GroupJoinParams = z.infer<typeof groupJoin.params>
export type GroupLeaveParams = z.infer<typeof groupLeave.params>
export type GroupInviteParams = z.infer<typeof groupInvite.params>
export type GroupInviteResult = z.infer<typeof groupInvite.result>
export type GroupTransferParams = z.infer<typeof groupTransfer.params>
export type GroupTransferResult = z.infer<typeof groupTransfer.result>
export type GroupAnswerParams = z.infer<typeof groupAnswer.params>
export type GroupDissolveParams = z.infer<typeof groupDissolve.params>
export type GroupFindParams = z.infer<typeof groupFind.params>
export type GroupFindResult = z.infer<typeof groupFind.result>
export type GroupSearchParams = z.infer<typeof groupSearch.params>
export type GroupSearchResult = z.infer<typeof groupSearch.result>
export type GroupKeyParams = z.infer<typeof groupKey.params>
export type GroupKeyResult = z.infer<typeof groupKey.result>

export const groupMethods = [
  groupCreate,
  groupJoin,
  groupLeave,
  groupInvite,
  groupTransfer,
  groupAnswer,
  groupDissolve,
  groupFind,
  groupSearch,
  groupKey,
] as const
