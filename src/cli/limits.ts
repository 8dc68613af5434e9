import { Command, Option } from 'commander'
import type { LimitsAnswer } from '../operations/admin/limits.ts'
import { askedJson } from './ask-node.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption } from './options.ts'
import { sizeText } from './size.ts'
import { formatTable } from './table.ts'

type Limit = LimitsAnswer['limits'][number]

/** `cpns limits`: what the node of this folder lets anybody have, and how much of that is used. */
export function limitsCommand(): Command {
  return new Command('limits')
    .description(
      'Shows the limits in force at the node that runs here, how much of each is used, and which setting changes it.',
    )
    .addOption(configOption())
    .addOption(new Option('--json', 'prints JSON'))
    .action(async ({ config, json }: { readonly config: string; readonly json?: true }) => {
      // What the node of the same release says, to its owner.
      const answer = (await askedJson(await openNodeFolder(config), 'GET', '/v1/limits')) as LimitsAnswer
      console.log(json ? JSON.stringify(answer) : table(answer.limits))
    })
}

const table = (limits: readonly Limit[]): string =>
  formatTable(
    ['limit', 'for', 'used', '', 'of', 'usual', 'setting'],
    limits.map(each => {
      const { name, operator, limit, used, usual, setting } = each
      return [
        name,
        operator ?? '',
        used === undefined ? '' : amountOf(used, each),
        used === undefined || limit === 0 ? '' : `${Math.round((100 * used) / limit)} %`,
        amountOf(limit, each),
        usual === undefined ? 'the machine’s' : usual === limit ? '' : amountOf(usual, each),
        setting ?? '',
      ]
    }),
    'There are no limits.',
  )

const rates = { 'per-second': ' a second', 'per-minute': ' a minute' } as const

const amountOf = (amount: number, { unit }: Limit): string => {
  if (unit === 'bytes') return sizeText(amount)
  return `${amount.toLocaleString('en')}${unit === 'number' ? '' : rates[unit]}`
}
