import type { RegisterWrite } from '../../document/documents.ts'
import { pneKey } from '../records.ts'
import { asUsageValue, dayMs, dayOf, type KnownReport, type UsageRecords, usageKeys } from './records.ts'
import { addedUp, type Ground, stands } from './view.ts'

/*
 * How a document stays small although nothing that was used is forgotten: the reports of a day become the sums of that day.
 *
 * Two servers of the operator may do this at once, cut off from each other, so it is done only when both must have the
 * same reports: a day takes no more reports `lateMs` after its end, and is summed up `settledMs` after that, which is longer
 * than a server may be silent and still be one of its operator's. Then the sum follows from the reports, whoever writes
 * it; written twice, it says the same. So nothing is counted twice, and no list of what was counted is needed.
 */

export interface UsageLimits {
  /** How long after the end of its day a report is taken. */
  readonly lateMs: number
  /** How much later the day is summed up: longer than a server may be out of reach of its operator's others. */
  readonly settledMs: number
  /** Reports of one PNE in one day. */
  readonly maxReportsPerDay: number
  /** Reports in one document that are not summed up yet. */
  readonly maxOpenReports: number
}

export const defaultUsageLimits: UsageLimits = {
  lateMs: 7 * dayMs,
  settledMs: 31 * dayMs,
  maxReportsPerDay: 96,
  maxOpenReports: 6_000,
}

/** Whether the day takes no report any more. */
export const isClosed = (day: number, now: number, { lateMs }: UsageLimits): boolean =>
  now >= (day + 1) * dayMs + lateMs

/**
 * Sums up one day of one PNE that is due, the earliest; removes what can never count. What is left is done by the writes
 * to come.
 */
export function closingWrites(
  { reports, sums }: UsageRecords,
  ground: Ground,
  now: number,
  limits: UsageLimits,
): RegisterWrite[] {
  const due = reports.filter(({ record }) => now >= (dayOf(record) + 1) * dayMs + limits.lateMs + limits.settledMs)
  const [first, ...rest] = due
  if (!first) return []
  const next = rest.reduce((earliest, one) => (dayOf(one.record) < dayOf(earliest.record) ? one : earliest), first)
  const day = dayOf(next.record)
  const ofDay = due.filter(({ pne, record }) => pneKey(pne) === pneKey(next.pne) && dayOf(record) === day)
  const removals = ofDay.map(({ key }) => ({ key, value: null }))

  const isSummed = sums.some(
    sum => sum.day === day && pneKey(sum.pne) === pneKey(next.pne) && stands(sum.record, ground),
  )
  const counting = ofDay.filter(({ record }) => stands(record, ground))
  if (isSummed || counting.length === 0) return removals
  return [{ key: usageKeys.sum(next.pne, day), value: sumOf(counting, ground) }, ...removals]
}

function sumOf(reports: readonly KnownReport[], { epoch, grant }: Ground) {
  const sums = addedUp(reports).map(
    ({ serviceId, unit, amount, reports }) => [serviceId, unit, amount, reports] as const,
  )
  return asUsageValue({ epoch, ...(grant !== undefined && { grant }), sums: sums.map(sum => [...sum]) })
}
