import type { Token, TokenSource } from '../../adapters/admin-tokens.ts'
import { AdminRefusal } from './refusal.ts'
import type { Principal, Scope } from './route.ts'

/*
 * Who asks. The socket is its owner's alone: whoever may open it may do everything. Over TCP a bearer token (RFC 6750) says it.
 */

/** @throws {AdminRefusal} 401 */
export type Guard = (authorization: string | undefined) => Promise<Principal>

/** For the socket. */
export const ownerGuard: Guard = async () => ({ name: 'owner', scope: 'operate' })

/** For everything else. */
export const tokenGuard =
  (tokens: TokenSource): Guard =>
  async authorization => {
    const [, text] = /^Bearer (\S{1,200})$/i.exec(authorization ?? '') ?? []
    if (text === undefined) {
      throw new AdminRefusal(
        401,
        'A token is needed: make one with cpns token create, send it as "Authorization: Bearer …".',
      )
    }
    const token = await tokens.find(text)
    if (token === undefined) throw new AdminRefusal(401, 'This token is not known here, or was revoked.')
    if (token === 'expired') throw new AdminRefusal(401, 'This token has expired: make another with cpns token create.')
    return principalOf(token)
  }

const principalOf = ({ name, id, scope }: Token): Principal => ({ name: `token:${name}:${id}`, scope })

/** Whether who has that may do what takes this. */
export const suffices = (scope: Principal['scope'], needed: Scope): boolean =>
  scope === 'operate' || needed !== 'operate'
