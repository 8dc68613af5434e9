import type { OperatorId } from '../ports/names.ts'
import { type Caller, isOwner, live, operatorOf } from './authority.ts'
import {
  type PnEstablishParams,
  type PnEstablishResult,
  type PnReleaseParams,
  type PnReleaseResult,
  pnEstablish,
  pnRelease,
} from './methods.ts'
import { homeDocument } from './networks.ts'
import type { Decided } from './procedure.ts'
import { asValue, keys } from './records.ts'
import { refusals } from './refusals.ts'
import type { NetworkName } from './view.ts'

/*
 * The beginning and the end of a Personal Network. Its epoch rises with both: what was said in an earlier epoch counts
 * for nothing, so a PN that is established anew starts empty, and a server that was away for long cannot bring back what
 * a release has ended.
 */

/** `derivedId` makes a PN id of a caller and a command id. */
export function establishment(
  self: OperatorId,
  derivedId: (caller: Caller, commandId: string) => string,
): Decided<PnEstablishParams, PnEstablishResult> {
  const nameOf = ({ pnId, commandId }: PnEstablishParams, caller: Caller): NetworkName => ({
    home: operatorOf(caller),
    pnId: pnId ?? derivedId(caller, commandId),
  })

  return {
    spec: pnEstablish,
    network: nameOf,
    executor: (_, caller) => operatorOf(caller),

    decide(params, caller, { view, now }) {
      if (caller.kind !== 'subscriber' || caller.principal.operator !== self) {
        throw refusals.notAuthorised('A Personal Network is established by a subscriber, at its own operator.')
      }
      const name = nameOf(params, caller)
      const isMine = view !== undefined && isOwner(view, caller)
      const isRepeated = isMine && view.command === params.commandId
      if (view && !isRepeated && !(isMine && view.inventory.state !== 'live')) throw refusals.established(name)

      const { alias, lifetimeMs, commandId, time } = params
      const record = {
        alias,
        owner: caller.principal.identity,
        epoch: (view?.inventory.epoch ?? 0) + 1,
        expires: lifetimeMs === undefined ? undefined : Math.min(time ?? now, now) + lifetimeMs,
        command: commandId,
      }
      return {
        writes: isRepeated ? [] : [{ key: keys.network, value: asValue(record), ...timed(time) }],
        answer: after => ({ ...name, document: homeDocument(name), version: after().inventory.version }),
      }
    },
  }
}

export const release: Decided<PnReleaseParams, PnReleaseResult> = {
  spec: pnRelease,
  network: ({ home, pnId }) => ({ home, pnId }),
  executor: ({ home }) => home,

  decide({ home, pnId, commandId, time }, caller, { view }) {
    const name = { home, pnId }
    if (!view) throw refusals.pnUnknown(name)
    if (!isOwner(view, caller)) throw refusals.notTheOwner(name)
    const { lastRelease } = view
    if (lastRelease?.command === commandId) return { writes: [], answer: () => ({ epoch: lastRelease.epoch }) }
    const { state, epoch } = view.inventory
    if (state !== 'expired') live(name, view)

    const record = { epoch: epoch + 1, command: commandId }
    return {
      writes: [{ key: keys.release, value: asValue(record), ...timed(time) }],
      answer: () => ({ epoch: epoch + 1 }),
    }
  },
}

/** A write at the time that its command says; without one, after everything that is there. */
export const timed = (time: number | undefined): { readonly at?: number } => (time === undefined ? {} : { at: time })
