import { defaultThresholds } from '../../../src/access/load/level.ts'
import type { FederationMap, MapOperator, Overview } from '../../../src/operations/console/shapes.ts'
import { operatorId } from '../../../src/ports/names.ts'

/* What a console may be told of a node that is none. */

/** Nothing was read through yet. */
export const noScrub = { state: 'off', rounds: 0, documents: 0, bytes: 0, damagedRecords: [] } as const

const farMs = 4_000_000_000_000

/** The first is this server's own operator. All is linked. */
export const operatorWith = (at: number, servers: number): MapOperator => ({
  operator: operatorId(`b${at}.example`),
  isOwn: at === 0,
  reach: at === 0 ? 'self' : 'linked',
  manifest: 'valid',
  seq: 1,
  expires: farMs,
  servers: Array.from({ length: servers }, (_, number) => {
    const isSelf = at === 0 && number === 0
    return { server: `server-${at}-${number}`, isSelf, link: isSelf ? ('none' as const) : ('up' as const) }
  }),
})

export const mapOf = (operators: readonly MapOperator[]): FederationMap => ({ operators: [...operators] })

export const overviewWith = (part: Partial<Overview>): Overview => ({
  operator: operatorId('b0.example'),
  server: 'server-0-0',
  clientUrl: 'ws://127.0.0.1:4680',
  state: 'serving',
  isReady: true,
  upMs: 1_000,
  level: 'normal',
  signals: { loopDelayMs: 1, utilisation: 0, memory: 0, authenticationWaitMs: 0, commitMs: 1, connections: 0 },
  thresholds: Object.fromEntries(
    Object.entries(defaultThresholds).map(([signal, [a, b, c]]) => [signal, [a, b, c]]),
  ) as Overview['thresholds'],
  connections: 0,
  sessions: 0,
  documents: { held: 0, active: 0 },
  unshared: 0,
  damaged: 0,
  scrub: { ...noScrub, damagedRecords: [] },
  links: { up: 1, all: 1 },
  at: 0,
  ...part,
})
