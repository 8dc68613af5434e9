import fc from 'fast-check'
import { gatewayId, type Layout, type ModelPne, type Step } from './model.ts'
import { pneIds } from './rig.ts'

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

/** Numbers to draw from; which servers and operators there are is known only with the layout. */
const draws = fc.record({
  kind: fc.integer({ min: 0, max: 99 }),
  server: fc.nat(1_000),
  operator: fc.nat(1_000),
  pne: fc.nat(1_000),
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
        draws: fc.array(draws, { minLength: 4, maxLength: 14 }),
      }),
      { minLength: 2, maxLength: 4 },
    ),
  })
  .map(({ layout, seed, rounds }) => ({
    layout,
    seed,
    rounds: rounds.map(({ sides, draws }) => ({
      sides,
      steps: draws.map(draw => ({ step: stepOf(layout, draw), crashAfterMs: draw.crashAfterMs })),
    })),
  }))

/** What comes before the first round: everybody granted, everybody's gateway attached. */
export function opening({ home, operators }: Layout): Step[] {
  const at = operators.get(home)?.[0] ?? ''
  const others = [...operators.keys()].filter(operator => operator !== home)
  return [
    { kind: 'establish', at },
    ...[...operators.keys()].map((operator): Step => ({ kind: 'add', at, pne: { operator, pneId: gatewayId } })),
    ...others.map((operator): Step => ({ kind: 'grant', at, operator })),
    ...[...operators.values()].map((servers): Step => ({ kind: 'attach', at: servers[0] ?? '' })),
  ]
}

function stepOf({ home, operators }: Layout, draw: Draw): Step {
  const names = [...operators.keys()]
  const others = names.filter(operator => operator !== home)
  const servers = [...operators.values()].flat()
  const anywhere = pick(servers, draw.server)
  const at = pick(operators.get(home) ?? [], draw.server)
  const pne: ModelPne = { operator: pick(names, draw.operator), pneId: pick(pneIds, draw.pne) }
  const gateway: ModelPne = { operator: pick(names, draw.operator), pneId: gatewayId }
  const { kind } = draw
  if (kind < 41) return { kind: 'register', at: anywhere, pne }
  if (kind < 45) return { kind: 'rename', at, alias: pick(['Flat', 'House', 'Attic'], draw.pne) }
  if (kind < 60) return { kind: 'add', at, pne: kind < 48 ? gateway : pne }
  if (kind < 75) return { kind: 'remove', at, pne: kind < 62 ? gateway : pne }
  if (kind < 80) return { kind: 'attach', at: anywhere }
  if (kind < 83) return { kind: 'detach', at: anywhere }
  if (kind < 86) return { kind: 'release', at }
  if (kind < 90) return { kind: 'establish', at }
  if (others.length === 0) return { kind: 'remove', at, pne }
  return { kind: kind < 95 ? 'grant' : 'revoke', at, operator: pick(others, draw.operator) }
}

function pick<T>(items: readonly T[], number: number): T {
  const item = items[number % items.length]
  if (item === undefined) throw new RangeError('There is nothing to pick from.')
  return item
}
