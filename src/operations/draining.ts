import type { CpnsNode, Drained, DrainOptions, DrainProgress } from '../node.ts'
import type { Telemetry } from '../ports/telemetry.ts'

/** The drain of a running node: begun once, by whoever asks first, and followed by whoever wants to. */
export interface Draining {
  /** Begins, unless it was begun. */
  begin(options: DrainOptions): void
  /** Resolves when somebody has begun it. */
  readonly begun: Promise<void>
  /** Resolves when the node has drained, and can be stopped without anybody missing it. */
  readonly done: Promise<Drained>
  /** How far it is; `undefined`: it was not begun. */
  readonly progress: DrainProgress | undefined
  /** Hears of every step from now on. */
  subscribe(listener: (progress: DrainProgress) => void): () => void
}

export function createDraining(node: Pick<CpnsNode, 'drain'>, telemetry: Telemetry): Draining {
  const begun = Promise.withResolvers<void>()
  const done = Promise.withResolvers<Drained>()
  // Nobody may be there to hear it.
  done.promise.catch(() => {})
  const listeners = new Set<(progress: DrainProgress) => void>()
  let progress: DrainProgress | undefined

  function told(now: DrainProgress): void {
    if (now.phase !== progress?.phase) telemetry.log('info', 'node.draining', { ...now })
    progress = now
    for (const listener of listeners) listener(now)
  }

  return {
    begin(options) {
      if (progress) return
      told({ phase: 'clients', left: 0 })
      begun.resolve()
      node.drain({ ...options, told }).then(drained => {
        const { clientsClosed, alone, isSure } = drained
        const fields = { clientsClosed, alone: alone.length, isSure, documents: alone.slice(0, 20).join(' ') }
        telemetry.log(alone.length > 0 ? 'warn' : 'info', 'node.drained', fields)
        done.resolve(drained)
      }, done.reject)
    },
    begun: begun.promise,
    done: done.promise,
    get progress() {
      return progress
    },
    subscribe(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
