import type { Register, Registers, RegisterWrite } from '../document/documents.ts'
import { stamped } from '../document/draft.ts'
import type { ServerId } from '../ports/names.ts'

/** The content as it will be after a decision's writes, and the keys whose writes will lose to what is there. */
export interface Foreseen {
  readonly registers: Registers
  readonly overtaken: readonly string[]
}

/**
 * What registers will say once `server` has made these writes at `now`: by it a command's answer can name the state that
 * it brings about, and be stored in the same batch.
 */
export function foresee(before: Registers, writes: readonly RegisterWrite[], now: number, server: ServerId): Foreseen {
  const changed = new Map<string, Register>()
  const overtaken: string[] = []
  for (const write of writes) {
    const register = stamped(write, before.get(write.key), now, server)
    if (register) changed.set(write.key, register)
    else overtaken.push(write.key)
  }
  return {
    overtaken,
    registers: {
      get: key => changed.get(key) ?? before.get(key),
      *entries(prefix = '') {
        const all = new Map(before.entries(prefix))
        for (const [key, register] of changed) if (key.startsWith(prefix)) all.set(key, register)
        yield* [...all].sort(([a], [b]) => (a < b ? -1 : 1))
      },
    },
  }
}
