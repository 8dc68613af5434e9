import type { Metrics } from '../../adapters/metrics.ts'
import { version } from '../../adapters/release.ts'
import type { CpnsNode } from '../../node.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { LogStore } from '../../ports/log-store.ts'
import type { Feed } from '../console/feed.ts'
import { consoleRoutes } from '../console/routes.ts'
import type { Draining } from '../draining.ts'
import type { Inspection } from '../inspection/inspection.ts'
import type { Limit } from '../limits.ts'
import type { LogLevelControl } from '../log-level.ts'
import type { Reloading } from '../reloading.ts'
import type { Traces } from '../tracing/traces.ts'
import type { KeptTrust } from '../trust-files.ts'
import { backupRoutes } from './backup.ts'
import { drainRoutes } from './drain.ts'
import { healthRoutes } from './health.ts'
import { inspectionRoutes } from './inspection.ts'
import { integrityRoutes } from './integrity.ts'
import { limitsRoutes } from './limits.ts'
import { logLevelRoutes } from './log-level.ts'
import { metricsRoutes } from './metrics.ts'
import { describingRoute } from './openapi.ts'
import { peersRoutes } from './peers.ts'
import { reloadRoutes } from './reload.ts'
import type { Route } from './route.ts'
import { type StatusAnswer, statusRoutes } from './status.ts'
import { traceRoutes } from './traces.ts'
import { trustingRoutes } from './trusting.ts'

/** What the routes of a running node answer from. */
export interface AdminParts {
  readonly node: CpnsNode
  /** What its console is told. */
  readonly feed: Feed
  readonly draining: Draining
  readonly status: () => StatusAnswer
  readonly inspection: Inspection
  readonly store: Pick<LogStore, 'dump'>
  readonly metrics: Metrics
  readonly clock: Clock
  readonly crypto: Crypto
  readonly keptTrust: KeptTrust | undefined
  readonly logLevel: LogLevelControl
  readonly reloading: Reloading
  readonly limits: () => Promise<readonly Limit[]>
  readonly traces: Traces
}

/** All routes of a node: one line for each module of them. @param more of whoever embeds the node */
export function adminRoutes(parts: AdminParts, more: readonly Route[] = []): readonly Route[] {
  const { node, draining, status, inspection, store, metrics, clock, crypto, keptTrust } = parts
  const routes = [
    ...healthRoutes(status),
    ...consoleRoutes(parts.feed),
    ...statusRoutes(status),
    ...limitsRoutes(parts.limits),
    ...drainRoutes(draining),
    ...inspectionRoutes(inspection),
    ...integrityRoutes(node),
    ...peersRoutes(node),
    ...(keptTrust ? trustingRoutes({ trust: node.trust, kept: keptTrust, crypto, now: clock.now }) : []),
    ...backupRoutes(store),
    ...logLevelRoutes(parts.logLevel),
    ...reloadRoutes(parts.reloading),
    ...traceRoutes(parts.traces),
    ...metricsRoutes(metrics),
    ...more,
  ]
  return [...routes, describingRoute(routes, version)]
}
