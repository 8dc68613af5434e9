import type { z } from 'zod'
import { fromBase64url, toBase64url } from '../commands/framing.ts'
import { CommandRefused, type Principal } from '../federation/command.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../ports/identity.ts'
import type { Credential, KeySource, Subscriber } from '../ports/key-source.ts'
import type { Random } from '../ports/random.ts'
import { type Challenge, challengeBytes, normalUrl, proofBytes, pskInfo, pskSalt } from './handshake.ts'
import type { ClientClass } from './policy/rules.ts'
import type { ChallengeAnswer, challengeRequest, proofRequest } from './protocol.ts'
import type { Resume, ResumeTickets } from './resume-tickets.ts'
import type { Guests } from './roaming/guests.ts'

type Proof = z.infer<typeof proofRequest>

export interface AuthenticationOptions {
  readonly identity: ServerIdentity
  /** The base URLs under which clients may know this server, now. */
  readonly urls: () => readonly string[]
  readonly keys: KeySource
  readonly crypto: Crypto
  readonly random: Random
  readonly clock: Clock
  readonly deadlineMs: number
  /** Left out: clients of other operators are not taken. */
  readonly guests?: Guests | undefined
  /** Whether a ticket was given for this credential. */
  readonly isFor: ResumeTickets['isFor']
}

/** Both halves of the server's side of `session.authenticate`; what a challenge is good for, its connection must hold. */
export interface Authentication {
  /**
   * With `resumed` no signature is made: the MAC of the ticket's key takes its place.
   * @throws {CommandRefused} 400 when the client dialled a URL that is none of this server's.
   */
  challenge(
    request: z.infer<typeof challengeRequest>,
    resumed?: Resumed,
  ): {
    readonly challenge: Challenge
    readonly answer: ChallengeAnswer
  }
  /**
   * Looks up what a proof is checked with. Answers what checks it, which waits for nothing, and
   * @throws {CommandRefused} 401, the same for a subscriber that does not exist, one with a credential of the other kind
   * and a wrong proof, after the same work; 403 when a guest may not come.
   * @throws {CommandRefused} 503 when the key source does not answer.
   */
  verifier(challenge: Challenge, request: Proof, brought?: Brought): Promise<() => Admitted>
}

/** A ticket that a client came back with. */
export interface Resumed {
  readonly resume: Resume
  readonly key: Uint8Array
}

/** What a client has brought with its first word. */
export interface Brought {
  readonly resumed?: Resumed | undefined
  /** Of the server that has sent it here. */
  readonly redirect?: string | undefined
}

/** Who it is, and what is done for it under overload. */
export interface Admitted {
  readonly principal: Principal
  readonly class: ClientClass
  /** What it has proved itself with, now or when its ticket was given; `undefined` of a guest. */
  readonly credential?: Credential
  /** Of a guest: until when it may stay, milliseconds since 1970. */
  readonly until?: number
}

