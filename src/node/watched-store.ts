import type { Clock } from '../ports/clock.ts'
import { type Commit, CommitOutcomeUnknown, type LogStore, storedEntry } from '../ports/log-store.ts'
import type { Telemetry } from '../ports/telemetry.ts'

/** A store that is watched. */
export interface WatchedStore {
  readonly store: LogStore
  /** Resolves with the first commit whose outcome the store does not know: it takes no other after that. Else it never settles. */
  readonly failed: Promise<Error>
  /** Sets who hears how long each commit took. */
  readonly tell: (committed: (durationMs: number) => void) => void
}

/** The same store, which says how long commits take and what they hold, and when it has failed for good. */
export function watched(store: LogStore, clock: Pick<Clock, 'elapsed'>, telemetry: Telemetry): WatchedStore {
  let committed: (durationMs: number) => void = () => {}
  const { promise: failed, resolve } = Promise.withResolvers<Error>()
  const watch = async (commit: Commit): Promise<void> => {
    const beganMs = clock.elapsed()
    const span = telemetry.spans?.begin('store.commit', {}, { documents: commit.documents.length })
    try {
      await store.commit(commit)
      span?.end('ok', { entries: commit.documents.reduce((sum, { append }) => sum + append.length, 0) })
      const tookMs = clock.elapsed() - beganMs
      committed(tookMs)
      telemetry.observe('cpns_store_commit_duration_seconds', tookMs / 1_000)
      for (const { append } of commit.documents) {
        if (append.length === 0) continue
        telemetry.count('cpns_store_entries_total', {}, append.length)
        telemetry.count(
          'cpns_store_entry_bytes_total',
          {},
          append.reduce((sum, entry) => sum + storedEntry(entry).bytes.length, 0),
        )
      }
    } catch (error) {
      span?.end('failed')
      telemetry.count('cpns_store_commit_failures_total')
      if (error instanceof CommitOutcomeUnknown) resolve(error)
      throw error
    }
  }
  const watching: LogStore = {
    commit: watch,
    index: document => store.index(document),
    scan: range => store.scan(range),
    count: range => store.count(range),
    entries: (document, log, from, to) => store.entries(document, log, from, to),
    entriesOfAll: (first, last) => store.entriesOfAll(first, last),
    remains: document => store.remains(document),
    dump: () => store.dump(),
    documentsWithEntries: from => store.documentsWithEntries(from),
    local: key => store.local(key),
    localScan: (prefix, after) => store.localScan(prefix, after),
    close: () => store.close(),
  }
  const tell = (listener: (durationMs: number) => void) => {
    committed = listener
  }
  return { store: watching, failed, tell }
}
