import { Command } from 'commander'
import type { ReloadAnswer } from '../operations/admin/reload.ts'
import { askedJson } from './ask-node.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { formatTable } from './table.ts'

/** `cpns reload`: has the node of this folder read its configuration again, as SIGHUP does. */
export function reloadCommand(): Command {
  return new Command('reload')
    .description(
      'Has the node that runs here read its configuration again: all of it that can be changed while it runs, or nothing if anything in it is wrong.',
    )
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async ({ config, json }: { readonly config: string; readonly json?: true }) => {
      const folder = await openNodeFolder(config)
      // What the node of the same release says, to its owner.
      const answer = (await askedJson(folder, 'POST', '/v1/reload')) as ReloadAnswer
      console.log(json ? JSON.stringify(answer) : said(answer))
    })
}

function said({ changed, waiting }: ReloadAnswer): string {
  const rows = [
    ...changed.map(change => [change.setting, shown(change.before), shown(change.after), 'now']),
    ...waiting.map(change => [
      change.setting,
      shown(change.before),
      shown(change.after),
      'after cpns drain and cpns start',
    ]),
  ]
  return formatTable(['setting', 'before', 'after', 'holds'], rows, 'No setting has changed.')
}

const shown = (value: ReloadAnswer['changed'][number]['before']): string =>
  value === undefined ? 'not set' : JSON.stringify(value)
