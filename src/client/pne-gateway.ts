import type { z } from 'zod'
import { toBase64url } from '../commands/framing.ts'
import type { Capabilities, Mode } from '../inventory/fields.ts'
import type { Activity } from '../inventory/methods.ts'
import type { OperatorId } from '../ports/names.ts'
import { RequestRefused } from './errors.ts'
import {
  gatewayDiscover,
  gatewayLookup,
  gatewayPair,
  gatewayPath,
  gatewayPresent,
  gatewayReady,
  gatewaySubprotocol,
} from './gateway-protocol.ts'
import { backoffMs, isOpen, sleep } from './patience.ts'
import type { ClientPorts } from './session.ts'
import { openWire, type Wire } from './wire.ts'

/*
 * A device and the gateways beside it: which one it asks, that it looks for each only once, that it comes again after what
 * need not be so for ever, and that it pairs and waits where the gateway has no server.
 */

export interface PneGatewayOptions {
  /** Base URL of the gateway beside it, `ws://…`. */
  readonly gatewayUrl: string
  /** Further gateways beside it, tried in this order where one is not there or has no server. */
  readonly otherGatewayUrls?: readonly string[]
  /**
   * 16 bytes by which a gateway knows the device again as the one that paired, to be kept beside its key. Default: drawn anew,
   * so that the gateway asks for consent again when the program has ended.
   */
  readonly pairingSecret?: Uint8Array
  /** The Personal Network that it wants to be an element of. */
  readonly home: OperatorId
  readonly pnId: string
  /** Whose subscriber it is, and under which name. */
  readonly operator: OperatorId
  readonly pneId: string
  readonly mode?: Mode
  readonly capabilities?: Capabilities
  readonly timeoutMs?: number
  /** How often it tries before it gives up. Default: 6. */
  readonly attempts?: number
}

/** How it stands with a gateway that it has paired with; see `gateway.pair`. */
export type PnePairing = z.infer<typeof gatewayPair.result>
/** What a gateway tells of a Personal Network; see `gateway.lookup`. */
export type PneLookup = z.infer<typeof gatewayLookup.result>
/** Which members are wanted. */
export type PneLookupFilter = Omit<z.infer<typeof gatewayLookup.params>, 'home' | 'pnId'>

export interface PneGateways {
  /**
   * Does something at a gateway until it is done, is refused for good, or was tried often enough; `anew` prepares another
   * request where the same would be refused again.
   */
  persistently<T>(use: (wire: Wire, gatewayId: string) => Promise<T>, anew?: () => void): Promise<T>
  pair(): Promise<PnePairing>
  lookup(filter: PneLookupFilter): Promise<PneLookup>
  present(state: Activity): Promise<{ readonly holdsMs: number }>
}

/** The gateway as it is connected. */
interface Gateway {
  readonly url: string
  readonly wire: Wire
  /** Settles when it says that it is ready, or is gone. */
  readonly called: Promise<void>
}

const backoff = { firstMs: 500, longestMs: 10_000 }

