import { readFileSync } from 'node:fs'
import { obey } from './child.ts'
import { type Second, Seconds } from './samples.ts'

/*
 * Loaded into a server before all else (`node --import`): says, when asked over the channel, how late the server's event loop
 * was and what the process takes. It asks nothing of the server, and so measures the command that operators run.
 *
 * Every 10 ms a timer is due. One that comes late by 200 ms stands for all those that would have come meanwhile, each later by
 * 10 ms than the next: else the longer the loop stands still, the less it would count.
 */

export type ProbeOrder = { readonly what: 'begin' } | { readonly what: 'read' } | { readonly what: 'collect' }
export interface ProbeAnswer {
  /** Since `begin`, by the second in which they ended. */
  readonly loopDelays: readonly Second[]
  /** For how long at most the loop did nothing else since `begin`: not how long it was ready, and other programs had the processors. */
  readonly blockedMs: number
  readonly residentBytes: number
  /** Of what lives; exact after `collect`. */
  readonly heapBytes: number
  readonly cpuMs: number
}

const everyMs = 10
let isTicking = false
const delays = new Seconds()
let dueMs = 0
let blockedMs = 0
let waitedMs = 0

/** From the first `begin` on, and not before: where only the processor's time is measured, the ticks are not to be in it. */
function begin(): void {
  isTicking = true
  dueMs = performance.now() + everyMs
  waitedMs = processorWaitMs()
  setTimeout(tick, everyMs).unref()
}

function tick(): void {
  const nowMs = performance.now()
  const waitMs = processorWaitMs()
  blockedMs = Math.max(blockedMs, nowMs - dueMs - (waitMs - waitedMs))
  waitedMs = waitMs
  for (let lateMs = nowMs - dueMs; lateMs >= 0; lateMs -= everyMs) delays.add(Date.now(), lateMs)
  dueMs = nowMs + everyMs
  setTimeout(tick, everyMs).unref()
}

function heapBytes(): number {
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** How long the main thread was ready, and had no processor, by the accounts of Linux; elsewhere nobody tells. */
function processorWaitMs(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'latin1').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}

if (process.send) {
  obey<ProbeOrder, ProbeAnswer>(order => {
    if (order.what === 'begin' && !isTicking) begin()
    if (order.what === 'collect') for (let turn = 0; turn < 3; turn++) globalThis.gc?.()
    const loopDelays = delays.take()
    const blocked = blockedMs
    blockedMs = 0
    const { user, system } = process.cpuUsage()
    return {
      loopDelays,
      blockedMs: blocked,
      residentBytes: process.memoryUsage.rss(),
      heapBytes: heapBytes(),
      cpuMs: (user + system) / 1000,
    }
  })
  // The server ends when it has stopped, not when nobody asks any more.
  process.channel?.unref()
}
