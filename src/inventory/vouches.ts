import type { Vouch } from '../federation/federation.ts'
import type { OperatorId } from '../ports/names.ts'

/** The vouches in all grants that are known, each one value for all grants that give it: there are many grants, and few operators. */
export interface Vouches {
  /** The one value of a vouch. */
  of(home: OperatorId, operator: OperatorId, fingerprint: string): Vouch
  /** One more grant gives it. */
  given(vouch: Vouch): void
  /** One less. */
  withdrawn(vouch: Vouch): void
  for(operator: OperatorId): readonly Vouch[]
}

export function createVouches(): Vouches {
  const byOperator = new Map<OperatorId, Map<string, { readonly vouch: Vouch; grants: number }>>()
  const keyOf = ({ home, fingerprint }: Vouch): string => `${home}/${fingerprint}`
  const countOf = (vouch: Vouch) => byOperator.get(vouch.operator)?.get(keyOf(vouch))

  return {
    of(home, operator, fingerprint) {
      const vouch = { home, operator, fingerprint }
      return countOf(vouch)?.vouch ?? vouch
    },

    given(vouch) {
      const counted = countOf(vouch)
      if (counted) counted.grants++
      else {
        const ofOperator = byOperator.get(vouch.operator) ?? new Map()
        byOperator.set(vouch.operator, ofOperator.set(keyOf(vouch), { vouch, grants: 1 }))
      }
    },

    withdrawn(vouch) {
      const counted = countOf(vouch)
      if (!counted || --counted.grants > 0) return
      const ofOperator = byOperator.get(vouch.operator)
      ofOperator?.delete(keyOf(vouch))
      if (ofOperator?.size === 0) byOperator.delete(vouch.operator)
    },

    for: operator => Array.from(byOperator.get(operator)?.values() ?? [], ({ vouch }) => vouch),
  }
}
