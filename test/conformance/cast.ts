import { nodeCrypto } from '../../src/adapters/crypto.ts'
import { documentId, operatorId } from '../../src/client/index.ts'
import { createManifest, nextManifest, type SignedManifest } from '../../src/federation/manifest.ts'
import type { OperatorId, ServerId } from '../../src/ports/names.ts'
import { type TestServer, testOperator, testServer } from '../fixtures/operators.ts'

/*
 * Who plays where peers are hostile: two honest operators, and a third that they trust, whose servers the test or the benchmark plays.
 * Alice has a PN at a.example that she shares with b.example and m.example; Bob has one at b.example, shared with a.example alone.
 */

const dayMs = 24 * 60 * 60 * 1000
const crypto = nodeCrypto()
const villain = testOperator('m.example')
export const a = operatorId('a.example')
export const b = operatorId('b.example')
export const m = villain.id
export const flat = { home: a, pnId: 'flat' }
export const bobs = { home: b, pnId: 'bobs' }
export const flatDocument = documentId({ kind: 'pn', owner: a, pnId: flat.pnId })
export const bobsDocument = documentId({ kind: 'pn', owner: b, pnId: bobs.pnId })

/** Whether a hostile server speaks first with the one that it attacks, or last. */
export type Order = 'first' | 'last'

/** What an attack has to know of those whom it is against. */
export interface Scene {
  /** The server that is attacked. */
  readonly target: ServerId
  /** Manifests of the hostile operator: one after the other, the second of them known. */
  readonly manifests: readonly [SignedManifest, SignedManifest]
  /** One of the target's operator, signed with other keys than that operator's. */
  readonly forgedManifest: SignedManifest
}

/** Servers of the hostile operator, so many of each order. */
export function villains(target: ServerId, perOrder: number): Record<Order, TestServer[]> {
  const servers: Record<Order, TestServer[]> = { first: [], last: [] }
  for (let seed = 0; servers.first.length < perOrder || servers.last.length < perOrder; seed++) {
    const server = testServer(m, crypto.sha256(new TextEncoder().encode(`${m} ${seed}`)))
    const those = servers[server.id < target ? 'first' : 'last']
    if (those.length < perOrder) those.push(server)
  }
  return servers
}

/** @param targetOf the operator of the server that is attacked */
export function sceneAgainst(
  target: ServerId,
  targetOf: OperatorId,
  { first, last }: ReturnType<typeof villains>,
): Scene {
  const servers = [...first, ...last]
  return { target, manifests: manifestsOf(m, servers), forgedManifest: manifestsOf(targetOf, servers)[1] }
}

/** Two manifests, signed by the hostile operator, that name them, the second newer; nobody is told where to find them. */
function manifestsOf(operator: OperatorId, servers: readonly TestServer[]): [SignedManifest, SignedManifest] {
  const issued = Date.now() - 10_000
  const content = {
    expires: issued + 30 * dayMs,
    threshold: 1,
    servers: servers.map(({ id }) => ({ peerId: id, addresses: [], clientUrls: [] })),
    registrationKeys: [],
  }
  const first = createManifest(operator, content, [villain.rootKey], crypto, issued)
  return [first, nextManifest(first, {}, [villain.rootKey], crypto, issued + 1)]
}
