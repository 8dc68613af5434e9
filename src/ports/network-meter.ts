/** What the platform knows of what its network costs. */
export interface NetworkMeter {
  /** Whether its user pays for what comes, or wants little to come. */
  readonly isMetered: boolean
  /** Calls `changed` when that may be otherwise. @returns ends it */
  listen(changed: () => void): () => void
}
