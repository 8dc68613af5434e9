import type { Scope } from '../fields.ts'
import { isFolder } from '../names.ts'
import type { StoredObject } from '../objects.ts'

/** Whether an object is in scope: all that the scope says holds for it. */
export const isInScope = (object: StoredObject, scope: Scope): boolean =>
  mayBeInScope(object, scope) && isFlaggedForScope(object, scope)

/** Whether an object that has changed may have been in scope, and is not: its flags change, the rest does not. */
export const mayHaveLeft = (object: StoredObject, scope: Scope): boolean =>
  mayBeInScope(object, scope) && !isFlaggedForScope(object, scope)

const isFlaggedForScope = ({ flags }: StoredObject, { with: has = [], without = [] }: Scope): boolean =>
  has.every(flag => flags.includes(flag)) && !without.some(flag => flags.includes(flag))

/** Whether an object is in scope with some flags or others. */
function mayBeInScope(object: StoredObject, scope: Scope): boolean {
  const { types, direction, from, since, before, maxSize } = scope
  return (
    isContainerInScope(object.container, scope) &&
    (types === undefined || types.includes(object.type)) &&
    (direction === undefined || object.direction === direction) &&
    (from === undefined || from.includes(object.from)) &&
    (since === undefined || object.date >= since) &&
    (before === undefined || object.date < before) &&
    (maxSize === undefined || object.size <= maxSize)
  )
}

/** Whether anything in a container may be in scope. */
export const isContainerInScope = (container: string, { containers, kind }: Scope): boolean =>
  (containers === undefined || containers.includes(container)) &&
  (kind === undefined || (kind === 'folder') === isFolder(container))
