/*
 * Proves: whatever owners, administrators, gateways, devices and invitees do at two to four servers of one to three operators,
 * through partitions, power failures, repetitions and time that passes, all servers come to show the same Personal Network
 * with its service groups, invitations and usage, and it is the one that a simple model comes to; each answer on the way is
 * the model's too. A step whose answer was lost may have been done or not, and nothing else. Whoever has an open invitation
 * is told of it; who has no grant any more shows nothing and reads nothing.
 * Fails if servers disagree after they have met, if a repeated command is done twice, if something undone comes back, if
 * an answer promises what is not so, if anybody is something in a PN that is over or that it has left, or if a PNE gets a
 * second CPNS ID.
 */
import { isDeepStrictEqual } from 'node:util'
import serialize from 'canonicalize'
import fc from 'fast-check'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { Answer, Expected } from './inventory-model/desk.ts'
import { Model, type Moment } from './inventory-model/model.ts'
import { asShown, type Reading, totals } from './inventory-model/reading.ts'
import { admissionMs, type Outcome, Rig } from './inventory-model/rig.ts'
import { gatewayId, nameOf, type Step } from './inventory-model/step.ts'
import { opening, type Plan, type PlannedStep, plans } from './inventory-model/steps.ts'

const runs = Number(process.env.MODEL_RUNS ?? 12)
/** Other histories every day, and the same all day long: what fails can be looked into. */
const seed = Number(process.env.MODEL_SEED ?? new Date().toISOString().slice(0, 10).replaceAll('-', ''))
/** Of one history, as a failure names it: it is walked again, alone. */
const path = process.env.MODEL_PATH
/** Each step is told as it is answered. */
const isTelling = process.env.MODEL_TELL === 'yes'
/** So many smaller histories are tried for one that fails. */
const maxShrinks = 120
/** Within so long of virtual time servers that reach each other agree. */
const agreementMs = 60_000
const pollMs = 250
const reachable = { attempts: 30, everyMs: 1_000 }
/** After so long a link that has fallen silent is given up, and what was left to it is sent another way. */
const silenceMs = 25_000

/**
 * When exactly something ends by itself the model cannot know, as it does not know when exactly a step was done. So nothing is
 * done from so long before such a moment until so long after it.
 */
const aheadMs = 45_000
const pastMs = 45_000

