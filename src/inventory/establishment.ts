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

/**
 * `pn.establish`: a new PN, or one of the caller's own that has ended, under the id that it had. Usage information that the
 * caller saved names the epoch that it knew: the new one is past it even where nothing is known of the PN any more, so
 * that whatever is still held of it somewhere counts for nothing.
 *
 * `derivedId` makes a PN id of a caller and a command id.
 */
export function establishment(
  self: OperatorId,
  derivedId: (caller: Caller, commandId: string) => string,
): Decided<PnEstablishParams, PnEstablishResult> {
  const nameOf = ({ pnId, usage, commandId }: PnEstablishParams, caller: Caller): NetworkName => ({
    home: operatorOf(caller),
    pnId: pnId ?? usage?.pnId ?? derivedId(caller, commandId),
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
      const { usage } = params
      if (usage && (usage.home !== name.home || usage.pnId !== name.pnId)) {
        throw refusals.malformed(`The usage information is of ${usage.pnId} of ${usage.home}, not of this one.`)
      }
      const isMine = view !== undefined && isOwner(view, caller)
      const isRepeated = isMine && view.command === params.commandId
      if (view && !isRepeated && !(isMine && view.inventory.state !== 'live')) throw refusals.established(name)

      const { alias = usage?.alias, lifetimeMs, connectionMode, commandId, time } = params
      if (alias === undefined) throw refusals.malformed('A Personal Network needs an alias.')
      const record = {
        alias,
        owner: caller.principal.identity,
        epoch: Math.max(view?.inventory.epoch ?? 0, usage?.epoch ?? 0) + 1,
        expires: lifetimeMs === undefined ? undefined : Math.min(time ?? now, now) + lifetimeMs,
        connectionMode,
        command: commandId,
      }
      return {
        writes: isRepeated ? [] : [{ key: keys.network, value: asValue(record), ...timed(time) }],
        answer: after => {
          const { version, epoch } = after().inventory
          return { ...name, document: homeDocument(name), version, epoch }
        },
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
