import type { CommandAnswer, Forwarder } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { NetworkName } from '../view.ts'
import type { PresenceLimits } from './limits.ts'
import { networkKey, type Reports } from './reports.ts'
import type { PresenceWire, Told } from './wire.ts'

interface Lease {
  readonly name: NetworkName
  readonly operator: OperatorId
  endsMs: number
  /** Up to which revision the other has been told. */
  told: number
}

export interface LeasesOptions {
  readonly reports: Reports
  readonly wire: PresenceWire
  readonly limits: PresenceLimits
  readonly clock: Clock
  /** Whether servers of the operator may know who is there in the network. */
  readonly mayKnow: (name: NetworkName, operator: OperatorId) => boolean
  /** Has {@link Leases.push} called soon for this server and network. */
  readonly pushLater: (server: ServerId, key: string) => void
  readonly request: (server: ServerId, networks: readonly Told[]) => Promise<CommandAnswer>
}

/** The servers that asked to be told what clients say here, each for a while. */
export class Leases {
  readonly #options: LeasesOptions
  /** By network, then by server. */
  readonly #leases = new Map<string, Map<ServerId, Lease>>()
  readonly #counts = new Map<ServerId, number>()

  constructor(options: LeasesOptions) {
    this.#options = options
  }

  /** Begins or renews leases. Answers what each server lacks, of the networks that it may know of. */
  watch(asked: readonly (NetworkName & { readonly known: number })[], { server, operator }: Forwarder): Told[] {
    const { reports, limits, clock, mayKnow } = this.#options
    let room = limits.maxEntriesPerRequest
    return asked.flatMap(({ home, pnId, known }) => {
      const name = { home, pnId }
      const key = networkKey(name)
      const present = this.#leases.get(key)?.get(server)
      const isFull = !present && (this.#counts.get(server) ?? 0) >= limits.maxLeasesPerServer
      if (isFull || !mayKnow(name, operator)) return []
      const { revision, entries } = reports.since(name, known, room)
      room -= entries.length
      const endsMs = clock.elapsed() + limits.leaseMs
      this.#keep(key, server, { name, operator, endsMs, told: revision })
      // What did not fit comes as if it had just changed.
      this.#pushIfBehind(key, server)
      return [{ home, pnId, since: known, revision, entries: [...entries] }]
    })
  }

  /** Something was said here: whoever asked is to be told. */
  changed(name: NetworkName): void {
    const key = networkKey(name)
    for (const server of this.#leases.get(key)?.keys() ?? []) this.#options.pushLater(server, key)
  }

  /** Tells a server what it lacks of these networks. */
  async push(server: ServerId, keys: readonly string[]): Promise<CommandAnswer> {
    const { wire, request } = this.#options
    const networks = this.#lacking(server, keys)
    if (networks.length === 0) return { ok: true, value: {} }
    const answer = await request(server, networks)
    const parsed = wire.pushed.safeParse(answer.ok ? answer.value : undefined)
    if (!parsed.success) return answer
    for (const told of networks) {
      const lease = this.#leases.get(networkKey(told))?.get(server)
      if (lease) lease.told = Math.max(lease.told, told.revision)
    }
    for (const name of parsed.data.unwatched) this.#drop(networkKey(name), server)
    for (const key of keys) this.#pushIfBehind(key, server)
    return answer
  }

  #lacking(server: ServerId, keys: readonly string[]): Told[] {
    const { reports, limits, clock, mayKnow } = this.#options
    let room = limits.maxEntriesPerRequest
    return keys.flatMap(key => {
      const lease = this.#leases.get(key)?.get(server)
      if (!lease) return []
      if (lease.endsMs <= clock.elapsed() || !mayKnow(lease.name, lease.operator)) {
        this.#drop(key, server)
        return []
      }
      const { revision, entries } = reports.since(lease.name, lease.told, room)
      room -= entries.length
      const told = { ...lease.name, since: lease.told, revision, entries: [...entries] }
      return revision > lease.told ? [told] : []
    })
  }

  #pushIfBehind(key: string, server: ServerId): void {
    const lease = this.#leases.get(key)?.get(server)
    if (lease && this.#options.reports.since(lease.name, lease.told, 1).entries.length > 0) {
      this.#options.pushLater(server, key)
    }
  }

  /** The server is gone, or begins again: it will ask anew. */
  gone(server: ServerId): void {
    if (!this.#counts.has(server)) return
    for (const key of [...this.#leases.keys()]) this.#drop(key, server)
  }

  /** Drops what has ended. */
  tick(): void {
    const nowMs = this.#options.clock.elapsed()
    for (const [key, leases] of [...this.#leases]) {
      for (const [server, { endsMs }] of leases) if (endsMs <= nowMs) this.#drop(key, server)
    }
  }

  isEmpty(): boolean {
    return this.#leases.size === 0
  }

  #keep(key: string, server: ServerId, lease: Lease): void {
    const leases = this.#leases.get(key) ?? new Map<ServerId, Lease>()
    this.#leases.set(key, leases)
    if (!leases.has(server)) this.#counts.set(server, (this.#counts.get(server) ?? 0) + 1)
    leases.set(server, lease)
  }

  #drop(key: string, server: ServerId): void {
    const leases = this.#leases.get(key)
    if (!leases?.delete(server)) return
    if (leases.size === 0) this.#leases.delete(key)
    const left = (this.#counts.get(server) ?? 1) - 1
    if (left > 0) this.#counts.set(server, left)
    else this.#counts.delete(server)
  }
}
