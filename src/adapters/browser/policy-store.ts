import type { OperatorId } from '../../ports/names.ts'
import type { PolicyStore } from '../../ports/policy-store.ts'

/** Keeps policies in the origin's `localStorage`, under names that begin with `cpns-policy/`. */
export function browserPolicyStore(): PolicyStore {
  const keyOf = (operator: OperatorId) => `cpns-policy/${operator}`
  return {
    read: async operator => localStorage.getItem(keyOf(operator)) ?? undefined,
    write: async (operator, text) => localStorage.setItem(keyOf(operator), text),
  }
}
