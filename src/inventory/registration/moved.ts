import type { NetworkView } from '../view.ts'
import { type PneMoved, pneMoved } from './methods.ts'
import type { RegistrationOptions } from './registering.ts'
import type { Way } from './seal.ts'

/** Tells the gateways at which a PNE was registered that it is registered through another now. Best effort, as notices are. */
export function tellLeft(
  notices: RegistrationOptions['notices'],
  view: NetworkView | undefined,
  { home, pnId, operator, pneId }: Way & { readonly pneId: string },
  left: ReadonlySet<string>,
): void {
  for (const { gatewayId, operator: of, identity } of view?.inventory.gateways ?? []) {
    const moved: PneMoved = { home, pnId, operator, pneId, gatewayId }
    if (left.has(gatewayId)) notices.tell({ operator: of, identity }, pneMoved, moved)
  }
}
