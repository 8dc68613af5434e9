import {
  type SecureOpenParams,
  type SecureOpenResult,
  type SecureSendParams,
  type SecureSendResult,
  secureNotice,
  secureOpen,
  secureSend,
} from '../inventory/secure/methods.ts'
import type { LocalConnection } from './local-server.ts'
import type { Session } from './session.ts'
import type { Uplink } from './uplink.ts'

/**
 * A gateway's part in secure sessions: it passes frames on, and what the server has sealed for a device to the device that
 * uses that session.
 */
export interface SecureRelay {
  open(params: SecureOpenParams, connection: LocalConnection): Promise<SecureOpenResult>
  send(params: SecureSendParams, connection: LocalConnection): Promise<SecureSendResult>
  stop(): void
}

/** Sessions that notices are passed on for: more than a gateway has devices. The one used longest ago gives way. */
const maxSessions = 1_024

export function createSecureRelay(session: Pick<Session, 'listen'>, uplink: Uplink): SecureRelay {
  /** The one used longest ago first. */
  const connections = new Map<string, LocalConnection>()

  function uses(connection: LocalConnection, id: string) {
    connections.delete(id)
    connections.set(id, connection)
    const [oldest] = connections.keys()
    if (connections.size > maxSessions && oldest !== undefined) connections.delete(oldest)
  }

  const stop = session.listen({
    notification(method, params) {
      if (method !== secureNotice.method) return
      const parsed = secureNotice.params.safeParse(params)
      if (parsed.success) connections.get(parsed.data.session)?.tell(secureNotice, parsed.data)
    },
  })

  return {
    async open(params, connection) {
      const answer = await uplink.call(secureOpen, params)
      uses(connection, answer.session)
      return answer
    },
    async send(params, connection) {
      const answer = await uplink.call(secureSend, params)
      // Only now: who only names the session of another device is refused.
      uses(connection, params.session)
      return answer
    },
    stop,
  }
}
