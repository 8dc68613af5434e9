import { existsSync } from 'node:fs'
import { Worker } from 'node:worker_threads'
import { type SearchIndex, SearchIndexFailed } from '../ports/search-index.ts'
import type { SearchFilesOptions } from './sqlite-search-files.ts'
import { type Answers, type Call, errorOf, type Reply, type Work } from './sqlite-search-messages.ts'

export interface SqliteSearchIndexOptions extends Partial<Omit<SearchFilesOptions, 'folder'>> {
  /** After so long without a call the thread ends, and with it whatever memory it took. Default 60 s. */
  readonly idleMs?: number
}

const defaults: Omit<SearchFilesOptions, 'folder'> & { readonly idleMs: number } = {
  maxOpen: 16,
  // Twice what the log store leaves.
  reserveBytes: 128 * 1024 * 1024,
  maxQueryMs: 2_000,
  idleMs: 60_000,
}

/**
 * Indexes in `folder`, which is made, for its owner alone, when the first one is. They are SQLite files with its full-text
 * index FTS5, both of which Node has in it (`node:sqlite`; Node 22 says on standard error that it is experimental, when the
 * first search is made; Node 24 does not). SQLite works in a thread of its own, which is there only while it is needed.
 */
export function openSqliteSearchIndex(folder: string, options: SqliteSearchIndexOptions = {}): SearchIndex {
  const { idleMs, ...rest } = { ...defaults, ...options }
  const thread = new SearchThread({ folder, ...rest }, idleMs)
  return {
    position: mailbox => thread.ask({ kind: 'position', mailbox }),
    apply: async (mailbox, batch) => thread.ask({ kind: 'apply', mailbox, batch }),
    query: (mailbox, position, query) => thread.ask({ kind: 'query', mailbox, position, query }),
    held: async (mailbox, position, name, values) =>
      new Set(await thread.ask({ kind: 'held', mailbox, position, name, values })),
    // A server that nobody has searched at starts without the thread.
    mailboxes: async () => (existsSync(folder) ? thread.ask({ kind: 'mailboxes' }) : []),
    drop: async mailbox => thread.ask({ kind: 'drop', mailbox }),
    close: () => thread.close(),
  }
}

/** This file is run from source, or compiled. */
const threadFile = new URL(`./sqlite-search-thread${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url)

/** Begins with the first call, ends when there was none for a while; one that dies fails what it had to do, and the next call begins another. */
class SearchThread {
  readonly #options: SearchFilesOptions
  readonly #idleMs: number
  readonly #waiting = new Map<number, (reply: Reply) => void>()
  #worker: Worker | undefined
  #calls = 0
  #idle: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(options: SearchFilesOptions, idleMs: number) {
    this.#options = options
    this.#idleMs = idleMs
  }

  ask<Kind extends Work['kind']>(work: Extract<Work, { readonly kind: Kind }>): Promise<Answers[Kind]> {
    if (this.#isClosed) return Promise.reject(new SearchIndexFailed('The search index is closed.'))
    return this.#call(work)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    await this.#end()
  }

  #call<Kind extends Work['kind']>(work: Extract<Work, { readonly kind: Kind }>): Promise<Answers[Kind]> {
    const worker = this.#running()
    const call: Call = { number: ++this.#calls, work }
    return new Promise((resolve, reject) => {
      this.#waiting.set(call.number, reply => {
        // The thread answers each kind of work with what belongs to it: see `perform` there.
        if (reply.ok) resolve(reply.answer as Answers[Kind])
        else reject(errorOf(reply.failure))
      })
      worker.ref()
      worker.postMessage(call)
    })
  }

  #running(): Worker {
    clearTimeout(this.#idle)
    this.#worker ??= this.#start()
    return this.#worker
  }

  #start(): Worker {
    const worker = new Worker(threadFile, { workerData: this.#options, name: 'search' })
    worker.on('message', (reply: Reply) => this.#settle(reply))
    worker.on('error', error => this.#lost(worker, error.message))
    worker.on('exit', code => this.#lost(worker, `it ended with code ${code}`))
    return worker
  }

  #settle(reply: Reply): void {
    this.#waiting.get(reply.number)?.(reply)
    this.#waiting.delete(reply.number)
    if (this.#waiting.size > 0) return
    // Nothing is under way: the thread keeps neither the process alive nor, for long, itself.
    this.#worker?.unref()
    if (this.#isClosed) return
    this.#idle = setTimeout(() => void this.#end(), this.#idleMs)
    this.#idle.unref()
  }

  #lost(worker: Worker, why: string): void {
    if (this.#worker !== worker) return
    this.#worker = undefined
    const failure = { name: 'SearchIndexFailed', message: `The thread of the search index is gone: ${why}.` }
    for (const [number, settle] of this.#waiting) settle({ number, ok: false, failure })
    this.#waiting.clear()
  }

  /** Files are closed first, so that no journal stays beside them; one that cannot be is as after a crash. */
  async #end(): Promise<void> {
    const worker = this.#worker
    if (!worker) return
    await this.#call({ kind: 'close' }).catch(() => undefined)
    clearTimeout(this.#idle)
    // Somebody has called meanwhile: the files are opened again.
    if (this.#waiting.size > 0) return
    this.#worker = undefined
    await worker.terminate()
  }
}