class Walk {
  readonly rig: Rig
  /** Every way in which it may have gone. */
  #models: Model[]
  #sides: readonly (readonly string[])[]
  #steps = 0

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
    return rig.servers.filter(server => !model?.isEntitled(rig.operatorOf(server), home, rig.nowMs))
  }

  async settle(sides: readonly (readonly string[])[]): Promise<void> {
    this.#sides = sides
    await this.rig.connected(sides)
    for (const model of this.#models) model.sync(sides, this.rig.nowMs)
    await this.#agree('after the network changed')
  }

  async take({ step, crashAfterMs }: PlannedStep): Promise<void> {
    const { rig } = this
    await this.#untilNothingEnds()
    await rig.prepare(step)
    this.#steps += 1
    const holds = rig.holdsFor(step)
    const momentNow = (): Moment => ({
      time: rig.nowMs,
      id: this.#steps,
      side: this.#sides.find(servers => servers.includes(step.at)) ?? [],
      holds,
    })
    if (crashAfterMs !== undefined) rig.crash(step.at, crashAfterMs)
    const outcome = await this.#perform(step, momentNow)
    if (isTelling) console.log(Math.round(rig.nowMs), told(this.#sides), told(step), crashAfterMs ?? '', told(outcome))
    const isSure = crashAfterMs === undefined
    if (!isSure) await rig.connected(this.#sides)
    const moment = momentNow()
    const after = this.#models.flatMap(model => {
      const done = model.copy()
      const expected = done.perform(step, moment)
      const halfDone = model.copy()
      halfDone.begin(step, moment)
      return ways([model, halfDone, done], { kind: step.kind, expected, outcome, isSure })
    })
    assert.ok(
      after.length > 0,
      `${told(step)} was answered ${told(outcome)}; the model expects ${this.#expected(step, moment)}`,
    )
    this.#models = after
    // What a gateway let in by itself, and what came to nothing, is gone after this.
    if (step.kind === 'register') await rig.pass(2 * admissionMs + 1_000)
    if (!isSure) {
      await rig.pass(silenceMs)
      await rig.noticed(step.at)
    }
    await this.#agree(`after ${told(step)}: ${told(outcome)}`)
  }

  async #untilNothingEnds(): Promise<void> {
    const { rig } = this
    for (;;) {
      const near = this.#models
        .flatMap(model => model.ends())
        .filter(end => rig.nowMs - pastMs < end && end < rig.nowMs + aheadMs)
      if (near.length === 0) return
      await rig.pass(Math.max(...near) + pastMs - rig.nowMs)
      await this.#agree('after something has ended by itself')
    }
  }

  /** For as long as links need to notice a crash an operator may be out of reach that is not. */
  async #perform(step: Step, momentNow: () => Moment): Promise<Outcome> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.rig.perform(step, momentNow().id)
      const isReachable = this.#models.some(model => !answers(model.copy().perform(step, momentNow())).includes(423))
      if (attempt === reachable.attempts || !isReachable || statusOf(outcome) !== 423) return outcome
      await this.rig.pass(reachable.everyMs)
    }
  }

  #expected(step: Step, moment: Moment): string {
    return [...new Set(this.#models.map(model => told(model.copy().perform(step, moment))))].join(' or ')
  }

  /** Waits until every server shows what one model does, and keeps those that do. */
  async #agree(when: string): Promise<void> {
    const { rig } = this
    const untilMs = rig.nowMs + agreementMs
    for (;;) {
      const { atMs, read } = await rig.read()
      const fitting = this.#models.filter(model => this.#fits(model, read, atMs))
      if (fitting.length > 0) {
        this.#models = fitting.slice(0, 8)
        return
      }
      if (rig.nowMs > untilMs) {
        const [model] = this.#models
        const lines = rig.servers.map(
          server => `${server}: ${toldOf(read.get(server))}\n  expected ${told(model?.show(server, atMs))}`,
        )
        assert.unreachable(`${when}\n${lines.join('\n')}`)
      }
      await rig.pass(pollMs)
    }
  }

  /**
   * Servers that reach each other show the same, and all show what the model does: those of operators that have lost their
   * grant nothing, once somebody could tell them.
   */
  #fits(model: Model, read: ReadonlyMap<string, Reading>, atMs: number): boolean {
    const { rig } = this
    return this.#sides.every(side => {
      const entitled = side.filter(server => model.isEntitled(rig.operatorOf(server), server, atMs))
      const shown = new Set(entitled.map(server => serialize(read.get(server) ?? null)))
      return shown.size <= 1 && side.every(server => isShown(read.get(server), model, server, atMs))
    })
  }
}

const isShown = (reading: Reading | undefined, model: Model, server: string, atMs: number): boolean =>
  reading !== undefined && isDeepStrictEqual(asShown(reading), model.show(server, atMs))

interface Done {
  readonly kind: Step['kind']
  readonly expected: Expected
  readonly outcome: Outcome
  readonly isSure: boolean
}

function ways(
  [before, halfDone, done]: readonly [Model, Model, Model],
  { kind, expected, outcome, isSure }: Done,
): Model[] {
  if (outcome === 'ok' && answers(expected).includes('ok')) return [done]
  // A gateway that has lost its server keeps it for later, and what the server says then nobody hears.
  if (outcome === 'ok') return kind === 'deregister' && !isSure ? [before] : []
  // What was refused when it was repeated was so, perhaps, because of what it had done itself.
  if (outcome === 'open' || !isSure) return [before, done, halfDone]
  return answers(expected).some(answer => isAsExpected(answer, outcome.status)) ? [before] : []
}

const answers = (expected: Expected): readonly Answer[] => [expected].flat()

/**
 * A gateway that is not attached is refused by its server, or knows itself that there is no such PN for it. An operator that
 * has lost its grant remembers that it had one, or not.
 */
const isAsExpected = (expected: Answer, status: number): boolean =>
  expected === status || (expected === 403 && status === 404) || (expected === 404 && status === 403)

