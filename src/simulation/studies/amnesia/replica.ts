/*
 * Two replicas of one document, of which the first one loses its memory. What the scenario needs of either kind of replica:
 * the naive use of Yjs, and our document layer.
 */
export interface Replica {
  /** Begins to write; nobody waits for it. */
  write(key: string, value: string): void
  /** Makes the other replica send what this one lacks. */
  sync(): void
  /** What it holds, and by what it tells whether it holds what others hold. */
  inspect(): Promise<Inspection>
  /** Keys of writes that were acknowledged in this run: that are durable, as far as the writer was told. */
  readonly acknowledged: ReadonlySet<string>
}

export interface Inspection {
  /** Keys and values, in order of key. */
  readonly content: ReadonlyMap<string, string>
  /** Equal ones are taken to mean equal content: nothing more is exchanged. */
  readonly version: string
}

export const sortedContent = (entries: Iterable<readonly [string, string]>): ReadonlyMap<string, string> =>
  new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)))
