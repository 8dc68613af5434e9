import { type Caller, live, requireGateway, requireRight } from '../authority.ts'
import type { Pne } from '../fields.ts'
import type { NetworkState } from '../networks.ts'
import type { Decided } from '../procedure.ts'
import type { StampedRegistration } from '../records/registrations.ts'
import { keys, pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { isItself, nameOf, pneOf } from '../registration/passage.ts'
import { ground } from '../roster.ts'
import type { NetworkView } from '../view.ts'
import { closingWrites, isClosed, type UsageLimits } from './closing.ts'
import { longestReportMs, type UsageReportParams, type UsageReportResult, usageReport } from './methods.ts'
import {
  asReport,
  asUsageValue,
  dayMs,
  dayOf,
  type ReportRecord,
  readUsage,
  type UsageRecords,
  usageKeys,
} from './records.ts'
import { usageRefusals } from './refusals.ts'

/*
 * `usage.report`, at the PNE's own operator: a report is one register under its id, so that whatever comes twice, at whichever
 * server, is counted once. It names a registration that the reporter and the service were part of, and only time in which
 * that was active.
 */

/** Clocks of PNEs may be off by so much. */
const toleranceMs = 60_000

export const reporting = (
  self: Pne['operator'],
  limits: UsageLimits,
): Decided<UsageReportParams, UsageReportResult> => ({
  spec: usageReport,
  network: nameOf,
  isVouchedFor: true,
  isReady: (params, view) => view !== undefined && registrationOf(params, view) !== undefined,

  executor(params, caller, view) {
    requireReporter(params, caller, live(nameOf(params), view))
    return params.operator
  },

  decide(params, caller, state) {
    const view = live(nameOf(params), state.view)
    requireReporter(params, caller, view)
    requireRight(view, self, 'register')
    const pne = pneOf(params)
    const { epoch, grant } = ground(view, self)
    const { transaction, serviceId, unit, amount, from, to } = params
    const record: ReportRecord = {
      epoch,
      ...(grant !== undefined && { grant }),
      transaction,
      serviceId,
      unit,
      amount,
      from,
      to,
    }
    const key = usageKeys.report(pne, params.reportId)

    const present = asReport(state.own.get(key)?.value)
    if (present && !isSame(present, record)) throw usageRefusals.reused()
    if (present) return { writes: [], answer: () => ({ repeated: true }) }
    requireOpen(params, registrationOf(params, view), state, limits)
    const usage = readUsage(state.own, self)
    const closing = closingWrites(usage, { epoch, grant }, state.now, limits)
    requireRoom(pne, dayOf(record), usage, closing.length, limits)
    return { writes: [{ key, value: asUsageValue(record) }, ...closing], answer: () => ({ repeated: false }) }
  },
})

/** Passes the PNE itself, and the gateway that it is registered through. @throws {CommandRefused} 403 */
function requireReporter(params: UsageReportParams, caller: Caller, view: NetworkView): void {
  const { gatewayId } = params
  const pne = pneOf(params)
  if (gatewayId === undefined) {
    if (isItself(pne, caller)) return
    throw refusals.notAuthorised(`Only ${pneKey(pne)} itself reports without a gateway, at its own operator.`)
  }
  requireGateway(view, caller, gatewayId)
  const registration = registrationOf(params, view)
  if (registration && registration.record.gatewayId !== gatewayId) throw usageRefusals.notItsGateway(pne, gatewayId)
}

const registrationOf = (params: UsageReportParams, { registrations }: NetworkView): StampedRegistration | undefined =>
  registrations
    .get(pneKey(pneOf(params)))
    ?.find(({ transaction, record }) => transaction === params.transaction && record.state === 'active')

/** @throws {CommandRefused} 400, 404, 409 */
function requireOpen(
  params: UsageReportParams,
  registration: StampedRegistration | undefined,
  { own, now }: NetworkState,
  limits: UsageLimits,
): void {
  const { from, to, serviceId } = params
  const pne = pneOf(params)
  if (from >= to || to - from > longestReportMs) {
    throw refusals.malformed('A report is of a time that begins before it ends, and of a day at the most.')
  }
  if (!registration) throw usageRefusals.notRegistered(pne)
  const { record, transaction } = registration
  if (!record.services?.includes(serviceId)) throw usageRefusals.serviceNotOpen(serviceId)
  const ended = own.get(keys.ended(pne, transaction))?.stamp ?? record.expires
  const end = Math.min(record.expires, ended, now)
  const since = record.since ?? record.admission
  if (from < since - toleranceMs || to > end + toleranceMs) throw usageRefusals.outside()
  const day = dayOf(params)
  if (isClosed(day, now, limits)) throw usageRefusals.closed(`Day ${day} since 1970`)
}

/** @throws {CommandRefused} 409 */
function requireRoom(pne: Pne, day: number, usage: UsageRecords, leaving: number, limits: UsageLimits): void {
  const { maxReportsPerDay, maxOpenReports } = limits
  const ofDay = usage.reports.filter(known => pneKey(known.pne) === pneKey(pne) && dayOf(known.record) === day)
  if (ofDay.length >= maxReportsPerDay) throw usageRefusals.tooMany(maxReportsPerDay, `of ${pneKey(pne)} in that day`)
  if (usage.reports.length - leaving >= maxOpenReports) {
    throw usageRefusals.tooMany(maxOpenReports, `in this Personal Network within ${limits.settledMs / dayMs} days`)
  }
}

const isSame = (a: ReportRecord, b: ReportRecord): boolean =>
  a.transaction === b.transaction &&
  a.serviceId === b.serviceId &&
  a.unit === b.unit &&
  a.amount === b.amount &&
  a.from === b.from &&
  a.to === b.to
