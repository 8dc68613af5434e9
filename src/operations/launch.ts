import { certificateFiles } from '../adapters/certificate-files.ts'
import { systemClock } from '../adapters/clock.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { fileKeySource } from '../adapters/file-key-source.ts'
import { openFileMediaStore } from '../adapters/file-media-store.ts'
import { readText } from '../adapters/files.ts'
import { freeBytes, processLimits } from '../adapters/host.ts'
import { type HttpKeySource, httpKeySource } from '../adapters/http-key-source.ts'
import { serverIdentity } from '../adapters/identity.ts'
import { openLevelLogStore } from '../adapters/level-log-store.ts'
import { libp2pNetwork } from '../adapters/libp2p-network.ts'
import { processLoadProbe } from '../adapters/load-probe.ts'
import { createMetrics, readProcess } from '../adapters/metrics.ts'
import { readOperatorSecrets, readServerKeys } from '../adapters/operator-keys.ts'
import type { OtlpExporter } from '../adapters/otlp-exporter.ts'
import { systemRandom } from '../adapters/random.ts'
import { nodeVersion, version } from '../adapters/release.ts'
import { asyncScope } from '../adapters/span-scope.ts'
import { openSqliteSearchIndex } from '../adapters/sqlite-search-index.ts'
import { type ProcessTelemetry, pinoTelemetry } from '../adapters/telemetry.ts'
import { turn } from '../adapters/turn.ts'
import { type WebPush, webPushSender } from '../adapters/web-push.ts'
import { websocketListener } from '../adapters/websocket-listener.ts'
import { x509Certificates } from '../adapters/x509.ts'
import { zipFormat } from '../adapters/zip-format.ts'
import { type CpnsNode, createNode } from '../node.ts'
import type { CertificateCheck } from '../ports/certificates.ts'
import { operatorId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Route } from './admin/route.ts'
import { statusOf } from './admin/status.ts'
import type { Configuration } from './configuration-schema.ts'
import { createFeed } from './console/feed.ts'
import { recentEvents } from './console/recent-events.ts'
import type { Action } from './console/shapes.ts'
import { adminAuditPath, adminTokensPath, controlPath } from './control-path.ts'
import { createDraining, type Draining } from './draining.ts'
import { type Inspection, inspectionOf } from './inspection/inspection.ts'
import { limitsInForce } from './limits.ts'
import { logLevelControl } from './log-level.ts'
import { manifestFollower, readManifest, readPeerManifests } from './manifest-files.ts'
import { catalogue } from './metrics/catalogue.ts'
import { readNode } from './metrics/read-node.ts'
import { changeableLimitsOf, limitsOf } from './node-limits.ts'
import { createReloading, type Reloading } from './reloading.ts'
import { tellOfStart } from './starting.ts'
import { redactedFields } from './support/redaction.ts'
import { createSpanHub, type EndedSpan } from './tracing/hub.ts'
import type { SpanContext } from './tracing/trace-context.ts'
import { createTraces } from './tracing/traces.ts'
import { type KeptTrust, pinsOf } from './trust-files.ts'

export type { NodePorts, NodeSettings } from '../node/surroundings.ts'
export { type CpnsNode, createNode } from '../node.ts'
export { AdminRefusal } from './admin/refusal.ts'
export { events, json, lines, type Route, raw, route } from './admin/route.ts'
export { InvalidConfiguration, readConfiguration } from './configuration.ts'
export type { Configuration } from './configuration-schema.ts'
export type { Action } from './console/shapes.ts'
export { ReloadRefused } from './reloading.ts'

/** A node on production adapters, with its log and its admin API, over the socket in its data folder and, if configured, over TCP. */
export interface RunningNode extends CpnsNode, Pick<Reloading, 'reload'> {
  readonly telemetry: ProcessTelemetry
  /** Its drain, which others may have begun. */
  readonly draining: Draining
  /** What of its documents an operator may look into. */
  readonly inspection: Inspection
  /** Where its admin API listens for TCP; `undefined` if it does not. */
  readonly adminUrl: string | undefined
  /** What it serves there, and at the socket. */
  readonly adminRoutes: readonly Route[]
}

export interface LaunchOptions {
  /** Of the key of the file of subscribers, if it is locked by one. */
  readonly passphrase?: string
  /** Reads the configuration again, for whoever wants it reloaded; without it nobody can. @throws {InvalidConfiguration} and others that say what is wrong */
  readonly reread?: () => Promise<Configuration>
  /** What the admin API serves besides, for whoever embeds the node. */
  readonly adminRoutes?: readonly Route[]
  /** What the web console offers besides: each is a route of these. */
  readonly consoleActions?: readonly Action[]
  /** Where it is kept whom the node trusts; without it other operators cannot be trusted through the admin API. */
  readonly keptTrust?: KeptTrust
}

