import type { ServerId } from '../../ports/names.ts'
import { type ClassRules, rankOf } from '../policy/rules.ts'

/*
 * Where a client is sent that this server does not take. Decisions only.
 */

/** Another server of the operator, and how it said it is. */
export interface Candidate {
  readonly server: ServerId
  readonly urls: readonly string[]
  /** Share of what it could still take, 0 to 1. */
  readonly freeCapacity: number
  /** When it said so, milliseconds of the monotonic clock. */
  readonly reportedMs: number
}

/** A report that is older says nothing: its server may have filled up, or be gone. */
export const reportStaleMs = 5_000

interface Fit {
  readonly candidate: Candidate
  readonly order: number
  readonly share: number
}

/**
 * One of the servers that the policy names, that are freer than this one, were not visited, and have said so lately. With the
 * allocation `ordered` one of the lowest order among these, with `weighted` any: each with a chance in proportion to its
 * weight and to what it has free, so that clients who are sent on together spread out. `undefined` if there is none.
 *
 * @param fraction uniform in [0, 1)
 */
export function chooseTarget(
  candidates: readonly Candidate[],
  rules: { readonly allocation: ClassRules['allocation']; readonly servers: Readonly<ClassRules['servers']> },
  own: { readonly freeCapacity: number; readonly visited: readonly ServerId[] },
  nowMs: number,
  fraction: number,
): Candidate | undefined {
  const fit = candidates.flatMap((candidate): Fit[] => {
    const { server, urls, freeCapacity, reportedMs } = candidate
    const rank = rankOf(rules, server)
    const isFit = urls.length > 0 && freeCapacity > own.freeCapacity && nowMs - reportedMs <= reportStaleMs
    if (!rank || !isFit || own.visited.includes(server)) return []
    return [{ candidate, order: rank.order, share: rank.weight * freeCapacity }]
  })
  const first = Math.min(...fit.map(({ order }) => order))
  return drawn(rules.allocation === 'ordered' ? fit.filter(({ order }) => order === first) : fit, fraction)?.candidate
}

function drawn(fit: readonly Fit[], fraction: number): Fit | undefined {
  const total = fit.reduce((sum, { share }) => sum + share, 0)
  let at = fraction * total
  for (const each of fit) {
    at -= each.share
    if (at < 0) return each
  }
  return fit.at(-1)
}
