import { obey } from '../overload/child.ts'
import { visits } from './clients.ts'

/* Sends clients to a server, one after another or many at a time. */

export interface VisitsOrder {
  readonly what: keyof typeof visits
  readonly port: number
  /** The document of the first, of those that are opened; each takes the next one. */
  readonly first: number
  /** Of all documents each so-manieth is one that is opened. Default: 1. */
  readonly every?: number
  readonly count: number
  readonly atOnce: number
}

export interface VisitsAnswer {
  readonly p50Ms: number
  readonly p99Ms: number
  readonly perSecond: number
  /** Clients that the server closed before they had what they came for. */
  readonly failed: number
}

obey<VisitsOrder, VisitsAnswer>(async ({ what, port, first, every = 1, count, atOnce }) => {
  const tookMs: number[] = []
  let next = first
  let failed = 0
  const worker = async () => {
    while (next < first + count) {
      const visited = await visits[what](port, every * next++).catch(() => undefined)
      if (visited) tookMs.push(visited.ms)
      else failed += 1
    }
  }
  const beganMs = performance.now()
  await Promise.all(Array.from({ length: atOnce }, worker))
  const seconds = (performance.now() - beganMs) / 1000
  const sorted = tookMs.toSorted((a, b) => a - b)
  const quantile = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), perSecond: tookMs.length / seconds, failed }
})
