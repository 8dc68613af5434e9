import { refusedBy } from '../../commands/foreign-refusal.ts'
import { framed, toBase64url } from '../../commands/framing.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Caller, live, mayAdminister } from '../authority.ts'
import { timed } from '../establishment.ts'
import type { Execution } from '../execution.ts'
import type { Pne } from '../fields.ts'
import type { NetworkDecision, NetworkState, Networks } from '../networks.ts'
import type { Procedure } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import type { NetworkView } from '../view.ts'
import type { Letter } from './letter.ts'
import { longestInvitationMs } from './limits.ts'
import { type PnInviteParams, type PnInviteResult, type PnWithdrawParams, pnInvite, pnWithdraw } from './methods.ts'
import type { Post } from './post.ts'
import {
  asInvitationValue,
  type Invitation,
  invitationIn,
  invitationKeys,
  invitationLeftovers,
  invitationsIn,
  inviteeOf,
} from './records.ts'
import { invitationRefusals } from './refusals.ts'

/*
 * Inviting, and taking back. An invitation is first brought to the operator of whoever is invited, then written: what that
 * operator refuses was never made. Where it cannot be reached the invitation is made all the same, and brought later.
 */

export interface InvitingOptions {
  readonly networks: Networks
  readonly post: Post
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Pick<Clock, 'now'>
  readonly keptMs: number
  readonly maxInvitations: number
}

const nameOf = ({ home, pnId }: { readonly home: OperatorId; readonly pnId: string }) => ({ home, pnId })

export function inviting(options: InvitingOptions, { decided }: Execution): Procedure<PnInviteParams, PnInviteResult> {
  const { networks, post, crypto, clock, keptMs, maxInvitations } = options

  function decide(
    params: PnInviteParams,
    caller: Caller,
    { view: found, own, now }: NetworkState,
    delivered: boolean,
  ): NetworkDecision<PnInviteResult> {
    const view = live(nameOf(params), found)
    if (!mayAdminister(view, caller)) throw refusals.notTheOwner(nameOf(params))
    const { epoch } = view.inventory
    const invitation = idOf(crypto, params, caller)
    const present = invitationIn(own, invitation, epoch, now)
    if (present) {
      return { writes: [], answer: () => ({ invitation, expires: present.record.expires, delivered }) }
    }
    requireJoinable(view)
    if (params.expires <= now) throw refusals.malformed('The invitation would have expired already.')
    const pne = { operator: params.operator, pneId: params.identity }
    if (isFirmlyIn(view, pne)) throw invitationRefusals.isIn(pne)
    const open = invitationsIn(own, epoch, now).filter(({ state }) => state === 'open')
    if (open.some(other => pneKey(inviteeOf(other)) === pneKey(pne))) throw invitationRefusals.isInvited(pne)
    if (open.length >= maxInvitations) throw invitationRefusals.tooMany(maxInvitations)

    const expires = Math.min(params.expires, now + longestInvitationMs)
    const { operator, identity, role, commandId, time } = params
    const record = {
      epoch,
      operator,
      identity,
      role,
      by: byOf(caller),
      expires,
      state: 'open',
      command: commandId,
    } as const
    const left = invitationLeftovers(own, epoch, now, keptMs).slice(0, 64)
    return {
      writes: [
        { key: invitationKeys.invitation(invitation), value: asInvitationValue(record), ...timed(time) },
        ...left.map(key => ({ key, value: null })),
      ],
      local: delivered ? [] : [post.later(operator, letterOf(params, caller, view, now, crypto))],
      answer: () => ({ invitation, expires, delivered }),
    }
  }

  /** Brings the invitation, when it would be made. Whether it was taken. @throws {CommandRefused} as the operator does */
  async function bring(params: PnInviteParams, caller: Caller): Promise<boolean> {
    const name = nameOf(params)
    const [view, own] = [await networks.view(name), await networks.own(name)]
    const now = clock.now()
    decide(params, caller, { view, own, now }, true)
    const known = view && invitationIn(own, idOf(crypto, params, caller), view.inventory.epoch, now)
    if (known && known.state !== 'open') return true
    const sent = await post.send(params.operator, letterOf(params, caller, live(name, view), now, crypto))
    if (sent === 'taken' || sent === 'later') return sent === 'taken'
    throw refusedBy(sent)
  }

  const routed = {
    spec: pnInvite,
    network: nameOf,
    executor: ({ home }: PnInviteParams) => home,
  }
  return {
    ...routed,
    async execute(params, caller) {
      const delivered = await bring(params, caller)
      const decision = decided<PnInviteParams, PnInviteResult>({
        ...routed,
        decide: (given, who, state) => decide(given, who, state, delivered),
      })
      return decision.execute(params, caller)
    },
  }
}

