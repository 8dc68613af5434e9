import { filesIn, onFileChange, readText } from '../adapters/files.ts'
import { InvalidManifest, parseManifest } from '../federation/manifest.ts'
import type { CpnsNode } from '../node.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { Configuration } from './configuration-schema.ts'

/* The files of manifests: the operator's own, and one for each operator that it trusts. */

/** The text of a signed manifest. @throws {FileProblem} {@link InvalidManifest} when the file holds none: the message names the file. */
export async function readManifest(path: string): Promise<string> {
  const text = await readText(path)
  try {
    parseManifest(text)
    return text
  } catch (error) {
    if (error instanceof InvalidManifest) throw new InvalidManifest(error.reason, `${path}: ${error.message}`)
    throw error
  }
}

/** Those of other operators, with the files that they are in. @throws as {@link readManifest} */
export async function readPeerManifests(
  { peers }: Configuration,
  at: (path: string) => string,
): Promise<{ readonly files: readonly string[]; readonly manifests: readonly string[] }> {
  const files = await filesIn(at(peers.folder), '.json')
  return { files, manifests: await Promise.all(files.map(readManifest)) }
}

export interface ManifestFollower {
  /** These from now on, instead of those before. */
  follow(files: readonly string[]): void
  stop(): void
}

/**
 * Offers a manifest to the running node when its file is replaced: so `cpns manifest sign --revoke` closes links at once.
 * The node takes what it would take from a peer, and passes it on.
 */
export function manifestFollower(node: Pick<CpnsNode, 'trust'>, telemetry: Telemetry): ManifestFollower {
  let ends: readonly (() => void)[] = []
  const offer = async (file: string) => {
    try {
      await node.trust.offer([await readManifest(file)], file)
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('warn', 'manifest.unusable', { file, message })
    }
  }
  const stop = () => {
    for (const end of ends) end()
    ends = []
  }
  return {
    follow(files) {
      stop()
      ends = files.map(file => onFileChange(file, () => void offer(file)))
    },
    stop,
  }
}
