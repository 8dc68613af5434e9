import { framed, joined, toBase64url, utf8 } from '../commands/framing.ts'
import { asCommandRefusal } from '../commands/refusals.ts'
import type { Documents } from '../document/documents.ts'
import { DocumentFull } from '../document/limits.ts'
import { Allowances } from '../federation/allowances.ts'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { requireStanding, type Taken, taking, withdrawing } from './changes.ts'
import type { ChannelClaims, ChannelCredentials } from './credentials.ts'
import type { Urgency } from './fields.ts'
import type { ChannelLimits } from './limits.ts'
import { channelsDocument, messageOf } from './names.ts'
import { stateOf } from './queue.ts'
import type { Settlement } from './records.ts'
import { refusals } from './refusals.ts'

/*
 * What application servers may do: send a message to a channel, ask what has become of it, take it back. Each time they show the
 * channel's credential.
 */

/** A message as an application server sends it. */
export interface Posted {
  /** Milliseconds; more than the longest is taken for that. */
  readonly ttlMs: number
  readonly urgency: Urgency
  readonly topic: string | undefined
  /** Sent again under the same key, it is the same message. */
  readonly key: string | undefined
  readonly type: string
  readonly body: Uint8Array
}

export interface Accepted extends Taken {
  readonly message: string
  /** Durable at two servers of the operator, or all there are; else at the answering one alone, as the others are out of its reach. */
  readonly isReplicated: boolean
}

export interface MessageStanding {
  readonly message: string
  readonly state: 'waiting' | Settlement
  /** Milliseconds since 1970. */
  readonly expires: number
}

/** Every member throws {@link CommandRefused}: 401, 403, 404, 410 for what its credential does not open; 503. */
export interface Inbound {
  /** Resolves when the message is durable. @throws {CommandRefused} also 409, 413, 429, 507 */
  send(bearer: string, channel: string, posted: Posted): Promise<Accepted>
  /** @throws {CommandRefused} also 404 for a message that is not known, or has ended */
  find(bearer: string, channel: string, message: string): Promise<MessageStanding>
  /** A client that has it already keeps it. @throws {CommandRefused} also 404, and 409 when it was acknowledged */
  withdraw(bearer: string, channel: string, message: string): Promise<void>
}

const idBytes = 16
const printBytes = 16

export function createInbound(options: {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'read' | 'write'>
  readonly keys: KeySource
  readonly credentials: ChannelCredentials
  /** Whether another server of the operator holds what stands in the document now, soon; so it is where there is no other. */
  readonly isReplicated: (document: DocumentId) => Promise<boolean>
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  readonly limits: ChannelLimits
}): Inbound {
  const { self, documents, credentials, isReplicated: reaches, clock, random, crypto, telemetry, limits } = options
  const channels = new Allowances(clock, limits.channelPerSecond, limits.channelBurst)
  const applications = new Allowances(clock, limits.applicationPerSecond, limits.applicationBurst)

  const documentOf = ({ identity }: ChannelClaims): DocumentId => channelsDocument(self, identity, crypto)

  /** What needs no more than the operator's key: whoever shows nothing costs nothing else. */
  function claimsOf(bearer: string, channel: string): ChannelClaims {
    const claims = credentials.open(bearer)
    if (!claims) throw refusals.noCredential()
    if (claims.channel !== channel) throw refusals.otherChannel()
    return claims
  }

  /** Of the channel first: who floods one takes nothing from the application's others. */
  function requireAllowance({ channel, application }: ChannelClaims): void {
    const waitMs = channels.take(channel)
    if (waitMs > 0) throw refusals.tooFastToChannel(waitMs)
    const applicationWaitMs = applications.take(application)
    if (applicationWaitMs > 0) throw refusals.tooFast(applicationWaitMs)
  }

  async function requireSubscriber({ identity }: ChannelClaims): Promise<void> {
    const subscriber = await options.keys.find(identity).catch(() => {
      throw refusals.keySource()
    })
    if (!subscriber) throw refusals.closed()
  }

  async function admitted(bearer: string, channel: string): Promise<ChannelClaims> {
    const claims = claimsOf(bearer, channel)
    requireAllowance(claims)
    await requireSubscriber(claims)
    return claims
  }

  const printOf = ({ urgency, topic = '', type, body }: Posted): string =>
    toBase64url(crypto.sha256(joined(framed(urgency, topic, type), body)).subarray(0, printBytes))

  return {
    async send(bearer, channel, posted) {
      const claims = await admitted(bearer, channel)
      const { urgency, topic, type, body, key } = posted
      if (body.length > limits.maxBodyBytes) throw refusals.tooLarge(limits.maxBodyBytes)
      const id = key === undefined ? toBase64url(random.bytes(idBytes)) : messageOf(channel, key, crypto)
      const incoming = {
        ttlMs: Math.min(posted.ttlMs, limits.maxTtlMs),
        generation: claims.generation,
        ...{ urgency, type },
        ...(topic !== undefined && { topic }),
        ...contentOf(body),
        bytes: body.length,
        print: printOf(posted),
      }
      const document = documentOf(claims)
      const taken = await documents.write(document, taking(channel, id, incoming, limits)).catch(asRefusal)
      telemetry.count('cpns_channel_messages_taken_total', { urgency })
      const isReplicated = await reaches(document)
      return { message: id, ...taken, isReplicated }
    },

    async find(bearer, channel, message) {
      const claims = await admitted(bearer, channel)
      const registers = await documents.read(documentOf(claims)).catch(asRefusal)
      requireStanding(registers, channel, claims.generation)
      const found = stateOf(registers, channel, message, clock.now())
      if (!found) throw refusals.messageUnknown()
      return { message, state: found.state, expires: found.expires }
    },

    async withdraw(bearer, channel, message) {
      const claims = await admitted(bearer, channel)
      const decision = withdrawing(channel, message, claims.generation, limits)
      await documents.write(documentOf(claims), decision).catch(asRefusal)
    },
  }
}

function asRefusal(error: unknown): never {
  if (error instanceof DocumentFull) throw refusals.subscriberFull()
  return asCommandRefusal(error)
}

/** As text, which is a third shorter and can be read, where that gives the same bytes back. */
function contentOf(body: Uint8Array): { readonly text: string } | { readonly data: string } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body)
    return utf8(text).length === body.length ? { text } : { data: toBase64url(body) }
  } catch {
    return { data: toBase64url(body) }
  }
}
