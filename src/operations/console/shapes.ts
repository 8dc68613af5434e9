import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { linkAnswer, statusAnswer } from '../admin/status.ts'

/*
 * What the console is told of a node. All times are milliseconds since 1970 by the node's clock, so that the page needs none of
 * its own. Names in it may have been chosen by other operators and by clients: they are text, wherever they are shown.
 */

const time = z.number().describe('Milliseconds since 1970.')
const perSecond = z.number().min(0).describe('Per second.')
const loadSignal = z.enum(['loopDelayMs', 'utilisation', 'memory', 'authenticationWaitMs', 'commitMs', 'connections'])
const threshold = z
  .tuple([z.number(), z.number(), z.number()])
  .describe('From where on it is elevated, overloaded, shedding.')

/** How the node is at one moment. */
export const overview = z.object({
  ...statusAnswer.omit({ links: true }).shape,
  at: time,
  cause: loadSignal.optional().describe('What makes the level what it is; absent while it is normal.'),
  thresholds: z.record(loadSignal, threshold),
  links: z.object({ up: z.int(), all: z.int() }).describe('Links that are up, of those that there should be.'),
  drain: z
    .object({ phase: z.enum(['clients', 'documents']), left: z.int() })
    .optional()
    .describe('How far the drain is, once it was begun.'),
})
export type Overview = z.output<typeof overview>

/** What happened in one interval of the sampling. */
export const sample = z.object({
  at: time,
  clients: z.int(),
  ownEntries: perSecond.describe('Entries that this server has written, per second.'),
  peerEntries: perSecond.describe('Entries that other servers have sent, per second.'),
  requests: perSecond.describe('Requests of clients, per second.'),
  refused: perSecond.describe('Those of them that were refused, per second.'),
  loopDelayMs: z.number().describe('The longest delay of the event loop.'),
  commitMs: z.number().describe('99th percentile of a durable commit.'),
})
export type Sample = z.output<typeof sample>

const mapServer = z.object({
  server: z.string(),
  isSelf: z.boolean(),
  link: z
    .enum(['connecting', 'greeting', 'up', 'down', 'none'])
    .describe(
      'Of the link from this server to that one; none: none is wanted, as between servers that are no neighbours.',
    ),
  since: time.optional().describe('Since when the link is as it is, as far as this run of the node has seen.'),
  reason: z.string().optional().describe('Why it is not up.'),
  lag: linkAnswer.shape.lag,
  clockSkewMs: z.number().optional().describe('Its clock minus that of this server.'),
  clockUncertaintyMs: linkAnswer.shape.clockUncertaintyMs,
  usedPercent: z
    .number()
    .optional()
    .describe('What it says to have in use of what it can take for clients of this operator; 100 where it takes none.'),
})
export type MapServer = z.output<typeof mapServer>

const mapOperator = z.object({
  operator,
  isOwn: z.boolean(),
  reach: z
    .enum(['self', 'linked', 'partly', 'cut-off', 'untrusted', 'quarantined'])
    .describe('What this server can reach of it.'),
  manifest: z
    .enum(['valid', 'expired', 'missing'])
    .describe('missing: it is pinned, and no manifest of it has come yet.'),
  seq: z.int().optional().describe('Number of the newest manifest known.'),
  expires: time.optional(),
  fingerprint: z.string().optional().describe('Of the root keys in a valid manifest.'),
  quarantine: z
    .object({ why: z.string(), since: time })
    .optional()
    .describe('That this operator keeps it off, and why.'),
  servers: z.array(mapServer),
})
export type MapOperator = z.output<typeof mapOperator>
export type Reach = MapOperator['reach']

/** The federation as this server sees it; the own operator first. */
export const federationMap = z.object({ operators: z.array(mapOperator) })
export type FederationMap = z.output<typeof federationMap>

/** Something that an operator should know of, as long as it is so. */
const alarm = z.object({
  id: z.string().describe('The same as long as it is the same alarm.'),
  severity: z.enum(['critical', 'warning']),
  title: z.string(),
  todo: z.string().describe('What to do about it.'),
  since: time.optional(),
})
export type Alarm = z.output<typeof alarm>

/** A warning or an error of the node's log. Equal ones that follow each other are one. */
const logEvent = z.object({
  at: time,
  level: z.enum(['warn', 'error']),
  event: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  times: z.int().min(1),
})
export type LogEvent = z.output<typeof logEvent>

export const alarms = z.object({ standing: z.array(alarm), events: z.array(logEvent).describe('The latest first.') })
export type Alarms = z.output<typeof alarms>

/** How often something of a kind has changed since the node started: who shows it asks again when the number does. */
export const revisions = z.object({ networks: z.int(), mailboxes: z.int(), documents: z.int() })
export type Revisions = z.output<typeof revisions>

/** What a console can have done besides what every node does; it is asked to confirm first. */
export const action = z.object({
  label: z.string(),
  text: z.string().describe('What it does, and what follows from it.'),
  path: z.string().describe('Of the route that does it, by POST.'),
  isGrave: z.boolean(),
})
export type Action = z.output<typeof action>

/** One part of what is shown, whole; it is told when it has changed. */
export const update = z.object({
  overview: overview.optional(),
  samples: z.array(sample).optional().describe('The oldest first.'),
  federation: federationMap.optional(),
  alarms: alarms.optional(),
  revisions: revisions.optional(),
  actions: z.array(action).optional(),
})
export type Update = z.output<typeof update>
