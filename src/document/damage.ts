import type { Crypto } from '../ports/crypto.ts'
import { CorruptRecord, type LocalRecord, type LogStore } from '../ports/log-store.ts'
import type { DocumentId, LogId } from '../ports/names.ts'
import type { Version } from './documents.ts'
import type { Ledger } from './ledger.ts'
import { deadIn } from './ledger.ts'
import { localKeys } from './local-records.ts'

/*
 * Which documents the disk has damaged, and what is lacking of each. Remembered on the disk until it is here again, so that a
 * restart does not show as whole what has lost its end.
 */

/** What the disk has taken from a document. */
export interface Damage {
  readonly document: DocumentId
  /** When it was found, milliseconds since 1970. */
  readonly since: number
  /** What was held: how far each log went. The document is whole once it is held again, or was superseded. */
  readonly held: Version
}

const prefix = 'damage/'

/** The damaged documents of one server. There are few, so all are in memory. */
export class Damages {
  readonly #store: Pick<LogStore, 'localScan'>
  readonly #crypto: Pick<Crypto, 'sha256'>
  readonly #damages = new Map<DocumentId, Damage>()
  #reading: Promise<void> | undefined

  constructor(store: Pick<LogStore, 'localScan'>, crypto: Pick<Crypto, 'sha256'>) {
    this.#store = store
    this.#crypto = crypto
  }

  async of(document: DocumentId): Promise<Damage | undefined> {
    await this.read()
    return this.#damages.get(document)
  }

  /** In order of id. Complete once {@link read} has resolved. */
  get all(): readonly Damage[] {
    return [...this.#damages.values()].sort((a, b) => (a.document < b.document ? -1 : 1))
  }

  /** Reads what earlier runs have found, once. @throws what the store throws */
  read(): Promise<void> {
    this.#reading ??= this.#readAll().catch(error => {
      this.#reading = undefined
      throw error
    })
    return this.#reading
  }

  /** The record that makes it last; {@link remember} once it is stored. */
  recordOf(damage: Damage): LocalRecord {
    return { key: this.#keyOf(damage.document), value: encode(damage) }
  }

  /** The record that ends it; {@link forget} once it is stored. */
  endOf(document: DocumentId): LocalRecord {
    return { key: this.#keyOf(document), value: undefined }
  }

  remember(damage: Damage): void {
    this.#damages.set(damage.document, damage)
  }

  forget(document: DocumentId): void {
    this.#damages.delete(document)
  }

  async #readAll(): Promise<void> {
    for await (const { value } of this.#store.localScan(prefix)) {
      const damage = decode(value)
      if (!this.#damages.has(damage.document)) this.#damages.set(damage.document, damage)
    }
  }

  #keyOf(document: DocumentId): string {
    return prefix + localKeys(document, this.#crypto).name
  }
}

/** Whether everything that was held is here again. A log that was cut at a fork is not longer anywhere. */
export function isRegained(ledger: Ledger, held: Version): boolean {
  const heads = new Map(ledger.heads.map(head => [head.log, head]))
  const dead = deadIn(ledger)
  return [...held].every(([log, length]) => {
    const head = heads.get(log)
    return (head && (head.forked || head.length >= length)) || (dead.get(log) ?? -1) >= length - 1
  })
}

/** How far logs went, by two accounts: the further one counts. */
export function furthest(one: Version, other: Version): Version {
  const version = new Map(one)
  for (const [log, length] of other) version.set(log, Math.max(length, version.get(log) ?? 0))
  return version
}

type StoredDamage = Omit<Damage, 'held'> & { readonly held: readonly (readonly [LogId, number])[] }

const encode = ({ held, ...damage }: Damage): Uint8Array =>
  new TextEncoder().encode(JSON.stringify({ ...damage, held: [...held] } satisfies StoredDamage))

function decode(bytes: Uint8Array): Damage {
  const { held, ...damage }: StoredDamage = JSON.parse(new TextDecoder().decode(bytes))
  return { ...damage, held: new Map(held) }
}

/** Local records in order of key, and the keys of those that the disk has changed. @throws for any other damage */
export async function* localRemains(
  store: Pick<LogStore, 'localScan'>,
  prefix: string,
  from?: string,
): AsyncGenerator<{ readonly key: string; readonly value: Uint8Array | undefined }> {
  for (let after = from; ; ) {
    try {
      for await (const record of store.localScan(prefix, after)) {
        after = record.key
        yield record
      }
      return
    } catch (error) {
      if (!(error instanceof CorruptRecord) || error.place.kind !== 'local') throw error
      after = error.place.key
      yield { key: after, value: undefined }
    }
  }
}
