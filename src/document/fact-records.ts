import { CorruptRecord, type IndexRecord, type LocalRecord, type LogStore } from '../ports/log-store.ts'
import type { DocumentId } from '../ports/names.ts'
import { localRemains } from './damage.ts'
import type { Documents, Json } from './documents.ts'

/*
 * What was derived from a document, as a local record of the store, `facts/<name>/<document>`: the version of what derives it, the
 * digest of the document that it was derived from, and the fact as JSON. It counts only as long as version and digest are those
 * of now, and can be made anew at any time: a record that is missing, old or damaged costs one reading of its document.
 */

const factsKind = 'facts'
/** Longer keys the store does not take; documents with such ids are read at every start. */
const keyLengthAtMost = 512
const digestBytes = 32
const headBytes = 1 + digestBytes

/** Whether a local record can be made anew from the document that it is about, and needs no peer for it. */
export const isFact = (key: string): boolean => key.startsWith(`${factsKind}/`)

/** A fact, and the digest of the content that it is true of. */
export interface Derived<T> {
  readonly fact: T
  readonly digest: Uint8Array
}

export type Scanned<T> =
  | { readonly kind: 'known'; readonly document: DocumentId; readonly derived: Derived<T> }
  | { readonly kind: 'unknown'; readonly document: DocumentId; readonly index: IndexRecord }
  | { readonly kind: 'orphan'; readonly document: DocumentId }

export class FactRecords<T extends Json> {
  readonly #prefix: string
  readonly #version: number

  /** @param version 0 to 255 */
  constructor(name: string, version: number) {
    this.#prefix = `${factsKind}/${name}/`
    this.#version = version
  }

  /** `undefined`: its id is too long for one. */
  keyOf(document: DocumentId): string | undefined {
    const key = this.#prefix + document
    return key.length <= keyLengthAtMost ? key : undefined
  }

  /** The record that keeps a fact, or with `undefined` the one that removes it. */
  record(document: DocumentId, derived: Derived<T> | undefined): LocalRecord | undefined {
    const key = this.keyOf(document)
    return key === undefined ? undefined : { key, value: derived && this.#encode(derived) }
  }

  /** The fact that a record keeps; `undefined` when another version derived it. */
  decode(bytes: Uint8Array): Derived<T> | undefined {
    if (bytes[0] !== this.#version) return undefined
    const fact: T = JSON.parse(new TextDecoder().decode(bytes.subarray(headBytes)))
    return { fact, digest: bytes.subarray(1, headBytes) }
  }

  /**
   * The documents that are held and whose ids begin with `prefix`, in order: of which a fact is kept that is still true, and of
   * which none is; and those of which one is kept that are not held any more.
   */
  async *scan(
    prefix: string,
    documents: Pick<Documents, 'list'>,
    store: Pick<LogStore, 'localScan'>,
  ): AsyncGenerator<Scanned<T>> {
    const kept = this.#kept(prefix, store)
    let next = await kept.next()
    for await (const index of documents.list(prefix)) {
      const { document, digest } = index
      for (; !next.done && next.value.document < document; next = await kept.next())
        yield { kind: 'orphan', document: next.value.document }
      if (next.done || next.value.document !== document) yield { kind: 'unknown', document, index }
      else {
        const { derived } = next.value
        yield derived && isSame(derived.digest, digest)
          ? { kind: 'known', document, derived }
          : { kind: 'unknown', document, index }
        next = await kept.next()
      }
    }
    for (; !next.done; next = await kept.next()) yield { kind: 'orphan', document: next.value.document }
  }

  /** What is kept, in order. Where the disk has damaged more than records, that is the end: what is behind it is made anew. */
  async *#kept(
    prefix: string,
    store: Pick<LogStore, 'localScan'>,
  ): AsyncGenerator<{ readonly document: DocumentId; readonly derived: Derived<T> | undefined }> {
    try {
      for await (const { key, value } of localRemains(store, this.#prefix + prefix))
        yield { document: key.slice(this.#prefix.length) as DocumentId, derived: value && this.decode(value) }
    } catch (error) {
      if (!(error instanceof CorruptRecord)) throw error
    }
  }

  #encode({ fact, digest }: Derived<T>): Uint8Array {
    const body = new TextEncoder().encode(JSON.stringify(fact))
    const bytes = new Uint8Array(headBytes + body.length)
    bytes[0] = this.#version
    bytes.set(digest, 1)
    bytes.set(body, headBytes)
    return bytes
  }
}

const isSame = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, at) => byte === b[at])
