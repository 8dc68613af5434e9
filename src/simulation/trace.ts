/**
 * What happened in a run, in order: a rolling hash over everything, checkpoints of it, and, for whoever listens, the
 * lines themselves. Two runs with equal hashes did the same; the first checkpoint that differs says where they parted.
 */

/** One thing that happened. */
export interface TraceLine {
  /** Its number, from 0. */
  readonly index: number
  readonly timeUs: number
  /** The event in which it happened, by its sequence number; 0 outside of any. */
  readonly event: number
  /** `event`, `delivered`, `synced`, `log`, `crashed`, … */
  readonly kind: string
  /** The host, and what it is about. */
  readonly at: string
  readonly about: string
  /** Bytes, as a rule. */
  readonly amount: number
  /** A hash of the content. */
  readonly digest: number
}

export interface Checkpoint {
  /** Lines before it. */
  readonly lines: number
  readonly timeUs: number
  readonly hash: string
}

export interface TraceOptions {
  readonly checkpointEvery?: number
  readonly listener?: (line: TraceLine) => void
}

const defaultCheckpointEvery = 4_096
/** Texts whose hash is remembered. Names of hosts, kinds and protocols are few; what is not pushes nothing out. */
const textsRemembered = 65_536

export class Trace {
  timeUs = 0
  event = 0
  #lines = 0
  #high = 0x9e3779b9 | 0
  #low = 0x85ebca6b | 0
  readonly #checkpointEvery: number
  readonly #checkpoints: Checkpoint[] = []
  readonly #listener: TraceOptions['listener']
  readonly #texts = new Map<string, number>()

  constructor({ checkpointEvery = defaultCheckpointEvery, listener }: TraceOptions = {}) {
    this.#checkpointEvery = checkpointEvery
    this.#listener = listener
  }

  get lines(): number {
    return this.#lines
  }

  get checkpoints(): readonly Checkpoint[] {
    return this.#checkpoints
  }

  /** 64 bits over all lines so far, in hexadecimal. */
  get hash(): string {
    return hex(this.#high) + hex(this.#low)
  }

  note(kind: string, at: string, about = '', amount = 0, digest = 0): void {
    const { timeUs, event } = this
    this.#mix((timeUs % 2 ** 32) | 0)
    this.#mix((timeUs / 2 ** 32) | 0)
    this.#mix(event | 0)
    this.#mix(this.#hashOf(kind))
    this.#mix(this.#hashOf(at))
    this.#mix(this.#hashOf(about))
    this.#mix(amount | 0)
    this.#mix(digest)
    const index = this.#lines++
    this.#listener?.({ index, timeUs, event, kind, at, about, amount, digest })
    if (this.#lines % this.#checkpointEvery === 0) {
      this.#checkpoints.push({ lines: this.#lines, timeUs, hash: this.hash })
    }
  }

  /** One step of a hash in two lanes, each a multiplication and a rotation that the other lane enters. */
  #mix(word: number): void {
    const high = Math.imul(this.#high ^ word, 0x9e3779b1)
    const low = Math.imul((this.#low + word) | 0, 0x85ebca77) ^ (high >>> 15)
    this.#low = (low << 13) | (low >>> 19)
    this.#high = high ^ (low >>> 16)
  }

  #hashOf(text: string): number {
    const known = this.#texts.get(text)
    if (known !== undefined) return known
    const made = textHash(text)
    if (this.#texts.size < textsRemembered) this.#texts.set(text, made)
    return made
  }
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')

/** FNV-1a over UTF-16 code units. */
export function textHash(text: string): number {
  let state = 0x811c9dc5
  for (let at = 0; at < text.length; at++) state = Math.imul(state ^ text.charCodeAt(at), 0x01000193)
  return state
}

/** Of longer content only both ends of this length count, and the length itself: an entry ends with its signature. */
const digestedBytes = 96

/** A short hash of content, for {@link Trace.note}. */
export function contentHash(content: Uint8Array | string): number {
  if (typeof content === 'string') return textHash(content)
  const { length } = content
  let state = 0x811c9dc5 ^ length
  const head = Math.min(length, digestedBytes)
  for (let at = 0; at < head; at++) state = Math.imul(state ^ (content[at] ?? 0), 0x01000193)
  for (let at = Math.max(head, length - digestedBytes); at < length; at++) {
    state = Math.imul(state ^ (content[at] ?? 0), 0x01000193)
  }
  return state
}
