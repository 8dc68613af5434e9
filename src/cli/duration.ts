import { InvalidArgumentError } from 'commander'

const unitsMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const isUnit = (text: string): text is keyof typeof unitsMs => text in unitsMs

/** Milliseconds of a time such as 500ms, 30s, 5m, 2h or 90d; seconds without a unit. @throws {InvalidArgumentError} */
export function durationOf(text: string): number {
  const [, amount, unit = 's'] = /^(\d{1,6})([a-z]{1,2})?$/.exec(text) ?? []
  if (amount === undefined || !isUnit(unit))
    throw new InvalidArgumentError('expected a time such as 30s, 5m, 2h or 90d')
  return Number(amount) * unitsMs[unit]
}
