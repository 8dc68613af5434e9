import type { Scope } from '../fields.ts'
import { isFolder } from '../names.ts'
import type { StoredObject } from '../objects.ts'

/** Whether an object is in scope: all that the scope says holds for it. */
export function isInScope(object: StoredObject, scope: Scope): boolean {
  const { types, direction, from, since, before, maxSize, with: has = [], without = [] } = scope
  return (
    isContainerInScope(object.container, scope) &&
    (types === undefined || types.includes(object.type)) &&
    (direction === undefined || object.direction === direction) &&
    (from === undefined || from.includes(object.from)) &&
    (since === undefined || object.date >= since) &&
    (before === undefined || object.date < before) &&
    (maxSize === undefined || object.size <= maxSize) &&
    has.every(flag => object.flags.includes(flag)) &&
    !without.some(flag => object.flags.includes(flag))
  )
}

/** Whether anything in a container may be in scope. */
export const isContainerInScope = (container: string, { containers, kind }: Scope): boolean =>
  (containers === undefined || containers.includes(container)) &&
  (kind === undefined || (kind === 'folder') === isFolder(container))

/** Whether an object can leave the scope without being gone: flags change, the rest does not. */
export const canLeave = ({ with: has = [], without = [] }: Scope): boolean => has.length > 0 || without.length > 0
