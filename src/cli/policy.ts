import { randomUUID } from 'node:crypto'
import { Command, InvalidArgumentError, Option } from 'commander'
import { readText } from '../adapters/files.ts'
import { policySet, policyShow } from '../client/node.ts'
import { formatPolicy, readPolicy } from '../operations/policy-file.ts'
import { atNode, type NodeOptions, withNode } from './node-session.ts'

type Shown = ReturnType<typeof policyShow.result.parse>

/** `cpns policy …`: how clients of this operator find a server and stay with one, by a subscriber with the right `provision`. */
export function policyCommand(): Command {
  const show = withNode(new Command('show'))
    .description('Prints the policy that holds, as TOML, for a file to edit.')
    .action(async (options: NodeOptions) =>
      print(await atNode(options, session => session.call(policyShow, {})), options),
    )

  const set = withNode(new Command('set'))
    .description('Says another policy, for all servers of the operator, at once. Clients get it within half a minute.')
    .argument('<file>', 'TOML, as cpns policy show prints it; what is left out is as it is by itself')
    .addOption(
      new Option('--expect <stamp>', 'of the policy that yours is made from: refused if it is another one').argParser(
        stampOf,
      ),
    )
    .action(async (file: string, options: NodeOptions & { readonly expect?: number }) => {
      const policy = readPolicy({ text: await readText(file), name: file })
      const expected = options.expect === undefined ? {} : { expectedStamp: options.expect }
      const shown = await atNode(options, session =>
        session.call(policySet, { commandId: randomUUID(), policy, ...expected }),
      )
      if (options.json) print(shown, options)
      else console.log(`The policy of ${shown.operator} is the one said at ${shown.version.stamp}.`)
    })

  const all = new Command('policy').description('The policy of the operator for its clients, at a running node.')
  for (const one of [show, set]) all.addCommand(one)
  return all
}

function print(shown: Shown, { json }: NodeOptions): void {
  const { operator, version, policy } = shown
  const said = version.stamp === 0 ? 'never said: these are the defaults' : `said at ${version.stamp}`
  console.log(json ? JSON.stringify(shown) : formatPolicy(policy, `Policy of ${operator}, ${said}`).trimEnd())
}

function stampOf(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('expected the stamp that cpns policy show prints')
}
