import { StartBrokenOff } from '../node/stages.ts'
import type { CpnsNode } from '../node.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { StatusAnswer } from './admin/status.ts'

/** How often a start that takes long is told of. */
const toldEveryMs = 5_000

/** Says in the log how far a node has come that serves already and has not started altogether, and when it has. */
export function tellOfStart(of: {
  readonly node: Pick<CpnsNode, 'ready'>
  readonly status: () => StatusAnswer
  readonly addresses: Readonly<Record<string, string | undefined>>
  readonly clock: Pick<Clock, 'after' | 'elapsed'>
  readonly telemetry: Telemetry
}): void {
  const { node, status, addresses, clock, telemetry } = of
  const beganMs = clock.elapsed()
  let cancel: Cancel = () => {}
  const tellLater = () => {
    cancel = clock.after(toldEveryMs, () => {
      telemetry.log('info', 'node.starting', { ...status().starting })
      tellLater()
    })
  }
  telemetry.log('info', 'node.serving', addresses)
  tellLater()
  node.ready.then(
    () => {
      cancel()
      telemetry.log('info', 'node.ready', { ...addresses, tookMs: Math.round(clock.elapsed() - beganMs) })
    },
    (error: unknown) => {
      cancel()
      if (error instanceof StartBrokenOff) return
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'node.not-started', { message })
    },
  )
}
