import fc from 'fast-check'
import { type By, firstAlias, gatewayId, type Layout, type ModelPne, modes, pneIds, type Step } from './step.ts'

/** What happens between two heals: first the network falls apart as told, then come the steps. */
export interface Round {
  /** For each server the side that it is on. */
  readonly sides: readonly number[]
  readonly steps: readonly PlannedStep[]
}

export interface PlannedStep {
  readonly step: Step
  /** The server that the step is at loses power so long after the step began. */
  readonly crashAfterMs: number | undefined
}

export interface Plan {
  readonly layout: Layout
  readonly seed: number
  readonly rounds: readonly Round[]
}

const home = 'a.example'
/** What lasts for no longer ends in the middle of a history, as time passes between steps. */
const shortMs = 240_000
const waits = [300_000, 300_000, 4_200_000] as const

/** Two to four servers of one to three operators. */
const layouts: fc.Arbitrary<Layout> = fc
  .constantFrom([2], [1, 1], [2, 1], [1, 2], [2, 2], [1, 1, 1], [2, 1, 1])
  .map(counts => ({
    home,
    operators: new Map(
      counts.map((count, index) => {
        const operator = `${'abc'[index]}.example`
        return [operator, Array.from({ length: count }, (_, number) => `${operator}/${number + 1}`)]
      }),
    ),
  }))

/** Numbers to draw from; which servers, operators, groups and invitations there are is known only with what was before. */
const draws = fc.record({
  kind: fc.nat(1_000_000),
  server: fc.nat(1_000),
  operator: fc.nat(1_000),
  pne: fc.nat(1_000),
  by: fc.nat(1_000),
  which: fc.nat(1_000),
  crashAfterMs: fc.oneof({ weight: 7, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(40) }),
})
/**
 * What most of the steps of a round are about, and they are about few PNEs: so that what is done on two sides of a partition
 * meets, and not only things that have nothing to do with each other.
 */
const themes = ['life', 'roster', 'registration', 'gateways', 'groups', 'invitations'] as const
type Theme = (typeof themes)[number]
type Draw = typeof draws extends fc.Arbitrary<infer T> ? T : never

export const plans: fc.Arbitrary<Plan> = fc
  .record({
    layout: layouts,
    seed: fc.nat(1_000_000),
    rounds: fc.array(
      fc.record({
        sides: fc.array(fc.nat(1), { minLength: 4, maxLength: 4 }),
        theme: fc.constantFrom(...themes),
        hot: fc.array(fc.record({ operator: fc.nat(1_000), pne: fc.nat(1_000) }), { minLength: 2, maxLength: 2 }),
        draws: fc.array(draws, { minLength: 8, maxLength: 24 }),
      }),
      { minLength: 2, maxLength: 4 },
    ),
  })
  .map(({ layout, seed, rounds }) => {
    const made: Made = { groups: 0, invited: [] }
    return {
      layout,
      seed,
      rounds: rounds.map(({ sides, theme, hot, draws }) => ({
        sides,
        steps: draws.flatMap(draw =>
          planned(layout, theme, { ...draw, ...(draw.by % 4 > 0 && pick(hot, draw.pne)) }, made),
        ),
      })),
    }
  })

/** What comes before the first round: everybody granted, everybody's gateway attached, everybody's devices registered. */
export function opening(layout: Layout): Step[] {
  const { home, operators } = layout
  const at = operators.get(home)?.[0] ?? ''
  const registrations = [...operators].flatMap(([operator, servers]) =>
    pneIds.map(
      (pneId, index): Step => ({
        ...{ kind: 'register', at: pick(servers, index), pne: { operator, pneId }, lifetimeMs: undefined },
      }),
    ),
  )
  return [{ kind: 'establish', at, lifetimeMs: undefined }, ...furnishing(layout, at), ...registrations]
}

function furnishing({ home, operators }: Layout, at: string): Step[] {
  const names = [...operators.keys()]
  const gateways = names.map(operator => ({ operator, pneId: gatewayId }))
  return [
    ...gateways.map((pne): Step => ({ kind: 'add', at, by: undefined, pne })),
    ...names
      .filter(operator => operator !== home)
      .map((operator): Step => ({ kind: 'grant', at, operator, isAnew: false })),
    ...[...operators.values()].map((servers): Step => ({ kind: 'attach', at: servers[0] ?? '', priority: undefined })),
  ]
}

