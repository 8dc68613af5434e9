import type { Documents } from '../../document/documents.ts'
import type { OperatorId } from '../../ports/names.ts'
import { type Caller, mayAdminister } from '../authority.ts'
import type { Pne } from '../fields.ts'
import { homeDocument, type Networks, visitDocument } from '../networks.ts'
import type { Query } from '../procedure.ts'
import { pneKey } from '../records.ts'
import { refusals } from '../refusals.ts'
import { isItself, nameOf } from '../registration/passage.ts'
import type { NetworkName, NetworkView } from '../view.ts'
import { type UsageQueryParams, type UsageQueryResult, usageQuery } from './methods.ts'
import { dayMs, readUsage } from './records.ts'
import { usageRefusals } from './refusals.ts'
import { type DayUsage, plus, type UsageSource, usageOf } from './view.ts'

/**
 * `usage.query`: answered by any server that holds the documents, from what it holds. The owner, the administrator and the
 * home operator may ask about all, a PNE about itself, every other operator about its own PNEs.
 */
export function usageQuerying(
  self: OperatorId,
  networks: Networks,
  documents: Pick<Documents, 'read'>,
): Query<UsageQueryParams, UsageQueryResult> {
  async function sourcesOf(name: NetworkName, view: NetworkView): Promise<UsageSource[]> {
    const { epoch } = view
    const home = { operator: name.home, records: readUsage(await documents.read(homeDocument(name)), name.home) }
    const visits = await Promise.all(
      [...view.given].map(async ([operator, { id: grant }]) => ({
        operator,
        records: readUsage(await documents.read(visitDocument(name, operator)), operator),
        ground: { epoch, grant },
      })),
    )
    return [{ ...home, ground: { epoch } }, ...visits]
  }

  return {
    spec: usageQuery,
    network: nameOf,
    executor: () => self,

    async perform(params, caller) {
      const name = nameOf(params)
      const view = await networks.view(name)
      if (!view) throw refusals.pnUnknown(name)
      const isTold = audience(view, caller, params.pne)
      const { from = 0, to = Number.MAX_SAFE_INTEGER, pne } = params
      const days = usageOf(await sourcesOf(name, view)).filter(
        of =>
          isTold(of.pne) &&
          (pne === undefined || pneKey(pne) === pneKey(of.pne)) &&
          of.day * dayMs >= from &&
          of.day * dayMs < to,
      )
      return { ...name, usage: totals(days, params.byDay === true) }
    },
  }
}

/** Whose usage the caller is told. @throws {CommandRefused} 403 when it is nobody's */
function audience(view: NetworkView, caller: Caller, asked: Pne | undefined): (pne: Pne) => boolean {
  const { home } = view.inventory
  if (caller.kind === 'operator') {
    if (caller.operator !== home && !view.given.has(caller.operator)) throw usageRefusals.notYours()
    return ({ operator }) => caller.operator === home || caller.operator === operator
  }
  if (mayAdminister(view, caller)) return () => true
  if (asked && isItself(asked, caller)) return pne => pneKey(pne) === pneKey(asked)
  throw usageRefusals.notYours()
}

/** @param days in order of PNE, service, unit and day */
function totals(days: readonly DayUsage[], byDay: boolean): UsageQueryResult['usage'] {
  const groups = Map.groupBy(days, ({ pne, serviceId, unit }) => JSON.stringify([pneKey(pne), serviceId, unit]))
  return [...groups.values()].flatMap(group => {
    const [first] = group
    if (!first) return []
    return [
      {
        ...first.pne,
        serviceId: first.serviceId,
        unit: first.unit,
        amount: group.reduce((sum, { amount }) => plus(sum, amount), 0),
        reports: group.reduce((sum, { reports }) => plus(sum, reports), 0),
        ...(byDay && { days: group.map(({ day, amount, reports }) => ({ start: day * dayMs, amount, reports })) }),
      },
    ]
  })
}
