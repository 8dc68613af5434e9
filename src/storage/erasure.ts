import { framed, toBase64url, utf8 } from '../commands/framing.ts'
import type { Documents, Registers } from '../document/documents.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LogStore } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import { type MailboxName, partDocument } from './names.ts'
import { erasedIn } from './records.ts'

/*
 * What was expunged leaves the disks: soon after, not when a document happens to be compacted. The mailbox document, or an index part, says when
 * something was expunged in a part; each server of the owner remembers up to when it has cleared the part, and begins a new log
 * for what it wrote there itself. The old ones are dropped by whoever has them, replicas of other operators included.
 */

export interface Erasure {
  /** Has cleared away what a mailbox document, or an index part, says was expunged, some time after. */
  look(name: MailboxName, said: Registers): Promise<void>
  stop(): void
}

/** Expunging goes on for a while, often: what it frees is cleared away together. */
const settleMs = 30_000
const retryMs = 60_000

export function createErasure(options: {
  readonly documents: Pick<Documents, 'compact'>
  readonly store: Pick<LogStore, 'commit' | 'local'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}): Erasure {
  const { documents, store, crypto, clock, telemetry } = options
  /** Parts that are cleared soon, and up to when they are known to be clear. */
  const waiting = new Map<DocumentId, Cancel>()
  const cleared = new Map<DocumentId, number>()
  let isStopped = false

  const keyOf = (document: DocumentId) => `erased/${toBase64url(crypto.sha256(framed(document)))}`

  async function clearedTo(document: DocumentId): Promise<number> {
    const known = cleared.get(document)
    if (known !== undefined) return known
    const value = await store.local(keyOf(document))
    const time = value ? Number(new TextDecoder().decode(value)) : 0
    if (cleared.size >= maxRemembered) cleared.clear()
    cleared.set(document, time)
    return time
  }

  function later(document: DocumentId, time: number, delayMs: number): void {
    if (isStopped || waiting.has(document)) return
    waiting.set(
      document,
      clock.after(delayMs, () => {
        waiting.delete(document)
        void clear(document, time)
      }),
    )
  }

  async function clear(document: DocumentId, time: number): Promise<void> {
    try {
      await documents.compact(document)
      await store.commit({ documents: [], local: [{ key: keyOf(document), value: utf8(String(time)) }] })
      cleared.set(document, time)
      telemetry.count('cpns_storage_erasures_total')
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      telemetry.log('error', 'storage.erasure-failed', { document, message })
      later(document, time, retryMs)
    }
  }

  return {
    async look(name, said) {
      for (const { container, part, at } of erasedIn(said)) {
        const document = partDocument(name, container, part)
        if (!waiting.has(document) && (await clearedTo(document)) < at) later(document, at, settleMs)
      }
    },
    stop() {
      isStopped = true
      for (const cancel of waiting.values()) cancel()
      waiting.clear()
    },
  }
}

const maxRemembered = 10_000
