import type { z } from 'zod'
import type { Clock } from '../ports/clock.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { LocalRecord, LogStore } from '../ports/log-store.ts'
import { framed, toBase64url, utf8 } from './framing.ts'
import { Noted } from './noted.ts'

/*
 * What this server alone remembers for a while: the answers it gave, so that a repetition gets the same one. Written in
 * the same batch as what the answer speaks of, never replicated, removed some time after it has ended.
 */

export interface Memory {
  /** Where something is noted under these names. */
  placeOf(kind: MemoryKind, names: readonly string[]): MemoryPlace
  /** What was noted there and has not ended, if it still has that shape. */
  recall<T>(place: MemoryPlace, schema: z.ZodType<T>): Promise<T | undefined>
  /** A record that makes this server remember `value`; to be stored by whoever writes what it speaks of. */
  note(place: MemoryPlace, value: unknown, expires: number): LocalRecord
  /** Removes what has ended. Answers how many records that were. */
  sweep(): Promise<number>
}

/** `command`: answers to commands. `registration`: sealed answers to PNEs. */
export type MemoryKind = (typeof kinds)[number]
const kinds = ['command', 'registration'] as const

/** The key of its record. */
export type MemoryPlace = string

/** Removals go to the store in batches, so that a long list holds nobody up. */
const sweepBatch = 500

export function createMemory(options: {
  readonly store: Pick<LogStore, 'local' | 'localScan' | 'commit'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly clock: Pick<Clock, 'now'>
}): Memory {
  const { store, crypto, clock } = options
  const noted = new Noted()

  async function* ended(kind: MemoryKind, kept: (place: MemoryPlace) => void): AsyncGenerator<string> {
    const now = clock.now()
    for await (const { key, value } of store.localScan(`${kind}/`)) {
      if (endOf(value) <= now) yield key
      else kept(key)
    }
  }

  return {
    /** Hashed, since names from outside may be longer than a key. */
    placeOf: (kind, names) => `${kind}/${toBase64url(crypto.sha256(framed(...names)))}`,

    async recall(place, schema) {
      if (!noted.mayHold(place)) return undefined
      const bytes = await store.local(place)
      if (!bytes || endOf(bytes) <= clock.now()) return undefined
      const parsed = schema.safeParse(JSON.parse(new TextDecoder().decode(bytes.subarray(endBytes))))
      return parsed.success ? parsed.data : undefined
    },

    note(place, value, expires) {
      noted.add(place)
      const body = utf8(JSON.stringify(value))
      const bytes = new Uint8Array(endBytes + body.length)
      new DataView(bytes.buffer).setFloat64(0, expires)
      bytes.set(body, endBytes)
      return { key: place, value: bytes }
    },

    async sweep() {
      let removed = 0
      const count = noted.count()
      for (const kind of kinds) {
        const keys = await Array.fromAsync(ended(kind, count.found))
        for (let at = 0; at < keys.length; at += sweepBatch) {
          const local = keys.slice(at, at + sweepBatch).map(key => ({ key, value: undefined }))
          await store.commit({ documents: [], local })
          removed += local.length
        }
      }
      count.done()
      return removed
    },
  }
}

/** A record begins with its end (milliseconds since 1970, a big-endian double), so that a sweep need not parse it. */
const endBytes = 8
const endOf = (bytes: Uint8Array): number => new DataView(bytes.buffer, bytes.byteOffset, endBytes).getFloat64(0)
