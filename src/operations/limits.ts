import { defaultLimits as accessDefaults } from '../access/limits.ts'
import { defaultChannelLimits } from '../channels/limits.ts'
import { defaultLimits as documentDefaults } from '../document/limits.ts'
import { defaultQuota, type Quota, type Usage } from '../federation/quotas.ts'
import { defaultLimits as inventoryDefaults } from '../inventory/limits.ts'
import type { NodeStatus } from '../node.ts'
import type { OperatorId } from '../ports/names.ts'
import { defaultPolicy } from '../storage/policy.ts'
import type { Configuration } from './configuration-schema.ts'
import { maxTraces } from './tracing/traces.ts'

/*
 * The limits that hold in a running node, with what is usual and, where it is known, how much of each is used: so that an operator sees
 * what is near its end, and which setting moves it.
 */

export const limitUnits = ['number', 'bytes', 'per-second', 'per-minute'] as const

export interface Limit {
  /** Dotted; of one operator, `operator` says whose. */
  readonly name: string
  readonly meaning: string
  readonly unit: (typeof limitUnits)[number]
  readonly limit: number
  /** What it is where nobody has said anything else; absent: the machine says it. */
  readonly usual?: number
  /** At this moment. */
  readonly used?: number
  /** What in the configuration changes it. */
  readonly setting?: string
  /** Whom it is for; absent: for all. */
  readonly operator?: OperatorId
}

/** What the machine lets the process have; what is not known is left out. */
export interface MachineLimits {
  readonly openFiles?: { readonly limit: number; readonly used: number }
  readonly heapBytes: { readonly limit: number; readonly used: number }
  readonly diskBytes?: { readonly limit: number; readonly used: number }
}

export function limitsInForce(of: {
  readonly status: Pick<NodeStatus, 'connections' | 'sessions' | 'documents'>
  readonly traces: number
  readonly usages: ReadonlyMap<OperatorId, Usage>
  readonly configuration: Configuration
  readonly machine: MachineLimits
}): readonly Limit[] {
  const { status, traces, usages, configuration, machine } = of
  return [
    ...clientLimits(status, configuration),
    ...documentLimits(status),
    ...storageLimits(configuration),
    {
      ...{ name: 'traces', meaning: 'Traces of clients and peers at once.', unit: 'number' },
      ...fixed(maxTraces, traces),
    } satisfies Limit,
    ...[...usages].flatMap(([operator, usage]) => quotaLimits(operator, usage, configuration)),
    ...machineLimits(machine),
  ]
}

/** One that no setting changes. */
const fixed = (limit: number, used?: number) => ({ limit, usual: limit, ...(used !== undefined && { used }) })

const clientLimits = (
  { connections, sessions }: Pick<NodeStatus, 'connections' | 'sessions'>,
  { clients }: Configuration,
): readonly Limit[] => [
  {
    ...{ name: 'clients.connections', meaning: 'Connections of clients at once.', unit: 'number' },
    ...fixed(accessDefaults.maxConnections, connections),
  },
  {
    ...{
      name: 'clients.unproved',
      meaning: 'Of these, clients that have not proved yet who they are.',
      unit: 'number',
    },
    ...fixed(accessDefaults.maxUnauthenticated, connections - sessions),
  },
  {
    ...{ name: 'clients.sessionsOfOne', meaning: 'Sessions of one subscriber at once.', unit: 'number' },
    ...fixed(accessDefaults.maxSessionsOfOne),
  },
  {
    ...{ name: 'clients.requestsOfSession', meaning: 'Requests of one session at once.', unit: 'number' },
    ...fixed(accessDefaults.maxInFlight),
  },
  {
    ...{ name: 'clients.framesOfSession', meaning: 'Messages of one session in the long run.', unit: 'per-second' },
    ...{ limit: clients.framesOfSession, usual: accessDefaults.framesPerSecond, setting: 'clients.framesOfSession' },
  },
  {
    ...{ name: 'clients.framesOfOne', meaning: 'Messages of one subscriber, over all sessions.', unit: 'per-second' },
    ...{ limit: clients.framesOfOne, usual: accessDefaults.framesPerSecondOfOne, setting: 'clients.framesOfOne' },
  },
  {
    ...{ name: 'clients.documentsOfSession', meaning: 'Documents open on one session.', unit: 'number' },
    ...fixed(accessDefaults.maxChannels),
  },
  {
    ...{ name: 'clients.transfers', meaning: 'Media sent or received over HTTP at once.', unit: 'number' },
    ...fixed(accessDefaults.maxTransfers),
  },
  {
    ...{ name: 'channels.ofOne', meaning: 'Open application channels of one subscriber.', unit: 'number' },
    ...fixed(defaultChannelLimits.maxChannels),
  },
  {
    ...{ name: 'channels.queuedBytes', meaning: 'What may wait in all channels of one subscriber.', unit: 'bytes' },
    ...fixed(defaultChannelLimits.maxQueuedBytes),
  },
]

