import { z } from 'zod'
import { operator } from '../../commands/fields.ts'
import { formatEvidence } from '../../federation/evidence.ts'
import { isExpiringSoon } from '../../federation/expiry-watch.ts'
import { maxManifestBytes } from '../../federation/manifest.ts'
import { maxWhyLength, QuarantineRefused } from '../../federation/quarantines.ts'
import type { CpnsNode } from '../../node.ts'
import type { OperatorId } from '../../ports/names.ts'
import { AdminRefusal } from './refusal.ts'
import { json, lines, type Route, route } from './route.ts'
import { linkAnswer } from './status.ts'

/*
 * The operators that this one works with: what is known of each, who is kept off and why, what there is against whom.
 */

const time = z.int().describe('Milliseconds since 1970.')
const named = z.strictObject({ operator })

const quarantine = z.object({
  why: z.string(),
  sinceMs: time,
  server: z.string().describe('At which server of this operator it was said.'),
})

const count = z.int().min(0)
const usage = z.object({
  documents: count.describe('That it owns and that are held here.'),
  bytes: count.describe('Of their logs.'),
  quota: z.object({ documents: count, bytes: count, entriesPerSecond: count, handshakesPerMinute: count }),
  refused: z
    .object({ 'quota-documents': count, 'quota-bytes': count })
    .describe('Entries that were refused since the start, by what there was no room for.'),
  framesWaited: count.describe('Frames of entries that came too fast.'),
  handshakesRefused: count,
})

export const peerAnswer = z.object({
  operator,
  fingerprint: z.string().optional().describe('Of the root keys of its newest manifest, if that is valid.'),
  manifest: z
    .object({
      seq: z.int(),
      issued: time,
      expires: time,
      state: z.enum(['good', 'expires-soon', 'expired']),
      servers: z.int(),
    })
    .optional()
    .describe('The newest that is known.'),
  links: z.array(linkAnswer),
  quarantine: quarantine.optional(),
  usage: usage.describe('What it has of this server, and may have: peers.quota in the configuration.'),
})
export type PeerAnswer = z.output<typeof peerAnswer>
export const peersAnswer = z.object({ peers: z.array(peerAnswer) })

const proven = z.object({
  kind: z.enum(['entries', 'manifests']),
  operator,
  fingerprint: z.string().describe('Of the root keys of the first manifest that it shows.'),
  server: z.string().optional(),
  document: z.string().optional(),
  log: z.string().optional(),
  seq: z.int().describe('The number that was signed twice: of an entry, or of a manifest.'),
})

/** One piece of evidence: what it proves, and itself as `cpns peer evidence --verify` takes it. */
export const evidenceLine = z.object({ proven, evidence: z.string() })
export type EvidenceLine = z.output<typeof evidenceLine>

const offerAnswer = z.object({
  accepted: z.boolean(),
  reason: z.string().optional().describe('Why it was refused.'),
  detail: z.string().optional(),
})

type PeersNode = Pick<CpnsNode, 'trust' | 'federation' | 'quarantines' | 'evidence' | 'now'>

