import { placeOf } from '../../access/policy/served-policy.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { ClientIdentity, DeviceCredential, GuestIdentity } from '../authenticate.ts'
import { fixedGuide, type Guide } from '../session/guide.ts'
import type { PolicyKeeper } from './policy-keeper.ts'
import { route } from './route.ts'

/** A client of an operator as it was provisioned, with where to begin. */
export interface Provisioned extends ClientIdentity {
  /** Base URLs of the operator's servers, as long as there is no policy that says them. */
  readonly urls: readonly string[]
}

/** Leads a client by the policy of its operator; without one, by what it was provisioned with. */
export function policyGuide(
  provisioned: Provisioned,
  keeper: PolicyKeeper,
  fraction: () => number,
  device: () => DeviceCredential | undefined = () => undefined,
): Guide & { readonly left: (server: ServerId) => void } {
  const untold = fixedGuide(provisioned)
  let lost: ServerId | undefined

  const identity = (): ClientIdentity => ({ ...provisioned, servers: keeper.servers })

  /** At a partner's servers the policy says who they are. */
  function guestAt(operator: OperatorId): GuestIdentity | undefined {
    const credential = device()
    const partner = keeper.policy?.partners.find(each => each.operator === operator)
    if (!credential || !partner) return undefined
    const servers = partner.servers.map(({ server }) => server)
    return { operator, identity: provisioned.identity, credential, servers }
  }

  return {
    identity,
    roams: () => (keeper.policy?.partners.length ?? 0) > 0 && device() !== undefined,
    round() {
      const { policy } = keeper
      return policy && policy.servers.length > 0 ? route(policy, lost, fraction) : untold.round()
    },
    follow(server) {
      const { policy } = keeper
      const place = policy && placeOf(policy, server)
      if (place && place.operator !== provisioned.operator) return guestAt(place.operator)
      if (place) return identity()
      return keeper.servers.some(known => known === server) ? identity() : undefined
    },
    // One more than the servers count: it is their word that ends it.
    hops: () => (keeper.policy ? keeper.policy.hops + 1 : untold.hops()),
    pauses: () => keeper.policy?.backoff ?? untold.pauses(),
    tried: place => untold.tried(place),
    moved: (from, to) => untold.moved(from, to),
    left(server) {
      lost = server
    },
  }
}
