import type { TakeLine } from './lines.ts'
import { MailHeaders } from './mail-headers.ts'

/*
 * Takes a message (RFC 5322, MIME of RFC 2045 and 2046) line by line and tells its heads and the bytes of its leaves, still
 * encoded, in order. It keeps the head that it is in, and the names of the boundaries around it.
 */

export type MimeEvent =
  /** A message, or a part of it, begins. A leaf has bytes; else its parts follow. */
  | { readonly kind: 'head'; readonly headers: MailHeaders; readonly isLeaf: boolean }
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array }
  /** The message is whole. */
  | { readonly kind: 'end' }
  /** The message is not read on. */
  | { readonly kind: 'refused'; readonly cause: 'truncated' | 'too-large'; readonly reason: string }

/** More than 256 addresses take. */
const maxHeadBytes = 256 * 1_024
const maxParts = 1_000
const maxDepth = 16
const maxBoundaryBytes = 200
const dash = 0x2d

/** Body lines that lie beside each other in one piece of the archive: told at once. */
interface Run {
  readonly bytes: Uint8Array
  readonly from: number
  textEnd: number
  end: number
}

export class MimeReader {
  readonly #tell: (event: MimeEvent) => void
  /** Of the multiparts around what is read, the innermost last. */
  #boundaries: Uint8Array[] = []
  #state: 'head' | 'leaf' | 'between' | 'refused' = 'head'
  #head: Uint8Array[] = []
  #headBytes = 0
  #parts = 0
  #run: Run | undefined
  /** A line end that belongs to the boundary, if one follows. */
  #heldEnd: Uint8Array | undefined

  constructor(tell: (event: MimeEvent) => void) {
    this.#tell = tell
  }

  readonly line: TakeLine = (bytes, from, textEnd, end, isStart) => {
    if (this.#state === 'refused') return
    if (isStart && bytes[from] === dash && bytes[from + 1] === dash && this.#crosses(bytes.subarray(from, textEnd)))
      return
    switch (this.#state) {
      case 'head':
        if (isStart && from === textEnd) this.#headEnds()
        else this.#headGrows(bytes.slice(from, end))
        return
      case 'leaf':
        this.#body(bytes, from, textEnd, end)
        return
      case 'between':
        return
    }
  }

  /** Tells what it has of the piece that it was given lines of. */
  flush(): void {
    const run = this.#run
    this.#run = undefined
    if (!run) return
    if (run.textEnd > run.from) this.#tell({ kind: 'bytes', bytes: run.bytes.subarray(run.from, run.textEnd) })
    this.#heldEnd = run.end > run.textEnd ? run.bytes.slice(run.textEnd, run.end) : undefined
  }

  end(): void {
    if (this.#state === 'head') this.#headEnds()
    this.flush()
    if (this.#state === 'refused') return
    if (this.#boundaries.length > 0) {
      this.#refuse('truncated', 'It ends before its last part does.')
      return
    }
    if (this.#heldEnd) this.#tell({ kind: 'bytes', bytes: this.#heldEnd })
    this.#tell({ kind: 'end' })
  }

  #refuse(cause: 'truncated' | 'too-large', reason: string): void {
    this.#state = 'refused'
    this.#tell({ kind: 'refused', cause, reason })
  }

  #headGrows(line: Uint8Array): void {
    this.#head.push(line)
    this.#headBytes += line.length
    if (this.#headBytes > maxHeadBytes) this.#refuse('too-large', `Its headers have more than ${maxHeadBytes} bytes.`)
  }

  #headEnds(): void {
    const raw = new Uint8Array(this.#headBytes)
    let at = 0
    for (const line of this.#head) {
      raw.set(line, at)
      at += line.length
    }
    this.#head = []
    this.#headBytes = 0
    const headers = new MailHeaders(raw)
    const boundary = boundaryOf(headers)
    const isLeaf = boundary === undefined
    if (boundary && this.#boundaries.push(boundary) > maxDepth) {
      this.#refuse('too-large', `Its parts lie in each other more than ${maxDepth} times.`)
      return
    }
    this.#state = isLeaf ? 'leaf' : 'between'
    this.#tell({ kind: 'head', headers, isLeaf })
  }

  /** Whether a line is one of the boundaries around; if so, what it means has happened. */
  #crosses(line: Uint8Array): boolean {
    for (let at = this.#boundaries.length - 1; at >= 0; at--) {
      const boundary = this.#boundaries[at]
      const tail = boundary && tailBehind(line, boundary)
      if (tail === undefined) continue
      if (this.#state === 'head') this.#headEnds()
      this.flush()
      this.#heldEnd = undefined
      this.#boundaries.length = tail === 'closes' ? at : at + 1
      this.#state = tail === 'closes' ? 'between' : 'head'
      if (tail === 'opens') this.#parts += 1
      if (this.#parts > maxParts) this.#refuse('too-large', `It has more than ${maxParts} parts.`)
      return true
    }
    return false
  }

  #body(bytes: Uint8Array, from: number, textEnd: number, end: number): void {
    if (this.#run?.bytes === bytes && this.#run.end === from) {
      this.#run.textEnd = textEnd
      this.#run.end = end
      return
    }
    this.flush()
    if (this.#heldEnd) this.#tell({ kind: 'bytes', bytes: this.#heldEnd })
    this.#heldEnd = undefined
    this.#run = { bytes, from, textEnd, end }
  }
}

function boundaryOf(headers: MailHeaders): Uint8Array | undefined {
  const { value, parameters } = headers.structured('Content-Type')
  const boundary = parameters.get('boundary')
  if (!value.startsWith('multipart/') || !boundary) return undefined
  const bytes = new TextEncoder().encode(boundary)
  return bytes.length <= maxBoundaryBytes ? bytes : undefined
}

function tailBehind(line: Uint8Array, boundary: Uint8Array): 'opens' | 'closes' | undefined {
  if (line.length < boundary.length + 2) return undefined
  for (const [at, byte] of boundary.entries()) if (line[at + 2] !== byte) return undefined
  const tail = new TextDecoder().decode(line.subarray(boundary.length + 2)).trimEnd()
  if (tail === '') return 'opens'
  return tail === '--' ? 'closes' : undefined
}
