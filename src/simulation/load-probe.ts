import type { LoadProbe, LoadSample } from '../ports/load-probe.ts'

/** A host that is as busy as a simulation says. Virtual time has no event loop that could be late. */
export class SimulatedLoadProbe implements LoadProbe {
  current: LoadSample = { loopDelayMs: 0, utilisation: 0, memory: 0 }

  sample(): LoadSample {
    return this.current
  }

  /** No work takes time there, so it does not matter who has had how much. */
  idleMs(): number {
    return 0
  }

  stop(): void {}
}
