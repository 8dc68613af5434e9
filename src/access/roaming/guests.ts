import { z } from 'zod'
import { fromBase64url, toBase64url } from '../../commands/framing.ts'
import { commandRefusals } from '../../commands/refusals.ts'
import { type Command, CommandRefused, type Principal } from '../../federation/command.ts'
import type { Trust } from '../../federation/trust.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import { type ServerIdentity, signedBytes } from '../../ports/identity.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import { server } from '../policy/rules.ts'
import { roamingCertify } from './methods.ts'
import { createStatements, type Signer } from './statements.ts'

/*
 * Clients of one operator at servers of another: sent there by a server of their own that has no room, with a ticket for that one
 * server, good once and for a short while; known there by a certificate of their operator for a key of theirs. Both are
 * signed by servers in the manifest of the client's operator, of which the host's policy says that it takes its clients.
 */

export interface Guests {
  readonly commands: readonly Command[]
  /** At the server that sends a client away: a ticket for one of another operator. One signature is made. */
  send(target: ServerId, visited: readonly ServerId[]): string
  /** Servers that a ticket of another operator says the client has visited. Nothing is proved: it can only be sent on less for it. */
  visited(ticket: string): readonly ServerId[] | undefined
  /**
   * At the server that takes a client.
   * @param signed what the client's key has signed, and `signature` over it
   * @throws {CommandRefused} 403 when clients of that operator are not taken, or not without having been sent; 401 when
   *   certificate, ticket or proof do not hold
   */
  admit(guest: {
    readonly identity: string
    readonly certificate: string
    readonly ticket: string | undefined
    readonly message: Uint8Array
    readonly signature: string
  }): Guest
}

export interface Guest {
  readonly principal: Principal
  /** Milliseconds since 1970. */
  readonly until: number
}

export interface GuestLimits {
  readonly certificateMs: number
  readonly ticketMs: number
  /** A guest is to be at home again by then, or to be sent anew. */
  readonly stayMs: number
}

export const defaultGuestLimits: GuestLimits = { certificateMs: 86_400_000, ticketMs: 30_000, stayMs: 3_600_000 }

/** Clocks of two operators may differ by so much: a ticket of the other side is good for that much longer, or from that much earlier on. */
const clockToleranceMs = 60_000
const idBytes = 12

export function createGuests(options: {
  readonly identity: ServerIdentity
  readonly trust: Pick<Trust, 'operatorsOf' | 'isOpen'>
  /** Whether clients of an operator are taken here. */
  readonly takes: (operator: OperatorId) => boolean
  readonly crypto: Pick<Crypto, 'sha256' | 'ed25519'>
  readonly random: Random
  readonly clock: Pick<Clock, 'now'>
  readonly limits?: Partial<GuestLimits>
}): Guests {
  const { identity: self, trust, takes, crypto, random, clock } = options
  const limits = { ...defaultGuestLimits, ...options.limits }
  const certificates = createStatements({
    purpose: 'cpns-device-v1',
    shape: {
      identity: z.string().min(1).max(128),
      publicKey: z.string().length(43),
      expires: z.int(),
    },
    crypto,
  })
  const tickets = createStatements({
    purpose: 'cpns-redirect-v1',
    shape: {
      target: server,
      id: z.string().min(1).max(64),
      visited: z.array(server).max(16),
      expires: z.int(),
    },
    crypto,
  })
  /** Tickets that were taken here, by who signed them and their number, with when they end: nearly in that order. */
  const taken = new Map<string, number>()

  const isServerOf = ({ operator, signer }: Signer): boolean =>
    trust.isOpen(operator) && trust.operatorsOf(signer).includes(operator)

  function forgetEnded(now: number): void {
    for (const [key, expires] of taken) {
      if (expires + clockToleranceMs > now) return
      taken.delete(key)
    }
  }

  const certify: Command<z.infer<typeof roamingCertify.params>, z.infer<typeof roamingCertify.result>> = {
    spec: roamingCertify,
    async execute({ publicKey }, { operator, identity }) {
      if (operator !== self.operator) throw commandRefusals.elsewhere(operator)
      const expires = clock.now() + limits.certificateMs
      return { certificate: certificates.sign(self, { identity, publicKey, expires }), operator, expires }
    },
  }

  return {
    commands: [certify as Command],

    send: (target, visited) =>
      tickets.sign(self, {
        target,
        id: toBase64url(random.bytes(idBytes)),
        visited: [...visited],
        expires: clock.now() + limits.ticketMs,
      }),

    visited(ticket) {
      const said = tickets.read(ticket)
      return said?.operator === self.operator ? undefined : said?.visited
    },

    admit({ identity, certificate, ticket, message, signature }) {
      const device = certificates.read(certificate)
      if (!device || device.identity !== identity) throw notProved()
      const { operator } = device
      if (operator === self.operator) throw notProved()
      if (!takes(operator)) throw notTaken(operator, self.operator)
      const sent = ticket === undefined ? undefined : tickets.read(ticket)
      if (!sent || ticket === undefined) throw notSent(operator)
      const now = clock.now()
      const isInTime = sent.expires + clockToleranceMs > now && sent.expires <= now + limits.ticketMs + clockToleranceMs
      const key = `${sent.signer} ${sent.id}`
      const isFit = sent.operator === operator && sent.target === self.server && isInTime && !taken.has(key)
      if (!isFit || device.expires <= now || !isServerOf(sent) || !isServerOf(device)) throw notProved()
      if (!tickets.isSigned(ticket) || !certificates.isSigned(certificate)) throw notProved()
      const publicKey = fromBase64url(device.publicKey) ?? new Uint8Array(0)
      const proof = fromBase64url(signature) ?? new Uint8Array(0)
      const signed = signedBytes('cpns-authenticate-v1', crypto.sha256(message))
      if (!crypto.ed25519.verify(publicKey, signed, proof)) throw notProved()
      forgetEnded(now)
      taken.set(key, sent.expires)
      return { principal: { operator, identity }, until: Math.min(device.expires, now + limits.stayMs) }
    },
  }
}

const notProved = () =>
  new CommandRefused(
    401,
    'The certificate, the ticket and the proof do not hold together. Go back to your own operator.',
  )
const notTaken = (operator: OperatorId, self: OperatorId) =>
  new CommandRefused(403, `${self} takes no clients of ${operator}.`, 'NOT_TAKEN')
const notSent = (operator: OperatorId) =>
  new CommandRefused(403, `A server of ${operator} sends its clients here; this one was not sent.`, 'NOT_SENT')
