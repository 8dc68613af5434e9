import { Content, type Held } from '../../src/document/content.ts'
import type { Json } from '../../src/document/documents.ts'
import { type Entry, type SealedEntry, sealEntry } from '../../src/document/entry.ts'
import { newLogId } from '../../src/document/log.ts'
import type { LogId } from '../../src/ports/names.ts'
import type { TestServer } from '../fixtures/operators.ts'
import { seededRandom } from '../fixtures/seeded-random.ts'
import { crypto, home } from './document-server.ts'

/** Writes a log by hand, entry after entry: what a server does, and what a hostile one might. */
export class LogAuthor {
  readonly log: LogId
  readonly entries: SealedEntry[] = []
  readonly #server: TestServer
  readonly #content = new Content(crypto)

  constructor(server: TestServer, log: LogId = newLogId(seededRandom(`log of ${server.id}`))) {
    this.#server = server
    this.log = log
  }

  /** Another author of the same log, who has written the first `length` entries of it and will go on differently. */
  fork(length: number): LogAuthor {
    const other = new LogAuthor(this.#server, this.log)
    for (const sealed of this.entries.slice(0, length)) {
      other.entries.push(sealed)
      other.#content.apply(sealed.entry, true)
    }
    return other
  }

  /** Appends an entry that sets registers, its fields changed as `but` says. */
  write(values: Readonly<Record<string, Json>>, but: Partial<Entry> = {}): SealedEntry {
    const seq = this.entries.length
    const sealed = this.seal({
      seq,
      prev: this.entries.at(-1)?.hash ?? new Uint8Array(0),
      ...this.#update(values, seq),
      ...but,
    })
    this.entries.push(sealed)
    return sealed
  }

  /** Signs an entry of this log; it is not appended. */
  seal(fields: Partial<Entry>): SealedEntry {
    const nothing = new Uint8Array(0)
    const entry = { document: home, log: this.log, server: this.#server.id, seq: 0, prev: nothing, update: nothing }
    return sealEntry({ ...entry, supersedes: [], after: [], ...fields }, this.#server.identity, crypto)
  }

  get bytes(): Uint8Array[] {
    return this.entries.map(({ bytes }) => bytes)
  }

  #update(values: Readonly<Record<string, Json>>, seq: number): Pick<Entry, 'update'> {
    const place = { log: this.log, seq, own: true, registerBytes: 0 }
    const changes = new Map<string, Held>()
    let { view } = this.#content
    for (const [key, value] of Object.entries(values)) {
      const change = { register: { stamp: 1_000 + seq, server: this.#server.id, value }, place }
      changes.set(key, change)
      view = view.with(key, change)
    }
    return { update: changes.size > 0 ? this.#content.write(changes, view, place) : new Uint8Array(0) }
  }
}
