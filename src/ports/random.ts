/** Randomness. In production from the operating system; in simulation from the run's seed. */
export interface Random {
  /** `length` unpredictable bytes, fit for keys and nonces. */
  bytes(length: number): Uint8Array
  /** Uniform in [0, 1). For jitter and choices, never for secrets. */
  fraction(): number
}
