import type { OperatorId } from '../../ports/names.ts'
import type { Pne } from '../fields.ts'
import { compare } from '../order.ts'
import { pneKey } from '../records.ts'
import { dayOf, type KnownReport, type UsageRecords } from './records.ts'

/*
 * What was used in a Personal Network: a pure function of its documents. Every server that has the same documents adds up
 * the same, whatever order they came in:
 *
 * - Of a PNE only its own operator's document counts, and in it what names the present epoch and the operator's grant. A
 *   grant that has ended still vouches for what was used under it; one that was revoked, or given anew, for nothing.
 * - A report counts once, since it is one register. A day that has been summed up is its sum.
 * - Amounts of one service and unit add up; beyond 2^53 - 1 a sum stays there.
 */

/** Who says it: an operator with its usage records, and the ground that counts for it. */
export interface UsageSource {
  readonly operator: OperatorId
  readonly records: UsageRecords
  readonly ground: Ground
}

/** What a record must name to count: the PN's epoch, and the grant of its operator, which the home operator has none of. */
export interface Ground {
  readonly epoch: number
  readonly grant?: string | undefined
}

/** What one PNE has used of one service in one day. */
export interface DayUsage {
  readonly pne: Pne
  readonly day: number
  readonly serviceId: string
  readonly unit: string
  readonly amount: number
  readonly reports: number
}

/** In order of PNE, service, unit and day. */
export function usageOf(sources: readonly UsageSource[]): DayUsage[] {
  return inOrder(sources.flatMap(daysOf))
}

function daysOf({ operator, records, ground }: UsageSource): DayUsage[] {
  const isOwn = ({ pne }: { readonly pne: Pne }) => pne.operator === operator
  const summed = records.sums.filter(sum => isOwn(sum) && stands(sum.record, ground))
  const closed = new Set(summed.map(({ pne, day }) => `${pneKey(pne)} ${day}`))
  const open = records.reports.filter(
    report =>
      isOwn(report) && stands(report.record, ground) && !closed.has(`${pneKey(report.pne)} ${dayOf(report.record)}`),
  )
  return [
    ...summed.flatMap(({ pne, day, record }) =>
      record.sums.map(([serviceId, unit, amount, reports]) => ({ pne, day, serviceId, unit, amount, reports })),
    ),
    ...addedUp(open),
  ]
}

export const stands = (record: Ground, ground: Ground): boolean =>
  record.epoch === ground.epoch && record.grant === ground.grant

/** The reports of each PNE, day, service and unit, added up. */
export function addedUp(reports: readonly KnownReport[]): DayUsage[] {
  const sums = new Map<string, DayUsage>()
  for (const { pne, record } of reports) {
    const { serviceId, unit, amount } = record
    const day = dayOf(record)
    const name = JSON.stringify([pneKey(pne), serviceId, unit, day])
    const sum = sums.get(name) ?? { pne, day, serviceId, unit, amount: 0, reports: 0 }
    sums.set(name, { ...sum, amount: plus(sum.amount, amount), reports: sum.reports + 1 })
  }
  return inOrder([...sums.values()])
}

/** Bounded, so that order makes no difference at the bound either. */
export const plus = (a: number, b: number): number => Math.min(a + b, Number.MAX_SAFE_INTEGER)

const inOrder = (days: readonly DayUsage[]): DayUsage[] =>
  [...days].sort(
    (a, b) =>
      compare(pneKey(a.pne), pneKey(b.pne)) ||
      compare(a.serviceId, b.serviceId) ||
      compare(a.unit, b.unit) ||
      a.day - b.day,
  )
