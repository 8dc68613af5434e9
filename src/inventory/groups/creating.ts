import { framed, toBase64url } from '../../commands/framing.ts'
import type { Registers, RegisterWrite } from '../../document/documents.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorId } from '../../ports/names.ts'
import { timed } from '../establishment.ts'
import type { Pne } from '../fields.ts'
import type { Decided } from '../procedure.ts'
import { pneKey } from '../records.ts'
import type { NetworkView } from '../view.ts'
import {
  groupIn,
  homeExecutor,
  isRegisteredHere,
  liveView,
  networkNameOf,
  requireOwner,
  requireRegistered,
} from './acting.ts'
import {
  type GroupChanged,
  type GroupCreateParams,
  type GroupDissolveParams,
  groupCreate,
  groupDissolve,
  type MemberRequirement,
  type ServiceGroup,
} from './methods.ts'
import { asGroupValue, type GroupRecord, type GroupRecords, groupKeys, readGroups } from './records.ts'
import { groupRefusals } from './refusals.ts'
import { requireMet } from './requirement.ts'
import { groupOf, groupsOf } from './view.ts'

/*
 * The beginning and the end of a service group. Both are said in the one register of the group: it is written once, and its
 * mark ends the group whatever else was said about it, before or at the same time elsewhere.
 */

export interface GroupRules {
  readonly self: OperatorId
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly maxGroups: number
  readonly maxGroupMembers: number
  /** How long what can hardly count again stays written. */
  readonly keptMs: number
}

export const creating = ({
  self,
  crypto,
  maxGroups,
  keptMs,
}: GroupRules): Decided<GroupCreateParams, GroupChanged> => ({
  spec: groupCreate,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,
  isReady: isRegisteredHere,

  decide(params, _, state) {
    const { pne, commandId, time } = params
    const view = liveView(params, state)
    requireRegistered(view, pne)
    const groupId = derivedGroupId(crypto, pne, commandId)
    const answer = changed(groupId, state.now)
    const records = readGroups(state.own)
    const groups = groupsOf(records, view, state.now)
    if (groups.get(groupId)?.command === commandId) return { writes: [], answer }
    if (state.own.get(groupKeys.group(groupId))?.value === null) throw groupRefusals.dissolved(groupId)
    if (groups.size >= maxGroups) throw groupRefusals.tooMany('service groups', maxGroups)
    const requirement = normalised(params.requirement)
    requireMet(requirement, view, pne, groupId)

    const { epoch } = view.inventory
    const group: GroupRecord = {
      epoch,
      name: params.name,
      keywords: [...new Set(params.keywords ?? [])],
      service: params.service,
      requirement,
      joining: params.joining ?? 'open',
      history: params.history ?? 'closed',
      creator: pne,
      command: commandId,
    }
    const at = timed(time)
    return {
      writes: [
        { key: groupKeys.group(groupId), value: asGroupValue(group), ...at },
        { key: groupKeys.member(groupId, pne), value: asGroupValue(joined(view, pne)), ...at },
        ...clearance(records, view, state.now, keptMs),
      ],
      answer,
    }
  },
})

export const dissolving = ({ self }: GroupRules): Decided<GroupDissolveParams, Record<string, never>> => ({
  spec: groupDissolve,
  network: networkNameOf,
  executor: homeExecutor(self),
  isVouchedFor: true,

  decide(params, caller, state) {
    const { groupId, time } = params
    const view = liveView(params, state)
    const key = groupKeys.group(groupId)
    const answer = () => ({})
    if (state.own.get(key)?.value === null) return { writes: [], answer }
    requireOwner(groupIn(groupId, view, state), view, params, caller)
    const rest = (readGroups(state.own).get(groupId)?.keys ?? []).filter(other => other !== key)
    return { writes: [{ key, value: null, ...timed(time) }, ...rest.map(cleared)], answer }
  },
})

/** The same group for the same command, wherever and however often it is executed. */
const derivedGroupId = (crypto: Pick<Crypto, 'sha256'>, { operator, pneId }: Pne, commandId: string): string =>
  `sg-${toBase64url(crypto.sha256(framed('cpns group id v1', operator, pneId, commandId)).slice(0, 16))}`

const normalised = ({ mode, capabilities, services }: MemberRequirement = {}): MemberRequirement => ({
  ...(mode && { mode }),
  ...(capabilities?.length ? { capabilities: [...new Set(capabilities)].sort() } : {}),
  ...(services?.length ? { services: [...new Set(services)].sort() } : {}),
})

/** What a PNE that joins now says: under which admission to the PN. */
export function joined(view: NetworkView, pne: Pne): { readonly epoch: number; readonly admission: number } {
  const [first] = view.admissions.get(pneKey(pne)) ?? []
  if (!first) throw new RangeError(`${pneKey(pne)} is not in the PN.`)
  return { epoch: view.inventory.epoch, admission: first.record.since }
}

/** The answer that shows the group as it will be. */
export const changed =
  (groupId: string, now: number) =>
  (after: () => NetworkView, registers: Registers): { readonly group: ServiceGroup } => {
    const group = groupOf(groupId, readGroups(registers).get(groupId), after(), now)
    if (!group) throw groupRefusals.unknown(groupId)
    return { group: group.shown }
  }

/** So many at a time, so that no command pays for all that went before it. */
const maxClearedAtOnce = 64

/**
 * What can never count again: registers of earlier epochs and of groups that were dissolved, invitations and offers that
 * have expired, and who joined and is not in the PN any more, some time after.
 */
export function clearance(
  records: ReadonlyMap<string, GroupRecords>,
  view: NetworkView,
  now: number,
  keptMs: number,
): RegisterWrite[] {
  const left = [...records].flatMap(([groupId, group]) => {
    if (group.group?.epoch !== view.inventory.epoch) return group.keys
    const isOver = (end: number) => end + keptMs <= now
    return [
      ...[...group.members.values()].flatMap(({ pne, record }) =>
        !view.admissions.has(pneKey(pne)) && isOver(record.stamp) ? [groupKeys.member(groupId, pne)] : [],
      ),
      ...group.keys.filter(key => key.startsWith('group-invite/') && isOver(endOf(group, key))),
      ...(group.offer && isOver(group.offer.expires) ? [groupKeys.offer(groupId)] : []),
    ]
  })
  return left.slice(0, maxClearedAtOnce).map(cleared)
}

const endOf = ({ invites }: GroupRecords, key: string): number =>
  invites.get(key.split('/').slice(2).join('/'))?.expires ?? Number.POSITIVE_INFINITY

export const cleared = (key: string): RegisterWrite => ({ key, value: null })
