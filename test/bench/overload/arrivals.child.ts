import { obey, takeOnlyWhatIsLeft } from './child.ts'
import { localAddressOf, openRawClient, type RawClient } from './raw-client.ts'
import { percentile } from './samples.ts'

/*
 * Clients that arrive: each connects, authenticates, and leaves. A crowd (`together`) is so many at once, each followed by another;
 * a stream (`perSecond`) comes at its own pace, whatever becomes of those before. All count by the second in which it came about, and what comes about later does not.
 */

export interface ArrivalsOrder {
  readonly port: number
  readonly identities: readonly string[]
  readonly seconds: number
  readonly pace: { readonly together: number } | { readonly perSecond: number }
  /** Who has not been let in by then goes away. */
  readonly patienceMs: number
}

export interface ArrivalsSecond {
  /** Since 1970. */
  readonly second: number
  readonly begun: number
  readonly authenticated: number
  /** Told by the server that there is no room, or where there is. */
  readonly toldOff: number
  /** The connection was not taken, or ended. */
  readonly failed: number
  readonly gaveUp: number
  /** From connecting to being authenticated. */
  readonly medianMs: number
  readonly p99Ms: number
}

type Outcome = 'begun' | 'authenticated' | 'toldOff' | 'failed' | 'gaveUp'

/** By second. */
type Counts = Map<number, Record<Outcome, number> & { readonly tookMs: number[] }>

let arrived = 0

takeOnlyWhatIsLeft()

// Most are turned away, and where in this program that came about is of no use: it would take a tenth of what the crowd takes.
Error.stackTraceLimit = 0

obey<ArrivalsOrder, ArrivalsSecond[]>(async order => {
  const counts: Counts = new Map()
  const isOver = after(order.seconds * 1000)
  if ('together' in order.pace) {
    const follow = async () => {
      while (!isOver()) await arrive(order, counts)
    }
    await Promise.all(Array.from({ length: order.pace.together }, follow))
  } else await stream(order, order.pace.perSecond, counts, isOver)
  return [...counts]
    .sort(([a], [b]) => a - b)
    .map(([second, { tookMs, ...count }]) => ({
      second,
      ...count,
      medianMs: percentile(tookMs, 0.5),
      p99Ms: percentile(tookMs, 0.99),
    }))
})

function after(ms: number): () => boolean {
  const endMs = performance.now() + ms
  return () => performance.now() >= endMs
}

function stream(order: ArrivalsOrder, perSecond: number, counts: Counts, isOver: () => boolean): Promise<void> {
  let dueMs = performance.now()
  return new Promise(resolve => {
    const timer = setInterval(() => {
      for (; dueMs <= performance.now() && !isOver(); dueMs += 1000 / perSecond) void arrive(order, counts)
      if (!isOver()) return
      clearInterval(timer)
      resolve()
    }, 2)
  })
}

function count(counts: Counts, outcome: Outcome, tookMs?: number): void {
  const second = Math.floor(Date.now() / 1000)
  const known = counts.get(second) ?? { begun: 0, authenticated: 0, toldOff: 0, failed: 0, gaveUp: 0, tookMs: [] }
  counts.set(second, known)
  known[outcome] += 1
  if (tookMs !== undefined) known.tookMs.push(tookMs)
}

function arrive({ port, identities, patienceMs }: ArrivalsOrder, counts: Counts): Promise<void> {
  const index = arrived++
  const beganMs = performance.now()
  count(counts, 'begun')
  return new Promise(resolve => {
    let outcome: Outcome = 'failed'
    let tookMs: number | undefined
    const leave = (as: Outcome) => {
      outcome = as
      client.close()
    }
    const patience = setTimeout(() => leave('gaveUp'), patienceMs)
    const client: RawClient = openRawClient(
      { port, identity: identities[index % identities.length] ?? '', localAddress: localAddressOf(index) },
      {
        welcome() {
          tookMs = performance.now() - beganMs
          leave('authenticated')
        },
        refused: () => leave('toldOff'),
        closed() {
          clearTimeout(patience)
          count(counts, outcome, tookMs)
          resolve()
        },
      },
    )
  })
}
