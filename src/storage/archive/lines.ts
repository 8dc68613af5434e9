/*
 * Cuts bytes into lines without copying them. What is longer than any line that a mail program looks at comes in pieces, so
 * that a file without line ends takes no more memory than one with.
 */

/** Lines that mean something, such as boundaries, are shorter. */
const maxLineBytes = 4_096
const lineFeed = 0x0a
const carriageReturn = 0x0d

/** A line is `bytes[from…end)`, without its line end `bytes[from…textEnd)`; `isStart` unless it is a further piece of one. */
export type TakeLine = (bytes: Uint8Array, from: number, textEnd: number, end: number, isStart: boolean) => void

export class Lines {
  #rest: Uint8Array = new Uint8Array(0)
  #isStart = true
  readonly #take: TakeLine

  constructor(take: TakeLine) {
    this.#take = take
  }

  push(chunk: Uint8Array): void {
    const bytes = joined(this.#rest, chunk)
    let from = 0
    for (let feed = bytes.indexOf(lineFeed); feed >= 0; feed = bytes.indexOf(lineFeed, from)) {
      const textEnd = feed > from && bytes[feed - 1] === carriageReturn ? feed - 1 : feed
      this.#take(bytes, from, textEnd, feed + 1, this.#isStart)
      this.#isStart = true
      from = feed + 1
    }
    if (bytes.length - from > maxLineBytes) {
      const to = bytes.length - 1 // the last one may be half of a line end
      this.#take(bytes, from, to, to, this.#isStart)
      this.#isStart = false
      from = to
    }
    this.#rest = bytes.slice(from)
  }

  /** What is left has no line end. */
  end(): void {
    const rest = this.#rest
    this.#rest = new Uint8Array(0)
    if (rest.length > 0) this.#take(rest, 0, rest.length, rest.length, this.#isStart)
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  if (first.length === 0) return second
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}
