import type { Registers, RegisterWrite } from '../document/documents.ts'
import { maxStamp } from '../document/registers-view.ts'
import type { OperatorId } from '../ports/names.ts'
import { type Caller, isGateway, live, mayAdminister, mayOperate, operatorOf, requireRight } from './authority.ts'
import { timed } from './establishment.ts'
import type { Pne } from './fields.ts'
import { type PnUpdateParams, type PnUpdateResult, pnUpdate } from './methods.ts'
import type { Decided } from './procedure.ts'
import { type Admission, asAdmission } from './records/roster.ts'
import { asValue, keys, pneKey } from './records.ts'
import { refusals } from './refusals.ts'
import type { CountedAdmission, NetworkView } from './view.ts'

/*
 * `pn.update`: who is in the roster.
 *
 * The word of owner and administrator is firm. What a gateway admits on its own, in a PN that is open, (the non-member flow: first PN Update, then Registration) is
 * held open for a while only: if the registration fails and nobody takes the admission back, it ends by itself.
 *
 * At the home operator admissions stand in the home document. An operator with the right `admit` writes those of its own
 * gateways in its `visit/…` document, with nobody else reached; it may take back what was admitted there. An administrator
 * elsewhere has the home operator remove, by way of its own, which vouches for it.
 *
 * A change that is already so is no change: it conflicts with no version, and is written nowhere.
 */

export interface RosterRules {
  readonly self: OperatorId
  readonly admissionMs: number
  /** How long after it lapsed an admission stays written. */
  readonly keptMs: number
  readonly maxRoster: number
}

export const rosterUpdate = (rules: RosterRules): Decided<PnUpdateParams, PnUpdateResult> => ({
  spec: pnUpdate,
  network: ({ home, pnId }) => ({ home, pnId }),

  isVouchedFor: true,

  executor({ home, pnId, operation }, caller, view) {
    const { self } = rules
    if (self === home || caller.kind === 'operator') return home
    if (!view) throw caller.principal.operator === home ? refusals.elsewhere(home) : refusals.pnUnknown({ home, pnId })
    const isOurs = caller.principal.operator === self
    const isAdministrator = isOurs && mayAdminister(view, caller)
    const isGatewayOfOurs = isOurs && isGateway(view, caller.principal)
    if (isGatewayOfOurs && !isAdministrator) requireRight(view, self, 'admit')
    if (isGatewayOfOurs && mayOperate(view, self, 'admit') && !(isAdministrator && operation === 'remove')) return self
    if (!isAdministrator) throw refusals.elsewhere(home)
    return home
  },

  decide(params, caller, state) {
    const view = live({ home: params.home, pnId: params.pnId }, state.view)
    const isFirm = mayAdminister(view, caller)
    if (!isFirm) requireAdmitter(view, caller)
    const change = { view, caller, rules, isFirm, own: state.own, now: state.now, time: params.time }

    const pnes = [...new Map(params.pnes.map(pne => [pneKey(pne), pne])).values()]
    const writes = pnes
      .flatMap(pne => (params.operation === 'add' ? addition(pne, change) : removal(pne, change)))
      .map(write => ({ ...write, ...timed(params.time) }))

    const { version } = view.inventory
    if (writes.length > 0 && params.expectedVersion !== undefined && params.expectedVersion !== version) {
      throw refusals.version(params.expectedVersion, version)
    }
    if (params.operation === 'add' && writes.length > 0 && !isFirm && view.closedSince !== undefined) {
      throw refusals.joinedByInvitation(view.inventory)
    }
    if (params.operation === 'add' && writes.length > 0 && countAfter(pnes, change) > rules.maxRoster) {
      throw refusals.tooMany('PNEs', rules.maxRoster)
    }
    return { writes, answer: after => ({ version: after().inventory.version }) }
  },
})

interface Change {
  readonly view: NetworkView
  readonly caller: Caller
  readonly rules: RosterRules
  readonly isFirm: boolean
  readonly own: Registers
  readonly now: number
  readonly time: number | undefined
}

/** Gateways of the PN, and operators with the right `admit` for theirs. @throws {CommandRefused} 403 */
function requireAdmitter(view: NetworkView, caller: Caller): void {
  if (caller.kind === 'subscriber' && !isGateway(view, caller.principal)) {
    throw refusals.notAuthorised(
      'Only the owner, the administrator and the gateways of the Personal Network may change its roster.',
    )
  }
  requireRight(view, operatorOf(caller), 'admit')
}

