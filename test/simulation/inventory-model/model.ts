import { admit, appoint, type Desk, type Expected, ground, mayAdminister, remove } from './desk.ts'
import { Holdings, saidIn } from './facts.ts'
import { absenceMs, decideOnGroup } from './groups.ts'
import { decideOnInvitation } from './invitations.ts'
import { deregister, type HeldRegistration, letIn, refresh, register, use } from './registration.ts'
import { type Shown, shown } from './shown.ts'
import {
  type By,
  type GroupStep,
  gatewayOf,
  type InvitationStep,
  type Layout,
  nameOf,
  type Step,
  type StepOf,
} from './step.ts'
import { type Claim, type Gateway, type Grant, type Lifetime, type Network, rivals, type View, viewOf } from './view.ts'

/*
 * What a federation of servers should say of one Personal Network, as simply as it can be said. Nothing here is shared with
 * the node: no code, no stamps, no logs.
 */

/** When a step is done, and what the model cannot know by itself. */
export interface Moment {
  readonly time: number
  /** Of the step. */
  readonly id: number
  /** The servers that its server reaches. */
  readonly side: readonly string[]
  /** What the device of the step remembers. */
  readonly holds: HeldRegistration | undefined
}

/** One way in which things may have gone. Changes are made to copies. */
export class Model {
  readonly #layout: Layout
  readonly #holdings: Holdings

  constructor(layout: Layout, holdings = new Holdings(layout)) {
    this.#layout = layout
    this.#holdings = holdings
  }

  copy(): Model {
    return new Model(this.#layout, this.#holdings.copy())
  }

  /** Servers that reach each other come to hold the same, as far as they may hold it. */
  sync(sides: readonly (readonly string[])[], now: number): void {
    for (const side of sides) {
      this.#holdings.sync(side, (operator, asSeenAt) => this.isEntitled(operator, asSeenAt, now))
    }
  }

  show(server: string, now: number): Shown {
    return shown(this.#layout, this.#holdings.at(server), now)
  }

  isEntitled(operator: string, server: string, now: number): boolean {
    return operator === this.#layout.home || this.#view(server, now)?.grants.has(operator) === true
  }

  /** The moments at which something ends by itself. */
  ends(): number[] {
    return [...this.#holdings.ends()].flatMap(until => [until, until + absenceMs])
  }

  /** Does the step, as it is done when nothing interferes. */
  perform(step: Step, moment: Moment): Expected {
    const answer = this.#perform(step, moment)
    this.sync([moment.side], moment.time)
    return answer
  }

  /** Does only what a gateway does for a step before the PNE's operator is asked. */
  begin(step: Step, moment: Moment): void {
    const desk = this.#desk(step.at, moment)
    if (step.kind !== 'register' || desk?.view.state !== 'live' || !desk.view.gateways.has(desk.self)) return
    letIn(desk, step)
    this.sync([moment.side], moment.time)
  }

  #perform(step: Step, moment: Moment): Expected {
    if (step.kind === 'wait') return 'ok'
    if (step.kind === 'establish') return this.#establish(step, moment)
    // Who was invited need not know of the PN.
    if (step.kind === 'answer invitation') return this.#atHome(step.at, moment, at => decideOnInvitation(step, at))
    if (isOfDevice(step) && !moment.holds) return 404
    const desk = this.#desk(step.at, moment)
    if (!desk) return 404
    const { view, self, time, say } = desk
    const isHome = self === this.#layout.home
    const isLive = view.state === 'live'

    switch (step.kind) {
      case 'release':
        if (view.state === 'released') return 410
        say('release', { epoch: view.epoch + 1 } satisfies Network)
        return 'ok'
      case 'register':
      case 'refresh':
      case 'deregister':
        return this.#relay(step, desk, moment)
      case 'add':
      case 'remove': {
        const decide = step.kind === 'add' ? admitted : remove
        return this.#atHome(step.at, moment, at => {
          if (!mayAdminister(at.view, step.by)) return 403
          decide(at, step.pne)
          return 'ok'
        })
      }
    }
    if (!isLive) return 410
    switch (step.kind) {
      case 'grant': {
        const { operator, isAnew } = step
        const present = view.grants.get(operator)
        // What is so already is written by nobody: so a revocation elsewhere, which saw the same grant, stands.
        if (present && !present.isAnew && !isAnew) return 'ok'
        say(`grant ${operator}`, { epoch: view.epoch, id: present?.id ?? time, isAnew } satisfies Grant)
        return 'ok'
      }
      case 'revoke': {
        const present = view.grants.get(step.operator)
        if (present) say(`revoked ${step.operator} ${present.id}`, true)
        return 'ok'
      }
      case 'rename':
        if (step.alias !== view.alias) say('alias', { epoch: view.epoch, is: step.alias })
        return 'ok'
      case 'last': {
        const until = step.lifetimeMs === null ? undefined : time + step.lifetimeMs
        if (until !== view.until) say('lifetime', { epoch: view.epoch, until } satisfies Lifetime)
        return 'ok'
      }
      case 'open': {
        const { mode } = step
        if (mode === view.mode) return 'ok'
        const since = mode === 'open' ? undefined : (view.closedSince ?? time)
        say('mode', { epoch: view.epoch, is: { mode, since } })
        return 'ok'
      }
      case 'assign':
      case 'transfer':
      case 'dismiss': {
        const { kind, by, pne } = step
        if (!isHome && !mayAdminister(view, by)) return 403
        return this.#atHome(step.at, moment, at => appoint(at, kind, by, pne))
      }
      case 'attach':
        return attach(desk, step)
      case 'detach':
        return this.#detach(desk, step, moment)
      case 'activate':
        return this.#activate(desk, moment)
      case 'use':
        return moment.holds ? use(desk, step, moment.holds) : 404
      default:
        // Another operator sends on nothing of who is no member.
        if (!isHome && 'group' in step && !isMember(view, 'by' in step ? step.by : step.pne)) return 409
        return this.#atHome(step.at, moment, at => decideAtHome(step, at))
    }
  }

