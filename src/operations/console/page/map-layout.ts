import type { FederationMap, MapOperator } from '../shapes.ts'

/*
 * Where the operators and their servers stand on the map: this server's operator on the left (on a narrow page on top), all others
 * beside it (below it). A function of who there is and of the room, so that nothing moves while states change.
 */

export interface Rectangle {
  readonly left: number
  readonly top: number
  readonly width: number
  readonly height: number
}

export interface PlacedServer {
  readonly server: string
  /** Where links begin and end. */
  readonly x: number
  readonly y: number
}

export interface PlacedOperator extends Rectangle {
  readonly operator: MapOperator
  readonly servers: readonly PlacedServer[]
}

export interface MapLayout {
  readonly height: number
  readonly isNarrow: boolean
  readonly operators: readonly PlacedOperator[]
}

export const headHeight = 44
export const rowHeight = 34
const footHeight = 10
const gap = 18
const narrowPx = 620
const betweenPx = 90
/** More servers of one operator are counted, not shown one by one. */
export const maxRows = 8

const heightOf = ({ servers }: MapOperator): number =>
  headHeight + Math.max(1, Math.min(maxRows, servers.length)) * rowHeight + footHeight

export function layoutOf({ operators }: FederationMap, widthPx: number): MapLayout {
  const isNarrow = widthPx < narrowPx
  const [own, ...others] = operators
  if (!own) return { height: 0, isNarrow, operators: [] }
  return isNarrow ? stacked(own, others, widthPx) : besides(own, others, widthPx)
}

/** Others in as many columns as have room, the shortest of them next. */
function besides(own: MapOperator, others: readonly MapOperator[], widthPx: number): MapLayout {
  const ownWidth = Math.round(Math.min(300, widthPx * 0.36))
  const room = widthPx - ownWidth - betweenPx
  const columns = others.length > 4 && room > 520 ? 2 : 1
  const width = Math.round(Math.min(columns === 1 ? 420 : 360, (room - gap * (columns - 1)) / columns))
  const tops = Array.from({ length: columns }, () => 0)
  const placed = others.map(operator => {
    const column = tops.indexOf(Math.min(...tops))
    const top = tops[column] ?? 0
    const height = heightOf(operator)
    tops[column] = top + height + gap
    const left = widthPx - (columns - column) * width - (columns - 1 - column) * gap
    return place(operator, { left, top, width, height }, 'left')
  })
  const othersHeight = Math.max(0, ...tops.map(top => top - gap))
  const ownHeight = heightOf(own)
  const height = Math.max(othersHeight, ownHeight)
  const top = Math.round((height - ownHeight) / 2)
  const centred = placed.map(each => moved(each, Math.round((height - othersHeight) / 2)))
  return {
    ...{ height, isNarrow: false },
    operators: [place(own, { left: 0, top, width: ownWidth, height: ownHeight }, 'right'), ...centred],
  }
}

const moved = (placed: PlacedOperator, down: number): PlacedOperator => ({
  ...placed,
  top: placed.top + down,
  servers: placed.servers.map(server => ({ ...server, y: server.y + down })),
})

/** One under the other, moved to the right, so that links have room on the left. */
function stacked(own: MapOperator, others: readonly MapOperator[], widthPx: number): MapLayout {
  const indent = 40
  const ownHeight = heightOf(own)
  let top = ownHeight + gap * 1.5
  const placed = others.map(operator => {
    const height = heightOf(operator)
    const found = place(operator, { left: indent, top, width: widthPx - indent, height }, 'left')
    top += height + gap
    return found
  })
  return {
    ...{ height: others.length > 0 ? top - gap : ownHeight, isNarrow: true },
    operators: [place(own, { left: 0, top: 0, width: widthPx, height: ownHeight }, 'left'), ...placed],
  }
}

function place(operator: MapOperator, at: Rectangle, side: 'left' | 'right'): PlacedOperator {
  const x = side === 'left' ? at.left : at.left + at.width
  return {
    ...at,
    operator,
    servers: operator.servers.slice(0, maxRows).map(({ server }, row) => ({
      ...{ server, x },
      y: at.top + headHeight + row * rowHeight + rowHeight / 2,
    })),
  }
}
