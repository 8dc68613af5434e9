import { Command, Option } from 'commander'
import { askNode } from '../adapters/control-socket.ts'
import type { DrainEnd, DrainLine } from '../operations/admin/drain.ts'
import { controlPath } from '../operations/control-path.ts'
import { durationOf } from './duration.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'

interface Options {
  readonly config: string
  readonly within?: number
  readonly json?: true
}

/** `cpns drain`: has the node of this folder send its clients on, hand over what only it holds, and end. */
export function drainCommand(): Command {
  return new Command('drain')
    .description(
      'Ends the node that runs here without anybody missing it: clients go to other servers, documents are held by others. There is no way back: start it again instead.',
    )
    .addOption(configOption())
    .addOption(
      new Option('--within <time>', 'for clients to leave, such as 30s or 5m (default: 10s)').argParser(durationOf),
    )
    .addOption(new Option('--json', 'prints each step as JSON'))
    .action(async ({ config, within, json }: Options) => {
      const { configuration, at } = await openNodeFolder(config)
      const path = controlPath(configuration, at)
      const asked = within === undefined ? {} : { withinMs: within }
      const { status, lines } = await askNode(path, 'POST', '/v1/drain', asked)
      if (status !== 200) {
        throw new Refused(`The node answered ${status}: ${(await Array.fromAsync(lines)).join(' ')}`)
      }
      const end = await followed(lines, json === true)
      if (!end) throw new Refused('The node ended before it had drained; its log says why.')
      if (!json) for (const line of report(end)) console.log(line)
    })
}

async function followed(lines: AsyncIterable<string>, isJson: boolean): Promise<DrainEnd | undefined> {
  const progress = liveProgress('Draining')
  try {
    for await (const text of lines) {
      // What the node of the same release says, to its owner.
      const line = JSON.parse(text) as DrainLine
      if (isJson) console.log(text)
      if (line.phase === 'done') return line
      if (!isJson)
        progress.show(`${line.left} ${line.phase === 'clients' ? 'clients to move' : 'documents to hand over'}`)
    }
    return undefined
  } catch (error) {
    throw new Refused(`The node ended before it had drained (${error instanceof Error ? error.message : error}).`)
  } finally {
    progress.clear()
  }
}

function report({ clientsClosed, alone, documents, isSure }: DrainEnd): string[] {
  const clients =
    clientsClosed === 0
      ? 'Drained: no client had to be closed.'
      : `Drained: ${clientsClosed} clients found no other server in time, and were closed.`
  if (alone > 0) {
    const more = alone > documents.length ? ` and ${alone - documents.length} more` : ''
    return [
      clients,
      `Of ${alone} documents no other server has said that it holds all of them: ${documents.join(', ')}${more}.`,
      'Keep the data folder, and start the node again when another server can be reached.',
    ]
  }
  if (isSure) return [clients, 'Everything that it held is held by another server of the operator too.']
  return [
    clients,
    'It was compared with no other server of the operator, or not with one that was linked anew, perhaps with another disk.',
    'Keep the data folder: it may be the only one.',
  ]
}
