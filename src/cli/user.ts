import { randomUUID } from 'node:crypto'
import { Command, Option } from 'commander'
import { operatorId, userList, userRegister, userRemove, userShow } from '../client/node.ts'
import { atNode, type NodeOptions, withNode } from './node-session.ts'

const rights: ('read' | 'write' | 'deposit')[] = ['read', 'write', 'deposit']

type Shown = ReturnType<typeof userShow.result.parse>

/** `cpns user …`: who has a mailbox at this operator, by a subscriber with the right `provision`. */
export function userCommand(): Command {
  const add = withNode(new Command('add'))
    .description('Registers a user, with its addresses and the subscribers that are its clients.')
    .argument('<user>')
    .addOption(
      new Option('--address <address...>', 'tel:+4930123456, sip:alice@a.example or alice@a.example').default([]),
    )
    .addOption(
      new Option('--subscriber <identity...>', 'may read, write and deposit; of this operator').makeOptionMandatory(),
    )
    .action(async (user: string, options: NodeOptions & { address: string[]; subscriber: string[] }) => {
      const operator = operatorId(options.operator)
      const shown = await atNode(options, session =>
        session.call(userRegister, {
          commandId: randomUUID(),
          user,
          addresses: options.address,
          subscribers: options.subscriber.map(identity => ({
            operator,
            identity,
            rights,
          })),
        }),
      )
      print(shown, options)
    })

  const list = withNode(new Command('list'))
    .description('Lists the users.')
    .action(async (options: NodeOptions) => {
      const users = await atNode(options, async session => {
        const all: string[] = []
        for (let after: string | undefined; ; ) {
          const page = await session.call(userList, after === undefined ? {} : { after })
          all.push(...page.users)
          if (page.next === undefined) return all
          after = page.next
        }
      })
      if (options.json) console.log(JSON.stringify({ operator: options.operator, users }))
      else for (const user of users) console.log(user)
    })

  const show = withNode(new Command('show'))
    .description('Shows what is registered of a user, and how full its mailbox is.')
    .argument('<user>')
    .action(async (user: string, options: NodeOptions) => {
      const operator = operatorId(options.operator)
      print(await atNode(options, session => session.call(userShow, { operator, user })), options)
    })

  const remove = withNode(new Command('remove'))
    .description(
      'Erases a user and its mailbox, here and wherever it is replicated. Export it before, if it is to be kept.',
    )
    .argument('<user>')
    .action(async (user: string, options: NodeOptions) => {
      const operator = operatorId(options.operator)
      const removed = await atNode(options, async session => {
        // Erasing is done once however often it is said: who has mistaken a name is told so here.
        await session.call(userShow, { operator, user })
        return session.call(userRemove, { commandId: randomUUID(), user })
      })
      console.log(options.json ? JSON.stringify(removed) : `Erased ${user} of ${options.operator}.`)
    })

  const all = new Command('user').description('The users of message storage, at a running node.')
  for (const one of [add, list, show, remove]) all.addCommand(one)
  return all
}

function print(shown: Shown, { json }: NodeOptions): void {
  if (json) {
    console.log(JSON.stringify(shown))
    return
  }
  const { operator, user, addresses, subscribers, grants, objects, usedBytes, quotaBytes } = shown
  const lines: Readonly<Record<string, string>> = {
    user: `${user} of ${operator}`,
    addresses: addresses.join(', '),
    subscribers: subscribers.map(({ identity, rights }) => `${identity} (${rights.join(', ')})`).join(', '),
    ...(grants.length > 0 && { grants: grants.map(({ operator }) => operator).join(', ') }),
    mailbox: `${objects} objects, ${usedBytes} of ${quotaBytes} bytes`,
  }
  for (const [name, value] of Object.entries(lines)) console.log(`${name}: ${value}`)
}
