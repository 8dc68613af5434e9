import type { FederationMap, MapOperator, MapServer } from '../shapes.ts'
import { actionButtons, button } from './actions-view.ts'
import { countText, dayText, durationText, plural, shortId, timeText } from './format.ts'
import { federationMap } from './map.ts'
import { box, type Child, element, span } from './tree.ts'
import { type Acts, badge, code, name, nothing, panel, type Tone, table, type View } from './view.ts'

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
          { title: 'Expires', of: ({ expires }) => (expires === undefined ? '–' : dayText(expires)), isWhole: true },
          { title: 'Servers', of: ({ servers }) => `${servers.length}`, isNumber: true },
          {
            title: 'Root fingerprint',
            of: ({ fingerprint }) => (fingerprint === undefined ? '–' : code(fingerprint)),
          },
          ...(hasRoute(acts, '/v1/peers/{operator}/quarantine')
            ? [{ title: 'Trust', of: (operator: MapOperator) => trustButton(operator, acts) }]
            : []),
        ],
        federation.operators,
        ({ operator }) => operator,
      ),
      hasRoute(acts, '/v1/manifests/examine') &&
        box('actions', [button('Trust an operator …', false, () => acts.trusting.begin())]),
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
            isWhole: true,
          },
          { title: 'Waiting', of: ({ server }) => lagText(server) },
          {
            title: 'Clock',
            of: ({ server }) => skewText(server.clockSkewMs, server.clockUncertaintyMs),
            isNumber: true,
          },
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

/** Whether the node can do something: its description says so. */
function hasRoute(acts: Acts, path: string): boolean {
  const { value } = acts.askOnce('/v1/openapi.json')
  const isDescription = typeof value === 'object' && value !== null && 'paths' in value
  if (!isDescription || typeof value.paths !== 'object' || value.paths === null) return false
  return path in value.paths
}

/** Longer reasons are refused by the node. */
const maxWhyChars = 500

/** To keep another operator off, or to work with it again. */
function trustButton({ operator, isOwn, quarantine }: MapOperator, acts: Acts): Child | readonly Child[] {
  if (isOwn) return '–'
  const path = `/v1/peers/${encodeURIComponent(operator)}/quarantine`
  if (quarantine) {
    const release = {
      ...{ method: 'DELETE' as const, path, body: {}, label: `Release ${operator}`, isGrave: false },
      text: 'Links with it are made again, and what both lack is brought. It was kept off for this reason: ',
    }
    return [
      button('Release …', false, () => acts.confirm({ ...release, text: `${release.text}${quarantine.why}` })),
      span('note', ` ${quarantine.why}`),
    ]
  }
  return button('Quarantine …', true, () =>
    acts.confirm({
      ...{ method: 'PUT', path, body: {}, label: `Quarantine ${operator}`, isGrave: true },
      text: 'All servers of this operator end their links with it, and take nothing of it, until it is released. What is held stays.',
      asks: { field: 'why', label: 'Why (for whoever releases it)', most: maxWhyChars },
    }),
  )
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
  const kept = operators.filter(({ reach }) => reach === 'quarantined')
  const others = operators.length - 1 - kept.length
  const apart = kept.length === 0 ? '' : ` ${plural(kept.length, 'operator')} in quarantine.`
  const linked =
    others === 0
      ? 'There is no other operator to be linked with.'
      : `All is linked: ${plural(others, 'other operator')}.`
  return element('p', { class: 'banner ok' }, linked + apart)
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
  quarantined: 'in quarantine',
  untrusted: 'not trusted now',
}
export const reachTone: Readonly<Record<MapOperator['reach'], Tone>> = {
  self: 'ok',
  linked: 'ok',
  partly: 'warn',
  'cut-off': 'bad',
  quarantined: 'quiet',
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

/** What has not gone over a link yet, of documents: in step, or how many wait on either side. */
const lagText = ({ lag }: Pick<MapServer, 'lag'>): string => {
  if (!lag) return '–'
  const { toSend, toGet } = lag
  return toSend + toGet === 0 ? 'nothing' : `${countText(toSend)} to send, ${countText(toGet)} to get`
}

export const linkTone = ({ isSelf, link }: Pick<MapServer, 'isSelf' | 'link'>): Tone => {
  if (isSelf || link === 'up') return 'ok'
  if (link === 'none') return 'quiet'
  return link === 'down' ? 'bad' : 'warn'
}

function skewText(skewMs: number | undefined, uncertaintyMs: number | undefined): string {
  if (skewMs === undefined) return '–'
  const rounded = Math.round(skewMs)
  const sign = rounded < 0 ? '−' : '+'
  if (Math.abs(rounded) >= 1000) return `${sign}${durationText(Math.abs(rounded))}`
  const give = uncertaintyMs === undefined ? '' : ` ± ${Math.ceil(uncertaintyMs)}`
  return `${sign}${Math.abs(rounded)}${give} ms`
}
