import { linkHorizontal } from 'd3-shape'
import type { FederationMap, MapOperator, MapServer } from '../shapes.ts'
import { linkText, linkTone, reachText, reachTone } from './federation-view.ts'
import { countText, plural, shortId } from './format.ts'
import { layoutOf, type MapLayout, maxRows, type PlacedOperator, type PlacedServer } from './map-layout.ts'
import { box, type Child, element, span } from './tree.ts'
import { badge, name } from './view.ts'

/*
 * The map: operators as cards with their servers, the links of this server as lines between them. The lines are for the eye
 * alone; what they say stands in words on the cards.
 */

type Point = readonly [x: number, y: number]
const curve = linkHorizontal<{ readonly source: Point; readonly target: Point }, Point>()
  .x(([x]) => x)
  .y(([, y]) => y)

export function federationMap(map: FederationMap, widthPx: number): Child {
  const layout = layoutOf(map, widthPx)
  return box(
    'map',
    [
      lines(layout, widthPx),
      element('ul', { class: 'map-cards', 'aria-label': 'Operators and their servers' }, layout.operators.map(card)),
    ],
    {
      style: { height: `${layout.height}px` },
    },
  )
}

function card({ operator, left, top, width, height }: PlacedOperator): Child {
  const { servers, isOwn, reach } = operator
  const more = servers.length - maxRows
  return element(
    'li',
    { class: `map-card ${reach}${isOwn ? ' own' : ''}` },
    [
      box('map-head', [name(operator.operator), badge(reachTone[reach], reachText[reach])]),
      element(
        'ul',
        {},
        servers.length === 0
          ? element('li', { class: 'map-server' }, span('note', 'No server is known.'))
          : servers.slice(0, maxRows).map((server, at) => row(server, at === maxRows - 1 && more > 0 ? more : 0)),
      ),
    ],
    {
      key: operator.operator,
      style: { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` },
    },
  )
}

const row = (server: MapServer, more: number): Child =>
  element(
    'li',
    { class: `map-server ${server.isSelf ? 'self' : server.link}` },
    [
      element('code', { title: server.server }, shortId(server.server)),
      span(`state ${linkTone(server)}`, stateText(server)),
      more > 0 && span('note', `and ${plural(more, 'more server')}`),
    ],
    { key: server.server },
  )

/** With how many documents have to go over it, either way. */
function stateText(server: MapServer): string {
  const { toSend = 0, toGet = 0 } = server.lag ?? {}
  const waiting = toSend + toGet
  return waiting === 0 ? linkText(server) : `${linkText(server)}, ${countText(waiting)} waiting`
}

/** From this server to every server that it is to be linked with. */
function lines({ operators, height, isNarrow }: MapLayout, widthPx: number): Child {
  const [own, ...others] = operators
  const self = own?.operator.servers.find(({ isSelf }) => isSelf)
  const from = own?.servers.find(({ server }) => server === self?.server)
  const links = others.flatMap(placed =>
    placed.servers.flatMap(to => {
      const server = serverOf(placed.operator, to)
      return server && server.link !== 'none' ? [{ to, server }] : []
    }),
  )
  const shapes = from && own ? (isNarrow ? branches(own, links) : links.flatMap(link => curveOf(from, link))) : []
  return element(
    'svg',
    { class: 'map-lines', width: widthPx, height, viewBox: `0 0 ${widthPx} ${height}`, 'aria-hidden': 'true' },
    shapes,
  )
}

interface Link {
  readonly to: PlacedServer
  readonly server: MapServer
}

const serverOf = ({ servers }: MapOperator, { server }: PlacedServer): MapServer | undefined =>
  servers.find(each => each.server === server)

function curveOf(from: PlacedServer, { to, server }: Link): Child[] {
  const d = curve({ source: [from.x, from.y], target: [to.x, to.y] }) ?? ''
  return [
    element('path', { class: `link ${classOf(server)}`, d }, [], { key: `link ${server.server}` }),
    server.link !== 'up' && cross((from.x + to.x) / 2, (from.y + to.y) / 2, server),
    element('circle', { class: `end ${classOf(server)}`, cx: from.x, cy: from.y, r: 4 }, [], {
      key: `from ${server.server}`,
    }),
    element('circle', { class: `end ${classOf(server)}`, cx: to.x, cy: to.y, r: 4 }, [], {
      key: `to ${server.server}`,
    }),
  ]
}

/** A trunk on the left from which a branch goes to each server. */
function branches(own: PlacedOperator, links: readonly Link[]): Child[] {
  const x = 16
  const lowest = Math.max(0, ...links.map(({ to }) => to.y))
  return [
    links.length > 0 && element('path', { class: 'trunk', d: `M${x},${own.height}V${lowest}` }, [], { key: 'trunk' }),
    ...links.flatMap(({ to, server }): Child[] => [
      element('path', { class: `link ${classOf(server)}`, d: `M${x},${to.y}H${to.x}` }, [], {
        key: `link ${server.server}`,
      }),
      server.link !== 'up' && cross((x + to.x) / 2, to.y, server),
    ]),
  ]
}

const classOf = ({ link }: MapServer): string => (link === 'greeting' ? 'connecting' : link)

const cross = (x: number, y: number, server: MapServer): Child =>
  element(
    'g',
    { class: `cross ${classOf(server)}` },
    [
      element('circle', { cx: x, cy: y, r: 9 }),
      element('path', { d: `M${x - 4},${y - 4}l8,8M${x + 4},${y - 4}l-8,8` }),
    ],
    { key: `cross ${server.server}` },
  )
