import { setTimeout as delay } from 'node:timers/promises'
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
  /** How often one was closed before it had what it came for, and came again. */
  readonly sentAway: number
  /** Clients that never had what they came for. */
  readonly failed: number
}

/** Who is sent away comes again so soon, so often; what it waits counts. */
const again = { afterMs: 50, times: 100 }

obey<VisitsOrder, VisitsAnswer>(async ({ what, port, first, every = 1, count, atOnce }) => {
  const tookMs: number[] = []
  let next = first
  let failed = 0
  let sentAway = 0
  const visit = async (document: number): Promise<void> => {
    const beganMs = performance.now()
    for (let times = 0; times < again.times; times++) {
      const triedMs = performance.now()
      const visited = await visits[what](port, document).catch(() => undefined)
      if (visited) {
        tookMs.push(triedMs - beganMs + visited.ms)
        return
      }
      sentAway += 1
      await delay(again.afterMs)
    }
    failed += 1
  }
  const worker = async () => {
    while (next < first + count) await visit(every * next++)
  }
  const beganMs = performance.now()
  await Promise.all(Array.from({ length: atOnce }, worker))
  const seconds = (performance.now() - beganMs) / 1000
  const sorted = tookMs.toSorted((a, b) => a - b)
  const quantile = (share: number) => sorted[Math.floor(share * sorted.length)] ?? Number.NaN
  return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), perSecond: tookMs.length / seconds, sentAway, failed }
})
