import type { Telemetry } from '../../ports/telemetry.ts'
import type { Networks } from '../networks.ts'
import type { NoticeLimits } from '../notices/limits.ts'
import type { Notices } from '../notices/notices.ts'
import { secureNotice } from './methods.ts'
import type { SealedNotice } from './session.ts'
import type { SessionFacts } from './sessions.ts'

/** What names and punctuation around a sealed notice take at the most. */
const aroundChars = 640

/**
 * Has the gateway of a session told a sealed notice, wherever it is attached; it passes it on. Best effort: what does not
 * arrive, and what is too long for a notice, the PNE gets when it asks.
 */
export function pushing(options: {
  readonly networks: Pick<Networks, 'view'>
  readonly notices: Notices
  readonly telemetry: Telemetry
  readonly limits: Pick<NoticeLimits, 'maxChars'>
}) {
  const { networks, notices, telemetry, limits } = options

  async function push(session: string, { way }: SessionFacts, notice: SealedNotice): Promise<void> {
    const { home, pnId, gatewayId } = way
    const view = await networks.view({ home, pnId })
    for (const { gatewayId: id, operator, identity } of view?.inventory.gateways ?? []) {
      if (id === gatewayId) notices.tell({ operator, identity }, secureNotice, { home, pnId, session, ...notice })
    }
  }

  return (session: string, facts: SessionFacts, notice: SealedNotice): void => {
    if (notice.sealed.length + aroundChars > limits.maxChars) return
    push(session, facts, notice).catch(error => {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'secure.notice.not-pushed', { message })
    })
  }
}
