import { Allowances } from '../../federation/allowances.ts'
import { tokenBucket } from '../../federation/token-bucket.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Random } from '../../ports/random.ts'
import type { Telemetry } from '../../ports/telemetry.ts'
import type { PolicySource } from '../policy/policies.ts'
import { type ClientClass, rankOf } from '../policy/rules.ts'
import type { Resume } from '../resume-tickets.ts'
import { isAtLeast } from './level.ts'
import type { LoadMonitor } from './monitor.ts'
import { type Candidate, chooseTarget } from './targets.ts'

/*
 * Who may authenticate now. Decided when a client says its first word, before anything is done for it that costs much: an
 * overloaded server stays good for those it has, and says to the others where to go.
 */

/** A client that wants to authenticate, as far as one knows after a MAC or two. */
export interface Arrival {
  readonly address: string
  /** Has been here before, and can prove it cheaply. */
  readonly resume?: Resume | undefined
  /** Was sent here by other servers: these. */
  readonly visited?: readonly ServerId[] | undefined
  /** Was sent here by another operator's server. */
  readonly isGuest?: boolean
  /** May be sent to servers of other operators. */
  readonly roams?: boolean | undefined
}

export type Verdict =
  | { readonly kind: 'admitted' }
  /** Goes to another server, with a ticket for it. */
  | {
      readonly kind: 'redirected'
      readonly server: ServerId
      readonly urls: readonly string[]
      readonly ticket: string
      readonly hops: number
      /** By policy, clients of this class do not come here any more. */
      readonly isPermanent?: boolean
    }
  /** No server has room: the application is to use its own server meanwhile, and come back. */
  | { readonly kind: 'direct'; readonly retryAfterMs: number }
  /** The same, where the policy does not want applications to go elsewhere. */
  | { readonly kind: 'busy'; readonly retryAfterMs: number }
  /** Comes too often. */
  | { readonly kind: 'limited'; readonly retryAfterMs: number }

export interface Admission {
  decide(arrival: Arrival): Verdict
  /** Where a client goes that is here already and has to leave; `undefined`: to nowhere in particular. */
  elsewhere(visited?: readonly ServerId[], kind?: ClientClass): Elsewhere | undefined
  /** For a client that finds no room at any server. */
  noRoom(retryAfterMs: number, kind?: ClientClass): Extract<Verdict, { kind: 'direct' | 'busy' }>
}

export type Elsewhere = Omit<Extract<Verdict, { kind: 'redirected' }>, 'kind'>

export interface AdmissionLimits {
  /** Attempts to authenticate from one address: in the long run, and at once. */
  readonly perAddressPerSecond: number
  readonly addressBurst: number
  /** Clients that are sent to other operators under overload, of all together: each costs a signature. */
  readonly abroadPerSecond: number
  /** Those of the emergency class that pass under overload, of all clients together. */
  readonly emergencyPerSecond: number
  /** How long a client that finds no room stays away, spread over twice the time. */
  readonly retryAfterMs: number
}

export const defaultAdmissionLimits: AdmissionLimits = {
  perAddressPerSecond: 50,
  addressBurst: 500,
  abroadPerSecond: 50,
  emergencyPerSecond: 20,
  retryAfterMs: 5_000,
}

/** The policy of an operator says nothing of the servers of another one. */
const anyServer = { allocation: 'weighted', servers: [] } as const

/** Addresses remembered; beyond it those that came least lately are forgotten. */
const maxAddresses = 20_000

