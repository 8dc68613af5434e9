import { Command, Option } from 'commander'
import { readText } from '../adapters/files.ts'
import { effectiveSettings } from '../operations/configuration.ts'
import { configurationJsonSchema, formatSettings } from '../operations/settings-text.ts'
import { configOption, jsonOption, setOption } from './options.ts'

interface Asked {
  readonly config: string
  readonly set: Readonly<Record<string, string>>
  readonly effective?: true
  readonly json?: true
}

/** `cpns config …`: what this server would start with, without starting it. */
export function configCommand(): Command {
  const check = settingsCommand('check')
    .description('Says whether a server could start with these settings, or which one is wrong and where it was set.')
    .action(async (options: Asked) => {
      const settings = await read(options)
      const said = settings.filter(({ source }) => source !== 'default').length
      if (options.json) console.log(JSON.stringify({ file: options.config, settings: settings.length, said }))
      else
        console.log(
          `${options.config} is in order: ${said} of ${settings.length} settings are said, the others by default.`,
        )
    })

  const print = settingsCommand('print')
    .description('Prints the settings as TOML, each with who said it: the file, the environment or a flag.')
    .addOption(new Option('--effective', 'all that hold, with the defaults of those that nobody has said'))
    .action(async (options: Asked) => {
      const settings = await read(options)
      const shown = options.effective ? settings : settings.filter(({ source }) => source !== 'default')
      console.log(options.json ? JSON.stringify(shown) : formatSettings(shown))
    })

  const schema = new Command('schema')
    .description('Prints the JSON Schema of the file, for editors.')
    .action(() => console.log(JSON.stringify(configurationJsonSchema(), undefined, 2)))

  return new Command('config')
    .description('The settings of this server: a TOML file, then the environment (CPNS_…), then flags.')
    .addCommand(check)
    .addCommand(print)
    .addCommand(schema)
}

const settingsCommand = (name: string): Command =>
  new Command(name).addOption(configOption()).addOption(setOption()).addOption(jsonOption())

async function read({ config, set }: Asked) {
  return effectiveSettings({ text: await readText(config), name: config }, process.env, set)
}
