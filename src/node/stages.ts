/** What a node does one after another when it starts, and in the end. */
export interface Stages {
  /** What takes no longer the more documents there are. */
  prepare(): Promise<void>
  /** Learns what it must know of all documents; breaks off when the signal says so. */
  learn(signal: AbortSignal): Promise<void>
  /** Serves clients, while it learns. */
  serve(): Promise<void>
  /** Once it knows who may hold what: links with other servers. */
  link(): Promise<void>
  /** Ends everything, whatever of it has begun. */
  end(): Promise<void>
}

export interface Staged {
  /** Resolves when clients are served. @throws what a stage threw up to then, or {@link StartBrokenOff} when it is stopped before; everything has ended */
  start(): Promise<void>
  /** Resolves when all stages are through. Rejects when one failed after the clients were served, everything has ended then; or when it was stopped before. */
  readonly ready: Promise<void>
  readonly isReady: boolean
  /** Ends everything; a start that goes on is broken off first. */
  stop(): Promise<void>
}

/** A node was stopped before it had started altogether. */
export class StartBrokenOff extends Error {
  override readonly name = 'StartBrokenOff'
  constructor() {
    super('The node was stopped while it started.')
  }
}

/** Goes through the stages of a start, so that clients need not wait for what takes long, and an end can come at any time. */
export function staged(stages: Stages): Staged {
  const abort = new AbortController()
  const ready = Promise.withResolvers<void>()
  // Whoever wants to know awaits it; nobody has to.
  ready.promise.catch(() => {})
  let served: Promise<void> = Promise.resolve()
  let learned: Promise<void> = Promise.resolve()
  let rest: Promise<void> = Promise.resolve()
  let ended: Promise<void> | undefined
  let isReady = false

  const end = (): Promise<void> => {
    ended ??= stages.end()
    return ended
  }

  const goesOn = (): void => {
    if (abort.signal.aborted) throw new StartBrokenOff()
  }

  async function untilServed(): Promise<void> {
    try {
      goesOn()
      await stages.prepare()
      goesOn()
      learned = stages.learn(abort.signal)
      // Its failure is told by `ready`, also if the clients cannot be served either.
      learned.catch(() => {})
      await stages.serve()
      goesOn()
      rest = goOn()
    } catch (error) {
      abort.abort()
      ready.reject(error)
      await learned.catch(() => {})
      await end()
      throw error
    }
  }

  async function goOn(): Promise<void> {
    try {
      await learned
      goesOn()
      await stages.link()
      isReady = true
      ready.resolve()
    } catch (error) {
      ready.reject(error)
      if (!abort.signal.aborted) await end()
    }
  }

  return {
    ready: ready.promise,
    get isReady() {
      return isReady
    },

    start() {
      served = untilServed()
      return served
    },

    async stop() {
      abort.abort()
      // Whoever has started it hears of its failure.
      await served.catch(() => {})
      await rest
      await end()
    },
  }
}
