import { z } from 'zod'
import { FileProblem } from '../../adapters/files.ts'
import { operator } from '../../commands/fields.ts'
import {
  InvalidManifest,
  maxManifestBytes,
  parseManifest,
  rootFingerprint,
  type SignedManifest,
  verifyManifest,
} from '../../federation/manifest.ts'
import type { Trust } from '../../federation/trust.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { OperatorId } from '../../ports/names.ts'
import { InvalidConfiguration } from '../configuration.ts'
import { type KeptTrust, PinRefused } from '../trust-files.ts'
import { AdminRefusal } from './refusal.ts'
import { json, type Route, route } from './route.ts'

/*
 * To trust another operator from afar, as `cpns peer trust` does in the folder: first it is shown what a manifest says, so that a
 * person can compare the fingerprint of its root keys with the operator over another channel; then that fingerprint is trusted.
 */

/** What keeping it fails with for a reason that a person can act on. */
const refusals = [PinRefused, FileProblem, InvalidConfiguration]
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

const time = z.int().describe('Milliseconds since 1970.')
const text = z.string().max(maxManifestBytes).describe('A signed manifest: the text of its file.')
const fingerprint = z.string().describe('Of its root keys: what is pinned.')

export const examinedManifest = z.object({
  operator,
  fingerprint,
  rootKeys: z.int(),
  threshold: z.int().describe('How many of the root keys must sign a manifest.'),
  seq: z.int(),
  issued: time,
  expires: time,
  isExpired: z.boolean(),
  servers: z.array(z.object({ server: z.string(), addresses: z.array(z.string()) })),
  standing: z
    .enum(['new', 'trusted', 'own'])
    .describe('Of its operator here: not trusted yet; trusted already; this one itself.'),
})
export type ExaminedManifest = z.output<typeof examinedManifest>

export function trustingRoutes(of: {
  readonly trust: Pick<Trust, 'operator' | 'operators' | 'pin' | 'offer'>
  readonly kept: KeptTrust
  readonly crypto: Crypto
  readonly now: () => number
}): readonly Route[] {
  const { trust, kept, crypto, now } = of

  function examined({ manifest }: SignedManifest): ExaminedManifest {
    const { operator, rootKeys, threshold, seq, issued, expires, servers } = manifest
    const isTrusted = trust.operators().includes(operator)
    return {
      ...{ operator, threshold, seq, issued, expires },
      fingerprint: rootFingerprint(manifest, crypto),
      rootKeys: rootKeys.length,
      isExpired: expires <= now(),
      servers: servers.map(({ peerId, addresses }) => ({ server: peerId, addresses: [...addresses] })),
      standing: operator === trust.operator ? 'own' : isTrusted ? 'trusted' : 'new',
    }
  }

  return [
    route({
      method: 'POST',
      path: '/v1/manifests/examine',
      scope: 'operate',
      summary: 'Says what a signed manifest says, if it holds. Changes nothing.',
      maxBodyBytes: 2 * maxManifestBytes,
      body: z.strictObject({ manifest: text }),
      answers: { 200: json('What it says.', examinedManifest) },
      handle: ({ body: { manifest } }, answer) => answer(200, examined(signedIn(manifest, crypto))),
    }),
    route({
      method: 'PUT',
      path: '/v1/peers/:operator',
      scope: 'operate',
      summary: 'Trusts an operator from now on, after every start too: pins the root keys of its manifest.',
      maxBodyBytes: 2 * maxManifestBytes,
      params: z.strictObject({ operator }),
      body: z.strictObject({
        manifest: text,
        fingerprint: fingerprint.describe('As the operator has confirmed it over another channel.'),
      }),
      answers: { 200: json('It is trusted.', examinedManifest) },
      async handle({ params, body }, answer) {
        const signed = signedIn(body.manifest, crypto)
        const found = examined(signed)
        if (found.operator !== params.operator) {
          throw new AdminRefusal(400, `This is the manifest of ${found.operator}, not of ${params.operator}.`)
        }
        if (found.fingerprint !== body.fingerprint) {
          throw new AdminRefusal(
            409,
            `The root keys of this manifest have the fingerprint ${found.fingerprint}, not the one that was confirmed. Ask the operator which holds.`,
          )
        }
        if (found.isExpired) {
          throw new AdminRefusal(409, `This manifest has expired. Ask ${found.operator} for its newest one.`)
        }
        await trust.pin(await pinned(signed))
        const [offer] = await trust.offer([body.manifest], 'admin')
        // Older than what is remembered of a time when it was trusted before: the newer one counts, and leads from the same root.
        if (offer && !offer.accepted && offer.reason !== 'rollback') throw new AdminRefusal(409, offer.detail)
        return answer(200, examined(signed))
      },
    }),
  ]

  /** @throws {AdminRefusal} 409 */
  async function pinned(signed: SignedManifest): Promise<ReadonlyMap<OperatorId, string>> {
    try {
      return await kept.pin(signed)
    } catch (error) {
      if (refusals.some(kind => error instanceof kind)) throw new AdminRefusal(409, messageOf(error))
      throw error
    }
  }
}

/** @throws {AdminRefusal} 400 */
function signedIn(manifest: string, crypto: Crypto): SignedManifest {
  try {
    const signed = parseManifest(manifest)
    verifyManifest(signed, crypto)
    return signed
  } catch (error) {
    if (error instanceof InvalidManifest) throw new AdminRefusal(400, error.message)
    throw error
  }
}
