import { Command, Option } from 'commander'
import type { TraceAnswer, TraceLine } from '../operations/admin/traces.ts'
import { isServerId, operatorId } from '../ports/names.ts'
import { askedJson, askedLines } from './ask-node.ts'
import { durationOf } from './duration.ts'
import { type NodeFolder, openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { formatTable, formatTime, harmless } from './table.ts'

type Traced = TraceAnswer['traced']

interface Options {
  readonly config: string
  readonly for: number
  readonly of?: string
  readonly to: 'answer' | 'log' | 'both'
  readonly json?: true
}

/** `cpns trace …`: what one client or one peer does at the node of this folder, for a while. */
export function traceCommand(): Command {
  const client = tracing('client')
    .argument('<identity>', 'of the subscriber')
    .description(
      'Shows what a client does at the node that runs here: log-ins, commands, how they end and how long they take.',
    )
    .addOption(new Option('--of <operator>', 'whose subscriber it is; this operator’s, if left out'))
    .action(async (identity: string, options: Options) => {
      const folder = await openNodeFolder(options.config)
      const operator = operatorId(options.of ?? folder.configuration.operator)
      await trace(folder, { kind: 'client', operator, identity }, options)
    })

  const peer = tracing('peer')
    .argument('<name>', 'of an operator, for all its servers, or the PeerId of a server')
    .description(
      'Shows what the servers of an operator and this one send each other: links, frames, entries, requests.',
    )
    .action(async (name: string, options: Options) => {
      const folder = await openNodeFolder(options.config)
      const traced = isServerId(name)
        ? ({ kind: 'server', server: name } as const)
        : ({ kind: 'operator', operator: operatorId(name) } as const)
      await trace(folder, traced, options)
    })

  const list = new Command('list')
    .description('Lists the traces that are under way.')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async ({ config, json }: Pick<Options, 'config' | 'json'>) => {
      // What the node of the same release says, to its owner.
      const answer = (await askedJson(await openNodeFolder(config), 'GET', '/v1/traces')) as { traces: TraceAnswer[] }
      const rows = answer.traces.map(({ id, traced, until, isLogged }) => [
        ...[id, nameOf(traced), formatTime(until), isLogged ? 'yes' : 'no'],
      ])
      console.log(json ? JSON.stringify(answer) : formatTable(['id', 'of', 'until', 'in the log'], rows, 'No traces.'))
    })

  const end = new Command('end')
    .description('Ends a trace before its time.')
    .argument('<id>', 'as cpns trace list shows it')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (id: string, { config, json }: Pick<Options, 'config' | 'json'>) => {
      await askedJson(await openNodeFolder(config), 'DELETE', `/v1/traces/${encodeURIComponent(id)}`)
      console.log(json ? JSON.stringify({ id }) : `Trace ${id} has ended.`)
    })

  return new Command('trace')
    .description(
      'Follows one client or one peer for a while, without content: no messages, no keys. It ends by itself.',
    )
    .addCommand(client)
    .addCommand(peer)
    .addCommand(list)
    .addCommand(end)
}

const tracing = (name: string): Command =>
  new Command(name)
    .addOption(configOption())
    .addOption(new Option('--for <time>', 'then it ends').argParser(durationOf).default(300_000, '5m'))
    .addOption(
      new Option('--to <place>', 'where its events go: here, into the log of the node, or both')
        .choices(['answer', 'log', 'both'])
        .default('answer', 'here'),
    )
    .addOption(new Option('--json', 'prints JSON, a line for each event'))

async function trace(folder: NodeFolder, traced: Traced, { for: forMs, to, json }: Options): Promise<void> {
  const body = { traced, forMs, to }
  if (to === 'log') {
    const begun = (await askedJson(folder, 'POST', '/v1/traces', body)) as TraceAnswer
    const until = formatTime(begun.until)
    console.log(
      json
        ? JSON.stringify(begun)
        : `${nameOf(traced)} is traced in the log until ${until}: cpns trace end ${begun.id}`,
    )
    return
  }
  for await (const text of await askedLines(folder, 'POST', '/v1/traces', body)) {
    // What the node of the same release says, to its owner.
    console.log(json ? text : said(JSON.parse(text) as TraceLine))
  }
}

function said(line: TraceLine): string {
  switch (line.type) {
    case 'begun':
      return `${nameOf(line.trace.traced)} is traced until ${formatTime(line.trace.until)}; Ctrl-C ends it before.`
    case 'ended':
      return `${missed(line.lost)}${ends[line.why]}`
    case 'event': {
      const { at, name, outcome, tookMs, server, document, attributes, lost } = line
      const parts = [
        new Date(at).toISOString().slice(11, 23),
        name,
        outcome,
        tookMs === undefined ? undefined : `${tookMs} ms`,
        ...Object.entries(attributes).flatMap(([key, value]) => (value === '' ? [] : `${key}=${value}`)),
        server,
        document,
      ]
      return missed(lost) + harmless(parts.filter(part => part !== undefined).join('  '))
    }
  }
}

const ends = {
  time: 'The trace has ended: its time is over.',
  asked: 'The trace was ended.',
  stopping: 'The trace has ended with the node.',
} as const

const missed = (lost = 0): string => (lost > 0 ? `(${lost} events were too many to show)\n` : '')

function nameOf(traced: Traced): string {
  switch (traced.kind) {
    case 'client':
      return harmless(`${traced.identity} of ${traced.operator}`)
    case 'operator':
      return traced.operator
    case 'server':
      return traced.server
  }
}
