import { constants } from 'node:os'

/** What a person, or whoever supervises this program, sends to end it. */
const signals = ['SIGINT', 'SIGTERM'] as const

/**
 * Does work that has to clean up when the program is ended from outside: it is told by the signal, and answers soon. The exit
 * code is then that of a program which the signal ended, as shells count them.
 */
export async function untilInterrupted(work: (signal: AbortSignal) => Promise<number>): Promise<number> {
  const controller = new AbortController()
  let interrupted: (typeof signals)[number] | undefined
  const stop = (name: (typeof signals)[number]) => {
    interrupted = name
    controller.abort()
  }
  for (const name of signals) process.once(name, stop)
  try {
    const code = await work(controller.signal)
    return interrupted === undefined ? code : 128 + constants.signals[interrupted]
  } finally {
    for (const name of signals) process.off(name, stop)
  }
}
