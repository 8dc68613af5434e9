import type { Registers } from '../../document/documents.ts'
import { parseDocumentId } from '../../document/names.ts'
import { homeDocument, visitDocument } from '../../inventory/networks.ts'
import { readRecords } from '../../inventory/records.ts'
import { type NetworkName, type NetworkView, viewOf } from '../../inventory/view.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import { heldContent, NotHeld, page } from './held.ts'
import type { NetworkWanted, PageWanted, Sources } from './inspection.ts'
import type { NetworkPage, NetworkReport } from './shapes.ts'

/*
 * Personal Networks as the view of their documents has them, and who has said what in these.
 */

/** One document of a Personal Network as it is held here, or is not. */
interface Part {
  readonly operator: OperatorId
  readonly document: DocumentId
  readonly content: Registers | undefined
}

export const networkList = (sources: Sources, wanted: PageWanted): Promise<NetworkPage> =>
  page(sources, 'pn/', wanted, async ({ document }) => {
    const name = parseDocumentId(document)
    if (name.kind !== 'pn') return undefined
    const network = { home: name.owner, pnId: name.pnId }
    const view = viewAt(network, await partsOf(sources, network), sources.now())
    return view && summaryOf(view)
  })

export async function networkOf(
  sources: Sources,
  name: NetworkName,
  { at = sources.now(), said = false }: NetworkWanted,
): Promise<NetworkReport> {
  const parts = await partsOf(sources, name)
  const view = viewAt(name, parts, at)
  if (!view) {
    throw new NotHeld(
      `This server holds no Personal Network ${name.pnId} of ${name.home}; cpns pn list shows those that it holds.`,
    )
  }
  const { inventory } = view
  return {
    inventory: { ...inventory, version: inventory.version },
    admissions: inventory.members.map(({ operator, pneId }) => ({
      ...{ operator, pneId },
      by: (view.admissions.get(`${operator}/${pneId}`) ?? []).map(({ document, record }) => ({
        operator: document,
        since: record.since,
      })),
    })),
    said: said ? parts.map(part => saidIn(part, name, view)) : [],
  }
}

/** Visits count under a grant only, so the home document says which there may be. */
async function partsOf(sources: Sources, name: NetworkName): Promise<Part[]> {
  const document = homeDocument(name)
  const content = await heldContent(sources, document)
  if (!content) return []
  const parts: Part[] = [{ operator: name.home, document, content }]
  const { grants, revoked } = readRecords(content, 'pn')
  for (const operator of new Set([...grants.keys(), ...revoked.map(({ operator }) => operator)])) {
    const visit = visitDocument(name, operator)
    parts.push({ operator, document: visit, content: await heldContent(sources, visit) })
  }
  return parts
}

function viewAt(name: NetworkName, [home, ...visits]: readonly Part[], at: number): NetworkView | undefined {
  if (!home?.content) return undefined
  const read = visits.flatMap(({ operator, content }) =>
    content ? [[operator, readRecords(content, 'visit')] as const] : [],
  )
  return viewOf(name, { home: readRecords(home.content, 'pn'), visits: new Map(read) }, at)
}

function summaryOf({ inventory, grants }: NetworkView): NetworkPage['items'][number] {
  const { home, pnId, alias, owner, state, members, gateways, conflicts } = inventory
  return {
    ...{ home, pnId, alias, owner, state },
    members: members.length,
    active: members.filter(member => member.state === 'active').length,
    gateways: gateways.length,
    grants: grants.size,
    conflicts: conflicts.length,
  }
}

function saidIn(
  { operator, document, content }: Part,
  { home }: NetworkName,
  { grants }: NetworkView,
): NetworkReport['said'][number] {
  const counts = operator === home || grants.has(operator)
  if (!content) return { document, operator, isHeld: false, counts, ignored: 0, registers: [] }
  return {
    ...{ document, operator, isHeld: true, counts },
    ignored: readRecords(content, operator === home ? 'pn' : 'visit').ignored,
    registers: [...content.entries()].map(([key, { server, stamp, value }]) => ({
      ...{ key, server, stamp },
      isRemoved: value === null,
    })),
  }
}
