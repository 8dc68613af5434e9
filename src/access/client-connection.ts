import type { ClientConnection } from '../federation/command.ts'

/** A client's connection as commands know it, and the one call that ends it. */
export function createClientConnection(
  tell: ClientConnection['tell'],
): ClientConnection & { readonly ended: () => void } {
  /** Most connections end without anybody having wanted to hear of it. */
  let listeners: Set<() => void> | undefined
  let hasEnded = false

  return {
    tell(method, params) {
      if (!hasEnded) tell(method, params)
    },

    onEnd(listener) {
      if (hasEnded) {
        listener()
        return () => {}
      }
      // One function may be given twice: each is its own member.
      const own = () => listener()
      listeners ??= new Set()
      listeners.add(own)
      return () => void listeners?.delete(own)
    },

    ended() {
      hasEnded = true
      for (const listener of listeners ?? []) listener()
      listeners = undefined
    },
  }
}
