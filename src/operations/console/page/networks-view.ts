import type { Conflict, InventoryMember } from '../../../inventory/inventory-shape.ts'
import type { NetworkPage, NetworkReport } from '../../inspection/shapes.ts'
import { whenAsked } from './asked.ts'
import { countText, dateText, dayText, plural, shortId } from './format.ts'
import { listed, matching, searchField } from './listing.ts'
import { hashOf } from './state.ts'
import { box, type Child, element, span } from './tree.ts'
import { badge, code, name, nothing, panel, type Tone, table, tile, tiles, type View } from './view.ts'

/* Personal Networks that this server holds: what all operators mean together, and which of them said what. */

type Summary = NetworkPage['items'][number]

export const networksView: View = (state, acts) => {
  const { item } = state.place
  if (item !== undefined) return networkView(item, acts)
  const list = listed<Summary>('/v1/networks', state, acts)
  return [
    panel('Personal Networks', [
      searchField('Search', 'name, owner, operator', state, acts),
      ...list.show(all =>
        networksTable(
          matching(all, state.search.networks, ({ home, pnId, alias, owner }) => [home, pnId, alias, owner]),
        ),
      ),
    ]),
  ]
}

const networksTable = (networks: readonly Summary[]): readonly Child[] =>
  networks.length === 0
    ? [nothing('There is none to show.')]
    : [
        table<Summary>(
          plural(networks.length, 'Personal Network'),
          [
            {
              title: 'Name',
              of: ({ home, pnId, alias }) =>
                element(
                  'a',
                  { href: hashOf({ name: 'networks', item: `${home}/${pnId}` }), class: 'name', title: alias },
                  alias || pnId,
                ),
            },
            { title: 'Home', of: ({ home, pnId }) => [name(home), span('note', pnId)] },
            { title: 'State', of: ({ state }) => badge(stateTone[state], state) },
            {
              title: 'Members',
              of: ({ members, active }) => `${countText(active)} of ${countText(members)} active`,
              isNumber: true,
            },
            { title: 'Gateways', of: ({ gateways }) => countText(gateways), isNumber: true },
            {
              title: 'Granted to',
              of: ({ grants }) => (grants === 0 ? 'nobody' : plural(grants, 'operator')),
              isNumber: true,
            },
            {
              title: 'Conflicts',
              of: ({ conflicts }) => (conflicts === 0 ? 'none' : badge('warn', countText(conflicts))),
            },
          ],
          networks,
          ({ home, pnId }) => `${home}/${pnId}`,
        ),
      ]

const stateTone: Readonly<Record<Summary['state'], Tone>> = { live: 'ok', released: 'quiet', expired: 'quiet' }

function networkView(item: string, acts: Parameters<View>[1]): readonly Child[] {
  const [home = '', pnId = ''] = item.split('/')
  const asked = acts.ask(`/v1/networks/${encodeURIComponent(home)}/${encodeURIComponent(pnId)}?said=true`)
  return [
    element('p', {}, element('a', { href: hashOf({ name: 'networks' }) }, 'All Personal Networks')),
    ...whenAsked<NetworkReport>(asked, report => [
      about(report),
      report.inventory.conflicts.length > 0 && conflicts(report.inventory.conflicts),
      members(report),
      gateways(report),
      grants(report),
      said(report),
    ]),
  ]
}

const about = ({ inventory }: NetworkReport): Child =>
  panel(inventory.alias || inventory.pnId, [
    tiles([
      tile(
        'State',
        inventory.state,
        inventory.expires === undefined ? undefined : `until ${dayText(inventory.expires)}`,
      ),
      tile(
        'Members',
        countText(inventory.members.length),
        `${countText(inventory.members.filter(({ state }) => state === 'active').length)} active`,
      ),
      tile('Gateways', countText(inventory.gateways.length)),
      tile('Owner', inventory.owner, `of ${inventory.home}`),
      tile('Mode', inventory.connectionMode),
    ]),
  ])

const conflicts = (all: readonly Conflict[]): Child =>
  panel('Conflicts', [
    element(
      'p',
      { class: 'note' },
      'Said on sides that did not know of each other. The view has decided; somebody may want to do something.',
    ),
    element(
      'ul',
      { class: 'alarms' },
      all.map(conflict => element('li', {}, conflictText(conflict))),
    ),
  ])

