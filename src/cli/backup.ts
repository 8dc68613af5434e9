import { Command, Option } from 'commander'
import { outputFile, outputStream } from '../adapters/backup/files.ts'
import type { RawRecord } from '../adapters/backup/format.ts'
import { unframed } from '../adapters/backup/record-stream.ts'
import { systemClock } from '../adapters/clock.ts'
import { askNodeForBytes, NodeNotReached } from '../adapters/control-socket.ts'
import { nodeCrypto } from '../adapters/crypto.ts'
import { serverIdentity } from '../adapters/identity.ts'
import { openLevelLogStore } from '../adapters/level-log-store.ts'
import { readServerKeys } from '../adapters/operator-keys.ts'
import { takeBackup } from '../operations/backup/take.ts'
import { controlPath } from '../operations/control-path.ts'
import { operatorId } from '../ports/names.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { newPassphrase } from './passphrase.ts'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'
import { sizeText } from './size.ts'

interface Options {
  readonly config: string
  readonly to: string
  readonly withKeys?: true
  readonly json?: true
}

/** `cpns backup`: everything that a node holds as of one moment, whether or not it runs. */
export function backupCommand(): Command {
  return new Command('backup')
    .description(
      'Writes what the node of this folder holds, as of one moment, to a file or standard output; the node goes on meanwhile. Without the search index and the root key.',
    )
    .addOption(configOption())
    .requiredOption('--to <file>', 'the file; - is standard output')
    .addOption(
      new Option(
        '--with-keys',
        "with the server's keys and subscribers, sealed by CPNS_PASSPHRASE (without: keep copies of them)",
      ),
    )
    .addOption(jsonOption())
    .action(async ({ config, to, withKeys, json }: Options) => {
      const folder = await openNodeFolder(config)
      const { configuration, at, configFile } = folder
      const passphrase = withKeys ? newPassphrase() : undefined
      const { privateKey } = await readServerKeys(at(configuration.keys.server))
      const identity = serverIdentity(operatorId(configuration.operator), privateKey, nodeCrypto())
      const { records, close } = await recordsOf(folder)
      // Where the backup itself goes to standard output, nothing else may.
      const progress = liveProgress('Backing up', process.stderr)
      try {
        const end = await takeBackup({
          ...{ identity, configFile, configuration, at, records },
          takenMs: systemClock().now(),
          ...(passphrase !== undefined && { passphrase }),
          output: to === '-' ? outputStream(process.stdout) : await outputFile(to),
          told: ({ records, bytes }) => progress.show(`${records} records, ${sizeText(bytes)}`),
        })
        progress.clear()
        const say = to === '-' ? console.error : console.log
        if (json) say(JSON.stringify(end))
        else
          say(
            `${end.documents} documents, ${end.files} files, ${sizeText(end.bytes)}. cpns restore ${to} --check reads it through.`,
          )
        for (const record of end.damaged)
          console.error(`! ${record} is not in it: the disk has damaged it. cpns verify says more.`)
      } finally {
        progress.clear()
        await close()
      }
    })
}

/** From the node, if one runs, else from its store. */
async function recordsOf({ configuration, at }: NodeFolder): Promise<{
  readonly records: AsyncIterable<RawRecord>
  close(): Promise<void>
}> {
  try {
    const { status, bytes } = await askNodeForBytes(controlPath(configuration, at), 'POST', '/v1/backup/records')
    if (status !== 200) throw new Refused(`The node answered ${status} instead of its records.`)
    return { records: unframed(bytes), close: async () => {} }
  } catch (error) {
    if (!(error instanceof NodeNotReached)) throw error
    const store = await openLevelLogStore(at(configuration.data))
    return { records: store.dump(), close: () => store.close() }
  }
}
