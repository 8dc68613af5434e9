import { z } from 'zod'
import { operator, segment } from '../commands/fields.ts'
import { fromBase64url, toBase64url } from '../commands/framing.ts'
import { type Capabilities, capabilities, network, type Pne } from '../inventory/fields.ts'
import { pneKey } from '../inventory/records.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { GatewayStore } from '../ports/gateway-store.ts'
import { createKeeper, readKept } from './keeper.ts'
import { networkKey } from './local-inventories.ts'

/*
 * Which PNEs have paired with the gateway: devices beside it that its user has let in. Pairing is local: it proves nothing
 * to a server, and a server need not be there. A PNE brings a secret of its own, by which it is known again; the gateway
 * keeps only the hash.
 */

export interface Pairing {
  readonly network: NetworkName
  readonly pne: Pne
  readonly mode: 'PNE' | 'BOTH'
  readonly capabilities: Capabilities
  /** SHA-256 of the PNE's secret, base64url. */
  readonly secretHash: string
  /** Milliseconds since 1970, by the gateway's clock: when it was let in, and when it came last. */
  readonly since: number
  readonly seen: number
  /** Why the server would not have it in the roster. It is proposed again only when it pairs anew, with another secret. */
  readonly refused?: { readonly reason: string; readonly message: string } | undefined
}

export interface PairingRequest extends Pick<Pairing, 'network' | 'pne' | 'mode' | 'capabilities'> {
  readonly secret: string
}

export interface Pairings {
  get(network: NetworkName, pne: Pne): Pairing | undefined
  of(network: NetworkName): Pairing[]
  /**
   * Pairs: at once for who brings the secret of its pairing, else if `consents` says so. Durable when it resolves.
   * @returns `undefined` when it was not let in @throws {PairingsFull}; whatever the store throws
   */
  pair(request: PairingRequest, consents: () => Promise<boolean>): Promise<Pairing | undefined>
  /** The server will not have it. Durable when it resolves. */
  refuse(network: NetworkName, pne: Pne, why: { readonly reason: string; readonly message: string }): Promise<void>
}

export class PairingsFull extends Error {
  override readonly name = 'PairingsFull'
}

export interface PairingsOptions {
  readonly store: GatewayStore
  readonly clock: Pick<Clock, 'now'>
  readonly crypto: Pick<ClientCrypto, 'sha256'>
  readonly maxPairings?: number | undefined
}

const defaultMaxPairings = 256
/** A device that did not come for so long has lost its place to others. */
const keptMs = 30 * 86_400_000
/** Consent may be a person's: so many wait for it at once. */
const maxAsked = 16

const keptSchema = z.object({
  pairings: z.array(
    z.object({
      network: z.object(network),
      pne: z.object({ operator, pneId: segment }),
      mode: z.enum(['PNE', 'BOTH']),
      capabilities,
      secretHash: z.string().length(43),
      since: z.int(),
      seen: z.int(),
      refused: z.object({ reason: z.string(), message: z.string() }).optional(),
    }),
  ),
})

export async function openPairings(options: PairingsOptions): Promise<Pairings> {
  const { store, clock, crypto, maxPairings = defaultMaxPairings } = options
  const known = new Map<string, Pairing>()
  for (const pairing of (await readKept(store, 'pairings', keptSchema))?.pairings ?? [])
    known.set(keyOf(pairing), pairing)
  const keeper = createKeeper(store, 'pairings', () => ({ pairings: [...known.values()] }))
  /** Questions that somebody is asked at the moment; who asks again meanwhile waits for the same answer. */
  const asking = new Map<string, Promise<boolean>>()

  async function keep(pairing: Pairing): Promise<Pairing> {
    const before = known.get(keyOf(pairing))
    known.set(keyOf(pairing), pairing)
    try {
      await keeper.save()
      return pairing
    } catch (error) {
      if (before) known.set(keyOf(pairing), before)
      else known.delete(keyOf(pairing))
      throw error
    }
  }

  /** @throws {PairingsFull} */
  function requireRoom(isNew: boolean): void {
    const now = clock.now()
    for (const [key, { seen }] of known) if (seen + keptMs <= now) known.delete(key)
    if (asking.size < maxAsked && (!isNew || known.size + asking.size < maxPairings)) return
    throw new PairingsFull(`${known.size} PNEs are paired with the gateway and ${asking.size} wait for consent.`)
  }

  return {
    get: (network, pne) => known.get(keyOf({ network, pne })),
    of: network => [...known.values()].filter(pairing => networkKey(pairing.network) === networkKey(network)),

    async pair({ secret, ...request }, consents) {
      const secretHash = toBase64url(await crypto.sha256(fromBase64url(secret) ?? new Uint8Array(0)))
      const before = known.get(keyOf(request))
      const now = clock.now()
      if (before?.secretHash === secretHash) return keep({ ...before, ...request, seen: now })
      const question = `${keyOf(request)}/${secretHash}`
      if (!asking.has(question)) {
        requireRoom(!before)
        asking.set(
          question,
          consents().finally(() => asking.delete(question)),
        )
      }
      if (!(await asking.get(question))) return undefined
      const meanwhile = known.get(keyOf(request))
      const isKnown = meanwhile?.secretHash === secretHash
      return keep(isKnown ? meanwhile : { ...request, secretHash, since: now, seen: now })
    },

    async refuse(network, pne, refused) {
      const pairing = known.get(keyOf({ network, pne }))
      if (pairing) await keep({ ...pairing, refused })
    },
  }
}

const keyOf = ({ network, pne }: Pick<Pairing, 'network' | 'pne'>): string => `${networkKey(network)}/${pneKey(pne)}`
