import { type Attached, createAttached } from '../commands/attached.ts'
import type { Documents } from '../document/documents.ts'
import type { NotificationSpec } from '../federation/command.ts'
import type { Federation } from '../federation/federation.ts'
import type { Clock } from '../ports/clock.ts'
import type { OperatorId, ServerId } from '../ports/names.ts'
import type { Random } from '../ports/random.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { capabilitiesAnswering, capabilitiesQuerying } from './capabilities/procedures.ts'
import { Questions } from './capabilities/questions.ts'
import type { Grants } from './entitlement.ts'
import type { InventoryLimits } from './limits.ts'
import type { Networks } from './networks.ts'
import { createNotices, type Notices, tellMethod } from './notices/notices.ts'
import { createPresence, type PresenceService } from './presence/presence.ts'
import { querying, reporting, unwatching, watching } from './presence/procedures.ts'
import type { Query } from './procedure.ts'

/*
 * What is true now and in no document: who is attached, what they are told, who is there, what gateways are asked. All of it
 * is between clients and the server that they are attached to, and between servers; no command of another server's client
 * is taken.
 */

export interface LiveOptions {
  readonly self: OperatorId
  readonly server: ServerId
  readonly documents: Documents
  readonly networks: Networks
  readonly grants: Grants
  readonly notifications: readonly NotificationSpec<unknown>[]
  readonly federation: () => Federation
  readonly clock: Clock
  readonly random: Random
  readonly telemetry: Telemetry
  readonly limits: Pick<InventoryLimits, 'notices' | 'presence' | 'questionMs'>
}

export interface Live {
  readonly attached: Attached
  readonly notices: Notices
  readonly presence: PresenceService
  /** Gives each method to whoever offers them to clients. */
  offer(to: <Params, Result>(query: Query<Params, Result>) => void): void
  join(federation: Federation): void
  stop(): void
}

export function createLive(options: LiveOptions): Live {
  const { self, networks, federation, limits } = options
  const attached = createAttached()
  const notices = createNotices({ ...options, attached, limits: limits.notices })
  const presence = createPresence({ ...options, attached, limits: limits.presence })
  const questions = new Questions({ ...options, notices, timeoutMs: limits.questionMs })

  return {
    attached,
    notices,
    presence,

    offer(to) {
      const ofPresence = { self, networks, presence, limits: limits.presence }
      to(reporting(ofPresence))
      to(querying(ofPresence))
      to(watching(ofPresence))
      to(unwatching(ofPresence))
      const ofCapabilities = { self, networks, presence, questions, federation }
      to(capabilitiesQuerying(ofCapabilities))
      to(capabilitiesAnswering(ofCapabilities))
    },

    join(found) {
      found.handle(tellMethod, notices.receive)
      presence.join(found)
      questions.join(found)
    },

    stop: () => presence.stop(),
  }
}
