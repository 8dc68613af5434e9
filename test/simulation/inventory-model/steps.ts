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
type Draw = typeof draws extends fc.Arbitrary<infer T> ? T : never

export const plans: fc.Arbitrary<Plan> = fc
  .record({
    layout: layouts,
    seed: fc.nat(1_000_000),
    rounds: fc.array(
      fc.record({
        sides: fc.array(fc.nat(1), { minLength: 4, maxLength: 4 }),
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
      rounds: rounds.map(({ sides, draws }) => ({
        sides,
        steps: draws.flatMap(draw => planned(layout, draw, made)),
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

/** Mostly one step; a PN that is established anew would come to little if it were not furnished too. */
function planned(layout: Layout, draw: Draw, made: Made): PlannedStep[] {
  const step = stepOf(layout, draw, made)
  const more = step.kind === 'establish' && draw.by % 3 > 0 ? furnishing(layout, step.at) : []
  return [{ step, crashAfterMs: draw.crashAfterMs }, ...more.map(step => ({ step, crashAfterMs: undefined }))]
}

function stepOf(layout: Layout, draw: Draw, made: Made): Step {
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

  const kinds: readonly (readonly [weight: number, step: () => Step])[] = [
    [180, () => ({ kind: 'register', at: anywhere, pne, lifetimeMs: isSeldom ? shortMs : undefined })],
    [40, () => ({ kind: 'refresh', at: anywhere, pne })],
    [25, () => ({ kind: 'deregister', at: anywhere, pne })],
    [40, () => ({ kind: 'use', at: atOperatorOf(pne), pne, report: draw.which % 5 })],
    [60, () => ({ kind: 'add', at: byAt, by, pne: isSeldom ? gateway : pne })],
    [45, () => ({ kind: 'remove', at: byAt, by, pne: draw.which % 8 === 0 ? gateway : pne })],
    [40, () => ({ kind: 'attach', at: anywhere, priority: isSeldom ? undefined : draw.which % 3 })],
    [10, () => ({ kind: 'detach', at: anywhere, operator: operatorOf(layout, anywhere) })],
    [10, () => ({ kind: 'detach', at: atHome, operator: gateway.operator })],
    [60, () => ({ kind: 'activate', at: anywhere })],
    [20, () => ({ kind: 'rename', at: atHome, alias: pick([firstAlias, 'House', 'Attic'], draw.pne) })],
    [20, () => ({ kind: 'last', at: atHome, lifetimeMs: draw.which % 2 ? shortMs : null })],
    [30, () => ({ kind: 'open', at: atHome, mode: pick(modes, draw.which) })],
    [25, () => ({ kind: 'assign', at: atHome, by: undefined, pne })],
    [25, () => ({ kind: 'transfer', at: byAt, by, pne })],
    [15, () => ({ kind: 'dismiss', at: byAt, by, pne })],
    [12, () => ({ kind: 'release', at: atHome })],
    [25, () => ({ kind: 'establish', at: atHome, lifetimeMs: draw.which % 8 === 0 ? shortMs : undefined })],
    [30, () => ({ kind: 'wait', at: anywhere, forMs: pick(waits, draw.which) })],
    [40, () => grantOrNot(layout, atHome, draw)],
    [180, () => groupStep({ pne, other, by, byAt, atOperatorOf, draw, made })],
    [90, () => invitationStep({ pne, by, byAt, atHome, atOperatorOf, layout, draw, made })],
  ]
  const all = kinds.reduce((sum, [weight]) => sum + weight, 0)
  let left = draw.kind % all
  for (const [weight, step] of kinds) {
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
  readonly byAt: string
  atOperatorOf(pne: ModelPne): string
  readonly draw: Draw
  readonly made: Made
}

function groupStep({ pne, other, by, byAt, atOperatorOf, draw, made }: Around & { readonly other: ModelPne }): Step {
  const at = atOperatorOf(pne)
  const isCreated = made.groups > 0 && draw.which % 9 > 1
  if (!isCreated) {
    made.groups += 1
    return { kind: 'create group', at, pne, group: made.groups, isOpen: draw.pne % 4 > 0 }
  }
  const group = made.groups - (draw.server % Math.min(2, made.groups))
  /** The owner of a group is some PNE: one that acts as such must be guessed. */
  const whoever: By = by ? other : draw.which % 2 ? pne : undefined
  const at2 = whoever ? atOperatorOf(whoever) : byAt
  switch (draw.which % 9) {
    case 2:
    case 3:
    case 4:
      return { kind: 'join group', at, pne, group }
    case 5:
      return { kind: 'leave group', at, by: pne, pne, group }
    case 6:
      return { kind: 'offer group', at: at2, by: whoever, pne: other, group }
    case 7:
      return { kind: 'answer offer', at, pne, group, isYes: draw.pne % 3 > 0 }
    default:
      break
  }
  switch (draw.by % 4) {
    case 0:
      return { kind: 'dissolve group', at: at2, by: whoever, group }
    case 1:
      return { kind: 'leave group', at: at2, by: whoever, pne: other, group }
    default:
      return { kind: 'invite to group', at: at2, by: whoever, pne: other, group }
  }
}

function invitationStep({
  pne,
  by,
  byAt,
  atHome,
  layout,
  atOperatorOf,
  draw,
  made,
}: Around & { readonly atHome: string; readonly layout: Layout }): Step {
  const { invited } = made
  // Administrators elsewhere cannot invite.
  const host = by?.operator === layout.home ? { at: byAt, by } : { at: atHome, by: undefined }
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
