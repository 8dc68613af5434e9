/** How busy the process is, as of one moment. */
export interface LoadSample {
  /** The longest that the event loop was held up since the sample before, milliseconds beyond what a turn takes. */
  readonly loopDelayMs: number
  /** Share of the time since the sample before in which the event loop was not idle, 0 to 1. */
  readonly utilisation: number
  /** The greater of the shares of heap and of memory that are in use, of what the process may have, 0 to 1. */
  readonly memory: number
}

/** Measures the process that it runs in. */
export interface LoadProbe {
  /** Each sample covers the time since the one before; the first one since the probe was made. */
  sample(): LoadSample
  /** How long the event loop has had nothing to do, milliseconds since some beginning. */
  idleMs(): number
  /** Stops measuring. */
  stop(): void
}
