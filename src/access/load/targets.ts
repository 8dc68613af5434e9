import type { ServerId } from '../../ports/names.ts'

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

/**
 * One of the servers that are freer than this one, were not visited, and have said so lately; each with a chance in
 * proportion to what it has free, so that clients who are sent on together spread out. `undefined` if there is none.
 *
 * @param fraction uniform in [0, 1)
 */
export function chooseTarget(
  candidates: readonly Candidate[],
  own: { readonly freeCapacity: number; readonly visited: readonly ServerId[] },
  nowMs: number,
  fraction: number,
): Candidate | undefined {
  const fit = candidates.filter(
    ({ server, urls, freeCapacity, reportedMs }) =>
      urls.length > 0 &&
      freeCapacity > own.freeCapacity &&
      nowMs - reportedMs <= reportStaleMs &&
      !own.visited.includes(server),
  )
  const total = fit.reduce((sum, { freeCapacity }) => sum + freeCapacity, 0)
  let at = fraction * total
  for (const candidate of fit) {
    at -= candidate.freeCapacity
    if (at < 0) return candidate
  }
  return fit.at(-1)
}
