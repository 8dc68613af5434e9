import { Argument, Command, Option } from 'commander'
import { askNode } from '../adapters/control-socket.ts'
import type { LogLevelAnswer } from '../operations/admin/log-level.ts'
import { controlPath } from '../operations/control-path.ts'
import { type LogLevel, logLevels } from '../ports/telemetry.ts'
import { durationOf } from './duration.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { Refused } from './problems.ts'

interface Asked {
  readonly config: string
  readonly for?: number
  readonly json?: true
}

/** `cpns log-level`: shows or changes what the node of this folder logs, without starting it again. */
export function logLevelCommand(): Command {
  return new Command('log-level')
    .description('Shows what the node that runs here logs, or changes it: this level and everything graver.')
    .addArgument(new Argument('[level]').choices(logLevels))
    .addOption(configOption())
    .addOption(
      new Option('--for <time>', 'then back to what it was, such as 10m; else until it ends').argParser(durationOf),
    )
    .addOption(jsonOption())
    .action(async (level: LogLevel | undefined, { config, for: forMs, json }: Asked) => {
      if (level === undefined && forMs !== undefined)
        throw new Refused('--for goes with a level: cpns log-level debug --for 10m')
      const { configuration, at } = await openNodeFolder(config)
      const path = controlPath(configuration, at)
      const asked =
        level === undefined
          ? askNode(path, 'GET', '/v1/log-level')
          : askNode(path, 'PUT', '/v1/log-level', { level, ...(forMs !== undefined && { forMs }) })
      const { status, lines } = await asked
      const text = (await Array.fromAsync(lines)).join('\n')
      if (status !== 200) throw new Refused(`The node answered ${status}: ${text}`)
      // What the node of the same release says, to its owner.
      console.log(json ? text : said(JSON.parse(text) as LogLevelAnswer))
    })
}

const said = ({ level, until }: LogLevelAnswer): string =>
  until === undefined ? level : `${level}, until ${new Date(until).toISOString()}`
