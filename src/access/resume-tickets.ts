import { z } from 'zod'
import { derivedKeys } from '../commands/derived-keys.ts'
import { framed, joined, toBase64url } from '../commands/framing.ts'
import { createSignedClaims } from '../commands/signed-claims.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { Credential } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'
import { type ClientClass, clientClass } from './policy/rules.ts'

/*
 * Tickets with which a client that has authenticated comes back, at any server of its operator, without public-key
 * cryptography on either side. A ticket is a name and a class under the operator's MAC; who holds its key proves by it, and so
 * does the server, since only the operator can derive it.
 */

export interface Resume {
  readonly identity: string
  readonly class: ClientClass
  /** What it has authenticated with, as a tag: of a subscriber that was given another credential, tickets are worth nothing. */
  readonly credential: string
  /** Milliseconds since 1970. */
  readonly expires: number
}

export interface IssuedTicket {
  readonly ticket: string
  /** 32 bytes, base64url: to be told to the client alone. */
  readonly key: string
  readonly expires: number
}

export interface ResumeTickets {
  issue(of: { readonly identity: string; readonly class: ClientClass; readonly credential: Credential }): IssuedTicket
  /** Whether a credential is the one that the ticket was given for. */
  isFor(resume: Resume, credential: Credential): boolean
  /** One MAC: `undefined` for a ticket that is none of this operator's, or has expired. The key is what its holder proves by. */
  check(ticket: string): { readonly resume: Resume; readonly key: Uint8Array } | undefined
}

const tagBytes = 12
const none = new Uint8Array(0)

const payload = z.strictObject({
  /** Version of the MAC key that the ticket's own key comes from. */
  keyVersion: z.int(),
  identity: z.string().min(1).max(128),
  class: clientClass,
  credential: z.string().max(32),
  expires: z.int(),
})

export function createResumeTickets(options: {
  readonly operator: OperatorId
  readonly macKeys: () => OperatorSecrets['macKeys']
  readonly crypto: Crypto
  readonly clock: Pick<Clock, 'now'>
  readonly lifetimeMs: number
}): ResumeTickets {
  const { operator, macKeys, crypto, clock } = options
  const claims = createSignedClaims({ operator, macKeys, crypto, purpose: 'cpns-ticket-resume-v1', schema: payload })
  const holderKeyOf = derivedKeys(operator, 'cpns-resume-key-v1', crypto)
  const tagKeyOf = derivedKeys(operator, 'cpns-resume-credential-v1', crypto)

  /** The ticket's own key, by which its holder and the operator's servers know each other. */
  const holderKey = (ticket: string, macKey: Uint8Array): Uint8Array =>
    crypto.hmacSha256(holderKeyOf(macKey), framed(ticket))

  /** Under a key: what a subscriber proves itself with is not to be guessed at from a ticket. */
  function tagOf(credential: Credential, macKey: Uint8Array): string {
    const bytes = credential.kind === 'psk' ? credential.key : 'publicKey' in credential ? credential.publicKey : none
    const tagged = crypto.hmacSha256(tagKeyOf(macKey), joined(framed(credential.kind), bytes))
    return toBase64url(tagged.slice(0, tagBytes))
  }

  return {
    isFor(resume, credential) {
      return macKeys().some(({ key }) => tagOf(credential, key) === resume.credential)
    },

    issue({ identity, class: kind, credential }) {
      const found = macKeys().at(-1)
      if (!found) throw new Error('The operator has no MAC key: its secrets are incomplete.')
      const { version: keyVersion, key } = found
      const expires = clock.now() + options.lifetimeMs
      const ticket = claims.sign({ keyVersion, identity, class: kind, credential: tagOf(credential, key), expires })
      return { ticket, key: toBase64url(holderKey(ticket, key)), expires }
    },

    check(ticket) {
      const claimed = claims.open(ticket)
      if (!claimed || claimed.expires <= clock.now()) return undefined
      const { keyVersion, ...resume } = claimed
      const found = macKeys().find(({ version }) => version === keyVersion)
      return found && { resume, key: holderKey(ticket, found.key) }
    },
  }
}
