import { ActorStopped, MailboxFull } from '../../actor/errors.ts'
import type { ActorKind, ActorSystem, Behaviour, Cause } from '../../actor/types.ts'
import { toBase64url } from '../../commands/framing.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import { isServerId, type ServerId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { Way } from '../registration/seal.ts'
import { ofServer, type Phase } from './keys.ts'
import type { SecureLimits } from './limits.ts'
import type { InnerCall, InnerOutcome } from './messages.ts'
import { secureRefusals } from './refusals.ts'
import { type Frame, type SealedNotice, type SessionMessage, secureSession } from './session.ts'

/** Whose a session is, and what it rests on. */
export interface SessionFacts {
  readonly way: Way
  readonly pneId: string
  readonly transaction: string
}

/** The secure sessions of this server: live state, gone with it. */
export interface SecureSessions {
  /** A name that no session has. */
  newId(): string
  begin(id: string, facts: SessionFacts, phase: Phase): void
  find(id: string): SessionFacts | undefined
  /** @throws {CommandRefused} 401, 404, 409, 429; {@link AskTimeout} */
  take(id: string, frame: Frame): Promise<string>
  end(id: string): void
}

interface Entry {
  readonly facts: SessionFacts
  /** Until its actor has taken it. */
  behaviour: Behaviour<SessionMessage> | undefined
  isConfirmed: boolean
  leave: () => void
}

/** Longer than any command takes, forwarded ones too; then the same frame is sent again. */
const frameTimeoutMs = 15_000
const busyMs = 20

export function createSecureSessions(options: {
  readonly server: ServerId
  readonly actors: ActorSystem
  readonly clock: Clock
  readonly crypto: Crypto
  readonly random: Random
  readonly telemetry: Telemetry
  readonly limits: SecureLimits
  /** Executes for a PNE. Never rejects. */
  readonly execute: (call: InnerCall, facts: SessionFacts) => Promise<InnerOutcome>
  /** The PNE can be told things from now on; returns what ends that. */
  readonly attach: (facts: SessionFacts, tell: (notice: InnerCall) => void) => () => void
  /** Passes a sealed notice to the gateway of a session. */
  readonly push: (id: string, facts: SessionFacts, notice: SealedNotice) => void
}): SecureSessions {
  const { server, actors, clock, crypto, random, telemetry, limits } = options
  /** The one that began longest ago first. */
  const entries = new Map<string, Entry>()
  const ofPne = new Map<string, Set<string>>()
  const secure = ofServer(crypto)

  const kind: ActorKind<SessionMessage> = {
    name: 'secure',
    create(id) {
      const entry = entries.get(id)
      const behaviour = entry?.behaviour
      if (entry) entry.behaviour = undefined
      return behaviour ?? gone
    },
    mailbox: { capacity: 128 },
    passivation: { idleMs: limits.idleMs, maxActive: limits.maxSessions },
    supervision: { maxRestarts: 0 },
  }
  const actorOf = (id: string) => actors.actor(kind, id)

  function begin(id: string, facts: SessionFacts, phase: Phase) {
    const entry: Entry = { facts, behaviour: undefined, isConfirmed: false, leave: () => {} }
    entry.behaviour = secureSession({
      id,
      phase,
      secure,
      crypto,
      clock,
      limits,
      execute: call => options.execute(call, facts),
      tell: (message, cause) => tell(id, message, cause),
      confirmed() {
        entry.isConfirmed = true
        entry.leave = options.attach(facts, notice => tell(id, { type: 'notice', ...notice }))
        endOldest(facts, true)
      },
      push: notice => options.push(id, facts, notice),
      ended: () => forget(id),
    })
    entries.set(id, entry)
    const key = keyOf(facts)
    ofPne.set(key, (ofPne.get(key) ?? new Set()).add(id))
    endOldest(facts, false)
    actorOf(id).tell({ type: 'begin' })
    telemetry.count('cpns_secure_sessions_total', { event: 'opened' })
  }

  /** Openings that were never followed by a frame displace each other, and no session that is in use. */
  function endOldest(facts: SessionFacts, isConfirmed: boolean) {
    const same = [...(ofPne.get(keyOf(facts)) ?? [])].filter(id => entries.get(id)?.isConfirmed === isConfirmed)
    for (const id of same.slice(0, Math.max(0, same.length - limits.maxOfPne))) end(id)
  }

  function end(id: string) {
    if (!entries.has(id)) return
    forget(id)
    void actors.stop(kind, id)
  }

  function forget(id: string) {
    const entry = entries.get(id)
    if (!entry) return
    entry.leave()
    entries.delete(id)
    const key = keyOf(entry.facts)
    const same = ofPne.get(key)
    same?.delete(id)
    if (same?.size === 0) ofPne.delete(key)
    telemetry.count('cpns_secure_sessions_total', { event: 'ended' })
  }

  /** An answer that finds the mailbox full comes again a little later; a notice is dropped. */
  function tell(id: string, message: SessionMessage, cause?: Cause) {
    if (!entries.has(id)) return
    try {
      actorOf(id).tell(message, cause)
    } catch (error) {
      if (error instanceof ActorStopped) return
      if (!(error instanceof MailboxFull)) throw error
      if (message.type === 'executed') clock.after(busyMs, () => tell(id, message, cause))
      else telemetry.log('info', 'secure.notice.dropped', { session: id })
    }
  }

  return {
    newId: () => `${server}.${toBase64url(random.bytes(16))}`,
    begin,
    find: id => entries.get(id)?.facts,
    async take(id, frame) {
      // Only a session that there is has an actor: else whoever makes up names fills the place of others.
      if (!entries.has(id)) throw secureRefusals.unknown()
      return actorOf(id).ask<string>({ type: 'frame', ...frame }, { timeoutMs: frameTimeoutMs })
    },
    end,
  }
}

/** The server that a session's name says it is at; whoever made the name up is told so there, or by nobody. */
export function serverOf(session: string): ServerId | undefined {
  const server = session.slice(0, session.indexOf('.'))
  return isServerId(server) ? server : undefined
}

const keyOf = ({ way, pneId }: SessionFacts): string => `${way.home}/${way.pnId}/${way.operator}/${pneId}`

/** What an actor is whose session has ended. */
const gone: Behaviour<SessionMessage> = {
  receive(envelope, context) {
    envelope.refuse(secureRefusals.unknown())
    context.stop()
  },
}
