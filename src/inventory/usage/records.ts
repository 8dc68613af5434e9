import { z } from 'zod'
import { asJson } from '../../commands/plain.ts'
import type { Json, Registers } from '../../document/documents.ts'
import { isSegment } from '../../document/names.ts'
import { isOperatorId, type OperatorId } from '../../ports/names.ts'
import type { Pne } from '../fields.ts'
import { pneKey } from '../records.ts'
import { largestAmount, serviceId, unit } from './methods.ts'

/*
 * What the registers of usage mean. They stand in the document of the PNE's own operator, whose word they are; in any
 * other they are passed over.
 *
 *   usage/<operator>/<pneId>/<reportId>   a report, written once
 *   usage-sum/<operator>/<pneId>/<day>    the sums of a day that has been closed; its reports are gone
 *
 * A day with a sum has nothing but its sum: whatever report of it still turns up is in it, or came too late for ever.
 */

export const dayMs = 86_400_000

const time = z.int().min(0).max(8.64e15)
const epoch = z.int().min(1)
const grant = z.string().min(1).max(64).optional()
const total = z.int().min(0)
const idPattern = /^[A-Za-z0-9_-]{16,64}$/

const reportRecord = z.object({
  epoch,
  grant,
  transaction: z.string().regex(idPattern),
  serviceId,
  unit,
  amount: z.int().min(0).max(largestAmount),
  from: time,
  to: time.refine(to => to > 0),
})

/** Of each service and unit: the amount, and how many reports it is of. In order of service and unit. */
const sumRecord = z.object({
  epoch,
  grant,
  sums: z.array(z.tuple([serviceId, unit, total, total])).max(1_024),
})

export type ReportRecord = z.infer<typeof reportRecord>
export type SumRecord = z.infer<typeof sumRecord>

export const usageKeys = {
  reports: (pne: Pne) => `usage/${pneKey(pne)}/`,
  report: (pne: Pne, reportId: string) => `usage/${pneKey(pne)}/${reportId}`,
  sum: (pne: Pne, day: number) => `usage-sum/${pneKey(pne)}/${day}`,
} as const

/** The day, counted from 1970, that a report belongs to: that of its last moment. */
export const dayOf = ({ to }: { readonly to: number }): number => Math.floor((to - 1) / dayMs)

export interface KnownReport {
  readonly key: string
  readonly pne: Pne
  readonly record: ReportRecord
}

export interface KnownSum {
  readonly key: string
  readonly pne: Pne
  readonly day: number
  readonly record: SumRecord
}

export interface UsageRecords {
  readonly reports: readonly KnownReport[]
  readonly sums: readonly KnownSum[]
}

/** What the document of `operator` says of the usage of its own PNEs. Never throws for what it contains. */
export function readUsage(registers: Registers, operator: OperatorId): UsageRecords {
  const reports = [...registers.entries(`usage/${operator}/`)].flatMap(([key, { value }]): KnownReport[] => {
    const { pne, last } = partsOf(key)
    const record = reportRecord.safeParse(value)
    return pne && record.success && idPattern.test(last) ? [{ key, pne, record: record.data }] : []
  })
  const sums = [...registers.entries(`usage-sum/${operator}/`)].flatMap(([key, { value }]): KnownSum[] => {
    const { pne, last } = partsOf(key)
    const record = sumRecord.safeParse(value)
    return pne && record.success && /^\d{1,6}$/.test(last) ? [{ key, pne, day: Number(last), record: record.data }] : []
  })
  return { reports, sums }
}

function partsOf(key: string): { readonly pne: Pne | undefined; readonly last: string } {
  const [, operator = '', pneId = '', last = '', ...more] = key.split('/')
  const isPne = more.length === 0 && isOperatorId(operator) && isSegment(pneId)
  return { pne: isPne ? { operator, pneId } : undefined, last }
}

/** A report that stands under this key, if it is one. */
export const asReport = (value: Json | undefined): ReportRecord | undefined => reportRecord.safeParse(value).data

/** A record as a register's value. Fields that are absent stay absent. */
export const asUsageValue = (record: ReportRecord | SumRecord): Json => asJson(record)