export function createAdmission(options: {
  readonly self: ServerId
  readonly monitor: Pick<LoadMonitor, 'level' | 'freeCapacity'>
  readonly candidates: () => readonly Candidate[]
  readonly issue: (target: ServerId, visited: readonly ServerId[]) => string
  /** Servers of other operators, by what each says of what it has free for this operator's clients. Left out: none. */
  readonly partners?: {
    candidates(operators: readonly OperatorId[]): readonly Candidate[]
    issue(target: ServerId, visited: readonly ServerId[]): string
  }
  readonly policies: Pick<PolicySource, 'rules'>
  /** Off: everybody is admitted, whatever comes of it. For comparison. */
  readonly isOn: boolean
  readonly limits?: Partial<AdmissionLimits>
  readonly clock: Pick<Clock, 'elapsed'>
  readonly random: Random
  readonly telemetry: Telemetry
}): Admission {
  const { self, monitor, policies, clock, random, telemetry } = options
  const limits = { ...defaultAdmissionLimits, ...options.limits }
  const addresses = new Allowances(clock, limits.perAddressPerSecond, limits.addressBurst, maxAddresses)
  const signatures = tokenBucket(limits.abroadPerSecond, limits.abroadPerSecond, clock.elapsed())
  const emergencies = tokenBucket(limits.emergencyPerSecond, limits.emergencyPerSecond, clock.elapsed())

  function passesOverload({ resume }: Arrival): boolean {
    if (!resume || monitor.level === 'draining') return false
    if (resume.class === 'emergency') return emergencies.take(clock.elapsed()) === 0
    return monitor.level === 'overloaded'
  }

  function elsewhere(visited: readonly ServerId[] = [], kind: ClientClass = 'standard'): Elsewhere | undefined {
    const rules = policies.rules(kind)
    const seen = [...visited, self]
    if (seen.length > rules.hops) return undefined
    const own = { freeCapacity: monitor.freeCapacity, visited: seen }
    const target = chooseTarget(options.candidates(), rules, own, clock.elapsed(), random.fraction())
    if (!target) return undefined
    const { server, urls } = target
    const isPermanent = rankOf(rules, self) === undefined
    return { server, urls, ticket: options.issue(server, seen), hops: seen.length, ...(isPermanent && { isPermanent }) }
  }

  /**
   * Where another operator takes this one's clients, as the policy says. Its ticket takes a signature, which an overloaded server
   * makes only so often.
   */
  function abroad({ visited = [], roams }: Arrival, kind: ClientClass): Elsewhere | undefined {
    const rules = policies.rules(kind)
    const seen = [...visited, self]
    if (!roams || !options.partners || rules.partners.length === 0 || seen.length > rules.hops) return undefined
    const candidates = options.partners.candidates(rules.partners)
    const own = { freeCapacity: monitor.freeCapacity, visited: seen }
    const target = chooseTarget(candidates, anyServer, own, clock.elapsed(), random.fraction())
    if (!target || signatures.take(clock.elapsed()) > 0) return undefined
    const { server, urls } = target
    return { server, urls, ticket: options.partners.issue(server, seen), hops: seen.length }
  }

  function noRoom(retryAfterMs: number, kind: ClientClass = 'standard'): Extract<Verdict, { kind: 'direct' | 'busy' }> {
    return { kind: policies.rules(kind).direct.allowed ? 'direct' : 'busy', retryAfterMs }
  }

  function verdictOn(arrival: Arrival): Verdict {
    if (!options.isOn) return { kind: 'admitted' }
    const waitMs = addresses.take(arrival.address)
    if (waitMs > 0) return { kind: 'limited', retryAfterMs: waitMs }
    // Before it has proved itself, a client is of the class that its ticket says, if it has one.
    const kind = arrival.resume?.class ?? 'standard'
    if (!isAtLeast(monitor.level, 'overloaded') || passesOverload(arrival)) return { kind: 'admitted' }
    // A guest goes back to its own operator, which may send it to another host.
    const target = arrival.isGuest ? undefined : (elsewhere(arrival.visited, kind) ?? abroad(arrival, kind))
    if (target) return { kind: 'redirected', ...target }
    return noRoom(Math.round(limits.retryAfterMs * (1 + random.fraction())), kind)
  }

  return {
    elsewhere,
    noRoom,
    decide(arrival) {
      const verdict = verdictOn(arrival)
      telemetry.count('cpns_access_admissions_total', { verdict: verdict.kind })
      return verdict
    },
  }
}