  #establish({ at, lifetimeMs }: StepOf<'establish'>, moment: Moment): Expected {
    const view = this.#view(at, moment.time)
    if (view?.state === 'live') return 409
    const until = lifetimeMs === undefined ? undefined : moment.time + lifetimeMs
    const value: Network = { epoch: (view?.shownEpoch ?? 0) + 1, until }
    this.#holdings.say(at, 'network', { time: moment.time, value })
    return 'ok'
  }

  /** What a PNE says through a gateway, and its own operator decides. */
  #relay(step: StepOf<'register' | 'refresh' | 'deregister'>, desk: Desk, moment: Moment): Expected {
    const { view, self } = desk
    const { operator } = step.pne
    if (!view.gateways.has(self)) return 403
    // A device takes it that what has ended has no registrations.
    if (view.state !== 'live') return step.kind === 'deregister' ? 'ok' : 410
    if (operator !== this.#layout.home && !view.grants.has(operator)) return 403
    const executor = this.#executor(operator, step.at, moment)
    if (!executor) return 423
    if (step.kind === 'register') {
      const answer = letIn(desk, step)
      if (answer !== 'ok') return answer
      this.sync([moment.side], moment.time)
    }
    const there = this.#desk(executor, moment)
    if (!there) return 404
    if (step.kind === 'register') {
      register(there, self, step)
      return 'ok'
    }
    if (!moment.holds) return 404
    return step.kind === 'refresh' ? refresh(there, self, step, moment.holds) : deregister(there, step, moment.holds)
  }

  /** By the gateway itself, or by the owner, at the operator of the gateway. */
  #detach(desk: Desk, { at, operator }: StepOf<'detach'>, moment: Moment): Expected {
    const executor = this.#executor(operator, at, moment)
    if (!executor) return 423
    const there = this.#desk(executor, moment)
    if (!there) return 404
    const { view, own, say } = there
    if (view.gateways.has(operator)) {
      say('gateway', undefined)
      say('claim', undefined)
      return 'ok'
    }
    // Whoever left, and may still read of it, may say so again. What is of an earlier epoch is cleared away sooner or later.
    const mayRead = desk.self !== operator || view.members.has(gatewayOf(operator))
    if (!own?.has('gateway') || !mayRead) return 404
    return saidIn(own, 'gateway') === undefined ? 'ok' : ['ok', 404]
  }

  #activate(desk: Desk, moment: Moment): Expected {
    const { view, self, time, say } = desk
    const { active = '' } = view
    const own = view.gateways.get(self)
    if (!own) return 403
    if (active === self && rivals(view).length === 0) return 'ok'
    // Every gateway that is reached has just said that it is there.
    const isThere = active !== self && moment.side.some(server => this.#holdings.operatorOf(server) === active)
    if (isThere && (view.gateways.get(active)?.priority ?? 0) >= own.priority) return 409
    const after = view.claims[0]?.[1].since ?? 0
    say('claim', { ...ground(desk), since: time, after } satisfies Claim)
    return 'ok'
  }

  #atHome(at: string, moment: Moment, decide: (desk: Desk) => Expected): Expected {
    const executor = this.#executor(this.#layout.home, at, moment)
    if (!executor) return 423
    const there = this.#desk(executor, moment)
    if (!there) return 404
    return there.view.state === 'live' ? decide(there) : 410
  }

  /** A server of an operator: this one, or one that it reaches. */
  #executor(operator: string, at: string, { side }: Moment): string | undefined {
    const isTheirs = (server: string) => this.#holdings.operatorOf(server) === operator
    return side.find(server => server === at && isTheirs(server)) ?? side.find(isTheirs)
  }

  #desk(server: string, { time, id }: Moment): Desk | undefined {
    const self = this.#holdings.operatorOf(server)
    const held = this.#holdings.at(server)
    const view = this.#view(server, time)
    if (!view) return undefined
    const say = (key: string, value: unknown) => this.#holdings.say(server, key, { time, value })
    return { layout: this.#layout, self, view, held, own: held.get(self), time, id, say }
  }

  #view(server: string, now: number): View | undefined {
    return viewOf(this.#layout, this.#holdings.at(server), now)
  }
}

const isMember = ({ members }: View, pne: By): boolean => pne !== undefined && members.has(nameOf(pne))

const isOfDevice = ({ kind }: Step): boolean => kind === 'refresh' || kind === 'deregister' || kind === 'use'

const admitted = (desk: Desk, pne: { readonly operator: string; readonly pneId: string }): void =>
  admit(desk, { isFirm: true }, pne)

const decideAtHome = (step: GroupStep | InvitationStep, desk: Desk): Expected =>
  'group' in step ? decideOnGroup(step, desk) : decideOnInvitation(step, desk)

function attach(desk: Desk, { priority }: StepOf<'attach'>): Expected {
  const { layout, view, self, time, say } = desk
  if (self !== layout.home && !view.grants.has(self)) return 403
  if (!view.members.has(gatewayOf(self))) return 403
  const present = view.gateways.get(self)
  const said = priority ?? present?.priority ?? 0
  if (present?.priority === said) return 'ok'
  say('gateway', { ...ground(desk), priority: said, since: present?.since ?? time } satisfies Gateway)
  return 'ok'
}
