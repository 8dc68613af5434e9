/** What an examination can find fault with. */
export type Examined =
  | 'node'
  | 'settings'
  | 'keys'
  | 'manifest'
  | 'subscribers'
  | 'peers'
  | 'reach'
  | 'clock'
  | 'disk'
  | 'files'
  | 'ports'
  | 'certificate'

/** `fault`: the server will not start, or will not do what it is there for. `warning`: it will not, one day. */
export type Gravity = 'good' | 'warning' | 'fault'

export interface Finding {
  readonly examined: Examined
  readonly gravity: Gravity
  /** What was found, in a sentence. */
  readonly found: string
  /** What to do about it; with everything that is not good. */
  readonly advice?: string
}

/** Makes findings of one thing examined. */
export const findingsOn = (examined: Examined) => ({
  good: (found: string): Finding => ({ examined, gravity: 'good', found }),
  warning: (found: string, advice: string): Finding => ({ examined, gravity: 'warning', found, advice }),
  fault: (found: string, advice: string): Finding => ({ examined, gravity: 'fault', found, advice }),
  /** What the examination was refused with says what is wrong. */
  failed: (error: unknown, advice: string): Finding => ({
    ...{ examined, gravity: 'fault', advice },
    found: error instanceof Error ? error.message : String(error),
  }),
})