export function createAuthentication(options: AuthenticationOptions): Authentication {
  const { identity, keys, crypto, random, clock } = options
  /** Who does not exist is checked against these, which nobody has the other half of. */
  const nobody = {
    psk: { kind: 'psk', key: random.bytes(32) },
    ed25519: { kind: 'ed25519', publicKey: crypto.ed25519.publicKey(random.bytes(32)) },
  } as const satisfies Record<'psk' | 'ed25519', Credential>

  return {
    challenge(request, resumed) {
      const challenge: Challenge = {
        nonce: request.nonce,
        challenge: toBase64url(random.bytes(32)),
        operator: identity.operator,
        server: identity.server,
        url: ownUrl(request.url),
        expires: clock.now() + options.deadlineMs,
      }
      const { nonce, ...rest } = challenge
      const signature = resumed
        ? crypto.hmacSha256(resumed.key, challengeBytes(challenge))
        : identity.sign('cpns-challenge-v1', crypto.sha256(challengeBytes(challenge)))
      const answer = { ...rest, signature: toBase64url(signature), ...(resumed && { isResumed: true }) }
      return { challenge, answer }
    },

    async verifier(challenge, request, { resumed, redirect } = {}) {
      if (request.mechanism === 'device') return () => verifyGuest(challenge, request, redirect)
      // A ticket is proved before anything is looked up for it.
      const resume = request.mechanism === 'resume' ? provedResume(challenge, request, resumed) : undefined
      const subscriber = await find(request.identity)
      return () => (resume ? verifyResume(resume, subscriber) : verifySubscriber(challenge, request, subscriber))
    },
  }

  function provedResume(challenge: Challenge, { identity: name, proof }: Proof, resumed: Resumed | undefined): Resume {
    if (!resumed) throw notProved()
    const expected = crypto.hmacSha256(resumed.key, proofBytes(challenge, 'resume', name))
    const isProved = crypto.equal(expected, fromBase64url(proof) ?? new Uint8Array(0))
    if (!isProved || resumed.resume.identity !== name) throw notProved()
    return resumed.resume
  }

  function verifyResume(resume: Resume, subscriber: Subscriber | undefined): Admitted {
    if (!subscriber || !options.isFor(resume, subscriber.credential)) throw notProved()
    return {
      principal: { operator: identity.operator, identity: resume.identity },
      class: resume.class,
      credential: subscriber.credential,
    }
  }

  function verifySubscriber(
    challenge: Challenge,
    { mechanism, identity: name, proof }: Proof,
    subscriber: Subscriber | undefined,
  ): Admitted {
    const kind = mechanism === 'ed25519' ? 'ed25519' : 'psk'
    const known = subscriber?.credential.kind === kind
    const credential = known ? subscriber.credential : nobody[kind]
    const proved = proves(credential, proofBytes(challenge, kind, name), proof)
    if (!known || !proved) throw notProved()
    const isEmergency = subscriber.rights?.includes('emergency') === true
    return {
      principal: { operator: identity.operator, identity: subscriber.identity },
      class: isEmergency ? 'emergency' : 'standard',
      credential,
    }
  }

  function verifyGuest(
    challenge: Challenge,
    { identity: name, proof, certificate }: Proof,
    ticket: string | undefined,
  ): Admitted {
    if (!options.guests || certificate === undefined) throw notProved()
    const message = proofBytes(challenge, 'device', name)
    const guest = options.guests.admit({ identity: name, certificate, ticket, message, signature: proof })
    return { ...guest, class: 'standard' }
  }

  function ownUrl(dialled: string): string {
    const normal = normalUrl(dialled)
    const own = options.urls().flatMap(url => normalUrl(url) ?? [])
    if (normal !== undefined && own.includes(normal)) return normal
    throw new CommandRefused(
      400,
      `This server is known as ${own.join(', ')}, not as ${dialled}. Connect by one of its names, or add this one to its client URLs.`,
      'URL_UNKNOWN',
    )
  }

  async function find(name: string): Promise<Subscriber | undefined> {
    try {
      return await keys.find(name)
    } catch {
      throw new CommandRefused(503, 'The source of keys does not answer. Try again later.', 'KEYS_UNREACHABLE', 1_000)
    }
  }

  function proves(credential: Credential, message: Uint8Array, proof: string): boolean {
    // What is no base64url proves nothing, like an empty proof, after the same work.
    const bytes = fromBase64url(proof) ?? new Uint8Array(0)
    switch (credential.kind) {
      case 'psk': {
        const key = crypto.hkdfSha256(credential.key, pskSalt(identity.operator), pskInfo, 32)
        return crypto.equal(crypto.hmacSha256(key, message), bytes)
      }
      case 'ed25519':
        return crypto.ed25519.verify(
          credential.publicKey,
          signedBytes('cpns-authenticate-v1', crypto.sha256(message)),
          bytes,
        )
      case 'x25519':
      case 'x509':
        return false // registers a PNE, and opens no session
    }
  }
}

const notProved = () =>
  new CommandRefused(401, 'The identity and the proof do not belong together. Check both, then connect anew.')
