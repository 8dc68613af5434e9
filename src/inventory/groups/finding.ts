import type { Documents } from '../../document/documents.ts'
import { parseDocumentId } from '../../document/names.ts'
import type { Command } from '../../federation/command.ts'
import type { Clock } from '../../ports/clock.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import { mayReadNetwork } from '../authority.ts'
import { homeDocument, type Networks } from '../networks.ts'
import type { Query } from '../procedure.ts'
import { refusals } from '../refusals.ts'
import type { NetworkName, NetworkView } from '../view.ts'
import { networkNameOf } from './acting.ts'
import {
  type GroupFindParams,
  type GroupFindResult,
  type GroupSearchParams,
  type GroupSearchResult,
  groupFind,
  groupSearch,
  type ServiceGroup,
} from './methods.ts'
import { readGroups } from './records.ts'
import { isMetBy } from './requirement.ts'
import { groupsOf } from './view.ts'

/*
 * Looking for service groups: answered by any server that holds the documents, from what it holds.
 */

export interface FindingOptions {
  readonly self: OperatorId
  readonly networks: Networks
  readonly documents: Pick<Documents, 'read' | 'list'>
  readonly clock: Pick<Clock, 'now'>
}

type Sought = Pick<GroupFindParams, 'keyword' | 'serviceId' | 'meets'>

export function finding(options: FindingOptions): Query<GroupFindParams, GroupFindResult> {
  return {
    spec: groupFind,
    network: networkNameOf,
    executor: () => options.self,

    async perform(params, caller) {
      const name = networkNameOf(params)
      const view = await options.networks.view(name)
      if (!view) throw refusals.pnUnknown(name)
      if (!mayReadNetwork(view, caller)) {
        throw refusals.notAuthorised(
          `Only the owner, gateways and elements of ${name.pnId} of ${name.home} may read of its service groups.`,
        )
      }
      return { groups: await groupsIn(options, name, view, params) }
    },
  }
}

/** PNs that one page looks at: a server may hold ten thousand, of which the caller may read two. */
const maxExamined = 200
const defaultLimit = 50

/** Over all PNs of this server. A page ends when it is full, or when enough was looked at. */
export function searching(options: FindingOptions): Command<GroupSearchParams, GroupSearchResult> {
  const { networks, documents } = options
  return {
    spec: groupSearch,

    async execute(params, principal) {
      const limit = params.limit ?? defaultLimit
      const groups: GroupSearchResult['groups'][number][] = []
      let examined = 0
      for await (const { document } of documents.list('pn/', params.after)) {
        if (document === params.after) continue
        const name = networkNamed(document)
        const view = await networks.view(name)
        if (view && mayReadNetwork(view, { kind: 'subscriber', principal })) {
          groups.push(...(await groupsIn(options, name, view, params)).map(group => ({ ...name, group })))
        }
        examined += 1
        if (groups.length >= limit || examined >= maxExamined) return { groups, next: document }
      }
      return { groups }
    },
  }
}

async function groupsIn(
  { documents, clock }: FindingOptions,
  name: NetworkName,
  view: NetworkView,
  sought: Sought,
): Promise<ServiceGroup[]> {
  const records = readGroups(await documents.read(homeDocument(name)))
  return [...groupsOf(records, view, clock.now()).values()].map(({ shown }) => shown).filter(isSought(sought))
}

const isSought =
  ({ keyword, serviceId, meets }: Sought) =>
  ({ name, keywords, service, requirement }: ServiceGroup): boolean => {
    if (serviceId !== undefined && service.serviceId !== serviceId) return false
    if (meets && !isMetBy(requirement, meets)) return false
    if (keyword === undefined) return true
    const texts = [name, service.serviceName, ...keywords]
    return texts.some(text => text.toLowerCase().includes(keyword.toLowerCase()))
  }

function networkNamed(document: DocumentId): NetworkName {
  const name = parseDocumentId(document)
  if (name.kind !== 'pn') throw new RangeError(`${document} is not a Personal Network.`)
  return { home: name.owner, pnId: name.pnId }
}
