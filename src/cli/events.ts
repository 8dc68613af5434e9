import { Argument, Command } from 'commander'
import { logEvents } from '../ports/log-events.ts'
import { jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import { formatTable } from './table.ts'

/** `cpns events`: what the events in the log mean. */
export function eventsCommand(): Command {
  return new Command('events')
    .description('Lists the events that a node logs, and what each means.')
    .addArgument(new Argument('[name]', 'the name of an event, or how it begins, such as link'))
    .addOption(jsonOption())
    .action((name: string | undefined, { json }: { readonly json?: true }) => {
      const found = Object.entries(logEvents).filter(([event]) => event.startsWith(name ?? ''))
      if (found.length === 0) throw new Refused(`No event is called ${name}; cpns events lists all of them.`)
      console.log(json ? JSON.stringify(Object.fromEntries(found)) : formatTable(['event', 'meaning'], found, ''))
    })
}
