import { type PneDeregisterParams, type PneDeregisterResult, pneDeregister } from '../inventory/methods.ts'
import type { GatewayEvent } from './gateway-events.ts'
import { type GatewayQueue, type QueuedCommand, QueueFull } from './gateway-queue.ts'
import { refusal } from './registration-relay.ts'
import { ServerUnreachable, type Uplink } from './uplink.ts'

/*
 * A device that ends its registration may be gone for good before the gateway has its server again: so what it says waits.
 * It is proved, and dated, by the device itself, and ends nothing that was refreshed since. Whether it is proved rightly
 * cannot be told here: so few may wait of each device, and not so many of all that there is no room for anything else.
 */

export interface DeregistrationRelayOptions {
  readonly uplink: Uplink
  readonly queue: GatewayQueue
  readonly onEvent: (event: GatewayEvent) => void
}

const maxOfOne = 2
const maxOfAll = 256

/** @throws {RequestRefused} 202 when it waits; else as the server. */
export function createDeregistrationRelay({ uplink, queue, onEvent }: DeregistrationRelayOptions) {
  return async (params: PneDeregisterParams): Promise<PneDeregisterResult> => {
    try {
      return await uplink.call(pneDeregister, params)
    } catch (error) {
      if (!(error instanceof ServerUnreachable) || !(await wait(commandOf(params)))) throw error
    }
    const message = 'The gateway has no server at the moment. It keeps this, and passes it on when it has.'
    throw refusal(202, 'PENDING', message, pneDeregister.method)
  }

  /** Whether there was room. */
  async function wait(command: QueuedCommand): Promise<boolean> {
    const waiting = queue.waiting.filter(({ method }) => method === pneDeregister.method)
    if (waiting.some(({ id }) => id === command.id)) return true
    const ofOne = waiting.filter(
      ({ pne }) => pne?.operator === command.pne?.operator && pne?.pneId === command.pne?.pneId,
    )
    if (ofOne.length >= maxOfOne || waiting.length >= maxOfAll) return false
    try {
      await queue.add(command)
    } catch (error) {
      if (error instanceof QueueFull) return false
      throw refusal(503, 'NOT_STORED', 'The gateway could not keep this. Try again.', pneDeregister.method, 5_000)
    }
    onEvent({ type: 'queued', command })
    return true
  }
}

/** By its proof one is told from another that somebody else has sent in the device's name. */
function commandOf(params: PneDeregisterParams): QueuedCommand {
  const { home, pnId, operator, pneId, transaction, proof } = params
  return {
    id: `${transaction}/${proof}`,
    method: pneDeregister.method,
    params,
    network: { home, pnId },
    pne: { operator, pneId },
  }
}
