import { Command, InvalidArgumentError, Option } from 'commander'
import type { Moment } from '../document/history.ts'
import { asDocumentId } from '../document/names.ts'
import type { DocumentContent, DocumentHistory, DocumentPage, DocumentReport } from '../operations/inspection/shapes.ts'
import { isLogId, type LogId } from '../ports/names.ts'
import { afterOption, atOption, limitOption, looking, moreOf, pageWanted } from './inspected.ts'
import { configOption, jsonOption } from './options.ts'
import { Refused } from './problems.ts'
import { formatTable, formatTime } from './table.ts'

interface Common {
  readonly config: string
  readonly json?: true
}

/** `cpns document …`: the documents that this server holds, as their logs are. */
export function documentCommand(): Command {
  const list = one('list', 'Lists the documents that this server holds.')
    .argument('[prefix]', 'of their ids, such as pn/a.example/', '')
    .addOption(limitOption('how many', 100))
    .addOption(afterOption())
    .action(async (prefix: string, options: Common & { readonly limit: number; readonly after?: string }) => {
      const page = await looking(options.config, ({ inspection }) => inspection.documents(prefix, pageWanted(options)))
      console.log(options.json ? JSON.stringify(page) : listed(page))
    })

  const show = one(
    'show',
    'Shows who has written how much of a document, its digest, and what other servers hold of it.',
  )
    .argument('<document>', 'its id, such as pn/a.example/home')
    .addOption(new Option('--content', 'what it says instead; of documents of users nothing is shown'))
    .addOption(atOption())
    .addOption(
      new Option('--version <log:length...>', 'as of so many entries of these logs, and none of others').argParser(
        versionOf,
      ),
    )
    .action(async (id: string, { config, json, content, at, version }: Common & Asked) => {
      const document = asDocumentId(id)
      const moment = { ...(at !== undefined && { at }), ...(version && { version }) }
      if (content) {
        const said = await looking(config, ({ inspection }) => inspection.content(document, moment))
        return console.log(json ? JSON.stringify(said) : contents(said, moment))
      }
      if (at !== undefined || version) throw new Refused('--at and --version go with --content.')
      const report = await looking(config, ({ inspection }) => inspection.document(document))
      console.log(json ? JSON.stringify(report) : shown(report))
    })

  const history = one(
    'history',
    'Shows how a document came to be: its latest entries, by server, each with what it set.',
  )
    .argument('<document>', 'its id, such as pn/a.example/home')
    .addOption(limitOption('how many entries', 50))
    .action(async (id: string, { config, json, limit }: Common & { readonly limit: number }) => {
      const told = await looking(config, ({ inspection }) => inspection.history(asDocumentId(id), limit))
      console.log(json ? JSON.stringify(told) : past(told))
    })

  const all = new Command('document').description('Documents that this server holds, whether it runs or not.')
  for (const command of [list, show, history]) all.addCommand(command)
  return all
}

interface Asked {
  readonly content?: true
  readonly at?: number
  readonly version?: ReadonlyMap<LogId, number>
}

const one = (name: string, description: string): Command =>
  new Command(name).description(description).addOption(configOption()).addOption(jsonOption())

function versionOf(text: string, before: ReadonlyMap<LogId, number> = new Map()): ReadonlyMap<LogId, number> {
  const [, log = '', length = ''] = /^([^:]*):(\d{1,10})$/.exec(text) ?? []
  if (!isLogId(log)) throw new InvalidArgumentError('expected log:length, as cpns document show lists them')
  return new Map(before).set(log, Number(length))
}

function listed({ items, next }: DocumentPage): string {
  const rows = items.map(({ document, logs, entries, bytes, epoch, digest, forked }) => [
    document,
    ...[logs, entries, bytes, epoch].map(String),
    forked > 0 ? `${digest} (${forked} forked)` : digest,
  ])
  const headings = ['document', 'logs', 'entries', 'bytes', 'epoch', 'digest']
  return [formatTable(headings, rows, 'This server holds no such document.'), ...moreOf(next)].join('\n')
}

function shown({
  document,
  owner,
  digest,
  epoch,
  entries,
  bytes,
  authors,
  superseded,
  receipts,
}: DocumentReport): string {
  const logs = authors.flatMap(({ server, logs }) =>
    logs.map(({ log, entries, bytes, isForked }) => [
      ...[server, log, String(entries), String(bytes)],
      isForked ? 'forked: its server wrote it twice' : '',
    ]),
  )
  const held = receipts.map(({ server, lacks }) => [server, lacks === 0 ? 'all of it' : `all but ${lacks} entries`])
  return [
    `${document}, written by ${owner} alone: ${entries} entries, ${bytes} bytes, epoch ${epoch}`,
    `digest ${digest}`,
    '',
    formatTable(['server', 'log', 'entries', 'bytes', ''], logs, 'No log counts.'),
    ...(superseded.length > 0 ? [`${superseded.length} logs were compacted, and are gone.`] : []),
    '',
    formatTable(['other server', 'holds'], held, 'No other server of the operator has said what it holds.'),
  ].join('\n')
}

function past({ document, digest, isWhole, total, entries }: DocumentHistory): string {
  const rows = entries.map(({ at, server, log, seq, bytes, supersedes, counts, kinds }) => [
    ...[formatTime(at), server, log, String(seq), String(bytes)],
    [
      ...Object.entries(kinds).map(([kind, count]) => `${kind} ${count}`),
      ...(supersedes > 0 ? [`compacts ${supersedes} logs`] : []),
      ...(counts ? [] : ['counts for nothing: its server has broken the rules']),
    ].join(', '),
  ])
  return [
    `${document}, digest ${digest}: the latest ${entries.length} of ${total} entries`,
    ...(isWhole ? [] : [wasCompacted]),
    formatTable(['up to', 'server', 'log', 'seq', 'bytes', 'sets'], rows, 'It has no entries.'),
  ].join('\n')
}

const wasCompacted = 'It was compacted: what was overwritten or removed before is not in the logs any more.'
const longestValue = 120

function contents({ document, registers, isWhole }: DocumentContent, { at, version }: Moment): string {
  const moment = at !== undefined ? ` at ${formatTime(at)}` : version ? ' at that version' : ''
  const rows = registers.map(({ key, value, server, stamp }) => {
    const text = JSON.stringify(value)
    return [key, text.length > longestValue ? `${text.slice(0, longestValue)}…` : text, formatTime(stamp), server]
  })
  return [
    `${document}${moment}`,
    ...(isWhole || moment === '' ? [] : [wasCompacted]),
    formatTable(['register', 'value', 'said at', 'by server'], rows, 'It says nothing.'),
  ].join('\n')
}