export const peersRoutes = (node: PeersNode): readonly Route[] => [
  route({
    method: 'GET',
    path: '/v1/peers',
    scope: 'read',
    summary: 'The other operators that are trusted: manifests, links, quarantine.',
    answers: { 200: json('All of them.', peersAnswer) },
    handle: (_, answer) => answer(200, { peers: peersOf(node) }),
  }),
  route({
    method: 'PUT',
    path: '/v1/peers',
    scope: 'operate',
    summary: 'Trusts exactly these operators until the next start, when the configuration says which.',
    maxBodyBytes: 8 * 1024 * 1024,
    body: z.strictObject({
      trust: z.record(operator, z.string().regex(/^[A-Za-z0-9_-]{43}$/)).describe('Fingerprints of root keys.'),
      manifests: z.array(z.string().max(maxManifestBytes)).max(512).default([]).describe('Signed manifests of them.'),
    }),
    answers: { 200: json('It is so.', peersAnswer) },
    async handle({ body: { trust, manifests } }, answer) {
      await node.trust.pin(new Map(Object.entries(trust) as [OperatorId, string][]))
      await node.trust.offer(manifests, 'configuration')
      return answer(200, { peers: peersOf(node) })
    },
  }),
  route({
    method: 'POST',
    path: '/v1/manifests',
    scope: 'operate',
    summary: 'Offers a signed manifest: what is newer counts at once, and is passed on.',
    maxBodyBytes: 2 * maxManifestBytes,
    body: z.strictObject({ manifest: z.string().max(maxManifestBytes) }),
    answers: { 200: json('What became of it.', offerAnswer) },
    async handle({ body: { manifest } }, answer) {
      const [offer] = await node.trust.offer([manifest], 'admin')
      if (!offer) throw new AdminRefusal(400, 'There is no manifest in it.')
      return answer(200, offer.accepted ? { accepted: true } : offer)
    },
  }),
  route({
    method: 'PUT',
    path: '/v1/peers/:operator/quarantine',
    scope: 'operate',
    summary: 'Has nothing to do with an operator any more, at all servers of this one, until it is released.',
    params: named,
    body: z.strictObject({ why: z.string().min(1).max(maxWhyLength) }),
    answers: { 200: json('It is in quarantine.', quarantine) },
    async handle({ params, body: { why } }, answer) {
      await done(() => node.quarantines.impose(params.operator, why))
      const standing = node.quarantines.list().find(each => each.operator === params.operator)
      if (!standing) throw new AdminRefusal(409, `${params.operator} was released again at the same time.`)
      return answer(200, standing)
    },
  }),
  route({
    method: 'DELETE',
    path: '/v1/peers/:operator/quarantine',
    scope: 'operate',
    summary: 'Works with an operator again that was kept off.',
    params: named,
    answers: { 200: json('It is released.', named) },
    async handle({ params }, answer) {
      await done(() => node.quarantines.release(params.operator))
      return answer(200, params)
    },
  }),
  route({
    method: 'GET',
    path: '/v1/evidence',
    scope: 'read',
    summary: 'What proves that operators, or thieves of their keys, signed things that exclude each other.',
    query: z.strictObject({ operator: operator.optional() }),
    answers: { 200: lines('A line for each piece.', evidenceLine) },
    handle: ({ query }, answer) => answer(200, streamOf(evidenceOf(node, query.operator))),
  }),
]

/** Every operator that is pinned, but this one. */
function peersOf({ trust, federation, quarantines, now }: PeersNode): PeerAnswer[] {
  const [links, kept] = [federation.links(), quarantines.list()]
  return trust.operators().flatMap(of => {
    if (of === trust.operator) return []
    const fingerprint = trust.fingerprintOf(of)
    const manifest = trust.manifestOf(of)
    const quarantine = kept.find(each => each.operator === of)
    return {
      operator: of,
      links: links.filter(link => link.operator === of),
      usage: federation.usageOf(of),
      ...(fingerprint !== undefined && { fingerprint }),
      ...(manifest && {
        manifest: {
          ...{ seq: manifest.seq, issued: manifest.issued, expires: manifest.expires },
          state: !trust.isValid(of) ? 'expired' : isExpiringSoon(manifest, now()) ? 'expires-soon' : 'good',
          servers: manifest.servers.length,
        },
      }),
      ...(quarantine && { quarantine }),
    }
  })
}

export async function* evidenceOf(
  { evidence }: Pick<CpnsNode, 'evidence'>,
  operator?: OperatorId,
): AsyncGenerator<EvidenceLine> {
  for await (const kept of evidence.list(operator))
    yield { proven: kept.proven, evidence: formatEvidence(kept.evidence) }
}

const streamOf = <T>(items: AsyncGenerator<T>): ReadableStream<T> =>
  new ReadableStream({
    async pull(controller) {
      const next = await items.next()
      if (next.done) controller.close()
      else controller.enqueue(next.value)
    },
    cancel: async () => void (await items.return(undefined)),
  })

/** @throws {AdminRefusal} 409 */
async function done(act: () => Promise<void>): Promise<void> {
  try {
    await act()
  } catch (error) {
    if (error instanceof QuarantineRefused) throw new AdminRefusal(409, error.message)
    throw error
  }
}
