import { Command, Option } from 'commander'
import type { NetworkPage, NetworkReport } from '../operations/inspection/shapes.ts'
import { operatorId } from '../ports/names.ts'
import { afterOption, atOption, limitOption, looking, moreOf, pageWanted } from './inspected.ts'
import { configOption, jsonOption } from './options.ts'
import { formatTable, formatTime, harmless } from './table.ts'

interface Listed {
  readonly config: string
  readonly json?: true
  readonly limit: number
  readonly after?: string
}

interface Shown {
  readonly config: string
  readonly json?: true
  readonly of?: string
  readonly at?: number
  readonly said?: boolean
}

/** `cpns pn …`: the Personal Networks whose documents this server holds. */
export function pnCommand(): Command {
  const list = new Command('list')
    .description('Lists the Personal Networks that this server holds, as they are now.')
    .addOption(configOption())
    .addOption(limitOption('how many', 100))
    .addOption(afterOption())
    .addOption(jsonOption())
    .action(async (options: Listed) => {
      const page = await looking(options.config, ({ inspection }) => inspection.networks(pageWanted(options)))
      console.log(options.json ? JSON.stringify(page) : listed(page))
    })

  const show = new Command('show')
    .description('Shows the effective inventory of a Personal Network, and which operator has said what of it.')
    .argument('<pn>', 'its id, as cpns pn list has it')
    .addOption(configOption())
    .addOption(new Option('--of <operator>', 'its home operator; left out: that of this server'))
    .addOption(atOption())
    .addOption(new Option('--said', 'lists each register of its documents, with which server wrote it, and when'))
    .addOption(jsonOption())
    .action(async (pnId: string, { config, json, of, at, said = false }: Shown) => {
      const report = await looking(config, ({ inspection, operator }) =>
        inspection.network({ home: operatorId(of ?? operator), pnId }, { said, ...(at !== undefined && { at }) }),
      )
      console.log(json ? JSON.stringify(report) : shown(report))
    })

  return new Command('pn')
    .description('Personal Networks that this server holds, whether it runs or not.')
    .addCommand(list)
    .addCommand(show)
}

function listed({ items, next }: NetworkPage): string {
  const rows = items.map(({ pnId, home, alias, owner, state, members, active, gateways, grants, conflicts }) => [
    ...[pnId, home, alias, owner, state],
    ...[members, active, gateways, grants, conflicts].map(String),
  ])
  const headings = ['pn', 'home', 'alias', 'owner', 'state', 'members', 'active', 'gateways', 'grants', 'conflicts']
  return [formatTable(headings, rows, 'This server holds no Personal Network.'), ...moreOf(next)].join('\n')
}

function shown({ inventory, admissions, said }: NetworkReport): string {
  const { pnId, home, alias, owner, state, epoch, connectionMode, expires, administrator, conflicts } = inventory
  const admittedBy = new Map(admissions.map(({ operator, pneId, by }) => [`${operator}/${pneId}`, by]))
  const facts = [
    `${pnId} of ${home}: “${harmless(alias)}”, ${state}${expires === undefined ? '' : `, until ${formatTime(expires)}`}`,
    `owner ${owner}, epoch ${epoch}, ${connectionMode}${administrator ? `, administrator ${administrator.pneId} of ${administrator.operator}` : ''}`,
  ]
  const members = inventory.members.map(member => [
    ...[member.pneId, member.operator, member.state, member.gatewayId ?? '', member.cpnsId ?? ''],
    (admittedBy.get(`${member.operator}/${member.pneId}`) ?? []).map(({ operator }) => operator).join(', '),
    formatTime(member.since),
  ])
  const gateways = inventory.gateways.map(gateway => [
    ...[gateway.gatewayId, gateway.operator, gateway.identity, gateway.active ? 'active' : 'standing by'],
    formatTime(gateway.since),
  ])
  const grants = inventory.grants.map(grant => [grant.operator, grant.rights.join(', '), formatTime(grant.expires)])
  return [
    ...facts,
    '',
    formatTable(
      ['pne', 'said by', 'state', 'gateway', 'cpns id', 'admitted by', 'since'],
      members,
      'It has no members.',
    ),
    '',
    formatTable(['gateway', 'said by', 'identity', 'state', 'since'], gateways, 'No gateway is attached.'),
    '',
    formatTable(['granted to', 'rights', 'until'], grants, 'No other operator has rights in it.'),
    ...conflicts.map(({ kind, ...named }) => `conflict: ${kind} ${harmless(JSON.stringify(named))}`),
    ...said.flatMap(whatIsSaid),
  ].join('\n')
}

function whatIsSaid({
  document,
  operator,
  isHeld,
  counts,
  ignored,
  registers,
}: NetworkReport['said'][number]): string[] {
  const standing = !isHeld ? 'not held here' : counts ? 'counts' : 'does not count: its grant has ended'
  const rows = registers.map(({ key, server, stamp, isRemoved }) => [
    isRemoved ? `${key} (removed)` : key,
    formatTime(stamp),
    server,
  ])
  const passedOver = ignored > 0 ? [`${ignored} registers are not what they should be, and are passed over.`] : []
  return [
    '',
    `${operator} in ${document}: ${standing}`,
    ...(isHeld ? [formatTable(['register', 'said at', 'by server'], rows, 'It says nothing.')] : []),
    ...passedOver,
  ]
}
