import type { Documents } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { KeySource } from '../ports/key-source.ts'
import type { DocumentId, OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { erasing, tidying } from './changes.ts'
import { keys } from './records.ts'

/*
 * Clears away what channels no longer need: messages that have ended, what was remembered of others, all of a subscriber that is
 * none any more. What is removed so leaves the disks when its document is compacted.
 */

export interface Upkeep {
  start(): void
  stop(): void
  /** Goes through all documents of channels once. */
  sweep(): Promise<void>
}

export function createUpkeep(options: {
  readonly self: OperatorId
  readonly server: ServerId
  readonly documents: Pick<Documents, 'list' | 'read' | 'write'>
  readonly keys: KeySource
  readonly clock: Clock
  readonly telemetry: Telemetry
  readonly everyMs: number
}): Upkeep {
  const { self, server, documents, clock, telemetry, everyMs } = options
  let cancel: Cancel = () => {}
  let isStopped = false

  async function tidy(document: DocumentId): Promise<void> {
    const identity = (await documents.read(document)).get(keys.subscriber)?.value
    const isGone = typeof identity === 'string' && (await options.keys.find(identity)) === undefined
    while (!isStopped && (await documents.write(document, isGone ? erasing : tidying(server))));
  }

  /** A source of keys or a disk that fails now: the next sweep comes by again. */
  const failed = (error: unknown, document?: DocumentId): void =>
    telemetry.log('warn', 'channels.upkeep-failed', { ...(document && { document }), message: String(error) })

  async function sweep(): Promise<void> {
    try {
      for await (const { document } of documents.list(`channels/${self}/`)) {
        if (isStopped) return
        await tidy(document).catch(error => failed(error, document))
      }
    } catch (error) {
      failed(error)
    }
  }

  function sweepLater(): void {
    cancel = clock.after(everyMs, () => {
      sweepLater()
      void sweep()
    })
  }

  return {
    sweep,
    start: sweepLater,
    stop() {
      isStopped = true
      cancel()
    },
  }
}
