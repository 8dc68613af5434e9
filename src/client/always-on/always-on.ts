import type { ServedPolicy } from '../../access/policy/served-policy.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { PolicyStore } from '../../ports/policy-store.ts'
import type { ClientPorts } from '../session.ts'
import { Heartbeats } from './heartbeats.ts'
import { type Home, HomeLink } from './home.ts'
import type { Provisioned } from './policy-guide.ts'
import { forgetfulStore } from './policy-keeper.ts'
import type { PolicyRefused } from './policy-trust.ts'

/*
 * A client that is always online: for each operator of which it is a subscriber, connected to one of its servers, wherever the
 * policy of the operator and the load of its servers lead it. Each of these is on its own; what they share is one heartbeat.
 */

export interface AlwaysOnOptions {
  /** At least one, the most important first; of each operator one. */
  readonly homes: readonly Provisioned[]
  /** Where policies are kept. Left out: they are asked for anew after each start. */
  readonly store?: PolicyStore
  /** For connecting, and for each call unless it says otherwise. Default: 10 s. */
  readonly timeoutMs?: number
}

/** Every member may be left out. */
export interface AlwaysOnListener {
  /** The state of a home is another one, and perhaps its session. */
  changed?(home: Home): void
  policy?(home: Home, policy: ServedPolicy): void
  /** Somebody told, or kept, a policy that is not believed; the one that is known still holds. */
  policyRefused?(home: Home, refusal: PolicyRefused): void
}

export interface AlwaysOn {
  readonly homes: readonly Home[]
  /** @throws {RangeError} when there is none of this operator */
  home(operator: OperatorId): Home
  /** How often all connections say that they are there, now; `undefined` while there is none. */
  readonly heartbeatMs: number | undefined
  /** Returns the way to stop. */
  listen(listener: AlwaysOnListener): () => void
  /** Ends all connections, for good. */
  close(): void
}

/**
 * Which of several homes may be connected: the first; and each further one as long as it, and all before it that may, allow several.
 * A home without a known policy allows them.
 */
export function mayConnect(homes: readonly { readonly several: boolean }[]): boolean[] {
  let areSeveral = true
  return homes.map(({ several }, index) => {
    const may = index === 0 || (several && areSeveral)
    if (may) areSeveral &&= several
    return may
  })
}

/** Begins at once. @throws {RangeError} without a home, or with two of one operator, or a home without a URL */
export function keepAlwaysOn(ports: ClientPorts, options: AlwaysOnOptions): AlwaysOn {
  const { homes: provisioned, store = forgetfulStore, timeoutMs } = options
  if (provisioned.length === 0) throw new RangeError('A client needs at least one operator to be connected to.')
  if (new Set(provisioned.map(({ operator }) => operator)).size < provisioned.length)
    throw new RangeError('Of each operator there is one home.')
  if (provisioned.some(({ urls, servers }) => urls.length === 0 || servers.length === 0))
    throw new RangeError('A home needs at least one URL to begin with, and one server to expect there.')
  const listeners = new Set<AlwaysOnListener>()
  const heartbeats = new Heartbeats(ports.clock)
  let isClosed = false

  const tell = (event: (listener: AlwaysOnListener) => void) => {
    for (const listener of [...listeners]) event(listener)
  }

  const homes = provisioned.map(each => {
    const home: HomeLink = new HomeLink(
      ports,
      { ...each, ...(timeoutMs !== undefined && { timeoutMs }) },
      store,
      heartbeats,
      {
        changed: () => tell(listener => listener.changed?.(home)),
        policy() {
          const { policy } = home
          if (policy) tell(listener => listener.policy?.(home, policy))
          arrange()
        },
        refused: refusal => tell(listener => listener.policyRefused?.(home, refusal)),
      },
    )
    return home
  })

  function arrange(): void {
    if (isClosed) return
    const may = mayConnect(homes.map(({ policy }) => ({ several: policy?.several ?? true })))
    for (const [index, home] of homes.entries()) {
      if (may[index]) home.start()
      else home.stop('policy', 'A policy allows no servers of several operators at the same time.')
    }
  }

  arrange()
  return {
    homes,
    home(operator) {
      const found = homes.find(home => home.operator === operator)
      if (found) return found
      throw new RangeError(`This client is no subscriber of ${operator}.`)
    },
    get heartbeatMs() {
      return heartbeats.everyMs
    },
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    close() {
      isClosed = true
      for (const home of homes) home.stop('closed', 'Closed by the client.')
    },
  }
}
