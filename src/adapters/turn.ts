import { setImmediate } from 'node:timers/promises'

/** Resolves when everything else that is due has had its turn: timers, sockets, the disk. */
export const turn = (): Promise<void> => setImmediate()
