import type { MethodSpec } from '../federation/command.ts'
import { NotConnected, RequestRefused } from './errors.ts'
import type { Session } from './session.ts'

/** A gateway's way to its server, for what devices ask: it is open or not, and whoever asks meanwhile is told at once. */
export interface Uplink {
  readonly isOpen: boolean
  /** @throws {ServerUnreachable} when the way is not open; else as {@link Session.call}. */
  call<P, R>(spec: MethodSpec<P, R>, params: P): Promise<R>
}

/** This gateway needs its server for this, and has none at the moment. Nothing was asked. */
export class ServerUnreachable extends RequestRefused {
  constructor(method: string) {
    super(method, {
      status: 423,
      reason: 'OWNER_UNREACHABLE',
      message:
        'The gateway cannot reach its server, and only the operator can do this. Pair with the gateway, and ask again when it is ready.',
      retryAfterMs,
    })
  }
}

/** For devices that do not wait for the gateway to call. */
const retryAfterMs = 15_000

/** `hasCaughtUp`: whether what waited for the server has been given to it, so that nothing newer overtakes it. */
export function createUplink(session: Session, hasCaughtUp: () => boolean): Uplink {
  const isOpen = () => session.state.kind === 'connected' && hasCaughtUp()
  return {
    get isOpen() {
      return isOpen()
    },
    async call(spec, params) {
      if (!isOpen()) throw new ServerUnreachable(spec.method)
      try {
        return await session.call(spec, params)
      } catch (error) {
        throw error instanceof NotConnected ? new ServerUnreachable(spec.method) : error
      }
    },
  }
}
