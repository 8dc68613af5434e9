import { CommandRefused, type Status, statuses } from '../../federation/command.ts'
import type { CommandAnswer, CommandHandler, Federation } from '../../federation/federation.ts'
import type { ServerId } from '../../ports/names.ts'
import { asRefusal } from '../dispatch.ts'
import type { Query } from '../procedure.ts'
import { refusals } from '../refusals.ts'
import { executorOf, nameOf, passable, wayOf } from '../registration/passage.ts'
import type { NetworkView } from '../view.ts'
import { type SecureSendParams, type SecureSendResult, secureSend } from './methods.ts'
import type { SecureOptions } from './opening.ts'
import { secureRefusals } from './refusals.ts'
import { serverOf } from './sessions.ts'
import { requireStanding } from './standing.ts'

/** By which servers of one operator pass frames on to the one that has the session. No method of clients. */
export const carryMethod = 'server.carry'

export interface SendingOptions extends SecureOptions {
  readonly server: ServerId
  readonly federation: () => Federation
}

/**
 * `secure.send`: one frame, to the server that has the session, whose name says which that is. A gateway that came to another
 * server of its operator, or whose operator asks whichever server it reaches, need not know. A session is good on the way
 * that it was opened for, and for as long as its registration holds.
 */
export function sending(options: SendingOptions): {
  readonly send: Query<SecureSendParams, SecureSendResult>
  readonly carry: CommandHandler
} {
  const { server, federation, networks, clock, sessions } = options

  async function take(params: SecureSendParams, view: NetworkView): Promise<SecureSendResult> {
    const facts = sessions.find(params.session)
    if (!facts || !isSameWay(facts.way, wayOf(params))) throw secureRefusals.unknown()
    const pne = { operator: params.operator, pneId: facts.pneId }
    try {
      requireStanding(view, pne, facts.transaction, await networks.own(nameOf(params)), clock.now())
    } catch (error) {
      if (error instanceof CommandRefused) sessions.end(params.session)
      throw error
    }
    const { phase, counter, sealed } = params
    return { sealed: await sessions.take(params.session, { phase, counter, sealed }) }
  }

  async function passOn(to: ServerId, params: SecureSendParams): Promise<SecureSendResult> {
    const answer = await federation().requestAt(to, { method: carryMethod, params })
    if (!answer.ok) throw refusedBy(answer)
    return secureSend.result.parse(answer.value)
  }

  return {
    send: {
      spec: secureSend,
      network: nameOf,
      executor: executorOf,
      isVouchedFor: true,
      async perform(params, caller) {
        const view = passable(params, caller, await networks.view(nameOf(params)))
        const at = serverOf(params.session)
        return at === undefined || at === server ? take(params, view) : passOn(at, params)
      },
    },

    /** Whether the gateway may relay was looked at by the server that passes on, which is of this operator. */
    async carry(command, from) {
      if (from.operator !== federation().operator) throw refusals.elsewhere(federation().operator)
      const parsed = secureSend.params.safeParse(command.params)
      if (!parsed.success) throw refusals.malformed(`What ${carryMethod} takes is a frame.`)
      const params = parsed.data
      const view = await networks.view(nameOf(params))
      if (!view) throw refusals.pnUnknown(nameOf(params))
      return { ok: true, value: { ...(await take(params, view).catch(asRefusal)) } }
    },
  }
}

/** A server that cannot be reached has its sessions for itself: the PNE opens another. */
function refusedBy({ status, cause, message, retryAfterMs }: CommandAnswer & { readonly ok: false }): CommandRefused {
  if (status === 423) return secureRefusals.unknown()
  const known: Status = status in statuses ? (status as Status) : 500
  return new CommandRefused(known, message, cause, retryAfterMs)
}

type WayOf = ReturnType<typeof wayOf>
const isSameWay = (a: WayOf, b: WayOf): boolean =>
  a.home === b.home && a.pnId === b.pnId && a.gatewayId === b.gatewayId && a.operator === b.operator
