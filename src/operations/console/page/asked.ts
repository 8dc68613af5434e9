import type { Asked } from './state.ts'
import { type Child, element } from './tree.ts'
import { nothing } from './view.ts'

/**
 * What was asked of the node, shown as soon as it is there. The answer is the node's own, of the same version as the page: its
 * shape is what its route says.
 */
export function whenAsked<T>(
  { value, error, isAsking }: Asked,
  show: (value: T) => readonly Child[],
): readonly Child[] {
  const failed = error !== undefined && !isAsking && element('p', { class: 'banner bad', role: 'alert' }, error)
  if (value === undefined) return [failed || nothing('Asking the node …')]
  return [failed, ...show(value as T)]
}