export function conflictText(conflict: Conflict): string {
  switch (conflict.kind) {
    case 'active-gateways':
      return `Several gateways took over at once. ${conflict.winner.gatewayId} of ${conflict.winner.operator} is active; also ${conflict.others.map(({ gatewayId, operator }) => `${gatewayId} of ${operator}`).join(', ')}.`
    case 'administrators':
      return `Several were made administrator at once. It is ${conflict.winner.pneId} of ${conflict.winner.operator}; also ${conflict.others.map(({ pneId, operator }) => `${pneId} of ${operator}`).join(', ')}.`
    case 'registered-twice':
      return `${conflict.pne.pneId} of ${conflict.pne.operator} is registered at ${conflict.gatewayId}, and at ${conflict.others.join(', ')}.`
    case 'registered-after-release':
      return `${conflict.pne.pneId} of ${conflict.pne.operator} was registered at ${conflict.gatewayId} after the network was released.`
    case 'admitted-by-several':
      return `${conflict.pne.pneId} of ${conflict.pne.operator} was admitted by ${conflict.by.join(', ')}.`
  }
}

const memberTone: Readonly<Record<InventoryMember['state'], Tone>> = { active: 'ok', pending: 'warn', member: 'quiet' }

const members = ({ inventory, admissions }: NetworkReport): Child => {
  const admittedBy = new Map(
    admissions.map(({ operator, pneId, by }) => [`${operator}/${pneId}`, by.map(each => each.operator).join(', ')]),
  )
  return panel('Effective inventory', [
    inventory.members.length === 0
      ? nothing('It has no members.')
      : table<InventoryMember>(
          'What all operators mean together, now',
          [
            { title: 'PNE', of: ({ pneId }) => name(pneId) },
            { title: 'Operator', of: ({ operator }) => name(operator) },
            { title: 'State', of: ({ state }) => badge(memberTone[state], state) },
            { title: 'Gateway', of: ({ gatewayId }) => (gatewayId === undefined ? '–' : name(gatewayId)) },
            {
              title: 'CPNS ID',
              of: ({ cpnsId }) => (cpnsId === undefined ? '–' : code(cpnsId, shortId(cpnsId, 10))),
            },
            { title: 'Admitted by', of: ({ operator, pneId }) => admittedBy.get(`${operator}/${pneId}`) ?? '–' },
            { title: 'Since', of: ({ since }) => dateText(since) },
          ],
          inventory.members,
          ({ operator, pneId }) => `${operator}/${pneId}`,
        ),
    inventory.superseded.length > 0 &&
      element(
        'p',
        { class: 'note' },
        `Superseded by a later registration of the same PNE: ${inventory.superseded.map(({ pneId, gatewayId }) => `${pneId} at ${gatewayId}`).join(', ')}.`,
      ),
  ])
}

const gateways = ({ inventory }: NetworkReport): Child =>
  inventory.gateways.length > 0 &&
  panel('Gateways', [
    table(
      'The active one takes requests for the network; all serve their neighbourhoods',
      [
        { title: 'Gateway', of: ({ gatewayId }) => name(gatewayId) },
        { title: 'Operator', of: ({ operator }) => name(operator) },
        { title: 'State', of: ({ active }) => (active ? badge('ok', 'active') : badge('quiet', 'beside it')) },
        { title: 'Since', of: ({ since }) => dateText(since) },
      ],
      inventory.gateways,
      ({ operator, gatewayId }) => `${operator}/${gatewayId}`,
    ),
  ])

const grants = ({ inventory }: NetworkReport): Child =>
  inventory.grants.length > 0 &&
  panel('Grants', [
    table(
      'What the home operator lets others do',
      [
        { title: 'Operator', of: ({ operator }) => name(operator) },
        { title: 'Rights', of: ({ rights }) => rights.join(', ') },
        { title: 'Expires', of: ({ expires }) => dayText(expires) },
        { title: 'Root fingerprint', of: ({ fingerprint }) => code(fingerprint, `${fingerprint.slice(0, 12)}…`) },
      ],
      inventory.grants,
      ({ operator }) => operator,
    ),
  ])

const said = ({ said: documents }: NetworkReport): Child =>
  panel('Which operator said what', [
    ...documents.map(({ document, operator, isHeld, counts, ignored, registers }) =>
      element('details', {}, [
        element('summary', {}, [
          span('', operator),
          ' ',
          isHeld
            ? counts
              ? badge('ok', 'counts')
              : badge('quiet', 'does not count now')
            : badge('warn', 'not held here'),
          ' ',
          span('note', `${plural(registers.length, 'register')}${ignored > 0 ? `, ${ignored} passed over` : ''}`),
        ]),
        element(
          'p',
          { class: 'note' },
          element('a', { href: hashOf({ name: 'documents', item: document }) }, document),
        ),
        box('scrolled', [
          element('ul', { class: 'registers' }, [
            ...registers
              .slice(0, 200)
              .map(({ key, stamp, isRemoved }) =>
                element('li', {}, [code(key), isRemoved && badge('quiet', 'removed'), span('note', dateText(stamp))]),
              ),
            registers.length > 200 && element('li', {}, `… and ${countText(registers.length - 200)} more`),
          ]),
        ]),
      ]),
    ),
  ])
