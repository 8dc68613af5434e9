import { z } from 'zod'
import { loadLevels } from '../../access/load/level.ts'
import { operator } from '../../commands/fields.ts'
import type { FactProgress } from '../../document/facts.ts'
import type { CpnsNode } from '../../node.ts'
import type { Clock } from '../../ports/clock.ts'
import type { OperatorId, ServerId } from '../../ports/names.ts'
import type { Draining } from '../draining.ts'
import { json, type Route, route } from './route.ts'

/*
 * How the node is, as one JSON object.
 */

export const nodeStates = ['starting', 'serving', 'draining'] as const

const share = z.number().min(0).describe('Of what there is, 0 to 1.')
const durationMs = z.number().min(0)

export const linkAnswer = z.object({
  server: z.string(),
  operator,
  state: z.enum(['connecting', 'greeting', 'up', 'down']),
  reason: z.string().optional().describe('Why it is not up, when it is not.'),
  lag: z
    .object({ toSend: z.int(), toGet: z.int() })
    .optional()
    .describe('Documents of which something waits to be sent to the peer, and documents that are being got from it.'),
  clockSkewMs: z.number().optional().describe("The peer's clock minus this one's."),
  clockUncertaintyMs: durationMs
    .optional()
    .describe(
      'The true difference is at most so far from clockSkewMs: half the way to the peer and back. Absent until measured.',
    ),
})

export const startProgress = z.object({
  known: z.int().min(0).describe('Documents of which it knows who may hold them.'),
  all: z.int().min(0).optional().describe('Of how many; left out while they are being counted.'),
  percent: z.int().min(0).max(100),
})

export const scrubProgress = z.object({
  state: z.enum(['off', 'resting', 'reading']),
  rounds: z.int().min(0).describe('How often everything was read since the start.'),
  documents: z.int().min(0).describe('Read in this round, or else in the last one.'),
  bytes: z.int().min(0),
  damagedRecords: z
    .array(z.string())
    .describe('Records of this server alone: no peer has them. Stop the node and run cpns verify --repair.'),
})

export const statusAnswer = z.object({
  operator,
  server: z.string(),
  clientUrl: z.string(),
  state: z.enum(nodeStates),
  upMs: durationMs,
  isReady: z.boolean().describe('Whether clients may be sent here.'),
  starting: startProgress
    .optional()
    .describe(
      'While it starts: how far it has come. Whoever attaches already is served, lists of all Personal Networks aside.',
    ),
  level: z.enum(loadLevels),
  signals: z.object({
    loopDelayMs: durationMs.describe('Longest delay of the event loop within the last second.'),
    utilisation: share,
    memory: share,
    authenticationWaitMs: durationMs,
    commitMs: durationMs.describe('99th percentile of a durable commit.'),
    connections: share,
  }),
  connections: z.int().min(0),
  sessions: z.int().min(0).describe('Connections whose client has proved who it is.'),
  documents: z.object({
    held: z.int().min(0).describe('Fewer than there are while the index is read after the start.'),
    active: z.int().min(0).describe('Those in memory.'),
  }),
  unshared: z.int().min(0).describe('Documents that no other server has said to hold as they are here.'),
  damaged: z
    .int()
    .min(0)
    .describe('Documents that the disk has damaged, refused until other servers have brought what it lost.'),
  scrub: scrubProgress.describe('How far it is in reading everything that it holds.'),
  links: z.array(linkAnswer),
})
export type StatusAnswer = z.output<typeof statusAnswer>

/** What answers how the node is. */
export function statusOf(of: {
  readonly operator: OperatorId
  readonly server: ServerId
  readonly node: Pick<CpnsNode, 'status' | 'clientUrl'>
  readonly draining: Pick<Draining, 'progress'>
  readonly clock: Pick<Clock, 'elapsed'>
}): () => StatusAnswer {
  const { operator, server, node, draining, clock } = of
  const startedMs = clock.elapsed()
  return () => {
    const found = node.status()
    const state = draining.progress ? 'draining' : found.starting ? 'starting' : 'serving'
    return {
      ...{ operator, server, state },
      clientUrl: node.clientUrl(),
      upMs: Math.round(clock.elapsed() - startedMs),
      isReady: state === 'serving' && (found.level === 'normal' || found.level === 'elevated'),
      ...found,
      starting: found.starting && { ...found.starting, percent: percentOf(found.starting) },
      links: [...found.links],
      scrub: { ...found.scrub, damagedRecords: [...found.scrub.damagedRecords] },
    }
  }
}

/** 100 only when it is through. */
const percentOf = ({ known, all }: FactProgress): number =>
  all === undefined || all === 0 ? 0 : Math.min(99, Math.floor((100 * known) / all))

export const statusRoutes = (status: () => StatusAnswer): readonly Route[] => [
  route({
    method: 'GET',
    path: '/v1/status',
    scope: 'read',
    summary: 'How the node is: state, load, clients, links.',
    answers: { 200: json('How it is at this moment.', statusAnswer) },
    handle: (_, answer) => answer(200, status()),
  }),
]
