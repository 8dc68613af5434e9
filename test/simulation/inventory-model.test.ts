/*
 * Proves: whatever owners, gateways and devices do at two to four servers of one to three operators, through partitions,
 * power failures and repetitions, all servers come to show the same Personal Network, and it is the one that a model of
 * three hundred lines comes to; each answer on the way is the model's too. A step whose answer was lost may have been done
 * or not, and nothing else.
 * Fails if servers disagree after they have met, if a repeated command is done twice, if something undone comes back, if
 * an answer promises what is not so, or if a PNE gets a second CPNS ID.
 */
import { isDeepStrictEqual } from 'node:util'
import serialize from 'canonicalize'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Inventory } from '../../src/inventory/methods.ts'
import { Model, type Step } from './inventory-model/model.ts'
import { admissionMs, asShown, type Outcome, Rig } from './inventory-model/rig.ts'
import { opening, type Plan, type PlannedStep, plans } from './inventory-model/steps.ts'

const runs = Number(process.env.MODEL_RUNS ?? 12)
/** Other histories every day, and the same all day long: what fails can be looked into. */
const seed = Number(process.env.MODEL_SEED ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''))
/** Within so long of virtual time servers that reach each other agree. */
const agreementMs = 60_000
const pollMs = 250
const reachable = { attempts: 30, everyMs: 1_000 }
/** After so long a link that has fallen silent is given up, and what was left to it is sent another way. */
const silenceMs = 25_000

class Walk {
  readonly rig: Rig
  /** Every way in which it may have gone. */
  #models: Model[]
  #sides: readonly (readonly string[])[]

  constructor(rig: Rig) {
    this.rig = rig
    this.#models = [new Model(rig.layout)]
    this.#sides = [rig.servers]
  }

  /** The servers of operators without a grant, as far as somebody they reach could tell them. */
  get withoutGrant(): string[] {
    const { rig } = this
    const [home = ''] = rig.layout.operators.get(rig.layout.home) ?? []
    const [model] = this.#models
    return rig.servers.filter(server => !model?.isEntitled(rig.operatorOf(server), home))
  }

  async settle(sides: readonly (readonly string[])[]): Promise<void> {
    this.#sides = sides
    await this.rig.connected(sides)
    for (const model of this.#models) model.sync(sides)
    await this.#agree('after the network changed')
  }

  async take({ step, crashAfterMs }: PlannedStep): Promise<void> {
    const { rig } = this
    if (crashAfterMs !== undefined) rig.crash(step.at, crashAfterMs)
    const outcome = await this.#perform(step)
    const isSure = crashAfterMs === undefined
    if (!isSure) await rig.connected(this.#sides)
    const side = this.#sides.find(servers => servers.includes(step.at)) ?? []
    const after = this.#models.flatMap(model => {
      const done = model.copy()
      const expected = done.perform(step, rig.nowMs, side)
      return ways(model, done, { expected, outcome, isSure })
    })
    assert.ok(
      after.length > 0,
      `${told(step)} was answered ${told(outcome)}; the model expects ${this.#expected(step, side)}`,
    )
    this.#models = after
    // What a gateway let in by itself, and what came to nothing, is gone after this.
    if (step.kind === 'register' || !isSure) await rig.pass(2 * admissionMs + 1_000)
    await this.#agree(`after ${told(step)}: ${told(outcome)}`)
  }

  /** For as long as links need to notice a crash an operator may be out of reach that is not. */
  async #perform(step: Step): Promise<Outcome> {
    const side = this.#sides.find(servers => servers.includes(step.at)) ?? []
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.rig.perform(step)
      const isReachable = this.#models.some(model => model.copy().perform(step, this.rig.nowMs, side) !== 423)
      if (attempt === reachable.attempts || !isReachable || statusOf(outcome) !== 423) return outcome
      await this.rig.pass(reachable.everyMs)
    }
  }

  #expected(step: Step, side: readonly string[]): string {
    return [...new Set(this.#models.map(model => told(model.copy().perform(step, this.rig.nowMs, side))))].join(' or ')
  }

  /** Waits until every server shows what one model does, and keeps those that do. */
  async #agree(when: string): Promise<void> {
    const { rig } = this
    const untilMs = rig.nowMs + agreementMs
    for (;;) {
      const read = await rig.read()
      const fitting = this.#models.filter(model => this.#fits(model, read))
      if (fitting.length > 0) {
        this.#models = fitting.slice(0, 8)
        return
      }
      if (rig.nowMs > untilMs) {
        const [model] = this.#models
        const lines = rig.servers.map(
          server => `${server}: ${told(read.get(server))}\n  expected ${told(model?.show(server))}`,
        )
        assert.unreachable(`${when}\n${lines.join('\n')}`)
      }
      await rig.pass(pollMs)
    }
  }

  /**
   * Servers that reach each other show the same, and all show what the model does. Those of operators without a grant may
   * show anything, or nothing: nobody else counts what they say.
   */
  #fits(model: Model, read: ReadonlyMap<string, Inventory | undefined>): boolean {
    const { rig } = this
    return this.#sides.every(side => {
      const entitled = side.filter(server => model.isEntitled(rig.operatorOf(server), server))
      const shown = new Set(entitled.map(server => serialize(read.get(server) ?? null)))
      return (
        shown.size <= 1 && entitled.every(server => isDeepStrictEqual(asShown(read.get(server)), model.show(server)))
      )
    })
  }
}

