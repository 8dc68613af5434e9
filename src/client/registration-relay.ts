import { toBase64url } from '../commands/framing.ts'
import type { Pne } from '../inventory/fields.ts'
import {
  type Inventory,
  type InventoryMember,
  type PneConfirmParams,
  type PneConfirmResult,
  type PneRegisterParams,
  type PneRegisterResult,
  pneConfirm,
  pneRegister,
  pnInventory,
  pnUpdate,
} from '../inventory/methods.ts'
import { pneKey } from '../inventory/records.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Clock } from '../ports/clock.ts'
import type { ClientCrypto } from '../ports/crypto.ts'
import type { OperatorId } from '../ports/names.ts'
import { RequestRefused } from './errors.ts'
import { type LocalInventories, networkKey } from './local-inventories.ts'
import { backoffMs, isOpen, sleep } from './patience.ts'
import { ServerUnreachable, type Uplink } from './uplink.ts'

/** What a gateway did for a PNE, beyond relaying. */
export type RelayEvent =
  /** The PNE was no member: it was added, and is registered next. */
  | { readonly type: 'admitted'; readonly network: NetworkName; readonly pne: Pne }
  /** Its registration failed, and it was removed again. */
  | { readonly type: 'withdrawn'; readonly network: NetworkName; readonly pne: Pne; readonly why: string }
  /** It could not be removed: its admission ends by itself. */
  | { readonly type: 'not-withdrawn'; readonly network: NetworkName; readonly pne: Pne; readonly why: string }

export interface RegistrationRelayOptions {
  readonly uplink: Uplink
  readonly inventories: LocalInventories
  readonly crypto: Pick<ClientCrypto, 'randomBytes'>
  readonly clock: Clock
  /** Who the gateway is. */
  readonly gatewayId: string
  readonly operator: OperatorId
  /** The owner's policy: whether a PNE that is no member may become one. */
  readonly admits: (pne: Pne, network: NetworkName) => boolean | Promise<boolean>
  readonly onEvent: (event: RelayEvent) => void
}

/**
 * A gateway's part in a registration. A member's request is passed on. For who is no member the roster is changed first;
 * if the registration is then refused, the change is taken back, so that nobody is left in the roster who never
 * registered. If it stays open what became of it, the admission stands, and ends by itself where nothing came of it.
 *
 * The local inventory saves a question, and never decides alone: where the server says otherwise, it is read again.
 */
export interface RegistrationRelay {
  /** @throws {RequestRefused} 404 when the server knows no such PN with this gateway; else whatever the server refused with. */
  register(params: PneRegisterParams): Promise<PneRegisterResult>
  /** @throws {RequestRefused} whatever the server refused with. */
  confirm(params: PneConfirmParams): Promise<PneConfirmResult>
  /** The inventory as last read; read once if it was not. @throws {RequestRefused} 404 */
  inventory(network: NetworkName): Promise<Inventory>
  /** The inventory as the server has it now. @throws {RequestRefused} 404 */
  refresh(network: NetworkName): Promise<Inventory>
}

/** How often an answer that was lost is asked for again, with the same ids. */
const repetitions = 3
/** How often the roster may change under the gateway's hands before it gives up adding to it. */
const versionConflicts = 10
const conflictBackoff = { firstMs: 50, longestMs: 50 }
const backoff = { firstMs: 200, longestMs: 5_000 }

