import { Command, Option } from 'commander'
import type { MailboxPage, MailboxReport } from '../operations/inspection/shapes.ts'
import { operatorId } from '../ports/names.ts'
import { afterOption, limitOption, looking, moreOf, pageWanted } from './inspected.ts'
import { configOption, jsonOption } from './options.ts'
import { formatTable, formatTime } from './table.ts'

interface Common {
  readonly config: string
  readonly json?: true
}

/** `cpns mailbox list` and `show`: what this server holds of mailboxes, by counts and versions alone. */
export function mailboxInspection(): readonly Command[] {
  const list = new Command('list')
    .description('Lists the mailboxes that this server holds, and how full they are, whether it runs or not.')
    .addOption(configOption())
    .addOption(limitOption('how many', 100))
    .addOption(afterOption())
    .addOption(jsonOption())
    .action(async (options: Common & { readonly limit: number; readonly after?: string }) => {
      const page = await looking(options.config, ({ inspection }) => inspection.mailboxes(pageWanted(options)))
      console.log(options.json ? JSON.stringify(page) : listed(page))
    })

  const show = new Command('show')
    .description(
      'Shows how full a mailbox is, and how far its servers and devices are in step; nothing of what is in it.',
    )
    .argument('<user>', 'as cpns mailbox list has it')
    .addOption(configOption())
    .addOption(new Option('--of <operator>', 'the home operator of the user; left out: that of this server'))
    .addOption(jsonOption())
    .action(async (user: string, { config, json, of }: Common & { readonly of?: string }) => {
      const report = await looking(config, ({ inspection, operator }) =>
        inspection.mailbox({ operator: operatorId(of ?? operator), user }),
      )
      console.log(json ? JSON.stringify(report) : shown(report))
    })

  return [list, show]
}

function listed({ items, next }: MailboxPage): string {
  const rows = items.map(({ user, operator, state, objects, usedBytes, conversations, folders, devices, changed }) => [
    ...[user, operator, state],
    ...[objects, usedBytes, conversations, folders, devices].map(String),
    changed === undefined ? 'never' : formatTime(changed),
  ])
  const headings = ['user', 'operator', 'state', 'objects', 'bytes', 'conversations', 'folders', 'devices', 'changed']
  return [formatTable(headings, rows, 'This server holds no mailbox.'), ...moreOf(next)].join('\n')
}

function shown(report: MailboxReport): string {
  const { user, operator, state, objects, usedBytes, addresses, subscribers, grants } = report
  const containers = report.containers.map(({ container, kind, objects, usedBytes, parts, missing }) => [
    ...[container, kind, String(objects), String(usedBytes), String(parts)],
    missing === 0 ? 'all of it' : `${missing} parts are missing`,
  ])
  const writers = report.writers.map(({ run, commits, last }) => [run, String(commits), formatTime(last)])
  const devices = report.deviceStates.map(({ device, subscriber, push, behind }) => [
    ...[device, subscriber, push === undefined ? 'unknown' : push ? 'yes' : 'no'],
    behind === undefined ? 'unknown' : `${behind} commits`,
  ])
  return [
    `${user} of ${operator}, ${state}: ${objects} objects, ${usedBytes} bytes`,
    `${addresses} addresses, ${subscribers} subscribers, held by ${grants} other operators`,
    '',
    formatTable(['container', 'kind', 'objects', 'bytes', 'parts', 'held here'], containers, 'It is empty.'),
    '',
    formatTable(['writer', 'commits', 'last'], writers, 'Nothing was written yet.'),
    '',
    formatTable(['device', 'of', 'push', 'not told of'], devices, 'No device is registered.'),
  ].join('\n')
}
