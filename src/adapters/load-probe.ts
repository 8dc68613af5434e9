import { monitorEventLoopDelay, performance } from 'node:perf_hooks'
import { getHeapStatistics } from 'node:v8'
import type { LoadProbe } from '../ports/load-probe.ts'

const resolutionMs = 10
const nsPerMs = 1e6

/** Measures this process by what Node and V8 say of it. */
export function processLoadProbe(): LoadProbe {
  const delay = monitorEventLoopDelay({ resolution: resolutionMs })
  delay.enable()
  let before = performance.eventLoopUtilization()
  return {
    sample() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      // The histogram measures from one of its timers to the next: what is beyond its pace is delay.
      const loopDelayMs = Math.max(0, delay.max / nsPerMs - resolutionMs)
      delay.reset()
      const { used_heap_size: used, heap_size_limit: limit } = getHeapStatistics()
      return {
        loopDelayMs,
        utilisation: Number.isFinite(utilization) ? utilization : 0,
        memory: Math.max(used / limit, residentShare()),
      }
    },
    stop: () => void delay.disable(),
  }
}

/** Of the memory that the process was given by its surroundings; 0 if nobody has set a bound. */
function residentShare(): number {
  const limit = process.constrainedMemory()
  return limit > 0 && limit < Number.MAX_SAFE_INTEGER ? process.memoryUsage.rss() / limit : 0
}