/**
 * Opens the store, starts a node as configured, and resolves when it serves clients and administrators. It has started
 * altogether when `ready` resolves: with very many documents some seconds later. Where that rejects, it is still to be stopped.
 *
 * @param at resolves a path of the configuration against the folder that it stands in
 * @throws {FileProblem} {@link InvalidManifest} {@link NotAMember} {@link ListenRefused} {@link StoreInUse}
 *   {@link StoreDamaged} each saying what to do; nothing is left running
 */
export async function launch(
  configuration: Configuration,
  at: (path: string) => string,
  { passphrase, reread, adminRoutes: more, consoleActions: actions = [], keptTrust }: LaunchOptions = {},
): Promise<RunningNode> {
  const metrics = createMetrics(catalogue)
  const [clock, random] = [systemClock(), systemRandom()]
  const scope = asyncScope<SpanContext>()
  const spans: { exporter: OtlpExporter | undefined } = { exporter: undefined }
  const { otlp, ratio } = configuration.telemetry
  const exporting =
    otlp === undefined ? undefined : { take: (span: EndedSpan) => spans.exporter?.take(span), ratio, scope }
  const hub = createSpanHub({ clock, random, exporting })
  const recent = recentEvents(
    pinoTelemetry({ level: configuration.log.level, metrics, spans: hub, redact: redactedFields }),
    clock,
  )
  const { telemetry } = recent
  const crypto = nodeCrypto()
  const { privateKey } = await readServerKeys(at(configuration.keys.server))
  const identity = serverIdentity(operatorId(configuration.operator), privateKey, crypto)
  const peers = await readPeerManifests(configuration, at)
  const settings = {
    identity,
    secrets: await readOperatorSecrets(at(configuration.keys.secrets)),
    manifest: await readManifest(at(configuration.manifest)),
    pins: pinsOf(configuration),
    peerManifests: peers.manifests,
    ...(configuration.peers.neighbours && { neighbours: configuration.peers.neighbours }),
    limits: limitsOf(configuration),
  }
  const keys = await keySource(configuration, at, telemetry, passphrase)
  const certificates = await certificateCheck(configuration, at, telemetry)
  const push = await pushSender(configuration, at)
  const store = await openLevelLogStore(at(configuration.data), {
    eraseFailed: error => telemetry.log('error', 'store.not-erased', { message: String(error) }),
  })
  const searchIndex = openSqliteSearchIndex(at(configuration.search))
  try {
    if (otlp !== undefined) {
      const resource = {
        'service.name': 'cpns',
        'service.namespace': identity.operator,
        'service.instance.id': identity.server,
        'service.version': version,
      }
      const { otlpExporter } = await import('../adapters/otlp-exporter.ts')
      spans.exporter = otlpExporter({ url: otlp, resource, version, telemetry })
    }
    const media = await openFileMediaStore(at(configuration.media.folder))
    const listener = clientListener(configuration, at, telemetry)
    const ports = {
      clock,
      random,
      crypto,
      store,
      media,
      network: libp2pNetwork({ privateKey, listen: configuration.peers.listen }),
      listener,
      keys,
      probe: processLoadProbe(),
      ...(certificates && { certificates }),
      zip: zipFormat,
      searchIndex,
      ...(push && { push }),
      ...(exporting && { carry: scope.carry }),
      telemetry,
    }
    const node = await createNode(ports, settings)
    await node.start()
    const draining = createDraining(node, telemetry)
    const { operator, server } = identity
    const status = statusOf({ operator, server, node, draining, clock: ports.clock })
    const inspection = inspectionOf({ store, crypto, now: ports.clock.now })
    const feed = createFeed({
      node,
      status,
      draining,
      recent,
      counters: telemetry.counters,
      clock: ports.clock,
      actions,
    })
    readProcess(metrics)
    readNode(metrics, {
      ...{ status, draining, trust: node.trust, federation: node.federation },
      operators: [...new Set([operator, ...settings.pins.keys()])],
      freeBytes: () => freeBytes(at(configuration.data)),
      release: { version, node: nodeVersion },
    })
    const logLevel = logLevelControl(telemetry, ports.clock)
    const follower = manifestFollower(node, telemetry)
    const follow = (peerFiles: readonly string[]) => follower.follow([at(configuration.manifest), ...peerFiles])
    const reloading = createReloading({
      started: configuration,
      reread,
      telemetry,
      async prepare(next, changed) {
        const { files, manifests } = await readPeerManifests(next, at)
        return async () => {
          await node.trust.pin(pinsOf(next))
          node.change(changeableLimitsOf(next))
          listener.allowOrigins(next.clients.origins)
          if (changed.some(({ setting }) => setting === 'log.level')) logLevel.set(next.log.level)
          await node.trust.offer(manifests, 'configuration')
          follow(files)
        }
      },
    })
    const { operatorsOf } = node.trust
    const traces = createTraces({ hub, operatorsOf, clock, random, telemetry })
    const limits = async () =>
      limitsInForce({
        status: node.status(),
        traces: traces.list().length,
        usages: usagesOf(node),
        configuration: reloading.inForce,
        machine: await processLimits(at(configuration.data)),
      })
    const parts = {
      ...{ node, draining, status, inspection, feed, store, metrics, logLevel, reloading },
      ...{ clock, crypto, keptTrust, traces, limits },
    }
    // What administers it is loaded when clients are served already, and part by part, for their sake.
    await turn()
    const { adminRoutes } = await import('./admin/routes.ts')
    await turn()
    const { serveAdmin } = await import('./admin/serve.ts')
    await turn()
    const routes = adminRoutes(parts, more)
    const admin = await serveAdmin({
      routes,
      at: {
        socket: controlPath(configuration, at),
        tokens: adminTokensPath(configuration, at),
        audit: adminAuditPath(configuration, at),
        ...(configuration.admin.listen !== undefined && { listen: configuration.admin.listen }),
      },
      ...{ clock: ports.clock, random: ports.random, telemetry },
    }).catch(async error => {
      feed.stop()
      await node.stop()
      throw error
    })
    const addresses = { operator, server, clientUrl: node.clientUrl(), adminUrl: admin.url }
    tellOfStart({ node, status, addresses, clock, telemetry })
    follow(peers.files)
    return {
      ...node,
      reload: reloading.reload,
      telemetry,
      draining,
      inspection,
      adminUrl: admin.url,
      adminRoutes: routes,
      async stop() {
        follower.stop()
        feed.stop()
        traces.stop()
        await node.stop()
        await admin.stop()
        await spans.exporter?.stop()
        await searchIndex.close()
        push?.close()
        keys.close()
      },
    }
  } catch (error) {
    await spans.exporter?.stop()
    push?.close()
    keys.close()
    await searchIndex.close()
    await store.close()
    throw error
  }
}

