import type { Principal } from '../../federation/command.ts'
import type { CommandAnswer } from '../../federation/federation.ts'
import type { Cancel, Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import { refusals } from '../refusals.ts'
import type { NetworkName } from '../view.ts'
import { type Entry, entryKey, type Statement } from './entries.ts'
import type { PresenceLimits } from './limits.ts'
import type { Presence } from './methods.ts'
import { networkKey } from './reports.ts'
import type { PresenceWire, Told } from './wire.ts'

/** What another server has said of a network, until its lease ends. */
interface Said {
  readonly operator: OperatorId
  readonly entries: Map<string, Entry>
  revision: number
  endsMs: number
  renewMs: number
}

/** A network that somebody here wants to know of. */
export interface Interest {
  readonly name: NetworkName
  readonly watchers: Map<string, Principal>
  /** What the watchers know. */
  told: Presence
  /** Without watchers it ends then. */
  untilMs: number
  readonly said: Map<ServerId, Said>
  readonly awaiting: Map<ServerId, Set<() => void>>
  cancelTelling: Cancel | undefined
}

export interface InterestsOptions {
  readonly wire: PresenceWire
  readonly limits: PresenceLimits
  readonly clock: Clock
  /** The operators that take part in the network, as known now, this one among them or not. */
  readonly sharers: (name: NetworkName) => readonly OperatorId[]
  readonly linked: (operator: OperatorId) => readonly ServerId[]
  /** Has {@link Interests.ask} called soon for this server and network. */
  readonly askLater: (server: ServerId, key: string) => void
  readonly request: (
    server: ServerId,
    networks: readonly (NetworkName & { readonly known: number })[],
  ) => Promise<CommandAnswer>
  /** What is known of a network has changed. */
  readonly changed: (interest: Interest) => void
}

/**
 * What this server asks others: for each network that somebody here watches, or has just asked about, every server of its
 * operators that there is a link to. What a server said is believed for its lease, and no longer than the link stands.
 */
export class Interests {
  readonly #options: InterestsOptions
  readonly #interests = new Map<string, Interest>()
  /** The networks that each subscriber watches. */
  readonly #watched = new Map<string, Set<string>>()

  constructor(options: InterestsOptions) {
    this.#options = options
  }

  get(name: NetworkName): Interest | undefined {
    return this.#interests.get(networkKey(name))
  }

  /** @throws {CommandRefused} 503 when this server watches as many as it can. */
  keep(name: NetworkName): Interest {
    const { limits, clock } = this.#options
    const key = networkKey(name)
    const present = this.#interests.get(key)
    if (!present && this.#interests.size >= limits.maxWatched) throw refusals.overloaded(limits.leaseMs)
    const interest: Interest = present ?? {
      // A whole inventory is a name too, and too long for one.
      name: { home: name.home, pnId: name.pnId },
      watchers: new Map(),
      told: { pnes: [], gateways: [] },
      untilMs: 0,
      said: new Map(),
      awaiting: new Map(),
      cancelTelling: undefined,
    }
    interest.untilMs = clock.elapsed() + limits.leaseMs
    this.#interests.set(key, interest)
    return interest
  }

  /** @throws {CommandRefused} 429 when the subscriber watches too many; 503. */
  watch(name: NetworkName, watcher: Principal): Interest {
    const { maxWatchedBySubscriber } = this.#options.limits
    const who = watcherKey(watcher)
    const watched = this.#watched.get(who) ?? new Set()
    const key = networkKey(name)
    if (!watched.has(key) && watched.size >= maxWatchedBySubscriber)
      throw refusals.tooManyWatched(maxWatchedBySubscriber)
    const interest = this.keep(name)
    interest.watchers.set(who, watcher)
    this.#watched.set(who, watched.add(key))
    return interest
  }

  unwatch(name: NetworkName, watcher: Principal): void {
    const who = watcherKey(watcher)
    const key = networkKey(name)
    this.#interests.get(key)?.watchers.delete(who)
    const watched = this.#watched.get(who)
    if (watched?.delete(key) && watched.size === 0) this.#watched.delete(who)
  }

  /** The last connection of a subscriber has ended. */
  left(watcher: Principal): void {
    for (const key of this.#watched.get(watcherKey(watcher)) ?? []) {
      const interest = this.#interests.get(key)
      if (interest) this.unwatch(interest.name, watcher)
    }
  }

  /** What the servers that were asked have said, as far as it still holds. */
  statements(name: NetworkName): Statement[] {
    const nowMs = this.#options.clock.elapsed()
    return [...(this.get(name)?.said ?? [])]
      .filter(([, { endsMs }]) => endsMs > nowMs)
      .map(([server, { operator, entries }]) => ({ server, operator, entries }))
  }

  /** Asks every server that has not said anything yet, and waits until all have answered, or for `answerMs`. */
  async gather(interest: Interest): Promise<void> {
    const { limits, clock, askLater } = this.#options
    const lacking = this.#targets(interest.name).filter(server => !interest.said.has(server))
    if (lacking.length === 0) return
    await new Promise<void>(resolve => {
      const open = new Set(lacking)
      const cancel = clock.after(limits.answerMs, resolve)
      for (const server of lacking) {
        const answered = () => {
          open.delete(server)
          if (open.size > 0) return
          cancel()
          resolve()
        }
        interest.awaiting.set(server, (interest.awaiting.get(server) ?? new Set()).add(answered))
        askLater(server, networkKey(interest.name))
      }
    })
  }

  #targets(name: NetworkName): ServerId[] {
    return [...new Set(this.#options.sharers(name).flatMap(this.#options.linked))]
  }

  /** Asks one server about these networks, and takes in what it answers. */
  async ask(server: ServerId, keys: readonly string[]): Promise<CommandAnswer> {
    const { wire, limits, clock, request } = this.#options
    const asked = keys.flatMap(key => this.#interests.get(key) ?? [])
    if (asked.length === 0) return { ok: true, value: {} }
    const known = asked.map(({ name, said }) => ({ ...name, known: said.get(server)?.revision ?? 0 }))
    const answer = await request(server, known)
    const parsed = wire.watched.safeParse(answer.ok ? answer.value : undefined)
    if (parsed.success) {
      const nowMs = clock.elapsed()
      const endsMs = nowMs + Math.min(parsed.data.leaseMs, limits.leaseMs)
      const told = new Map(parsed.data.networks.map(each => [networkKey(each), each]))
      for (const interest of asked) {
        const answered = told.get(networkKey(interest.name))
        const operator = this.#operatorOf(server, interest.name)
        if (!answered || !operator) this.#forget(interest, server)
        else this.#note(interest, server, answered, { operator, endsMs, renewMs: nowMs + limits.renewMs })
      }
    }
    for (const interest of asked) this.#answered(interest, server)
    return answer
  }

  #operatorOf(server: ServerId, name: NetworkName): OperatorId | undefined {
    return this.#options.sharers(name).find(operator => this.#options.linked(operator).includes(server))
  }

  #answered(interest: Interest, server: ServerId): void {
    const waiting = interest.awaiting.get(server) ?? []
    interest.awaiting.delete(server)
    for (const answered of waiting) answered()
  }

  #note(
    interest: Interest,
    server: ServerId,
    told: Told,
    { operator, endsMs, renewMs }: Pick<Said, 'operator' | 'endsMs' | 'renewMs'>,
  ): void {
    const said = interest.said.get(server) ?? { operator, entries: new Map(), revision: 0, endsMs, renewMs }
    said.endsMs = endsMs
    said.renewMs = renewMs
    interest.said.set(server, said)
    this.#take(interest, said, told)
  }

  /**
   * Takes in what a server says unasked. `false`: nobody asked it, and it may stop. What does not follow on what it said
   * before is asked for anew.
   */
  told(told: Told, server: ServerId): boolean {
    const interest = this.get(told)
    const said = interest?.said.get(server)
    if (!interest || !said) return false
    if (told.since > said.revision) this.#options.askLater(server, networkKey(told))
    else this.#take(interest, said, told)
    return true
  }

  #take(interest: Interest, said: Said, { since, revision, entries }: Told): void {
    const { clock, limits, changed } = this.#options
    if (since > said.revision || revision <= said.revision) return
    said.revision = revision
    const nowMs = clock.now()
    for (const entry of entries) {
      const key = entryKey(entry)
      if (!said.entries.has(key) && said.entries.size >= limits.maxEntries) continue
      // Nobody was seen in the future, whatever another clock says.
      said.entries.set(key, { ...entry, lastSeen: Math.min(entry.lastSeen, nowMs) })
    }
    if (entries.length > 0) changed(interest)
  }

  #forget(interest: Interest, server: ServerId): void {
    if (interest.said.delete(server)) this.#options.changed(interest)
  }

  /** The link to a server is down: what it said is gone. */
  gone(server: ServerId): void {
    for (const interest of this.#interests.values()) this.#forget(interest, server)
  }

  /** There is a link to a server of this operator. */
  linked(server: ServerId, operator: OperatorId): void {
    for (const [key, { name }] of this.#interests) {
      if (this.#options.sharers(name).includes(operator)) this.#options.askLater(server, key)
    }
  }

  /** Ends what has ended, and asks again what is to go on. */
  tick(): void {
    const { clock, askLater } = this.#options
    const nowMs = clock.elapsed()
    for (const [key, interest] of this.#interests) {
      for (const [server, { endsMs }] of interest.said) if (endsMs <= nowMs) this.#forget(interest, server)
      if (interest.watchers.size === 0 && interest.untilMs <= nowMs) {
        interest.cancelTelling?.()
        this.#interests.delete(key)
        continue
      }
      for (const server of this.#targets(interest.name)) {
        if ((interest.said.get(server)?.renewMs ?? 0) <= nowMs) askLater(server, key)
      }
    }
  }

  isEmpty(): boolean {
    return this.#interests.size === 0
  }

  stop(): void {
    for (const { cancelTelling } of this.#interests.values()) cancelTelling?.()
    this.#interests.clear()
  }
}

const watcherKey = ({ operator, identity }: Principal): string => `${operator} ${identity}`
