/** How something grows with the size of something else. */
export interface Series {
  /** What it costs. */
  readonly what: string
  readonly unit: string
  readonly points: readonly Point[]
  /** The steepest that is well: 1 is as fast as the size, 0 not at all; what is above that leaves room for chance. */
  readonly slopeAtMost: number
}

export interface Point {
  readonly size: number
  readonly value: number
}

/** Of series that grow with the same thing. */
export interface Panel {
  /** What there is more and more of. */
  readonly size: string
  readonly series: readonly Series[]
}

/** As fast as the size, and no faster. */
export const linear = 1.1
/** Not with the size: twice as much for a thousand times the size would be 0.1. */
export const constant = 0.1

/** The exponent of the power law that lies closest, by least squares of the logarithms: 1 is linear, 0 constant. */
export function slope(points: readonly Point[]): number {
  const logs = points.map(({ size, value }) => ({ x: Math.log(size), y: Math.log(value) }))
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length
  const [x, y] = [mean(logs.map(log => log.x)), mean(logs.map(log => log.y))]
  const covariance = mean(logs.map(log => (log.x - x) * (log.y - y)))
  return covariance / mean(logs.map(log => (log.x - x) ** 2))
}
