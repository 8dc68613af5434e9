import type { ClientConnection } from '../federation/command.ts'

/** A client's connection as commands know it, and the one call that ends it. */
export function createClientConnection(
  tell: ClientConnection['tell'],
): ClientConnection & { readonly ended: () => void } {
  const listeners = new Set<() => void>()
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
      listeners.add(own)
      return () => void listeners.delete(own)
    },

    ended() {
      hasEnded = true
      for (const listener of listeners) listener()
      listeners.clear()
    },
  }
}