export function createRegistrationRelay(options: RegistrationRelayOptions): RegistrationRelay {
  const { uplink, inventories, crypto, clock, gatewayId, operator, admits, onEvent } = options
  /** What this gateway has changed since it was read, in a way that it cannot tell. */
  const doubted = new Set<string>()
  const turns = new Map<string, Promise<unknown>>()

  async function refresh({ home, pnId }: NetworkName): Promise<Inventory> {
    const inventory = await insist(() => uplink.call(pnInventory, { home, pnId }))
    const isOurs = inventory.gateways.some(gateway => gateway.gatewayId === gatewayId && gateway.operator === operator)
    if (!isOurs) throw unknownNetwork({ home, pnId })
    doubted.delete(networkKey(inventory))
    inventories.learn(inventory)
    return inventory
  }

  async function known(network: NetworkName): Promise<Inventory> {
    const local = doubted.has(networkKey(network)) ? undefined : inventories.get(network)
    return local?.inventory ?? refresh(network)
  }

  /** Repeats what may or may not have been done, as it was, and what has overtaken the documents that it rests on. */
  async function insist<T>(call: () => Promise<T>): Promise<T> {
    for (let repetition = 1; ; repetition++) {
      try {
        return await call()
      } catch (error) {
        if (!(isOpen(error) || isTooEarly(error)) || repetition > repetitions) throw error
        const askedMs = error instanceof RequestRefused ? (error.retryAfterMs ?? 0) : 0
        await sleep(clock, askedMs + backoffMs(repetition, crypto, backoff))
      }
    }
  }

  async function register(params: PneRegisterParams): Promise<PneRegisterResult> {
    const network = { home: params.home, pnId: params.pnId }
    const pne = { operator: params.operator, pneId: params.pneId }
    const relay = () => insist(() => uplink.call(pneRegister, params))

    if (isMember(await known(network), pne)) {
      const result = await relay().catch(unless('NOT_MEMBER'))
      if (result) return result
    }
    // That it is no member is said by the server: what would be taken back later must not have been there before.
    if (isMember(await refresh(network), pne)) return relay()
    if (!(await admits(pne, network))) {
      throw refusal(403, 'NOT_ADMITTED', `The owner of ${network.pnId} does not let ${pneKey(pne)} in.`)
    }
    const isNew = await inTurn(networkKey(network), () => admit(network, pne))
    try {
      return await relay()
    } catch (error) {
      if (isNew && isRefused(error)) await withdraw(network, pne, error)
      throw error
    }
  }

  /** What was confirmed through this gateway it knows at once; what the PNE said of itself it learns when it reads again. */
  async function confirm(params: PneConfirmParams): Promise<PneConfirmResult> {
    const result = await uplink.call(pneConfirm, params)
    const { home, pnId, operator, pneId } = params
    const local = inventories.get({ home, pnId })?.inventory
    const isSame = (member: InventoryMember) => member.operator === operator && member.pneId === pneId
    if (local) {
      const member = { ...local.members.find(isSame), operator, pneId, gatewayId, since: clock.now(), ...result }
      inventories.learn({ ...local, members: [...local.members.filter(member => !isSame(member)), member] })
    }
    return result
  }

  /** Adds a PNE to the roster, unless somebody else just did. */
  async function admit(network: NetworkName, pne: Pne): Promise<boolean> {
    let inventory = await known(network)
    for (let conflict = 0; ; conflict++) {
      if (isMember(inventory, pne)) return false
      const { version } = inventory
      const params = { ...command(), ...network, operation: 'add' as const, pnes: [pne], expectedVersion: version }
      const result = await insist(() => uplink.call(pnUpdate, params)).catch(
        unless(conflict < versionConflicts ? 'VERSION_CONFLICT' : 'none'),
      )
      if (result) {
        const member = { ...pne, state: 'member' as const, since: clock.now() }
        inventories.learn({ ...inventory, version: result.version, members: [...inventory.members, member] })
        onEvent({ type: 'admitted', network, pne })
        return true
      }
      await sleep(clock, backoffMs(1, crypto, conflictBackoff))
      inventory = await refresh(network)
    }
  }

  async function withdraw(network: NetworkName, pne: Pne, cause: Error): Promise<void> {
    const params = { ...command(), ...network, operation: 'remove' as const, pnes: [pne] }
    try {
      await insist(() => uplink.call(pnUpdate, params))
      onEvent({ type: 'withdrawn', network, pne, why: cause.message })
    } catch (error) {
      onEvent({ type: 'not-withdrawn', network, pne, why: error instanceof Error ? error.message : String(error) })
    }
    doubted.add(networkKey(network))
  }

  const command = () => ({ commandId: toBase64url(crypto.randomBytes(16)) })

  /** One after another, in the order in which they came. */
  function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const turn = (turns.get(key) ?? Promise.resolve()).then(work, work)
    turns.set(key, turn)
    const done = () => {
      if (turns.get(key) === turn) turns.delete(key)
    }
    turn.then(done, done)
    return turn
  }

  return {
    // A repetition must not meet the roster changes of its own first attempt half way.
    register: params => inTurn(`${networkKey(params)}/${pneKey(params)}`, () => register(params)),
    confirm,
    inventory: known,
    refresh,
  }
}

/** By somebody who knows: without an answer it may have been done. Who has not heard of the admission yet knows nothing. */
const isRefused = (error: unknown): error is RequestRefused =>
  error instanceof RequestRefused && error.status !== 504 && !(error instanceof ServerUnreachable) && !isTooEarly(error)

/** The PNE's operator has not received yet what this gateway's server relies on. */
const isTooEarly = (error: unknown): boolean => error instanceof RequestRefused && error.reason === 'NOT_YET'

export const isMember = ({ members }: Inventory, { operator, pneId }: Pne): boolean =>
  members.some(member => member.operator === operator && member.pneId === pneId)

/** Turns one refusal into `undefined`, and lets everything else pass. */
const unless =
  (reason: string) =>
  (error: unknown): undefined => {
    if (error instanceof RequestRefused && error.reason === reason) return undefined
    throw error
  }

export const refusal = (
  status: number,
  reason: string,
  message: string,
  method: string = pneRegister.method,
  retryAfterMs?: number,
) => new RequestRefused(method, { status, reason, message, retryAfterMs })

export const unknownNetwork = ({ home, pnId }: NetworkName) =>
  refusal(404, 'PN_UNKNOWN', `This gateway is attached to no Personal Network ${pnId} of ${home}.`)
