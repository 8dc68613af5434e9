import type { World } from '../../src/simulation/world.ts'

/** Virtual time that passes for each turn of the platform's event loop. */
const stepUs = 5_000
/** Turns after everybody has let go, in which what was begun ends. */
const lastTurns = 200

/**
 * Lets a world's time pass beside real time, for suites that know nothing of virtual time: while anybody keeps it going, by
 * calling what is returned, and until he calls what that returns.
 */
export function pump(world: World): () => () => void {
  const holders = new Set<object>()
  let isTurning = false

  async function turn(): Promise<void> {
    isTurning = true
    for (let left = lastTurns; left > 0; left = holders.size > 0 ? lastTurns : left - 1) {
      const ending = await world.run({ untilUs: world.scheduler.nowUs + stepUs })
      if (ending.kind === 'failed') throw ending.error
      await new Promise(resolve => setImmediate(resolve))
    }
    isTurning = false
  }

  return () => {
    const holder = {}
    holders.add(holder)
    if (!isTurning) void turn()
    return () => void holders.delete(holder)
  }
}
