import { type Figure, isMissed } from '../bench.ts'

/* Figures in words. */

export function table(figures: readonly Figure[]): string {
  const rows = figures.map(figure => `| ${figure.name} | ${given(figure)} | ${wanted(figure)} |`)
  return ['| figure | value | wanted |', '|---|---|---|', ...rows].join('\n')
}

function given(figure: Figure): string {
  const { samples } = figure
  return `${told(figure)}${samples === undefined ? '' : ` of ${samples}`}`
}

/** Its value with its range. */
export function told({ value, unit, samples, least, most }: Figure): string {
  if (!Number.isFinite(value)) return 'none'
  const range = samples === 1 || least === undefined || most === undefined ? '' : ` (${round(least)} to ${round(most)})`
  return `${round(value)}${unit === '' ? '' : ` ${unit}`}${range}`
}

export function wanted(figure: Figure): string {
  const bound = boundOf(figure)
  return bound === '' ? '' : `${bound} ${isMissed(figure) ? '✘' : '✔'}`
}

/** '' for none. */
export function boundOf({ atLeast, atMost }: Figure): string {
  if (atLeast !== undefined) return `≥ ${inGroups(atLeast)}`
  return atMost === undefined ? '' : `≤ ${inGroups(atMost)}`
}

/** Three digits of what is small, and no fractions of what is not. */
function round(value: number): string {
  return Math.abs(value) >= 100 ? inGroups(Math.round(value)) : String(Number(value.toPrecision(3)))
}

const inGroups = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 3 })
