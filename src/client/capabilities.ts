import type { Capabilities, Pne } from '../inventory/fields.ts'
import { capabilitiesAnswer, capabilitiesAsked } from '../inventory/methods.ts'
import type { NetworkName } from '../inventory/view.ts'
import type { Session } from './session.ts'

export interface CapabilitiesOptions {
  readonly gatewayId: string
  /**
   * What an element beside this gateway can do: as the gateway knows, or as the element says when it is asked.
   * `undefined`: it is not beside this gateway.
   */
  readonly knows: (pne: Pne, network: NetworkName) => Capabilities | undefined | Promise<Capabilities | undefined>
  /** An answer could not be given; whoever asked goes without. */
  readonly failed?: (error: unknown) => void
}

/** Questions that are being answered at once; more go without an answer. */
const maxOpen = 64

/** Answers what a gateway is asked about the elements beside it. Returns the way to stop. */
export function answerCapabilities(session: Session, options: CapabilitiesOptions): () => void {
  const { gatewayId, knows, failed } = options
  let open = 0

  async function answer(params: unknown): Promise<void> {
    const asked = capabilitiesAsked.params.safeParse(params)
    if (!asked.success || asked.data.gatewayId !== gatewayId) return
    const { home, pnId, queryId, asker, operator, targetId } = asked.data
    const capabilities = await knows({ operator, pneId: targetId }, { home, pnId })
    await session.call(capabilitiesAnswer, { home, pnId, queryId, asker, gatewayId, capabilities })
  }

  return session.listen({
    notification(method, params) {
      if (method !== capabilitiesAsked.method || open >= maxOpen) return
      open += 1
      answer(params)
        .catch(error => failed?.(error))
        .finally(() => {
          open -= 1
        })
    },
  })
}