/** What the steps before have made, or tried to. */
interface Made {
  groups: number
  /** By number of the invitation. */
  readonly invited: ModelPne[]
}

/** Mostly one step; some would come to little without those that follow from them. */
function planned(layout: Layout, theme: Theme, draw: Draw, made: Made): PlannedStep[] {
  const step = stepOf(layout, theme, draw, made)
  const more = draw.by % 3 > 0 ? following(layout, step, draw) : []
  return [{ step, crashAfterMs: draw.crashAfterMs }, ...more.map(step => ({ step, crashAfterMs: undefined }))]
}

function following(layout: Layout, step: Step, draw: Draw): Step[] {
  const isYes = draw.pne % 4 > 0
  if (step.kind === 'establish') return furnishing(layout, step.at)
  if (step.kind !== 'offer group' && step.kind !== 'invite') return []
  const { pne } = step
  const at = pick(layout.operators.get(pne.operator) ?? [], draw.which)
  if (step.kind === 'invite' && draw.server % 2 === 0) return []
  if ('group' in step) return [{ kind: 'answer offer', at, pne, group: step.group, isYes }]
  return [{ kind: 'answer invitation', at, pne, invitation: step.invitation, isYes }]
}

function stepOf(layout: Layout, theme: Theme, draw: Draw, made: Made): Step {
  const { operators, home } = layout
  const names = [...operators.keys()]
  const anywhere = pick([...operators.values()].flat(), draw.server)
  const atHome = pick(operators.get(home) ?? [], draw.server)
  const atOperatorOf = ({ operator }: ModelPne) => pick(operators.get(operator) ?? [], draw.server)
  const pne: ModelPne = { operator: pick(names, draw.operator), pneId: pick(pneIds, draw.pne) }
  const gateway: ModelPne = { operator: pick(names, draw.operator), pneId: gatewayId }
  const other: ModelPne = { operator: pick(names, draw.which), pneId: pick(pneIds, draw.by) }
  /** Mostly the owner; else somebody who may happen to be the administrator. */
  const by: By = draw.by % 3 > 0 ? undefined : other
  const byAt = by ? atOperatorOf(by) : atHome
  const isSeldom = draw.which % 4 === 0

  const kinds: readonly (readonly [weight: number, about: Theme, step: () => Step])[] = [
    [180, 'registration', () => ({ kind: 'register', at: anywhere, pne, lifetimeMs: isSeldom ? shortMs : undefined })],
    [40, 'registration', () => ({ kind: 'refresh', at: anywhere, pne })],
    [25, 'registration', () => ({ kind: 'deregister', at: anywhere, pne })],
    [40, 'registration', () => ({ kind: 'use', at: atOperatorOf(pne), pne, report: draw.which % 5 })],
    [60, 'roster', () => ({ kind: 'add', at: byAt, by, pne: isSeldom ? gateway : pne })],
    [45, 'roster', () => ({ kind: 'remove', at: byAt, by, pne: draw.which % 8 === 0 ? gateway : pne })],
    [40, 'gateways', () => ({ kind: 'attach', at: anywhere, priority: isSeldom ? undefined : draw.which % 3 })],
    [10, 'gateways', () => ({ kind: 'detach', at: anywhere, operator: operatorOf(layout, anywhere) })],
    [10, 'gateways', () => ({ kind: 'detach', at: atHome, operator: gateway.operator })],
    [60, 'gateways', () => ({ kind: 'activate', at: anywhere })],
    [20, 'life', () => ({ kind: 'rename', at: atHome, alias: pick([firstAlias, 'House', 'Attic'], draw.pne) })],
    [20, 'life', () => ({ kind: 'last', at: atHome, lifetimeMs: draw.which % 2 ? shortMs : null })],
    [30, 'life', () => ({ kind: 'open', at: atHome, mode: pick(modes, draw.which) })],
    [25, 'roster', () => ({ kind: 'assign', at: atHome, by: undefined, pne })],
    [25, 'roster', () => ({ kind: 'transfer', at: byAt, by, pne })],
    [15, 'roster', () => ({ kind: 'dismiss', at: byAt, by, pne })],
    [12, 'life', () => ({ kind: 'release', at: atHome })],
    [25, 'life', () => ({ kind: 'establish', at: atHome, lifetimeMs: draw.which % 8 === 0 ? shortMs : undefined })],
    [30, 'life', () => ({ kind: 'wait', at: anywhere, forMs: pick(waits, draw.which) })],
    [40, 'gateways', () => grantOrNot(layout, atHome, draw)],
    [180, 'groups', () => groupStep({ pne, other, by, atHome, atOperatorOf, draw, made })],
    [90, 'invitations', () => invitationStep({ pne, by, atHome, atOperatorOf, layout, draw, made })],
  ]
  const fitting = draw.kind % 3 > 0 ? kinds.filter(([, about]) => about === theme) : kinds
  const all = fitting.reduce((sum, [weight]) => sum + weight, 0)
  let left = Math.floor(draw.kind / 3) % all
  for (const [weight, , step] of fitting) {
    if (left < weight) return step()
    left -= weight
  }
  throw new RangeError('There is always a kind.')
}

