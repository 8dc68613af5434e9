import { z } from 'zod'
import { command, commandId, operator, segment, spec, time } from '../../commands/fields.ts'
import { network, pne } from '../fields.ts'

/*
 * Usage: what PNEs have made of chargeable services, reported by them or by the gateway beside them, kept by their own
 * operator, added up the same way everywhere.
 */

/** A trillion of anything: below it, sums stay exact for as long as anybody counts. */
export const largestAmount = 1e12
/** No report speaks of a longer time, so that it belongs to one day, or to two that follow on each other. */
export const longestReportMs = 86_400_000

export const unit = z.string().regex(/^[A-Za-z0-9._/-]{1,32}$/, { error: 'expected 1 to 32 of A-Z a-z 0-9 . _ / -' })
export const serviceId = z.string().min(1).max(64)
const amount = z.int().min(0).max(largestAmount)
const total = z.int().min(0)

export const usageReport = spec({
  method: 'usage.report',
  summary: 'Reports what a registered PNE has made of a chargeable service; given again, it counts once.',
  params: z.strictObject({
    ...command,
    ...network,
    operator,
    pneId: segment,
    /** The gateway that reports, the one that the PNE is registered through; absent where the PNE itself does. */
    gatewayId: segment.optional(),
    /** Names the report for ever. */
    reportId: commandId,
    /** Of the registration that the service was open in. */
    transaction: commandId,
    /** One of the `services` of the registration. */
    serviceId,
    amount,
    /** What is counted: `bytes`, `seconds`, `messages`, … */
    unit,
    from: time,
    /** Exclusive; the report belongs to the day (UTC) of the moment before it. */
    to: time,
  }),
  result: z.strictObject({
    /** Whether it was counted already. */
    repeated: z.boolean(),
  }),
  refusals: [403, 404, 409, 410, 423],
  example: {
    params: {
      commandId: 'usage-lamp-0000001',
      home: 'a.example',
      pnId: 'flat',
      operator: 'a.example',
      pneId: 'lamp',
      gatewayId: 'hub',
      reportId: 'report-lamp-000001',
      transaction: 'registration-lamp-1',
      serviceId: 'streaming',
      amount: 1_048_576,
      unit: 'bytes',
      from: 1_767_225_600_000,
      to: 1_767_229_200_000,
    },
    result: { repeated: false },
  },
})

const counted = { serviceId, unit, amount: total, reports: total }

export const usageQuery = spec({
  method: 'usage.query',
  summary: 'What the PNEs of a Personal Network, or one of them, have used, in all and by day.',
  params: z.strictObject({
    ...network,
    pne: pne.optional(),
    /** Days (UTC) that begin at this time or later. */
    from: time.optional(),
    /** Days that begin before this time. */
    to: time.optional(),
    /** Whether to tell each day apart. Default: totals alone. */
    byDay: z.boolean().optional(),
  }),
  result: z.strictObject({
    ...network,
    usage: z.array(
      z.strictObject({
        ...pne.shape,
        ...counted,
        /** `start` of each day with something in it, the earliest first. */
        days: z.array(z.strictObject({ start: time, amount: total, reports: total })).optional(),
      }),
    ),
  }),
  refusals: [403, 404],
  example: {
    params: { home: 'a.example', pnId: 'flat', byDay: true },
    result: {
      home: 'a.example',
      pnId: 'flat',
      usage: [
        {
          operator: 'a.example',
          pneId: 'lamp',
          serviceId: 'streaming',
          unit: 'bytes',
          amount: 1_048_576,
          reports: 1,
          days: [{ start: 1_767_225_600_000, amount: 1_048_576, reports: 1 }],
        },
      ],
    },
  },
})

export type UsageReportParams = z.infer<typeof usageReport.params>
export type UsageReportResult = z.infer<typeof usageReport.result>
export type UsageQueryParams = z.infer<typeof usageQuery.params>
export type UsageQueryResult = z.infer<typeof usageQuery.result>

export const usageMethods = [usageReport, usageQuery] as const