function addition(pne: Pne, { view, caller, rules, isFirm, own, now, time }: Change): RegisterWrite[] {
  const present = view.admissions.get(pneKey(pne)) ?? []
  if (present.length > 0 && (!isFirm || present.some(isForGood))) return []

  const isHome = view.inventory.home === rules.self
  const key = isHome ? keys.roster(pne) : keys.admission(pne)
  // The stamp that the register will have, and past what was undone: whatever clocks say, what was registered before
  // stays behind it.
  const stamp = time === undefined ? Math.max(now, (own.get(key)?.stamp ?? -1) + 1) : Math.min(time, now)
  const since = Math.min(maxStamp, Math.max(stamp, (view.undone.get(pneKey(pne))?.since ?? -1) + 1))
  const admission: Admission = {
    by: operatorOf(caller),
    since: Math.min(since, ...present.map(({ record }) => record.since)),
    ...ground(view, rules.self),
    ...(isFirm ? {} : { pendingUntil: stamp + rules.admissionMs }),
  }
  return [{ key, value: asValue(admission) }]
}

/** PNEs in the roster when these have been added; those whose admission lapsed count as long as it stands written. */
function countAfter(added: readonly Pne[], { view, rules, own, now }: Change): number {
  const prefix = rosterPrefix(view, rules.self)
  const lapsed = [...own.entries(prefix)].flatMap(([key, register]) => {
    const { epoch, pendingUntil = now } = asAdmission(register) ?? {}
    return epoch === view.inventory.epoch && now < pendingUntil + rules.keptMs ? [key.slice(prefix.length)] : []
  })
  return new Set([...view.admissions.keys(), ...lapsed, ...added.map(pneKey)]).size
}

/** What stands in this operator's document of a PNE whose admission has lapsed. */
function lapsedAdmission(pne: Pne, { view, rules, own }: Change): CountedAdmission[] {
  const record = asAdmission(own.get(`${rosterPrefix(view, rules.self)}${pneKey(pne)}`))
  return record?.epoch === view.inventory.epoch ? [{ document: rules.self, record }] : []
}

const rosterPrefix = ({ inventory }: NetworkView, self: OperatorId): string =>
  inventory.home === self ? 'roster/' : 'admission/'

const isForGood = ({ record }: CountedAdmission): boolean => record.pendingUntil === undefined

function removal(pne: Pne, change: Change): RegisterWrite[] {
  const { view, caller, rules, isFirm } = change
  const { home } = view.inventory
  const present = view.admissions.get(pneKey(pne)) ?? lapsedAdmission(pne, change)
  if (present.length === 0) return []

  const by = operatorOf(caller)
  const isTheirs = ({ document, record }: CountedAdmission) => (rules.self === home ? record.by : document) === by
  if (!isFirm && by !== home && !present.every(isTheirs)) {
    throw refusals.notAuthorised(
      `${pneKey(pne)} was admitted by others. The owner, or a gateway of ${home}, can remove it.`,
    )
  }
  if (rules.self !== home) return [{ key: keys.admission(pne), value: null }]
  const undone = present
    .filter(admission => leavesTraces(pne, admission, view))
    .flatMap(admission => undoing(pne, admission, change))
  return [{ key: keys.roster(pne), value: null }, ...undone]
}

/** What a gateway let in, and what never registered, has nothing that could come back. */
const leavesTraces = (pne: Pne, admission: CountedAdmission, view: NetworkView): boolean =>
  isForGood(admission) || admission.document !== view.inventory.home || view.registrations.has(pneKey(pne))

/** Undoes an admission; what was said so of earlier ones in the same document is said with it. */
function undoing(pne: Pne, { document, record }: CountedAdmission, { view, own }: Change): RegisterWrite[] {
  const key = keys.undone(document, pne, record.stamp)
  const before = [...own.entries(keys.undoings(document, pne))].filter(
    ([other, { value }]) => value !== null && other !== key,
  )
  const since = Math.max(record.since, view.undone.get(pneKey(pne))?.since ?? -1)
  const value = asValue({ epoch: view.inventory.epoch, since })
  return [{ key, value }, ...before.map(([other]) => ({ key: other, value: null }))]
}

/** What everything that is said in a PN names: its epoch, and the grant that allows it. */
export function ground(view: NetworkView, self: OperatorId): { readonly epoch: number; readonly grant?: string } {
  const { epoch } = view.inventory
  const grant = view.grants.get(self)
  return grant ? { epoch, grant: grant.id } : { epoch }
}

/**
 * What puts a PNE into the roster for good, by the word of the home operator; nothing, if it is so already.
 * @throws {CommandRefused} 409 when there are as many as may be
 */
export function firmAdmission(pne: Pne, change: Omit<Change, 'caller' | 'isFirm'>): RegisterWrite[] {
  const { home } = change.view.inventory
  const firm: Change = { ...change, caller: { kind: 'operator', operator: home }, isFirm: true }
  const writes = addition(pne, firm)
  if (writes.length > 0 && countAfter([pne], firm) > change.rules.maxRoster) {
    throw refusals.tooMany('PNEs', change.rules.maxRoster)
  }
  return writes.map(write => ({ ...write, ...timed(change.time) }))
}
