import { allIn, type Held } from './facts.ts'
import { groupsShown } from './groups.ts'
import { invitationsShown } from './invitations.ts'
import type { Usage } from './registration.ts'
import type { Layout } from './step.ts'
import { rivals, type View, viewOf } from './view.ts'

/** What a server should show, in words in which the rig says what it does show. */
export interface Shown {
  readonly state: 'live' | 'released' | 'expired' | 'none'
  readonly epoch: number
  readonly alias: string
  readonly mode: string
  readonly administrator: string
  /** With the gateway of each registration. */
  readonly members: readonly string[]
  readonly superseded: readonly string[]
  readonly gateways: readonly string[]
  readonly grants: readonly string[]
  readonly conflicts: readonly string[]
  readonly groups: readonly string[]
  readonly invitations: readonly string[]
  readonly usage: readonly string[]
}

export const nothing: Shown = {
  state: 'none',
  epoch: 0,
  alias: '',
  mode: '',
  administrator: '',
  members: [],
  superseded: [],
  gateways: [],
  grants: [],
  conflicts: [],
  groups: [],
  invitations: [],
  usage: [],
}

export function shown(layout: Layout, held: Held, now: number): Shown {
  const view = viewOf(layout, held, now)
  if (!view) return nothing
  const home = held.get(layout.home)
  const members = view.state === 'live' ? [...view.members] : []
  return {
    state: view.state,
    epoch: view.shownEpoch,
    alias: view.alias,
    mode: view.mode,
    administrator: view.administrators[0] ?? '',
    members: members
      .map(
        ([
          pne,
          {
            standing: [latest],
          },
        ]) => (latest ? `${pne} active at ${latest.gateway}` : `${pne} member`),
      )
      .sort(),
    superseded: members
      .flatMap(
        ([
          pne,
          {
            standing: [, ...others],
          },
        ]) => others.map(({ gateway }) => `${pne} at ${gateway}`),
      )
      .sort(),
    gateways: [...view.gateways]
      .map(([operator, { priority }]) => `${operator} ${priority}${operator === view.active ? ' active' : ''}`)
      .sort(),
    grants: [...view.grants.keys()].sort(),
    conflicts: conflictsIn(view, [...new Set(registeredIn(held))]).sort(),
    groups: groupsShown(home, view, now).sort(),
    invitations: invitationsShown(home, view, now).sort(),
    usage: usageIn(layout, held, view).sort(),
  }
}

/** Said on two sides that did not know of each other. */
function conflictsIn(view: View, registered: readonly string[]): string[] {
  const { state, claims, administrators, members, releasedAt } = view
  const others = rivals(view)
  const [administrator, ...moreAdministrators] = administrators
  const alive = state === 'live' ? [...members] : []
  return [
    ...(others.length > 0 && state !== 'released' ? [`gateways ${claims[0]?.[0]} ${others.join(' ')}`] : []),
    ...(moreAdministrators.length > 0 ? [`administrators ${administrator} ${moreAdministrators.join(' ')}`] : []),
    ...alive.flatMap(([pne, { standing }]) => (standing.length > 1 ? [`registered twice ${pne}`] : [])),
    ...alive.flatMap(([pne, { by }]) => (by.length > 1 ? [`admitted by several ${pne} ${by.join(' ')}`] : [])),
    ...(releasedAt === undefined ? [] : registered).flatMap(pne => {
      const isLate = view.registrations(pne).some(({ time, isEnded }) => !isEnded && time > (releasedAt ?? 0))
      return isLate ? [`registered after the release ${pne}`] : []
    }),
  ]
}

function* registeredIn(held: Held): Iterable<string> {
  for (const facts of held.values()) for (const { words } of allIn(facts, 'registration')) yield words[0] ?? ''
}

/** What was reported under what counts now, also after a release. */
function usageIn({ home }: Layout, held: Held, view: View): string[] {
  const totals = new Map<string, number>()
  for (const [operator, facts] of held) {
    const grant = view.grants.get(operator)?.id
    if (operator !== home && grant === undefined) continue
    for (const { words, value } of allIn<Usage>(facts, 'usage')) {
      const [pne = ''] = words
      if (value.epoch !== view.epoch || value.grant !== grant) continue
      totals.set(pne, (totals.get(pne) ?? 0) + value.amount)
    }
  }
  return [...totals].map(([pne, amount]) => `${pne} ${amount}`)
}
