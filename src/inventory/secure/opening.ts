import { fromBase64url, toBase64url } from '../../commands/framing.ts'
import type { Random } from '../../ports/random.ts'
import type { Flow } from '../procedure.ts'
import { refusals } from '../refusals.ts'
import { executorOf, mayRegister, nameOf, passable, pneOf, sourceOf, wayOf } from '../registration/passage.ts'
import type { RegistrationOptions } from '../registration/registering.ts'
import type { SessionTickets } from '../registration/session-ticket.ts'
import { answerProof, firstPhase, ofServer, openingProof } from './keys.ts'
import { type SecureOpenParams, type SecureOpenResult, secureOpen } from './methods.ts'
import type { SecureSessions } from './sessions.ts'
import { requireStanding } from './standing.ts'

export interface SecureOptions extends Pick<RegistrationOptions, 'networks' | 'crypto' | 'clock'> {
  readonly tickets: SessionTickets
  readonly sessions: SecureSessions
  readonly random: Pick<Random, 'bytes'>
}

/**
 * `secure.open`: at any server of the PNE's operator, through any gateway of the PN. The PNE's proof does not cover the
 * server's nonce, so a repeated opening makes one more session, with keys of its own, that nobody can use; it does not
 * count until its first frame has come. Who does not hold the session key learns nothing of the registration.
 */
export function opening(options: SecureOptions): Flow<SecureOpenParams, SecureOpenResult> {
  const { networks, crypto, clock, tickets, sessions, random } = options
  const secure = ofServer(crypto)

  return {
    spec: secureOpen,
    network: nameOf,
    executor: executorOf,
    isVouchedFor: true,
    isReady: (params, view) => view !== undefined && mayRegister(view, params),

    async perform(params, caller, attempts) {
      const view = passable(params, caller, await networks.view(nameOf(params)))
      const attempt = attempts.from(sourceOf(params, caller))
      attempt.admit()
      const sessionKey = await proved(params)
      if (!sessionKey.ok) {
        attempt.failed()
        throw sessionKey.refusal
      }

      const { home, pnId, operator, pneId, transaction } = params
      const standing = requireStanding(
        view,
        { operator, pneId },
        transaction,
        await networks.own({ home, pnId }),
        clock.now(),
      )
      const answer = {
        session: sessions.newId(),
        serverNonce: toBase64url(random.bytes(32)),
        expires: standing.expires,
      }
      const proof = await answerProof(secure, sessionKey.key, params, answer)
      const phase = await firstPhase(secure, sessionKey.key, params, answer)
      sessions.begin(answer.session, { way: wayOf(params), pneId, transaction }, phase)
      return { ...answer, proof }
    },
  }

  /** The session key in the ticket, of whoever has proved that it has it. */
  async function proved(params: SecureOpenParams) {
    const { home, pnId, transaction } = params
    const key = tickets.open({ home, pnId, pne: pneOf(params), transaction }, params.ticket)
    if (!key) return { ok: false, refusal: refusals.ticketUnknown() } as const
    const expected = fromBase64url(await openingProof(secure, key, params))
    const given = fromBase64url(params.proof)
    const isProved = expected !== undefined && given !== undefined && crypto.equal(expected, given)
    return isProved ? ({ ok: true, key } as const) : ({ ok: false, refusal: refusals.authFailed() } as const)
  }
}
