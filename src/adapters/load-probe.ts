import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { LoadProbe } from '../ports/load-probe.ts'

/** How often the delay is looked for: a timer each time, which wakes a process that has nothing else to do. */
const closePaceMs = 10
const widePaceMs = 100
/** From this share of the time on, the delay is looked for closely: below it there are few turns that could be late. */
const busyShare = 0.5
const nsPerMs = 1e6
/** What the surroundings allow can be changed while the process runs, seldom, and is read from files. */
const boundReadEveryMs = 10_000

/**
 * Measures this process by what Node and V8 say of it. While the event loop is busy its delay is found to within 10 ms. While it is
 * not, a stall is found for what it holds up of a timer that comes every 100 ms.
 */
export function processLoadProbe(): LoadProbe {
  const closely = closeWatch()
  const widely = wideWatch()
  const memoryBound = readSeldom(() => process.constrainedMemory())
  let watch = closely
  let before = performance.eventLoopUtilization()
  watch.begin()

  function become(next: Watch): void {
    if (next === watch) return
    watch.end()
    watch = next
    watch.begin()
  }

  return {
    sample() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      const utilisation = Number.isFinite(utilization) ? utilization : 0
      const loopDelayMs = watch.greatestMs()
      become(utilisation >= busyShare ? closely : widely)
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
      return { loopDelayMs, utilisation, memory: Math.max(used / limit, residentShare(memoryBound())) }
    },
    idleMs: () => performance.eventLoopUtilization().idle,
    stop: () => watch.end(),
  }
}

/** Looks for delays of the event loop. */
interface Watch {
  begin(): void
  end(): void
  /** Of the delays since it began, or was asked before. */
  greatestMs(): number
}

/** Node's own: at a pace like this, timers in JavaScript would be part of the load. */
function closeWatch(): Watch {
  const delay = monitorEventLoopDelay({ resolution: closePaceMs })
  return {
    begin: () => void delay.enable(),
    end() {
      delay.disable()
      delay.reset()
    },
    greatestMs() {
      // The histogram measures from one of its timers to the next: what is beyond its pace is delay.
      const delayMs = Math.max(0, delay.max / nsPerMs - closePaceMs)
      delay.reset()
      return delayMs
    },
  }
}

/** A timer that is not forgotten when it is asked: Node's own begins anew then, and would be blind for a pace. */
function wideWatch(): Watch {
  let timer: NodeJS.Timeout | undefined
  let lastMs = 0
  let greatestMs = 0
  return {
    begin() {
      lastMs = performance.now()
      timer = setInterval(() => {
        const nowMs = performance.now()
        greatestMs = Math.max(greatestMs, nowMs - lastMs - widePaceMs)
        lastMs = nowMs
      }, widePaceMs).unref()
    },
    end() {
      clearInterval(timer)
      greatestMs = 0
    },
    greatestMs() {
      const delayMs = greatestMs
      greatestMs = 0
      return delayMs
    },
  }
}

/** Of the memory that the process was given by its surroundings; 0 if nobody has set a bound. */
const residentShare = (limit: number): number =>
  limit > 0 && limit < Number.MAX_SAFE_INTEGER ? process.memoryUsage.rss() / limit : 0

function readSeldom(read: () => number): () => number {
  let value = read()
  let readMs = performance.now()
  return () => {
    if (performance.now() - readMs >= boundReadEveryMs) {
      readMs = performance.now()
      value = read()
    }
    return value
  }
}
