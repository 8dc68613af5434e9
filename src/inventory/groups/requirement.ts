import type { Mode, Pne } from '../fields.ts'
import { pneKey } from '../records.ts'
import type { NetworkView } from '../view.ts'
import type { MemberRequirement } from './methods.ts'
import { groupRefusals } from './refusals.ts'

/* Whether a PNE is what a service group asks of its members. It is asked when the PNE joins, and not again. */

/** Passes a PNE whose active registration meets the requirement. @throws {CommandRefused} 403 */
export function requireMet(requirement: MemberRequirement, view: NetworkView, pne: Pne, groupId: string): void {
  const lack = lackOf(requirement, registeredAs(view, pne))
  if (lack) throw groupRefusals.requirement(lack, groupId)
}

/** Whether a group that asks this takes who has that. */
export const isMetBy = (requirement: MemberRequirement, has: MemberRequirement): boolean =>
  lackOf(requirement, has) === undefined

function lackOf({ mode, capabilities = [], services = [] }: MemberRequirement, has: MemberRequirement) {
  if (mode && !covers(has.mode, mode)) return `the mode ${mode}`
  const capability = capabilities.find(name => !has.capabilities?.includes(name))
  if (capability !== undefined) return `the capability "${capability}"`
  const service = services.find(name => !has.services?.includes(name))
  return service === undefined ? undefined : `the service "${service}"`
}

const covers = (has: Mode | undefined, asked: Mode): boolean => has === asked || has === 'BOTH'

function registeredAs(view: NetworkView, pne: Pne): MemberRequirement {
  const member = view.inventory.members.find(found => pneKey(found) === pneKey(pne) && found.state === 'active')
  if (!member) return {}
  return {
    ...(member.mode && { mode: member.mode }),
    capabilities: Object.keys(member.capabilities ?? {}),
    ...(member.services && { services: member.services }),
  }
}