const documentLimits = ({ documents }: Pick<NodeStatus, 'documents'>): readonly Limit[] => [
  {
    ...{ name: 'documents.active', meaning: 'Documents in memory at once.', unit: 'number' },
    ...fixed(documentDefaults.maxActive, documents.active),
  },
  {
    ...{ name: 'documents.activeBytes', meaning: 'Bytes of all documents in memory.', unit: 'bytes' },
    ...fixed(documentDefaults.maxActiveBytes),
  },
  {
    ...{ name: 'documents.entryBytes', meaning: 'One signed entry.', unit: 'bytes' },
    ...fixed(documentDefaults.maxEntryBytes),
  },
  {
    ...{ name: 'documents.bytes', meaning: 'One document, as this server may write it.', unit: 'bytes' },
    ...fixed(documentDefaults.maxDocumentBytes),
  },
  {
    ...{ name: 'documents.replicaBytes', meaning: 'One document, as peers may bring it.', unit: 'bytes' },
    ...fixed(documentDefaults.maxReplicaBytes),
  },
  {
    ...{ name: 'inventory.elements', meaning: 'Elements of one Personal Network.', unit: 'number' },
    ...fixed(inventoryDefaults.maxRoster),
  },
  {
    ...{ name: 'inventory.grants', meaning: 'Operators that one Personal Network is shared with.', unit: 'number' },
    ...fixed(inventoryDefaults.maxGrants),
  },
]

const storageLimits = ({ media, storage: { devices } }: Configuration): readonly Limit[] => [
  {
    ...{ name: 'storage.bytesOfUser', meaning: 'Objects and media of one user.', unit: 'bytes' },
    ...fixed(defaultPolicy.quotaBytes),
  },
  {
    ...{ name: 'storage.mediaBytes', meaning: 'One media.', unit: 'bytes' },
    ...{ limit: media.maxBytes, usual: defaultPolicy.maxMediaBytes, setting: 'media.maxBytes' },
  },
  {
    ...{ name: 'storage.devicesOfUser', meaning: 'Devices of one user.', unit: 'number' },
    ...{ limit: devices.maxPerUser, usual: defaultPolicy.devices.maxPerUser, setting: 'storage.devices.maxPerUser' },
  },
  {
    ...{ name: 'storage.foldersOfUser', meaning: 'Folders of one user.', unit: 'number' },
    ...fixed(defaultPolicy.maxFolders),
  },
]

const ofQuota: Readonly<Record<keyof Quota, Pick<Limit, 'meaning' | 'unit'>>> = {
  documents: { meaning: 'Documents that it owns and that are held here.', unit: 'number' },
  bytes: { meaning: 'What those take in the store.', unit: 'bytes' },
  entriesPerSecond: { meaning: 'Entries that its servers may send.', unit: 'per-second' },
  handshakesPerMinute: { meaning: 'Connections that its servers may begin.', unit: 'per-minute' },
}

function quotaLimits(operator: OperatorId, usage: Usage, { peers }: Configuration): readonly Limit[] {
  const used: Partial<Record<keyof Quota, number>> = { documents: usage.documents, bytes: usage.bytes }
  const own = peers.quotas[operator] ?? {}
  return (Object.keys(ofQuota) as (keyof Quota)[]).map(name => ({
    ...{ name: `peers.${name}`, operator, ...ofQuota[name], limit: usage.quota[name], usual: defaultQuota[name] },
    setting: own[name] === undefined ? `peers.quota.${name}` : `peers.quotas.${operator}.${name}`,
    ...(used[name] !== undefined && { used: used[name] }),
  }))
}

const machineLimits = ({ openFiles, heapBytes, diskBytes }: MachineLimits): readonly Limit[] => [
  ...(openFiles
    ? [
        {
          name: 'machine.openFiles',
          meaning: 'Files and connections that it has open.',
          unit: 'number',
          ...openFiles,
        } as const,
      ]
    : []),
  { ...{ name: 'machine.heapBytes', meaning: 'Memory of JavaScript.', unit: 'bytes' }, ...heapBytes },
  ...(diskBytes
    ? [
        {
          name: 'machine.diskBytes',
          meaning: 'The disk that the document store is on.',
          unit: 'bytes',
          ...diskBytes,
        } as const,
      ]
    : []),
]
