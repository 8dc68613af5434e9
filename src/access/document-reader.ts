import type { Following } from './feeds.ts'
import { hasChanges, type SharedFrame, type YMessage } from './frames.ts'

/**
 * One document that a connection reads, as y-protocol has it. Nothing is sent before the client has said what it has
 * (SyncStep1); from then on it gets the rest (SyncStep2) and every change. It is never asked what it has: it would answer
 * with content, which nobody here takes. What it sends of its own accord is denied and changes nothing.
 */
export interface DocumentReader {
  /** The document can be followed from now on. */
  follow(following: Following): void
  receive(message: YMessage): void
  update(frame: SharedFrame): void
  /** What `Following.diff` answered; `undefined` if it failed. */
  answer(update: Uint8Array | undefined): void
  /** Nothing is sent any more, whatever is still under way. */
  close(): void
}

export interface DocumentReaderOptions {
  readonly send: (message: YMessage) => void
  readonly sendShared: (frame: SharedFrame) => void
  /** Is to hand what `Following.diff` answered to `answer`, in a turn of the connection. */
  readonly onDiff: (update: Uint8Array | undefined) => void
  /** The document cannot be read now. */
  readonly onFailure: () => void
}

export const readOnlyReason =
  'This document is read-only here: documents change by commands. What you wrote was not taken; discard it.'

export function createDocumentReader({ send, sendShared, onDiff, onFailure }: DocumentReaderOptions): DocumentReader {
  let following: Following | undefined
  /** The client has said what it has, and is to hear of every change. */
  let live = false
  let asking = false
  let closed = false
  /** What it has, not answered yet. The newest is enough: its answer serves all that came before. */
  let asked: Uint8Array | undefined
  /**
   * Changes that came before the answer to what it has; they go after it. Yjs would put aside what a change writes until then, but
   * not what it deletes: a register that is overwritten would be gone for a moment.
   */
  let early: SharedFrame[] = []

  function ask() {
    if (!following || !asked || asking || closed) return
    asking = true
    following.diff(asked).then(onDiff, () => onDiff(undefined))
    asked = undefined
  }

  return {
    follow(document) {
      following = document
      if (closed) document.close()
      ask()
    },

    receive(message) {
      switch (message.kind) {
        case 'step1':
          live = true
          asked = message.stateVector
          ask()
          return
        case 'step2':
        case 'update':
          if (hasChanges(message.update)) send({ kind: 'denied', reason: readOnlyReason })
          return
        case 'awareness':
        case 'denied':
          return
      }
    },

    update(frame) {
      if (!live || closed) return
      if (asking || asked) early.push(frame)
      else sendShared(frame)
    },

    answer(update) {
      asking = false
      if (closed) return
      if (!update) return onFailure()
      send({ kind: 'step2', update })
      const late = early
      early = []
      for (const frame of late) sendShared(frame)
      ask()
    },

    close() {
      closed = true
      early = []
      following?.close()
    },
  }
}
