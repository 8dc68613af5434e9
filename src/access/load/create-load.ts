import type { Federation } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorSecrets } from '../../ports/identity.ts'
import type { LoadProbe } from '../../ports/load-probe.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import { defaultPolicies, type PolicySource } from '../policy/policies.ts'
import { createRedirectTickets } from '../redirect-tickets.ts'
import { createResumeTickets } from '../resume-tickets.ts'
import type { Guests } from '../roaming/guests.ts'
import { type Admission, type AdmissionLimits, createAdmission } from './admission.ts'
import { createAuthenticationQueue, createPlainQueue } from './authentication-queue.ts'
import { createEntrance, type Entrance } from './entrance.ts'
import type { Thresholds } from './level.ts'
import { createLoadMonitor, type LoadMonitor } from './monitor.ts'
import { createLoadReports } from './reports.ts'

/** What a server does about too much: see `src/access/README.md`. */
export interface Load {
  readonly monitor: LoadMonitor
  readonly admission: Admission
  readonly entrance: Entrance
  /** Whether there is another server of the operator that clients could be sent to, though it may not have said yet how it is. */
  hasOthers(): boolean
  start(): void
  stop(): void
}

/** What is used of the federation; who says nothing of links is told of servers by their reports alone. */
export type LoadFederation = Pick<Federation, 'loads' | 'reportLoad'> & Partial<Pick<Federation, 'linked' | 'reduce'>>

export interface LoadLimits {
  /** Off: everybody is let in at all times, whatever comes of it. */
  readonly isControlled: boolean
  readonly thresholds: Partial<Thresholds>
  readonly admission: Partial<AdmissionLimits>
  readonly resumeMs: number
  readonly redirectMs: number
}

export const defaultLoadLimits: LoadLimits = {
  isControlled: true,
  thresholds: {},
  admission: {},
  resumeMs: 600_000,
  redirectMs: 30_000,
}

export function createLoad(options: {
  readonly operator: OperatorId
  readonly self: ServerId
  readonly probe: LoadProbe
  /** Connections of those that there may be, 0 to 1. */
  readonly connections: () => number
  /** Left out where there are no other servers. */
  readonly federation?: LoadFederation | undefined
  readonly urlsOf: (server: ServerId) => readonly string[]
  /** Left out: clients are neither sent to other operators nor taken from them. */
  readonly guests?: Guests | undefined
  /** Left out: what holds as long as an operator says nothing. */
  readonly policies?: PolicySource | undefined
  readonly macKeys: () => OperatorSecrets['macKeys']
  readonly clock: Clock
  readonly random: Random
  readonly crypto: Crypto
  readonly telemetry: Telemetry
  readonly limits?: Partial<LoadLimits>
}): Load {
  const { operator, self, probe, federation, urlsOf, guests, macKeys, clock, random, crypto, telemetry } = options
  const limits = { ...defaultLoadLimits, ...options.limits }
  const queue = limits.isControlled ? createAuthenticationQueue(clock) : createPlainQueue(clock)
  const monitor = createLoadMonitor({
    ...{ probe, clock, telemetry, thresholds: limits.thresholds, isControlled: limits.isControlled },
    connections: options.connections,
    authenticationWaitMs: () => queue.shortestWaitMs(),
  })
  const reports = federation && createLoadReports({ monitor, federation, urlsOf, clock })
  const tickets = { operator, macKeys, crypto, clock }
  const resumes = createResumeTickets({ ...tickets, lifetimeMs: limits.resumeMs })
  const redirects = createRedirectTickets({ ...tickets, self, random, lifetimeMs: limits.redirectMs })
  const admission = createAdmission({
    ...{ self, monitor, clock, random, telemetry, limits: limits.admission },
    candidates: () => reports?.candidates() ?? [],
    issue: (target, visited) => redirects.issue(target, visited),
    policies: options.policies ?? defaultPolicies,
    ...(guests && {
      partners: {
        candidates: operators => reports?.candidates(operators) ?? [],
        issue: (target, visited) => guests.send(target, visited),
      },
    }),
    isOn: limits.isControlled,
  })
  return {
    monitor,
    admission,
    hasOthers() {
      const linked = federation?.linked?.(operator) ?? reports?.candidates().map(({ server }) => server) ?? []
      return linked.some(server => server !== self && urlsOf(server).length > 0)
    },
    entrance: createEntrance({ admission, queue, resumes, redirects, guests }),
    start() {
      monitor.start()
      reports?.start()
    },
    stop() {
      reports?.stop()
      monitor.stop()
    },
  }
}
