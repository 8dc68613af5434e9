import { loadLevels } from '../../access/load/level.ts'
import type { Metrics, Sample } from '../../adapters/metrics.ts'
import type { LinkStatus } from '../../federation/federation.ts'
import type { CpnsNode } from '../../node.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { StatusAnswer } from '../admin/status.ts'
import type { Draining } from '../draining.ts'
import type { MetricName } from './catalogue.ts'

/*
 * The figures that are read from the node when somebody asks for them.
 */

const one = (value: number): readonly Sample[] => [{ labels: {}, value }]
const asNumber = (is: boolean): number => (is ? 1 : 0)

export function readNode(
  metrics: Metrics,
  of: {
    readonly status: () => StatusAnswer
    readonly federation: Pick<CpnsNode['federation'], 'usageOf'>
    readonly trust: Pick<CpnsNode['trust'], 'manifestOf'>
    /** Operators whose manifests matter, this one's own among them. */
    readonly operators: readonly OperatorId[]
    readonly draining: Pick<Draining, 'progress'>
    /** Bytes that are free where the store is. */
    readonly freeBytes: () => Promise<number>
    readonly release: { readonly version: string; readonly node: string }
  },
): void {
  const { status, federation, trust, operators, draining, freeBytes, release } = of
  const read = (name: MetricName, samples: () => Iterable<Sample> | Promise<Iterable<Sample>>) =>
    metrics.read(name, samples)

  read('cpns_build_info', () => [{ labels: release, value: 1 }])
  read('cpns_connections', () => one(status().connections))
  read('cpns_sessions', () => one(status().sessions))
  read('cpns_ready', () => one(asNumber(status().isReady)))
  read('cpns_start_progress_ratio', () => one((status().starting?.percent ?? 100) / 100))
  read('cpns_load_level', () => {
    const { level } = status()
    return loadLevels.map(each => ({ labels: { level: each }, value: asNumber(each === level) }))
  })
  read('cpns_event_loop_delay_seconds', () => one(status().signals.loopDelayMs / 1_000))
  read('cpns_event_loop_utilisation_ratio', () => one(status().signals.utilisation))
  read('cpns_memory_used_ratio', () => one(status().signals.memory))
  read('cpns_authentication_wait_seconds', () => one(status().signals.authenticationWaitMs / 1_000))
  read('cpns_commit_duration_p99_seconds', () => one(status().signals.commitMs / 1_000))
  read('cpns_connections_used_ratio', () => one(status().signals.connections))
  read('cpns_draining', () => one(asNumber(draining.progress !== undefined)))
  read('cpns_drain_left', () => {
    const { progress } = draining
    return progress ? [{ labels: { phase: progress.phase }, value: progress.left }] : []
  })
  read('cpns_documents_held', () => one(status().documents.held))
  read('cpns_documents_active', () => one(status().documents.active))
  read('cpns_documents_damaged', () => one(status().damaged))
  read('cpns_documents_unshared', () => one(status().unshared))
  read('cpns_store_free_bytes', async () => one(await freeBytes()))
  read('cpns_links', () => linkStates(status().links))
  read('cpns_link_documents_waiting', () => waiting(status().links))
  read('cpns_peer_quota_used_ratio', () =>
    others(status()).flatMap(of => {
      const { documents, bytes, quota } = federation.usageOf(of)
      return [
        { labels: { operator: of, quota: 'documents' }, value: documents / quota.documents },
        { labels: { operator: of, quota: 'bytes' }, value: bytes / quota.bytes },
      ]
    }),
  )
  read('cpns_peer_clock_skew_seconds', () => skews(status().links, 'clockSkewMs'))
  read('cpns_peer_clock_uncertainty_seconds', () => skews(status().links, 'clockUncertaintyMs'))
  read('cpns_manifest_expiry_timestamp_seconds', () =>
    operators.flatMap(operator => {
      const manifest = trust.manifestOf(operator)
      return manifest ? [{ labels: { operator }, value: manifest.expires / 1_000 }] : []
    }),
  )
}

/** Operators besides its own that there are links to, or should be. */
const others = ({ operator, links }: StatusAnswer): readonly OperatorId[] =>
  [...new Set(links.map(link => link.operator))].filter(each => each !== operator)

type Link = Pick<LinkStatus, 'operator' | 'state'> & {
  readonly lag?: LinkStatus['lag'] | undefined
  readonly clockSkewMs?: number | undefined
  readonly clockUncertaintyMs?: number | undefined
}

export function linkStates(links: readonly Link[]): readonly Sample[] {
  return [...Map.groupBy(links, ({ operator }) => operator)].flatMap(([operator, all]) =>
    (['connecting', 'greeting', 'up', 'down'] as const).map(state => ({
      labels: { operator, state },
      value: all.filter(link => link.state === state).length,
    })),
  )
}

export function waiting(links: readonly Link[]): readonly Sample[] {
  const sum = (all: readonly Link[], of: 'toSend' | 'toGet') =>
    all.reduce((total, { lag }) => total + (lag?.[of] ?? 0), 0)
  return [...Map.groupBy(links, ({ operator }) => operator)].flatMap(([operator, all]) => [
    { labels: { operator, direction: 'send' }, value: sum(all, 'toSend') },
    { labels: { operator, direction: 'get' }, value: sum(all, 'toGet') },
  ])
}

/** Of each operator's servers that whose clock is off the most: how far it is, or how sure that is. */
export function skews(links: readonly Link[], of: 'clockSkewMs' | 'clockUncertaintyMs'): readonly Sample[] {
  return [...Map.groupBy(links, ({ operator }) => operator)].flatMap(([operator, all]) => {
    const known = all.filter(({ clockSkewMs }) => clockSkewMs !== undefined)
    const [worst] = known.toSorted((a, b) => Math.abs(b.clockSkewMs ?? 0) - Math.abs(a.clockSkewMs ?? 0))
    const valueMs = worst?.[of]
    return valueMs === undefined ? [] : [{ labels: { operator }, value: valueMs / 1_000 }]
  })
}