const statusOf = (outcome: Outcome): number | undefined => (typeof outcome === 'object' ? outcome.status : undefined)

const told = (value: unknown): string => JSON.stringify(value)
const toldOf = (reading: Reading | undefined): string => told(reading && asShown(reading))

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
    await lawful(rig)
    await toldToInvitees(rig)
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
    const { inventory, groups, usage } = (await rig.read()).read.get(server) ?? {}
    const read = serialize({ inventory, groups, usage: totals(usage ?? []) })
    assert.is(answer, read, `${server} answers ${answer}, and its documents say ${read}`)
    answers.add(answer)
  }
  assert.is(answers.size, 1, `they answer ${[...answers].join(' or ')}`)
}

/** Whatever the model says: nobody is anything in a PN that is over, or in which it is not. */
async function lawful(rig: Rig): Promise<void> {
  for (const [server, { inventory, groups }] of (await rig.read()).read) {
    if (!inventory) continue
    const { state, members, gateways, administrator } = inventory
    const names = new Set(members.map(nameOf))
    const elsewhere = [
      ...(administrator ? [nameOf(administrator)] : []),
      ...groups.flatMap(group => group.members.map(nameOf)),
      ...(state === 'live' ? gateways.map(({ operator }) => nameOf({ operator, pneId: gatewayId })) : []),
    ].filter(name => !names.has(name))
    assert.equal(elsewhere, [], `no members, at ${server}`)
    if (state !== 'live') assert.equal([[...names], groups, gateways.filter(({ active }) => active)], [[], [], []])
    for (const { cpnsId, ...pne } of members.filter(({ state }) => state === 'active')) {
      assert.ok(
        cpnsId && (rig.cpnsIds.get(nameOf(pne))?.has(cpnsId) ?? true),
        `${nameOf(pne)} is ${cpnsId} at ${server}`,
      )
    }
  }
}

/** Whoever has an open invitation is shown it, at every server of its operator. */
async function toldToInvitees(rig: Rig): Promise<void> {
  const [home = ''] = rig.layout.operators.get(rig.layout.home) ?? []
  const untilMs = rig.nowMs + agreementMs
  for (;;) {
    const { read } = await rig.read()
    const unheard: string[] = []
    for (const { id, state, record } of read.get(home)?.invitations ?? []) {
      for (const server of state === 'open' ? (rig.layout.operators.get(record.operator) ?? []) : []) {
        if (!(await rig.invitationsOf(record.identity, server)).includes(id)) unheard.push(`${id} at ${server}`)
      }
    }
    if (unheard.length === 0) return
    assert.ok(rig.nowMs < untilMs, `invitees are not told of ${unheard.join(', ')}`)
    await rig.pass(pollMs)
  }
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
          sure({ kind: 'register', at: `${b}/1`, pne: lamp, lifetimeMs: undefined }),
          sure({ kind: 'remove', at: `${a}/1`, by: undefined, pne: lamp }),
          sure({ kind: 'add', at: `${a}/2`, by: undefined, pne: lamp }),
          sure({ kind: 'remove', at: `${a}/2`, by: undefined, pne: lamp }),
        ],
      },
    ],
  })
})

test(`servers agree, and with the model (seed ${seed})`, async () => {
  let shrinks = maxShrinks
  const walkOrGiveUp = async (plan: Plan) => {
    if (shrinks === 0) return
    if (shrinks < maxShrinks) shrinks -= 1
    await walk(plan).catch(error => {
      if (shrinks === maxShrinks) shrinks -= 1
      throw error
    })
  }
  const details = await fc.check(fc.asyncProperty(plans, walkOrGiveUp), {
    seed,
    numRuns: runs,
    endOnFailure: path !== undefined || process.env.MODEL_SHRINK === 'no',
    ...(path !== undefined && { path }),
  })
  if (!details.failed) return
  const [plan] = details.counterexample ?? []
  const { errorInstance, counterexamplePath, numShrinks } = details
  const why = errorInstance instanceof Error ? errorInstance.message : String(errorInstance)
  assert.unreachable(
    `${why}\nseed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times\n${plan ? story(plan) : ''}`,
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
