import type { DocumentId } from '../../ports/names.ts'
import type { HashTree } from './hash-tree.ts'
import { below, fanOut, type Place } from './place.ts'

/** Documents that wait at once before whoever finds more is told to wait. */
const roomFor = 2_048

export interface SeeingOptions {
  readonly tree: HashTree
  /** Sees to a document that differs, or that the peer does not have at all; resolves when that is done. */
  readonly see: (document: DocumentId, isAlone: boolean) => Promise<void>
  /** Documents that are seen to at once. */
  readonly most: number
  readonly failed: (error: unknown) => void
}

/**
 * Sees to documents that differ, a few at a time. Of a place where the peer has nothing the documents are found one after
 * another as their turn comes: a million wait as one place.
 */
export class Seeing {
  readonly #options: SeeingOptions
  readonly #documents: { readonly document: DocumentId; readonly isAlone: boolean }[] = []
  /** Places whose documents wait behind those; the last is the next. */
  readonly #places: Place[] = []
  readonly #waiting: { readonly until: () => boolean; readonly resolve: () => void }[] = []
  #open = 0
  #isOver = false

  constructor(options: SeeingOptions) {
    this.#options = options
  }

  get isIdle(): boolean {
    return this.#open + this.#documents.length + this.#places.length === 0
  }

  get hasRoom(): boolean {
    return this.#documents.length + this.#places.length < roomFor
  }

  take({ differing, alone }: { readonly differing: readonly DocumentId[]; readonly alone: readonly Place[] }): void {
    for (const document of differing) this.#documents.push({ document, isAlone: false })
    this.#places.push(...alone.toReversed())
    this.#goOn()
  }

  /** Resolves when few documents wait, or at the end. */
  room(): Promise<void> {
    return this.#when(() => this.hasRoom)
  }

  /** Resolves when all was seen to, or at the end. */
  idle(): Promise<void> {
    return this.#when(() => this.isIdle)
  }

  end(): void {
    this.#isOver = true
    this.#documents.length = 0
    this.#places.length = 0
    this.#tell()
  }

  #when(until: () => boolean): Promise<void> {
    if (this.#isOver || until()) return Promise.resolve()
    return new Promise(resolve => this.#waiting.push({ until, resolve }))
  }

  #goOn(): void {
    const { see, most, failed } = this.#options
    while (this.#open < most && !this.#isOver) {
      const next = this.#next()
      if (!next) break
      this.#open++
      see(next.document, next.isAlone)
        .catch(failed)
        .then(() => {
          this.#open--
          this.#goOn()
          this.#tell()
        })
    }
  }

  #next(): { readonly document: DocumentId; readonly isAlone: boolean } | undefined {
    while (this.#documents.length === 0) {
      const place = this.#places.pop()
      if (!place) return undefined
      this.#enter(place)
    }
    return this.#documents.shift()
  }

  /** What the place is like by now. */
  #enter(place: Place): void {
    const { tree } = this.#options
    if (tree.dividedAt(place) === undefined) {
      for (const slot of tree.leavesAt(place)) {
        this.#documents.push({ document: tree.leaves.document(slot), isAlone: true })
      }
      return
    }
    for (let digit = fanOut - 1; digit >= 0; digit--) this.#places.push(below(place, digit))
  }

  #tell(): void {
    for (const waiter of this.#waiting.splice(0)) {
      if (this.#isOver || waiter.until()) waiter.resolve()
      else this.#waiting.push(waiter)
    }
  }
}
