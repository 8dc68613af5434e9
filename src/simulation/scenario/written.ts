import { applyUpdate, Doc } from 'yjs'
import type { DocumentNotice, Register } from '../../document/documents.ts'
import { openStoredEntry } from '../../document/entry.ts'
import { asRegister, isLater } from '../../document/registers-view.ts'
import type { DocumentId, LogId } from '../../ports/names.ts'

/** A register that a server has shown to somebody: by what it promises, durably stored. */
export interface WrittenRegister {
  readonly document: DocumentId
  readonly key: string
  readonly register: Register
  readonly log: LogId
  readonly seq: number
  readonly timeMs: number
}

/** Of one key, at most. */
const writesInOneEntry = 256

interface WrittenLog {
  readonly doc: Doc
  readonly registers: WrittenRegister[]
  readonly byKey: Map<string, WrittenRegister[]>
  length: number
}

/**
 * All that servers have said is durable, entry by entry, and never forgets: what replicas hold in the end is compared with
 * it. Its own reading of the logs, with no part of the node's but the decoding of one entry.
 */
export class Written {
  readonly #logs = new Map<DocumentId, Map<LogId, WrittenLog>>()
  readonly #timeMs: () => number

  constructor(timeMs: () => number) {
    this.#timeMs = timeMs
  }

  /**
   * Entries have become durable at a server: its own, or a peer's, or what its last run left on its disk. The latter two are new
   * where the author died, or lost its disk's answer, before it could show them.
   */
  took({ document, entries }: Pick<DocumentNotice, 'document' | 'entries'>): readonly WrittenRegister[] {
    return entries.flatMap(({ log, seq, bytes }) => this.#entry(document, log, seq, bytes))
  }

  documents(): Iterable<DocumentId> {
    return this.#logs.keys()
  }

  /**
   * Whether `present` was written after the mark `before`, though its stamp is lower: a mark that has done its work is
   * forgotten, and a server whose clock is behind does not know of it any more.
   */
  isAfterMark(document: DocumentId, key: string, before: Register, present: Register): boolean {
    if (before.value !== null) return false
    const firstMs = (wanted: Register): number => {
      for (const { timeMs } of this.writingsOf(document, key, wanted)) return timeMs
      return Number.POSITIVE_INFINITY
    }
    return firstMs(present) > firstMs(before)
  }

  /** Whether another log has the same register: this one is a copy. */
  isCopy({ document, key, register, log }: WrittenRegister): boolean {
    for (const [other, { byKey }] of this.#logs.get(document) ?? []) {
      if (other === log) continue
      for (const { register: same } of byKey.get(key) ?? []) {
        if (same.stamp === register.stamp && same.server === register.server) return true
      }
    }
    return false
  }

  /**
   * What is wrong with the stamp of a register that its server has just written: it is not later than the one that the same
   * log had under the key, or it is later than what the server's clock has ever shown and what it replaces. Writes that went
   * into one entry are each later than the one before, and only the last is seen.
   */
  wrongStamp({ document, key, register, log, seq }: WrittenRegister, clockMs: number): string | undefined {
    for (const other of this.#logs.get(document)?.get(log)?.byKey.get(key) ?? []) {
      if (other.seq < seq && other.register.stamp >= register.stamp) {
        return `${key} of ${document}: stamp ${register.stamp} after ${other.register.stamp} in one log`
      }
    }
    if (register.stamp <= clockMs + writesInOneEntry) return undefined
    let latestMs = clockMs
    for (const { key: other, register: before } of this.registers(document)) {
      if (other === key && before.stamp < register.stamp) latestMs = Math.max(latestMs, before.stamp)
    }
    if (register.stamp <= latestMs + writesInOneEntry) return undefined
    return `${key} of ${document}: stamp ${register.stamp}, though the clock never showed more than ${clockMs}`
  }

  /** Whether the key was removed by something later: then it may be gone without a trace. */
  isRemoved(document: DocumentId, key: string, after: Register): boolean {
    for (const { key: other, register } of this.registers(document)) {
      if (other === key && register.value === null && isLater(register, after)) return true
    }
    return false
  }

  /** Where a register was written: by its server, and by whoever copied it. */
  *writingsOf(document: DocumentId, key: string, { stamp, server }: Register): Generator<WrittenRegister> {
    for (const written of this.registers(document)) {
      const { register } = written
      if (written.key === key && register.stamp === stamp && register.server === server) yield written
    }
  }

  /** Everything written under a document's keys. */
  *registers(document: DocumentId): Generator<WrittenRegister> {
    for (const { registers } of this.#logs.get(document)?.values() ?? []) yield* registers
  }

  /** The latest of each key, of those that `counts` says count. */
  latest(document: DocumentId, counts: (written: WrittenRegister) => boolean): Map<string, WrittenRegister> {
    const latest = new Map<string, WrittenRegister>()
    for (const written of this.registers(document)) {
      if (!counts(written)) continue
      const before = latest.get(written.key)
      if (!before || isLater(written.register, before.register)) latest.set(written.key, written)
    }
    return latest
  }

  #entry(document: DocumentId, log: LogId, seq: number, bytes: Uint8Array): WrittenRegister[] {
    const at = this.#log(document, log)
    if (seq !== at.length) return []
    at.length += 1
    const { update } = openStoredEntry(bytes)
    if (update.length === 0) return []
    const keys = new Set<string>()
    const map = at.doc.getMap<unknown>(log)
    const note = (event: { readonly keysChanged: ReadonlySet<string> }) => {
      for (const key of event.keysChanged) keys.add(key)
    }
    map.observe(note)
    applyUpdate(at.doc, update)
    map.unobserve(note)
    const registers = [...keys].flatMap(key => {
      const register = asRegister(map.get(key))
      return register ? [{ document, key, register, log, seq, timeMs: this.#timeMs() }] : []
    })
    for (const written of registers) {
      at.registers.push(written)
      const same = at.byKey.get(written.key)
      if (same) same.push(written)
      else at.byKey.set(written.key, [written])
    }
    return registers
  }

  #log(document: DocumentId, log: LogId): WrittenLog {
    let logs = this.#logs.get(document)
    if (!logs) {
      logs = new Map()
      this.#logs.set(document, logs)
    }
    let at = logs.get(log)
    if (!at) {
      const doc = new Doc({ guid: document })
      doc.clientID = 0
      at = { doc, registers: [], byKey: new Map(), length: 0 }
      logs.set(log, at)
    }
    return at
  }
}
