import { Command } from 'commander'
import { askNode } from '../adapters/control-socket.ts'
import type { StatusAnswer } from '../operations/admin/status.ts'
import { controlPath } from '../operations/control-path.ts'
import { openNodeFolder } from './node-folder.ts'
import { configOption, jsonOption } from './options.ts'
import { Refused } from './problems.ts'

interface Options {
  readonly config: string
  readonly json?: true
}

/** `cpns status`: how the node of this folder is, over its socket. */
export function statusCommand(): Command {
  return new Command('status')
    .description('Shows how the node that runs here is: state, load, clients, links.')
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async ({ config, json }: Options) => {
      const { configuration, at } = await openNodeFolder(config)
      const { status, lines } = await askNode(controlPath(configuration, at), 'GET', '/v1/status')
      const text = (await Array.fromAsync(lines)).join('\n')
      if (status !== 200) throw new Refused(`The node answered ${status}: ${text}`)
      // What the node of the same release says of itself, to its owner.
      console.log(json ? text : table(JSON.parse(text) as StatusAnswer))
    })
}

function table(status: StatusAnswer): string {
  const {
    operator,
    server,
    clientUrl,
    state,
    isReady,
    starting,
    level,
    signals,
    connections,
    unshared,
    damaged,
    scrub,
    links,
    upMs,
  } = status
  const percent = (share: number) => `${Math.round(share * 100)} %`
  const rows: readonly (readonly [string, string])[] = [
    ['operator', operator],
    ['server', server],
    ['clients at', clientUrl],
    ['state', `${state}${isReady ? ', ready' : ', not ready for clients'}, for ${duration(upMs)}`],
    ...(starting ? ([['started', startedText(starting)]] as const) : []),
    ['load', level],
    ['  event loop', `${Math.round(signals.loopDelayMs)} ms late, ${percent(signals.utilisation)} used`],
    ['  memory', percent(signals.memory)],
    ['  commits', `${Math.round(signals.commitMs)} ms`],
    ['  log-ins wait', `${Math.round(signals.authenticationWaitMs)} ms`],
    ['clients', `${connections} (${percent(signals.connections)} of what there may be)`],
    ['here alone', `${unshared} documents`],
    [
      'damaged',
      `${damaged} documents${damaged > 0 ? ': refused here until other servers have brought what the disk lost' : ''}`,
    ],
    ['read through', readThrough(scrub)],
    ...links.map(link => ['link', linkText(link)] as const),
  ]
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`).join('\n')
}

const startedText = ({ percent, known, all }: NonNullable<StatusAnswer['starting']>): string =>
  `${percent} %: knows who may hold ${known} of ${all ?? 'its'} documents; then it links with other servers`

/** A clock that is less off than this is not worth a word: stamps decide between servers, and theirs are seldom so close. */
const notableSkewMs = 1_000

function linkText(link: StatusAnswer['links'][number]): string {
  const { server, operator, state, reason, lag } = link
  const why = reason === undefined ? '' : ` (${reason})`
  const behind = lag && lag.toSend + lag.toGet > 0 ? ` (${lag.toSend} documents to send, ${lag.toGet} to get)` : ''
  return `${state.padEnd(10)} ${operator} ${server}${why}${behind}${clockText(link)}`
}

function clockText({ clockSkewMs = 0, clockUncertaintyMs = 0 }: StatusAnswer['links'][number]): string {
  if (Math.abs(clockSkewMs) - clockUncertaintyMs <= notableSkewMs) return ''
  const [skew, give] = [Math.abs(clockSkewMs) / 1_000, clockUncertaintyMs / 1_000]
  return ` (its clock is ${skew.toFixed(1)} s ${clockSkewMs > 0 ? 'ahead' : 'behind'}, give or take ${give.toFixed(1)} s)`
}

function readThrough({ state, rounds, documents }: StatusAnswer['scrub']): string {
  if (state === 'off') return 'never'
  return `${rounds} times since the start${state === 'reading' ? `, and ${documents} documents of the next` : ''}`
}

function duration(ms: number): string {
  const seconds = Math.floor(ms / 1000)
  const parts = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60]
  const [days = 0, hours = 0, minutes = 0] = parts
  if (days > 0) return `${days} d ${hours} h`
  if (hours > 0) return `${hours} h ${minutes} min`
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`
}
