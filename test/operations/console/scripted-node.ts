import type { LinkStatus } from '../../../src/federation/federation.ts'
import type { Manifest } from '../../../src/federation/manifest.ts'
import type { Quarantine } from '../../../src/federation/quarantines.ts'
import type { NodeStatus } from '../../../src/node.ts'
import type { FeedOptions } from '../../../src/operations/console/feed.ts'
import type { ServerId } from '../../../src/ports/names.ts'
import { type TestOperator, testOperator } from '../../fixtures/operators.ts'
import { noScrub } from './facts.ts'

/* What the console is told of a node, said by a test: the first operator's first server, linked with all servers of the second. */

const dayMs = 86_400_000

export function scriptedNode(now: number) {
  const own = testOperator('a.example', 2)
  const other = testOperator('b.example', 1)
  const [self, sibling] = own.servers.map(({ id }) => id)
  const [peer] = other.servers.map(({ id }) => id)
  if (!self || !sibling || !peer) throw new Error('They have servers.')
  const manifests = new Map([own, other].map(operator => [operator.id, manifestOf(operator, now)]))
  const links = new Map<ServerId, LinkStatus>([
    [sibling, { server: sibling, operator: own.id, state: 'up', clockSkewMs: 2 }],
    [peer, { server: peer, operator: other.id, state: 'up', clockSkewMs: -12 }],
  ])
  const signals = {
    loopDelayMs: 7,
    utilisation: 0.2,
    memory: 0.3,
    authenticationWaitMs: 0,
    commitMs: 4,
    connections: 0.1,
  }
  const kept: Quarantine[] = []
  const status = (): NodeStatus => ({
    ...{
      level: 'normal',
      signals,
      connections: 1_234,
      sessions: 1_200,
      documents: { held: 9, active: 3 },
      unshared: 2,
      damaged: 0,
      starting: undefined,
      scrub: noScrub,
    },
    links: [...links.values()],
  })

  const node: FeedOptions['node'] = {
    status,
    documents: {
      subscribe: () => () => {},
    },
    federation: { operator: own.id, server: self, links: () => [...links.values()], loads: () => new Map() },
    quarantines: { list: () => [...kept] },
    trust: {
      operators: () => [...manifests.keys()],
      manifestOf: operator => manifests.get(operator),
      isValid: operator => (manifests.get(operator)?.expires ?? 0) > now,
      fingerprintOf: () => 'q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA',
    },
  }
  return {
    ...{ node, own: own.id, other: other.id, peer },
    link(state: LinkStatus['state'], reason?: string, lag?: LinkStatus['lag']) {
      const why = reason === undefined ? {} : { reason }
      links.set(peer, { server: peer, operator: other.id, state, ...why, ...(lag && { lag }) })
    },
    keepOff(why: string) {
      kept.push({ operator: other.id, why, sinceMs: now, server: self })
    },
    release: () => kept.splice(0),
  }
}

const manifestOf = (operator: TestOperator, now: number): Manifest => ({
  ...operator.manifest({ issued: now }).manifest,
  expires: now + 200 * dayMs,
})
