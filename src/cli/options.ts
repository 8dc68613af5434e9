import { Option } from 'commander'
import { Refused } from './problems.ts'

/** Where the node's configuration is. */
export const configOption = () => new Option('--config <file>', 'configuration file').default('cpns.toml')

/** For programs. */
export const jsonOption = () => new Option('--json', 'prints JSON')

/** Settings that win over the file and the environment; may be given several times. */
export const setOption = () =>
  new Option('--set <setting=value>', 'overrides a setting, such as clients.port=4681')
    .argParser(setting)
    .default({}, 'none')

function setting(text: string, previous: Record<string, string>): Record<string, string> {
  const [, name, value] = /^([\w.]+)=(.*)$/.exec(text) ?? []
  if (name === undefined || value === undefined) throw new Refused(`--set takes setting=value, not "${text}".`)
  return { ...previous, [name]: value }
}