function grantOrNot({ home, operators }: Layout, at: string, draw: Draw): Step {
  const others = [...operators.keys()].filter(operator => operator !== home)
  if (others.length === 0) return { kind: 'activate', at }
  const operator = pick(others, draw.operator)
  if (draw.which % 5 < 2) return { kind: 'revoke', at, operator }
  return { kind: 'grant', at, operator, isAnew: draw.by % 2 === 0 }
}

interface Around {
  readonly pne: ModelPne
  readonly by: By
  readonly atHome: string
  atOperatorOf(pne: ModelPne): string
  readonly draw: Draw
  readonly made: Made
}

function groupStep({ pne, other, by, atHome, atOperatorOf, draw, made }: Around & { readonly other: ModelPne }): Step {
  const at = atOperatorOf(pne)
  const isCreated = made.groups > 0 && draw.which % 9 > 1
  if (!isCreated) {
    made.groups += 1
    return { kind: 'create group', at, pne, group: made.groups, isOpen: draw.pne % 4 > 0 }
  }
  const group = made.groups - (draw.server % Math.min(2, made.groups))
  /** The owner of a group is some PNE: one that acts as such must be guessed. */
  const whoever: By = by && draw.pne % 2 ? other : undefined
  const byAt = whoever ? atOperatorOf(whoever) : atHome
  switch (draw.which % 9) {
    case 2:
    case 3:
    case 4:
      return { kind: 'join group', at, pne, group }
    case 5:
      return { kind: 'leave group', at, by: pne, pne, group }
    case 6:
      return { kind: 'offer group', at: byAt, by: whoever, pne, group }
    case 7:
      return { kind: 'answer offer', at, pne, group, isYes: draw.pne % 3 > 0 }
    default:
      break
  }
  switch (draw.by % 4) {
    case 0:
      return { kind: 'dissolve group', at: byAt, by: whoever, group }
    case 1:
      return { kind: 'leave group', at: byAt, by: whoever, pne, group }
    default:
      return { kind: 'invite to group', at: byAt, by: whoever, pne, group }
  }
}

function invitationStep({
  pne,
  by,
  atHome,
  layout,
  atOperatorOf,
  draw,
  made,
}: Around & { readonly layout: Layout }): Step {
  const { invited } = made
  // Administrators elsewhere cannot invite.
  const host = by?.operator === layout.home ? { at: atOperatorOf(by), by } : { at: atHome, by: undefined }
  if (invited.length === 0 || draw.which % 5 < 2) {
    invited.push(pne)
    return { kind: 'invite', ...host, pne, invitation: invited.length, forMs: shortMs }
  }
  const invitation = invited.length - (draw.server % Math.min(2, invited.length))
  const invitee = pick(invited, invitation - 1)
  if (draw.which % 5 === 2) return { kind: 'withdraw', ...host, invitation }
  return { kind: 'answer invitation', at: atOperatorOf(invitee), pne: invitee, invitation, isYes: draw.pne % 4 > 0 }
}

function operatorOf({ operators }: Layout, server: string): string {
  for (const [operator, servers] of operators) if (servers.includes(server)) return operator
  throw new RangeError(`There is no server ${server}.`)
}

function pick<T>(items: readonly T[], number: number): T {
  const item = items[number % items.length]
  if (item === undefined) throw new RangeError('There is nothing to pick from.')
  return item
}