export function createPneGateways({ sockets, crypto, clock }: ClientPorts, options: PneGatewayOptions): PneGateways {
  const { home, pnId, operator, pneId, mode = 'PNE', capabilities = {}, timeoutMs = 10_000, attempts = 6 } = options
  const secret = toBase64url(options.pairingSecret ?? crypto.randomBytes(16))
  const urls = [options.gatewayUrl, ...(options.otherGatewayUrls ?? [])].map(url => url.replace(/\/+$/, ''))
  /** Which one of them is asked; the next one when it is not there or has no server. */
  let turn = 0
  /** By URL: whoever was discovered once is not looked for again. */
  const discovered = new Map<string, string>()

  async function withGateway<T>(use: (gateway: Gateway) => Promise<T>): Promise<T> {
    const url = urls[turn % urls.length] as string
    const { promise: called, resolve: call } = Promise.withResolvers<void>()
    try {
      const socket = await sockets.connect(`${url}${gatewayPath}`, [gatewaySubprotocol])
      const wire = openWire(socket, clock, {
        notification: method => method === gatewayReady.method && call(),
        closed: () => call(),
      })
      return await use({ url, wire, called }).finally(() => wire.close())
    } catch (error) {
      if (isOpen(error) || isWithoutServer(error)) turn += 1
      if (isElsewhere(error)) discovered.delete(url)
      throw error
    }
  }

  async function discover({ url, wire }: Gateway): Promise<string> {
    const gatewayId = discovered.get(url) ?? (await wire.call(gatewayDiscover, { mode }, timeoutMs)).gatewayId
    discovered.set(url, gatewayId)
    return gatewayId
  }

  function pair({ wire }: Gateway): Promise<PnePairing> {
    const as = mode === 'BOTH' ? mode : 'PNE'
    return wire.call(gatewayPair, { home, pnId, operator, pneId, mode: as, capabilities, secret }, timeoutMs)
  }

  /** Where there is no other gateway, the one that is there is to know of the device, and calls when it has its server again. */
  async function waitForServer(error: unknown, gateway: Gateway): Promise<void> {
    if (!isWithoutServer(error) || urls.length > 1) return
    await pair(gateway).catch(unlessWithoutConsent)
    const { promise: waited, resolve } = Promise.withResolvers<void>()
    const cancel = clock.after(retryAfterMs(error), resolve)
    await Promise.race([gateway.called, waited])
    cancel()
  }

  return {
    async persistently(use, anew) {
      for (let attempt = 1; ; attempt++) {
        try {
          return await withGateway(async gateway => {
            const gatewayId = await discover(gateway)
            return use(gateway.wire, gatewayId).catch(async error => {
              if (attempt < attempts) await waitForServer(error, gateway)
              throw error
            })
          })
        } catch (error) {
          const next = nextAfter(error)
          if (next === 'give-up' || (next === 'anew' && !anew) || attempt >= attempts) throw error
          if (next === 'anew') anew?.()
          // For the server it has waited already.
          const isWaitOver = isWithoutServer(error)
          const askedMs = isWaitOver ? 0 : retryAfterMs(error)
          await sleep(clock, askedMs + backoffMs(isWaitOver ? 1 : attempt, crypto, backoff))
        }
      }
    },
    pair: () => withGateway(pair),
    lookup: filter =>
      withGateway(async gateway => {
        await pair(gateway)
        return gateway.wire.call(gatewayLookup, { home, pnId, ...filter }, timeoutMs)
      }),
    present: state =>
      withGateway(async gateway => {
        await pair(gateway)
        return gateway.wire.call(gatewayPresent, { home, pnId, operator, pneId, state }, timeoutMs)
      }),
  }
}

/** The gateway says when to come again: it has no server at the moment. */
const isWithoutServer = (error: unknown): boolean =>
  error instanceof RequestRefused && error.status === 423 && error.retryAfterMs !== undefined

/** A gateway that knows nothing yet, or has no room, may be one to wait for all the same. */
function unlessWithoutConsent(error: unknown): void {
  if (!(error instanceof RequestRefused) || error.status === 403) throw error
}

const retryAfterMs = (error: unknown): number => (error instanceof RequestRefused ? (error.retryAfterMs ?? 0) : 0)

/** Another gateway than before answers there. */
const isElsewhere = (error: unknown): boolean =>
  error instanceof RequestRefused && error.status === 404 && error.reason === 'GATEWAY_UNKNOWN'

/** Refusals of one request that another one, with a new challenge and transaction, need not meet. */
const passing = new Set(['CHALLENGE_EXPIRED', 'CHALLENGE_UNKNOWN', 'KEY_EPOCH_UNKNOWN', 'PSEUDONYM_UNKNOWN', 'EXPIRED'])

function nextAfter(error: unknown): 'repeat' | 'anew' | 'give-up' {
  if (isOpen(error)) return 'repeat'
  if (!(error instanceof RequestRefused)) return 'give-up'
  if (passing.has(error.reason)) return 'anew'
  if (isWithoutServer(error) || isElsewhere(error)) return 'repeat'
  // Asked too often, too much to do, no answer in time; or the server that is asked does not know yet what another answered.
  const isForNow = error.status === 429 || error.status === 503 || error.status === 504
  return isForNow || error.reason === 'TRANSACTION_UNKNOWN' ? 'repeat' : 'give-up'
}
