import type { Clock } from '../../ports/clock.ts'
import { type Caller, operatorOf } from '../authority.ts'
import type { Procedure } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { pneOf } from './passage.ts'
import type { Way } from './seal.ts'

/*
 * How often PNEs and gateways may ask, counted before anything is opened, computed or queued for them.
 *
 * A gateway is counted in one PN, a PNE at one gateway: whatever a gateway sends in the name of a PNE, the PNE has all of
 * its own at another one. Who is no gateway of the PN was refused before it came here.
 */

export interface RateLimits {
  /** Requests of one PNE at one gateway, in the long run, and at once. */
  readonly pnePerSecond: number
  readonly pneBurst: number
  /** Of one gateway in one PN, for all the PNEs behind it. */
  readonly gatewayPerSecond: number
  readonly gatewayBurst: number
  /** Names that are counted at once, of each kind. */
  readonly maxNames: number
}

/** A registration takes two requests. A PNE that lost its way tries often; a PN whose power comes back registers all at once. */
export const defaultRates: RateLimits = {
  pnePerSecond: 0.5,
  pneBurst: 40,
  gatewayPerSecond: 50,
  gatewayBurst: 4_096,
  maxNames: 20_000,
}

export interface Rates {
  /** The procedure, for who has not asked too often. Its callers get 429 else. */
  limited<Params extends Way & { readonly pneId?: string }, Result>(
    procedure: Procedure<Params, Result>,
  ): Procedure<Params, Result>
}

export function createRates(clock: Pick<Clock, 'elapsed'>, limits: RateLimits): Rates {
  const pnes = allowances(limits.pnePerSecond, limits.pneBurst, limits.maxNames)
  const gateways = allowances(limits.gatewayPerSecond, limits.gatewayBurst, limits.maxNames)

  function admit(params: Way & { readonly pneId?: string }, caller: Caller): void {
    const now = clock.elapsed()
    const { operator, pneId } = params
    const gateway = `${operatorOf(caller)}/${params.gatewayId}/${params.home}/${params.pnId}`
    const waitMs = Math.max(
      pneId === undefined ? 0 : pnes.waitMs(`${gateway}/${pneKey(pneOf({ operator, pneId }))}`, now),
      gateways.waitMs(gateway, now),
    )
    if (waitMs > 0) throw refusals.tooManyRequests(waitMs)
  }

  return {
    limited: procedure => ({
      ...procedure,
      async execute(params, caller) {
        admit(params, caller)
        return procedure.execute(params, caller)
      },
    }),
  }
}

/**
 * A token bucket for each name, kept as the moment at which it will be full. A full one is as good as none, so it is
 * forgotten first; then the one that was used longest ago: whoever makes up names wins nothing for those it has used up,
 * and takes nothing from anybody.
 */
function allowances(perSecond: number, burst: number, maxNames: number) {
  const tokenMs = 1_000 / perSecond
  /** The one used longest ago first. */
  const fullAt = new Map<string, number>()

  return {
    /** Takes a token, and answers 0; or answers how long until there is one. */
    waitMs(name: string, now: number): number {
      const full = Math.max(fullAt.get(name) ?? now, now) + tokenMs
      const waitMs = Math.ceil(full - now - burst * tokenMs)
      if (waitMs > 0) return waitMs
      fullAt.delete(name)
      fullAt.set(name, full)
      if (fullAt.size > maxNames) forget(now)
      return 0
    },
  }

  function forget(now: number): void {
    for (const [name, full] of fullAt) if (full <= now) fullAt.delete(name)
    for (const name of fullAt.keys()) {
      if (fullAt.size <= maxNames) return
      fullAt.delete(name)
    }
  }
}
