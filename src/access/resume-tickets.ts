import { z } from 'zod'
import { framed, fromBase64url, joined, toBase64url, utf8 } from '../commands/framing.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { OperatorSecrets } from '../ports/identity.ts'
import type { Credential } from '../ports/key-source.ts'
import type { OperatorId } from '../ports/names.ts'

/*
 * Tickets with which a client that has authenticated comes back, at any server of its operator, without public-key
 * cryptography on either side. A ticket is a name and a class under the operator's MAC; who holds its key proves by it, and so
 * does the server, since only the operator can derive it.
 */

/** What the operator's servers do for a client under overload. */
export const clientClass = z.enum(['standard', 'emergency'])
export type ClientClass = z.infer<typeof clientClass>

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

const longestTicket = 2_048
const ticketPurpose = utf8('cpns-ticket-resume-v1')
const keyPurpose = utf8('cpns-resume-key-v1')
const tagPurpose = utf8('cpns-resume-credential-v1')
const purposes: readonly Uint8Array[] = [ticketPurpose, keyPurpose, tagPurpose]
const tagBytes = 12
const none = new Uint8Array(0)

const payload = z.strictObject({
  /** Version of the MAC key. */
  key: z.int(),
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
  /** Derived keys, as long as the operator's stay: each derivation costs as much as a MAC. */
  const derived = new Map<string, Uint8Array>()
  function keyFor(version: number, macKey: Uint8Array, purpose: Uint8Array): Uint8Array {
    const name = `${version} ${purposes.indexOf(purpose)}`
    const known = derived.get(name)
    if (known) return known
    const key = crypto.hkdfSha256(macKey, utf8(operator), purpose, 32)
    derived.set(name, key)
    return key
  }

  /** Under a key: what a subscriber proves itself with is not to be guessed at from a ticket. */
  function tagOf(credential: Credential, version: number, key: Uint8Array): string {
    const bytes = credential.kind === 'psk' ? credential.key : 'publicKey' in credential ? credential.publicKey : none
    const tagged = crypto.hmacSha256(keyFor(version, key, tagPurpose), joined(framed(credential.kind), bytes))
    return toBase64url(tagged.slice(0, tagBytes))
  }

  return {
    isFor(resume, credential) {
      return macKeys().some(({ version, key }) => tagOf(credential, version, key) === resume.credential)
    },

    issue({ identity, class: kind, credential }) {
      const found = macKeys().at(-1)
      if (!found) throw new Error('The operator has no MAC key: its secrets are incomplete.')
      const { version, key } = found
      const expires = clock.now() + options.lifetimeMs
      const tag = tagOf(credential, version, key)
      const claims: z.infer<typeof payload> = { key: version, identity, class: kind, credential: tag, expires }
      const body = toBase64url(utf8(JSON.stringify(claims)))
      const mac = toBase64url(crypto.hmacSha256(keyFor(version, key, ticketPurpose), utf8(body)))
      const secret = crypto.hmacSha256(keyFor(version, key, keyPurpose), framed(body))
      return { ticket: `${body}.${mac}`, key: toBase64url(secret), expires }
    },

    check(ticket) {
      const [body, mac, ...rest] = ticket.split('.')
      if (ticket.length > longestTicket || body === undefined || mac === undefined || rest.length > 0) return undefined
      const claims = claimsOf(body)
      const found = claims && macKeys().find(({ version }) => version === claims.key)
      if (!claims || !found) return undefined
      const expected = crypto.hmacSha256(keyFor(found.version, found.key, ticketPurpose), utf8(body))
      if (!crypto.equal(expected, fromBase64url(mac) ?? new Uint8Array(0))) return undefined
      if (claims.expires <= clock.now()) return undefined
      const { identity, class: kind, credential, expires } = claims
      return {
        resume: { identity, class: kind, credential, expires },
        key: crypto.hmacSha256(keyFor(found.version, found.key, keyPurpose), framed(body)),
      }
    },
  }
}

function claimsOf(body: string): z.infer<typeof payload> | undefined {
  const bytes = fromBase64url(body)
  if (!bytes) return undefined
  try {
    return payload.parse(JSON.parse(new TextDecoder().decode(bytes)))
  } catch {
    return undefined
  }
}
