import type { Documents } from '../../../src/document/documents.ts'
import { documentId } from '../../../src/document/names.ts'
import { effectiveGroups } from '../../../src/inventory/groups/view.ts'
import { type Invitation, invitationsIn, inviteeOf } from '../../../src/inventory/invitations/records.ts'
import type { Inventory, ServiceGroup } from '../../../src/inventory/methods.ts'
import { readRecords } from '../../../src/inventory/records.ts'
import { readUsage } from '../../../src/inventory/usage/records.ts'
import { type DayUsage, usageOf } from '../../../src/inventory/usage/view.ts'
import { type NetworkName, viewOf } from '../../../src/inventory/view.ts'
import type { OperatorId } from '../../../src/ports/names.ts'
import { shownGroup } from './groups.ts'
import { nothing, type Shown } from './shown.ts'
import { nameOf } from './step.ts'

/** What the documents that a server holds of a PN say at a time. */
export interface Reading {
  readonly inventory: Inventory | undefined
  readonly groups: readonly ServiceGroup[]
  readonly invitations: readonly Invitation[]
  readonly usage: readonly DayUsage[]
}

export const emptyReading: Reading = { inventory: undefined, groups: [], invitations: [], usage: [] }

/** Reads all of them, as a client that may would. */
export async function readingOf(
  documents: Documents,
  name: NetworkName,
  operators: readonly OperatorId[],
  at: number,
): Promise<Reading> {
  const home = await documents.read(documentId({ kind: 'pn', owner: name.home, pnId: name.pnId }))
  const visitors = operators.filter(operator => operator !== name.home)
  const visits = new Map(
    await Promise.all(
      visitors.map(
        async owner => [owner, await documents.read(documentId({ kind: 'visit', owner, ...name }))] as const,
      ),
    ),
  )
  const sources = {
    home: readRecords(home, 'pn'),
    visits: new Map([...visits].map(([operator, visit]) => [operator, readRecords(visit, 'visit')])),
  }
  const view = viewOf(name, sources, at)
  if (!view) return emptyReading
  const { epoch, inventory } = view
  const usage = [
    { operator: name.home, records: readUsage(home, name.home), ground: { epoch } },
    ...[...visits].flatMap(([operator, visit]) => {
      const grant = view.given.get(operator)?.id
      return grant === undefined ? [] : [{ operator, records: readUsage(visit, operator), ground: { epoch, grant } }]
    }),
  ]
  return {
    inventory,
    groups: effectiveGroups(name, { home, visits }, at),
    invitations: inventory.state === 'live' ? invitationsIn(home, epoch, at) : [],
    usage: usageOf(usage),
  }
}

/** In the words of the model. */
export function asShown({ inventory, groups, invitations, usage }: Reading): Shown {
  if (!inventory) return nothing
  const { state, epoch, alias, connectionMode, administrator, members, superseded, gateways, grants } = inventory
  return {
    state,
    epoch,
    alias,
    mode: connectionMode,
    administrator: administrator ? nameOf(administrator) : '',
    members: members
      .map(
        member => `${nameOf(member)} ${member.state}${member.gatewayId ? ` at ${operatorOf(member.gatewayId)}` : ''}`,
      )
      .sort(),
    superseded: superseded.map(member => `${nameOf(member)} at ${operatorOf(member.gatewayId)}`).sort(),
    gateways: gateways
      .map(({ operator, priority, active }) => `${operator} ${priority}${active ? ' active' : ''}`)
      .sort(),
    grants: grants.map(({ operator }) => operator).sort(),
    conflicts: inventory.conflicts.map(asConflict).sort(),
    groups: groups
      .map(group =>
        shownGroup({
          number: numberOfGroup(group),
          owner: nameOf(group.owner),
          members: group.members.map(nameOf).sort(),
          contested: group.contested.map(({ owner }) => nameOf(owner)),
          offeredTo: group.offer && nameOf(group.offer.to),
        }),
      )
      .sort(),
    invitations: invitations
      .map(invitation => `${numberOfInvitation(invitation)} of ${nameOf(inviteeOf(invitation))} ${invitation.state}`)
      .sort(),
    usage: totals(usage),
  }
}

export function totals(usage: readonly Pick<DayUsage, 'pne' | 'amount'>[]): string[] {
  const amounts = new Map<string, number>()
  for (const { pne, amount } of usage) amounts.set(nameOf(pne), (amounts.get(nameOf(pne)) ?? 0) + amount)
  return [...amounts].map(([pne, amount]) => `${pne} ${amount}`).sort()
}

function asConflict(conflict: Inventory['conflicts'][number]): string {
  switch (conflict.kind) {
    case 'active-gateways':
      return `gateways ${conflict.winner.operator} ${conflict.others.map(({ operator }) => operator).join(' ')}`
    case 'administrators':
      return `administrators ${nameOf(conflict.winner)} ${conflict.others.map(nameOf).join(' ')}`
    case 'registered-twice':
      return `registered twice ${nameOf(conflict.pne)}`
    case 'admitted-by-several':
      return `admitted by several ${nameOf(conflict.pne)} ${conflict.by.join(' ')}`
    case 'registered-after-release':
      return `registered after the release ${nameOf(conflict.pne)}`
  }
}

export const gatewayIdAt = (operator: string): string => `gateway.${operator}`
const operatorOf = (gatewayId: string | undefined): string => gatewayId?.slice(gatewayIdAt('').length) ?? ''

/** The name of a command that makes something which a plan knows by its number. */
export const idOf = (what: string, number: number): string => `${what}-${String(number).padStart(12, '0')}`
export const numberOfGroup = ({ name }: ServiceGroup): number => Number(name)
export const numberOfInvitation = ({ record }: Invitation): number => Number(record.command.split('-')[1])
