/*
 * Answers of a slow source, kept for a while: whoever asks the same at once waits for one answer, and while the source
 * fails, an answer that is not too old is better than none. Only what was found is used so: that there was nothing says
 * nothing about now.
 */

export interface AnswerCacheOptions<T> {
  readonly ask: (name: string) => Promise<T | undefined>
  /** How long what was found is not asked for again. */
  readonly ttlMs: number
  /** The same for what was not found. */
  readonly negativeTtlMs: number
  /** How old what was found may be when it is used because asking failed. */
  readonly staleMs: number
  readonly maxEntries: number
  /** Questions under way at once; more are refused, so that those who invent names cannot pile them up. */
  readonly maxAsking: number
  /** Monotonic milliseconds. */
  readonly elapsed: () => number
  /** Told of each question that is answered without asking. */
  readonly hit?: (how: 'fresh' | 'stale') => void
}

/** Too many questions are under way. */
export class TooManyQuestions extends Error {
  override readonly name = 'TooManyQuestions'
}

interface Entry<T> {
  readonly found: T | undefined
  readonly askedMs: number
}

/** @returns a function that answers as `ask` does; @throws what `ask` throws, and {@link TooManyQuestions} */
export function answerCache<T>(options: AnswerCacheOptions<T>): (name: string) => Promise<T | undefined> {
  const { ask, ttlMs, negativeTtlMs, staleMs, maxEntries, maxAsking, elapsed, hit } = options
  /** The least recently answered first. */
  const entries = new Map<string, Entry<T>>()
  const asking = new Map<string, Promise<T | undefined>>()

  const isFresh = ({ found, askedMs }: Entry<T>) => elapsed() - askedMs < (found === undefined ? negativeTtlMs : ttlMs)
  const isUsable = ({ found, askedMs }: Entry<T>) => found !== undefined && elapsed() - askedMs < staleMs

  function remember(name: string, entry: Entry<T>): void {
    entries.delete(name)
    entries.set(name, entry)
    // Also what is of no use any more, so that no secret stays in memory because nobody asks for it.
    for (const [oldest, old] of entries) {
      if (entries.size <= maxEntries && (isFresh(old) || isUsable(old))) break
      entries.delete(oldest)
    }
  }

  async function askNow(name: string): Promise<T | undefined> {
    if (asking.size >= maxAsking) throw new TooManyQuestions('Too many questions are under way.')
    const askedMs = elapsed()
    const answer = ask(name).then(found => {
      remember(name, { found, askedMs })
      return found
    })
    asking.set(name, answer)
    try {
      return await answer
    } finally {
      asking.delete(name)
    }
  }

  return async name => {
    const known = entries.get(name)
    if (known && isFresh(known)) {
      hit?.('fresh')
      return known.found
    }
    try {
      return await (asking.get(name) ?? askNow(name))
    } catch (error) {
      if (!known || !isUsable(known)) throw error
      hit?.('stale')
      return known.found
    }
  }
}
