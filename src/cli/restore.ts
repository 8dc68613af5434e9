import { Command, Option } from 'commander'
import { inputFile } from '../adapters/backup/files.ts'
import { type Backup, checkBackup, restoreBackup } from '../operations/backup/restore.ts'
import { jsonOption } from './options.ts'
import { passphrase } from './passphrase.ts'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'
import { sizeText } from './size.ts'

interface Options {
  readonly data?: string
  readonly check?: true
  readonly json?: true
}

/** `cpns restore`: a node's folder out of a backup, or whether a backup is whole. */
export function restoreCommand(): Command {
  return new Command('restore')
    .description(
      'Makes a node’s folder of a backup. The server begins new logs in it, and its peers bring what came after the backup. Keys that are in it need CPNS_PASSPHRASE.',
    )
    .argument('<file>', 'the backup; - is standard input')
    .addOption(new Option('--data <folder>', 'the folder to make; a new one, or an empty one'))
    .addOption(new Option('--check', 'reads the backup through, and writes nothing'))
    .addOption(jsonOption())
    .action(async (file: string, { data, check, json }: Options) => {
      const input = file === '-' ? process.stdin : inputFile(file)
      const progress = liveProgress(check ? 'Reading' : 'Restoring', process.stderr)
      const told = ({ bytes }: { readonly bytes: number }) => progress.show(sizeText(bytes))
      try {
        const backup = await taken({ input, told }, data, check === true)
        progress.clear()
        if (json) console.log(JSON.stringify(backup))
        else for (const line of report(backup, check ? undefined : data)) console.log(line)
      } finally {
        progress.clear()
      }
    })
}

function taken(read: Parameters<typeof checkBackup>[0], folder: string | undefined, isCheck: boolean): Promise<Backup> {
  if (isCheck) return checkBackup(read)
  if (folder === undefined) throw new Refused('Say where: --data FOLDER; or --check, to read the backup through.')
  const words = passphrase()
  return restoreBackup({ ...read, folder, ...(words !== undefined && { passphrase: words }) })
}

function report({ header, end, hasKeys }: Backup, folder: string | undefined): string[] {
  const { operator, server, takenMs, release } = header
  const lines = [
    `Taken ${new Date(takenMs).toISOString()} of ${server} of ${operator}, by cpns ${release}; as it was written, and signed by that server.`,
    `${end.documents} documents, ${end.files} files, ${sizeText(end.bytes)}; ${hasKeys ? 'with' : 'without'} keys.`,
    ...end.damaged.map(record => `! ${record} is not in it: the disk had damaged it.`),
  ]
  if (folder === undefined) return lines
  const keys =
    hasKeys && passphrase() !== undefined ? '' : ` Put the server’s keys into it (keys/, subscribers.json) first.`
  return [...lines, `Restored into ${folder}.${keys} Then: cpns start --config ${folder}/cpns.toml`]
}
