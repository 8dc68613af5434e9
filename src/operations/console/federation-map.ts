import type { Federation, LinkStatus } from '../../federation/federation.ts'
import type { Quarantines } from '../../federation/quarantines.ts'
import type { Trust } from '../../federation/trust.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { FederationMap, MapOperator, MapServer, Reach } from './shapes.ts'

export interface FederationSources {
  readonly trust: Pick<Trust, 'operators' | 'manifestOf' | 'isValid' | 'fingerprintOf'>
  readonly quarantines: Pick<Quarantines, 'list'>
  readonly federation: Pick<Federation, 'operator' | 'server' | 'links' | 'loads'>
}

/** Reads the federation as this server sees it now; since when its links are as they are is what earlier readings have seen. */
export function federationReader(
  { trust, federation, quarantines }: FederationSources,
  clock: Pick<Clock, 'now'>,
): () => FederationMap {
  let seen = new Map<ServerId, { readonly state: LinkStatus['state']; readonly since: number }>()

  return () => {
    const links = new Map(federation.links().map(link => [link.server, link]))
    const now = clock.now()
    seen = new Map(
      [...links.values()].map(({ server, state }) => {
        const before = seen.get(server)
        return [server, before?.state === state ? before : { state, since: now }]
      }),
    )
    const { operator: self } = federation
    const kept = new Map(quarantines.list().map(each => [each.operator, each]))
    const serverOf = (of: OperatorId, server: ServerId): MapServer => {
      if (server === federation.server) return { server, isSelf: true, link: 'none' }
      const link = links.get(server)
      if (!link) return { server, isSelf: false, link: 'none' }
      const { state, reason, clockSkewMs, clockUncertaintyMs, lag } = link
      const usedPercent = federation.loads(of).get(server)?.usedPercent
      const since = seen.get(server)?.since
      return {
        ...{ server, isSelf: false, link: state },
        ...(since !== undefined && { since }),
        ...(reason !== undefined && { reason }),
        ...(lag && { lag: { ...lag } }),
        ...(clockSkewMs !== undefined && { clockSkewMs }),
        ...(clockUncertaintyMs !== undefined && { clockUncertaintyMs }),
        ...(usedPercent !== undefined && { usedPercent }),
      }
    }
    const operatorOf = (operator: OperatorId): MapOperator => {
      const manifest = trust.manifestOf(operator)
      const fingerprint = trust.fingerprintOf(operator)
      const named = manifest?.servers.map(({ peerId }) => peerId) ?? []
      // Servers that are linked, and that the newest manifest does not name any more.
      const others = [...links.values()].filter(link => link.operator === operator && !named.includes(link.server))
      const servers = [...named, ...others.map(({ server }) => server)].map(server => serverOf(operator, server))
      const isOwn = operator === self
      const quarantine = kept.get(operator)
      return {
        ...{ operator, isOwn, servers },
        reach: quarantine ? 'quarantined' : reachOf(isOwn, trust.isValid(operator), servers),
        manifest: manifest ? (trust.isValid(operator) ? 'valid' : 'expired') : 'missing',
        ...(manifest && { seq: manifest.seq, expires: manifest.expires }),
        ...(fingerprint !== undefined && { fingerprint }),
        ...(quarantine && { quarantine: { why: quarantine.why, since: quarantine.sinceMs } }),
      }
    }
    const others = trust.operators().filter(operator => operator !== self)
    return { operators: [self, ...others.toSorted()].map(operatorOf) }
  }
}

/** What can be reached of an operator: of others it is enough to reach one server, of the own one all are wanted. */
export function reachOf(isOwn: boolean, isValid: boolean, servers: readonly MapServer[]): Reach {
  const wanted = servers.filter(({ isSelf, link }) => !isSelf && !(isOwn && link === 'none'))
  const up = wanted.filter(({ link }) => link === 'up').length
  if (isOwn) return up === wanted.length ? 'self' : up > 0 ? 'partly' : 'cut-off'
  if (!isValid) return 'untrusted'
  if (up === 0) return 'cut-off'
  return up === wanted.length ? 'linked' : 'partly'
}
