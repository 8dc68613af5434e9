import { z } from 'zod'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { OperatorId } from '../ports/names.ts'
import { parseManifest, rootFingerprint, type SignedManifest } from './manifest.ts'

/*
 * What is remembered of the manifests of operators, for ever: `manifest/<operator>`.
 */

const recordSchema = z.strictObject({
  pin: z.string(),
  path: z.array(z.unknown()).transform(items => items.map(signedFrom)),
  /** Written by earlier versions; what can be proved of them stands in the archive of evidence. */
  contradictions: z.array(z.unknown()).optional(),
})

/** What is remembered of one operator. `path` ends with the newest manifest; those before it each brought new roots. */
export interface Memory {
  readonly pin: string
  readonly path: readonly SignedManifest[]
}

type Store = Pick<LogStore, 'local' | 'commit'>

export async function recalled(store: Store, operator: OperatorId): Promise<Memory | undefined> {
  const stored = await store.local(keyOf(operator))
  if (!stored) return undefined
  const { pin, path } = recordSchema.parse(JSON.parse(new TextDecoder().decode(stored)))
  return { pin, path }
}

/** Durable when it resolves. */
export function remember(store: Store, operator: OperatorId, memory: Memory): Promise<void> {
  const value = new TextEncoder().encode(JSON.stringify(memory))
  return store.commit({ documents: [], local: [{ key: keyOf(operator), value }] })
}

/** The path with `next` at its end; a manifest goes that stands between two of the same root. */
export function lengthened(path: readonly SignedManifest[], next: SignedManifest, crypto: Crypto): SignedManifest[] {
  const rootOf = ({ manifest }: SignedManifest): string => rootFingerprint(manifest, crypto)
  const [last, before] = path.slice(-2).reverse()
  const neededToFollow = before !== undefined && last !== undefined && rootOf(before) !== rootOf(last)
  const spare = last !== undefined && rootOf(last) === rootOf(next) && !neededToFollow
  return spare ? [...path.slice(0, -1), next] : [...path, next]
}

const keyOf = (operator: OperatorId): string => `manifest/${operator}`

const signedFrom = (item: unknown): SignedManifest => parseManifest(JSON.stringify(item))
