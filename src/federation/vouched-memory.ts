import { z } from 'zod'
import { localRemains } from '../document/damage.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { Vouch } from './federation.ts'
import { encodeManifest, parseManifest, type SignedManifest } from './manifest.ts'

/*
 * What is remembered of the manifests of operators that others vouch for: `vouched/<home>/<operator>/<fingerprint>`. It is nothing
 * that cannot be asked for again; a record that the disk has damaged is as good as none.
 */

const prefix = 'vouched/'
/** Longer keys the store does not take: of operators with very long names the manifests are asked for again after a restart. */
const keyLengthAtMost = 512

const recordSchema = z.strictObject({
  path: z
    .array(z.unknown())
    .min(1)
    .transform(items => items.map(item => parseManifest(JSON.stringify(item)))),
})

type Store = Pick<LogStore, 'localScan' | 'commit'>

/** What identifies a vouch. */
export const keyOf = ({ home, operator, fingerprint }: Vouch): string => `${home}/${operator}/${fingerprint}`

/** What stands in the store: keys of vouches, with the manifests that lead from the root to the newest. */
export async function* recalled(store: Store): AsyncGenerator<{ key: string; path: readonly SignedManifest[] }> {
  for await (const { key, value } of localRemains(store, prefix)) {
    const path = value && pathIn(value)
    if (path) yield { key: key.slice(prefix.length), path }
  }
}

/** Durable when it resolves; without a path the record goes. Under a key that the store does not take nothing is remembered. */
export async function remember(store: Store, key: string, path: readonly SignedManifest[] | undefined): Promise<void> {
  if (prefix.length + key.length > keyLengthAtMost) return
  const value = path && new TextEncoder().encode(JSON.stringify({ path }))
  await store.commit({ documents: [], local: [{ key: prefix + key, value }] })
}

/** What a path takes, in bytes: on the wire, in the store and, about, in memory. */
export const bytesOf = (path: readonly SignedManifest[]): number =>
  path.reduce((sum, signed) => sum + encodeManifest(signed).length, 0)

function pathIn(value: Uint8Array): readonly SignedManifest[] | undefined {
  try {
    return recordSchema.parse(JSON.parse(new TextDecoder().decode(value))).path
  } catch {
    return undefined
  }
}