export function withdrawing(
  options: InvitingOptions,
  { decided }: Execution,
): Procedure<PnWithdrawParams, Record<string, never>> {
  const decision = decided<PnWithdrawParams, Record<string, never>>({
    spec: pnWithdraw,
    network: nameOf,
    executor: ({ home }) => home,

    decide({ home, pnId, invitation, commandId, time }, caller, state) {
      const view = live({ home, pnId }, state.view)
      if (!mayAdminister(view, caller)) throw refusals.notTheOwner({ home, pnId })
      const found = invitationIn(state.own, invitation, view.inventory.epoch, state.now)
      if (!found) throw invitationRefusals.unknown(invitation)
      const answer = () => ({})
      if (found.state === 'withdrawn') return { writes: [], answer }
      requireOpen(found)
      const record = { ...found.record, state: 'withdrawn', command: commandId } as const
      const key = invitationKeys.invitation(invitation)
      return { writes: [{ key, value: asInvitationValue(record), ...timed(time) }], answer }
    },
  })
  return {
    ...decision,
    async execute(params, caller) {
      const result = await decision.execute(params, caller)
      await close(options, params)
      return result
    },
  }
}

/** Tells the invitee's operator that an invitation is open no longer; if it does not hear, the home still says so. */
export async function close(
  { networks, post, clock }: Pick<InvitingOptions, 'networks' | 'post' | 'clock'>,
  { home, pnId, invitation }: { readonly home: OperatorId; readonly pnId: string; readonly invitation: string },
): Promise<void> {
  const view = await networks.view({ home, pnId })
  const own = await networks.own({ home, pnId })
  const found = view && invitationIn(own, invitation, view.inventory.epoch, clock.now())
  if (!found) return
  const { operator, identity, role, by, expires } = found.record
  const { alias } = view.inventory
  const letter: Letter = { home, pnId, invitation, identity, state: 'closed', role, alias, by, expires }
  await post.send(operator, letter).catch(() => 'later')
}

/** @throws {CommandRefused} 403 when the PN takes nobody by invitation */
export function requireJoinable({ inventory }: NetworkView): void {
  if (inventory.connectionMode === 'closed') throw invitationRefusals.closed(inventory)
}

/** @throws {CommandRefused} 409 when it was answered, 410 when it was withdrawn or has expired */
export function requireOpen({ state }: Invitation): void {
  if (state === 'accepted' || state === 'declined') throw invitationRefusals.answered(state)
  if (state === 'withdrawn') throw invitationRefusals.withdrawn()
  if (state === 'expired') throw invitationRefusals.expired()
}

export const isFirmlyIn = ({ admissions }: NetworkView, pne: Pne): boolean =>
  admissions.get(pneKey(pne))?.some(({ record }) => record.pendingUntil === undefined) === true

/** The same invitation for the same command, wherever and however often it is executed. */
function idOf(crypto: Pick<Crypto, 'sha256'>, { home, pnId, commandId }: PnInviteParams, caller: Caller): string {
  const bytes = crypto.sha256(framed('cpns invitation id v1', home, pnId, byOf(caller), commandId))
  return `in-${toBase64url(bytes.slice(0, 16))}`
}

const byOf = (caller: Caller): string =>
  caller.kind === 'operator' ? caller.operator : `${caller.principal.operator}/${caller.principal.identity}`

function letterOf(
  params: PnInviteParams,
  caller: Caller,
  { inventory }: NetworkView,
  now: number,
  crypto: Pick<Crypto, 'sha256'>,
): Letter {
  const { home, pnId, identity, role, message } = params
  return {
    home,
    pnId,
    invitation: idOf(crypto, params, caller),
    identity,
    state: 'open',
    role,
    alias: inventory.alias,
    by: byOf(caller),
    ...(message !== undefined && { message }),
    expires: Math.min(params.expires, now + longestInvitationMs),
  }
}
