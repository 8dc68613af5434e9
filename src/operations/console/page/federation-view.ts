import type { FederationMap, MapOperator, MapServer } from '../shapes.ts'
import { actionButtons } from './actions-view.ts'
import { dayText, durationText, plural, shortId, timeText } from './format.ts'
import { federationMap } from './map.ts'
import { box, type Child, element, span } from './tree.ts'
import { badge, code, name, nothing, panel, type Tone, table, type View } from './view.ts'

/* Who is in the federation, and what of it this server reaches: a partition is seen before anything is read. */

const dayMs = 86_400_000
const soonMs = 30 * dayMs

export const federationView: View = ({ told, widthPx }, acts) => {
  const { federation, overview, actions = [] } = told
  if (!federation || !overview) return [nothing('Waiting for the node …')]
  const { at } = overview
  const rows = federation.operators.flatMap(operator => operator.servers.map(server => ({ operator, server })))
  return [
    summary(federation),
    panel(
      'Map',
      [federationMap(federation, widthPx - 34), legend(), actions.length > 0 && actionButtons(actions, acts)],
      { class: 'map-panel' },
    ),
    panel('Operators', [
      table<MapOperator>(
        'What each operator is to this server',
        [
          { title: 'Operator', of: ({ operator }) => name(operator) },
          { title: 'Reach', of: ({ reach }) => badge(reachTone[reach], reachText[reach]) },
          { title: 'Manifest', of: operator => manifestBadge(operator, at) },
          { title: 'Expires', of: ({ expires }) => (expires === undefined ? '–' : dayText(expires)) },
          { title: 'Servers', of: ({ servers }) => `${servers.length}`, isNumber: true },
          {
            title: 'Root fingerprint',
            of: ({ fingerprint }) =>
              fingerprint === undefined ? '–' : code(fingerprint, `${fingerprint.slice(0, 12)}…`),
          },
        ],
        federation.operators,
        ({ operator }) => operator,
      ),
    ]),
    panel('Servers', [
      table<(typeof rows)[number]>(
        'Links from this server',
        [
          { title: 'Server', of: ({ server }) => code(server.server, shortId(server.server)) },
          { title: 'Operator', of: ({ operator }) => name(operator.operator) },
          {
            title: 'Link',
            of: ({ server }) => [
              badge(linkTone(server), linkText(server)),
              server.reason !== undefined && span('note', ` ${server.reason}`),
            ],
          },
          {
            title: 'Since',
            of: ({ server: { since } }) =>
              since === undefined ? '–' : `${timeText(since)} (${durationText(at - since)})`,
          },
          { title: 'Clock', of: ({ server: { clockSkewMs } }) => skewText(clockSkewMs), isNumber: true },
          {
            title: 'Room for our clients',
            of: ({ server: { usedPercent } }) =>
              usedPercent === undefined ? '–' : usedPercent >= 100 ? 'none' : `${Math.round(100 - usedPercent)} %`,
            isNumber: true,
          },
        ],
        rows,
        ({ server }) => server.server,
      ),
    ]),
  ]
}

function summary({ operators }: FederationMap): Child {
  const lost = operators.filter(({ reach }) => reach === 'cut-off')
  const partly = operators.filter(({ reach }) => reach === 'partly')
  const names = (of: readonly MapOperator[]) =>
    of
      .slice(0, 3)
      .map(({ operator }) => operator)
      .join(', ') + (of.length > 3 ? ` and ${of.length - 3} more` : '')
  if (lost.length > 0) {
    return element('p', { class: 'banner bad' }, [
      element('strong', {}, 'Partition. '),
      `There is no link to ${names(lost)}. Both sides go on, and agree when the link is back.`,
    ])
  }
  if (partly.length > 0)
    return element('p', { class: 'banner warn' }, `Some servers of ${names(partly)} cannot be reached.`)
  const others = operators.length - 1
  return element(
    'p',
    { class: 'banner ok' },
    others === 0 ? 'This operator federates with no other yet.' : `All is linked: ${plural(others, 'other operator')}.`,
  )
}

const legend = (): Child =>
  box('map-legend', [
    span('', [span('line up'), ' linked']),
    span('', [span('line connecting'), ' connecting']),
    span('', [span('line down'), ' no link']),
  ])

export const reachText: Readonly<Record<MapOperator['reach'], string>> = {
  self: 'this operator',
  linked: 'linked',
  partly: 'partly linked',
  'cut-off': 'cut off',
  untrusted: 'not trusted now',
}
export const reachTone: Readonly<Record<MapOperator['reach'], Tone>> = {
  self: 'ok',
  linked: 'ok',
  partly: 'warn',
  'cut-off': 'bad',
  untrusted: 'bad',
}

function manifestBadge({ manifest, expires = 0, seq }: MapOperator, now: number): Child {
  if (manifest === 'missing') return badge('warn', 'none yet')
  if (manifest === 'expired') return badge('bad', `no. ${seq} expired`)
  return expires - now < soonMs ? badge('warn', `no. ${seq}, expires soon`) : badge('ok', `no. ${seq}, valid`)
}

export const linkText = ({ isSelf, link }: Pick<MapServer, 'isSelf' | 'link'>): string => {
  if (isSelf) return 'this server'
  return { up: 'linked', connecting: 'connecting', greeting: 'greeting', down: 'no link', none: 'not wanted' }[link]
}

export const linkTone = ({ isSelf, link }: Pick<MapServer, 'isSelf' | 'link'>): Tone => {
  if (isSelf || link === 'up') return 'ok'
  if (link === 'none') return 'quiet'
  return link === 'down' ? 'bad' : 'warn'
}

function skewText(skewMs: number | undefined): string {
  if (skewMs === undefined) return '–'
  const rounded = Math.round(skewMs)
  if (Math.abs(rounded) < 1000) return `${rounded < 0 ? '−' : '+'}${Math.abs(rounded)} ms`
  return `${rounded < 0 ? '−' : '+'}${durationText(Math.abs(rounded))}`
}