function ways(
  before: Model,
  done: Model,
  {
    expected,
    outcome,
    isSure,
  }: { readonly expected: 'ok' | number; readonly outcome: Outcome; readonly isSure: boolean },
): Model[] {
  if (outcome === 'ok') return expected === 'ok' ? [done] : []
  if (outcome === 'open') return [before, done]
  if (!isSure) return [before, done] // it was refused when it was repeated, perhaps because of what it had done itself
  return isAsExpected(expected, outcome.status) ? [before] : []
}

/**
 * A gateway that is not attached is refused by its server, or knows itself that there is no such PN for it. An operator that
 * has lost its grant remembers that it had one, or not.
 */
const isAsExpected = (expected: 'ok' | number, status: number): boolean =>
  expected === status || (expected === 403 && status === 404) || (expected === 404 && status === 403)

const statusOf = (outcome: Outcome): number | undefined => (typeof outcome === 'object' ? outcome.status : undefined)

const told = (value: unknown): string => JSON.stringify(value)

async function walk({ layout, seed, rounds }: Plan): Promise<void> {
  const rig = await Rig.start(layout, seed)
  const way = new Walk(rig)
  for (const step of opening(layout)) await way.take({ step, crashAfterMs: undefined })
  for (const round of rounds) {
    const sides = [0, 1]
      .map(side => rig.servers.filter((_, index) => round.sides[index] === side))
      .filter(servers => servers.length > 0)
    rig.partition(sides)
    await rig.pass(silenceMs)
    await way.settle(sides)
    for (const step of round.steps) await way.take(step)
    rig.heal()
    await way.settle([rig.servers])
    await sameForClients(rig)
    for (const server of way.withoutGrant) await refusedAt(rig, server)
  }
  const ids = [...rig.cpnsIds.values()]
  assert.ok(
    ids.every(given => given.size === 1),
    `a PNE has two CPNS IDs: ${told(ids.map(given => [...given]))}`,
  )
  const all = ids.flatMap(given => [...given])
  assert.is(new Set(all).size, all.length, 'two PNEs have one CPNS ID')
}

/** What the home operator's servers answer is what their documents say, and the same at each. */
async function sameForClients(rig: Rig): Promise<void> {
  const answers = new Set<unknown>()
  for (const server of rig.layout.operators.get(rig.layout.home) ?? []) {
    const answer = serialize(await rig.asked(server))
    const read = serialize((await rig.read()).get(server))
    assert.is(answer, read, `${server} answers ${answer}, and its documents say ${read}`)
    answers.add(answer)
  }
  assert.is(answers.size, 1, `they answer ${[...answers].join(' or ')}`)
}

/** Who has no grant any more reads nothing any more, once it could know. */
async function refusedAt(rig: Rig, server: string): Promise<void> {
  const untilMs = rig.nowMs + agreementMs
  while ((await rig.refusedAt(server)) === undefined) {
    assert.ok(rig.nowMs < untilMs, `${server} still shows the PN to its clients`)
    await rig.pass(pollMs)
  }
}

test('what was removed stays removed, though a server removes it again that has not seen all of it', async () => {
  const [a, b] = ['a.example', 'b.example']
  const lamp = { operator: a, pneId: 'lamp' }
  const sure = (step: Step): PlannedStep => ({ step, crashAfterMs: undefined })
  await walk({
    layout: {
      home: a,
      operators: new Map([
        [a, [`${a}/1`, `${a}/2`]],
        [b, [`${b}/1`]],
      ]),
    },
    seed: 1,
    rounds: [
      {
        sides: [0, 1, 0],
        steps: [
          sure({ kind: 'register', at: `${b}/1`, pne: lamp }),
          sure({ kind: 'remove', at: `${a}/1`, pne: lamp }),
          sure({ kind: 'add', at: `${a}/2`, pne: lamp }),
          sure({ kind: 'remove', at: `${a}/2`, pne: lamp }),
        ],
      },
    ],
  })
})

test(`servers agree, and with the model (seed ${seed})`, async () => {
  const details = await fc.check(fc.asyncProperty(plans, walk), {
    seed,
    numRuns: runs,
    endOnFailure: process.env.MODEL_SHRINK === 'no',
  })
  if (!details.failed) return
  const [plan] = details.counterexample ?? []
  const { errorInstance, counterexamplePath, numShrinks } = details
  const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
  assert.unreachable(
    `seed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times\n${plan ? story(plan) : ''}\n${why}`,
  )
})

const story = ({ layout, seed, rounds }: Plan): string =>
  [
    `world ${seed}, servers ${[...layout.operators.values()].flat().join(' ')}`,
    ...rounds.flatMap(({ sides, steps }) => [
      `sides ${sides.join(' ')}`,
      ...steps.map(
        ({ step, crashAfterMs }) => `  ${told(step)}${crashAfterMs === undefined ? '' : ` crash ${crashAfterMs}`}`,
      ),
    ]),
  ].join('\n')

test.run()
