import { filesBelow, nameIn, type Output, piecesOf } from '../../adapters/backup/files.ts'
import type { End, RawRecord } from '../../adapters/backup/format.ts'
import { type BackupFile, writeBackup } from '../../adapters/backup/writer.ts'
import { exists, filesIn, readSecret } from '../../adapters/files.ts'
import { lockText } from '../../adapters/key-ring.ts'
import type { ServerIdentity } from '../../ports/identity.ts'
import type { Configuration } from '../configuration-schema.ts'

export const sealedName = 'keys.sealed'
export const sealedLabel = 'cpns backup keys v1'

export interface TakeOptions {
  readonly identity: ServerIdentity
  readonly configFile: string
  readonly configuration: Configuration
  readonly at: (path: string) => string
  /** Of the store, as of one moment. */
  readonly records: AsyncIterable<RawRecord>
  readonly takenMs: number
  /** Keys are in it only with one, sealed by it. */
  readonly passphrase?: string
  readonly output: Output
  readonly told: (progress: Pick<End, 'records' | 'files' | 'bytes'>) => void
}

/**
 * Takes a backup of a node: documents and the server's own records as they are at one moment, then media (whatever the documents
 * name was stored before them, and is there), configuration, manifest and peers' manifests. Not in it: the search index, which is
 * made anew, and the root key, which does not belong on a server.
 * @throws what the sources throw; then nothing is left of it
 */
export async function takeBackup({ output, ...options }: TakeOptions): Promise<End> {
  try {
    const { identity, takenMs, records, told, configuration, at } = options
    const data = nameIn(at('.'), at(configuration.data))
    const files = filesOf(options)
    const end = await writeBackup({ identity, takenMs, data, records, files, told }, bytes => output.write(bytes))
    await output.finish()
    return end
  } catch (error) {
    await output.discard()
    throw error
  }
}

async function* filesOf(options: Omit<TakeOptions, 'output'>): AsyncGenerator<BackupFile> {
  const { configuration, at, configFile, passphrase } = options
  const home = at('.')
  const named = (path: string) => nameIn(home, path)
  const media = at(configuration.media.folder)
  for await (const name of filesBelow(media))
    yield { section: 'media', name: `${named(media)}/${name}`, read: () => piecesOf(`${media}/${name}`) }
  const settings = [configFile, at(configuration.manifest), ...(await filesIn(at(configuration.peers.folder), '.json'))]
  for (const path of settings) yield { section: 'settings', name: named(path), read: () => piecesOf(path) }
  if (passphrase === undefined) return
  const secrets = await secretsOf(options)
  const sealed = Buffer.from(await lockText(passphrase, JSON.stringify(secrets), sealedLabel))
  yield {
    section: 'sealed',
    name: sealedName,
    read: async () =>
      (async function* () {
        yield sealed
      })(),
  }
}

/** The files that a server needs beside its data and that nobody else may read, by their names. */
async function secretsOf({ configuration, at }: Omit<TakeOptions, 'output'>): Promise<Record<string, string>> {
  const { keys, subscribers } = configuration
  const secrets: Record<string, string> = {}
  for (const path of [keys.server, keys.secrets, keys.subscribers, subscribers]) {
    if (await exists(at(path))) secrets[nameIn(at('.'), at(path))] = await readSecret(at(path))
  }
  return secrets
}