/** What each other operator that is trusted has of this server. */
const usagesOf = ({ trust, federation }: CpnsNode) =>
  new Map(trust.operators().flatMap(of => (of === trust.operator ? [] : [[of, federation.usageOf(of)] as const])))

/** What tells devices that are not attached; nothing, if the operator does not want that. */
async function pushSender(
  { operator, storage }: Configuration,
  at: (path: string) => string,
): Promise<WebPush | undefined> {
  const { enabled, contact = `mailto:postmaster@${operator}`, hosts, authority, loopback } = storage.push
  if (!enabled) return undefined
  return webPushSender({
    contact,
    loopback,
    ...(hosts && { hosts }),
    ...(authority !== undefined && { authority: await readText(at(authority)) }),
  })
}

/** What the operator trusts certificates of PNEs by; read once before anything starts. @throws {FileProblem} */
async function certificateCheck(
  { certificates: { anchors, revocations } }: Configuration,
  at: (path: string) => string,
  telemetry: Telemetry,
): Promise<CertificateCheck | undefined> {
  if (anchors.length === 0) return undefined
  const trust = certificateFiles({ anchors: anchors.map(at), revocations: revocations.map(at) })
  await trust()
  return x509Certificates(trust, error => {
    const message = error instanceof Error ? error.message : String(error)
    telemetry.log('error', 'certificates.unreadable', { message })
  })
}

/** The operator's key server, if there is one, else its file of subscribers: whose key is tried before anything starts. */
async function keySource(
  { keySource, subscribers, keys }: Configuration,
  at: (path: string) => string,
  telemetry: Telemetry,
  passphrase?: string,
): Promise<HttpKeySource> {
  if (!keySource) {
    const source = fileKeySource({
      store: at(subscribers),
      key: at(keys.subscribers),
      ...(passphrase !== undefined && { passphrase }),
    })
    await source.find('')
    return { ...source, close: () => {} }
  }
  const { url, tokenFile, certificate, key, authority, ...limits } = keySource
  return httpKeySource({
    url,
    ...(tokenFile !== undefined && { tokenFile: at(tokenFile) }),
    ...(certificate !== undefined && key !== undefined && { certificateFile: at(certificate), keyFile: at(key) }),
    ...(authority !== undefined && { authorityFile: at(authority) }),
    ...limits,
    clock: systemClock(),
    telemetry,
  })
}

function clientListener({ clients, load }: Configuration, at: (path: string) => string, telemetry: Telemetry) {
  const tls =
    clients.certificate !== undefined && clients.key !== undefined
      ? { tls: { certificateFile: at(clients.certificate), keyFile: at(clients.key) } }
      : {}
  const proxy = clients.behindProxy ? { proxy: 'declared' as const } : {}
  return websocketListener({
    host: clients.host,
    port: clients.port,
    allowedOrigins: clients.origins,
    isPaced: load.controlled,
    telemetry,
    ...tls,
    ...proxy,
  })
}
