import type { StoredObject } from '../objects.ts'
import type { ArchiveLimits } from './archived.ts'
import type { ArchiveEvent } from './events.ts'
import { Lines } from './lines.ts'
import { mboxDate } from './mail-date.ts'
import { MimeReader } from './mime-reader.ts'

/*
 * The mbox format in its variant mboxrd: each message begins with a line `From …` and ends with an empty one; a line of a
 * message that begins with `From ` behind any number of `>` has one more `>`, so that no message is ever taken apart.
 */

const encoder = new TextEncoder()
const newline = 0x0a
const fromLine = /^From \S+ +\S.*\d{1,2}:\d{2}.*\d{4}/
const quotedLine = /^>+From /
const greater = 0x3e
const from = encoder.encode('From ')

/** @param message with line ends LF, the last one included */
export async function* writeMbox(object: StoredObject, message: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const sender = /^[^:]+@/.test(object.from) ? object.from : 'MAILER-DAEMON'
  yield encoder.encode(`From ${sender} ${mboxDate(object.date)}\n`)
  const out: Uint8Array[] = []
  const lines = new Lines((bytes, at, _textEnd, end, isStart) => {
    if (isStart && beginsFrom(bytes, at, end)) out.push(Uint8Array.of(greater))
    out.push(bytes.subarray(at, end))
  })
  for await (const piece of message) {
    lines.push(piece)
    if (out.length > 0) yield Buffer.concat(out.splice(0))
  }
  lines.end()
  yield Buffer.concat([...out, Uint8Array.of(newline)])
}

function beginsFrom(bytes: Uint8Array, at: number, end: number): boolean {
  let start = at
  while (bytes[start] === greater && start < end) start += 1
  return from.every((byte, index) => bytes[start + index] === byte) && start + from.length <= end
}

export async function* readMbox(bytes: AsyncIterable<Uint8Array>, limits: ArchiveLimits): AsyncGenerator<ArchiveEvent> {
  const events: ArchiveEvent[] = []
  const reader = new MboxReader(limits, event => events.push(event))
  const lines = new Lines(reader.line)
  for await (const piece of bytes) {
    lines.push(piece)
    reader.flush()
    yield* events.splice(0)
    if (reader.isOver) return
  }
  lines.end()
  reader.end()
  yield* events
}

const latin1 = new TextDecoder('latin1')

class MboxReader {
  isOver = false
  readonly #limits: ArchiveLimits
  readonly #tell: (event: ArchiveEvent) => void
  #message: MimeReader | undefined
  #messages = 0
  #messageBytes = 0
  #bytes = 0
  /** An empty line, which belongs to the message unless another begins behind it. */
  #blank: Uint8Array | undefined

  constructor(limits: ArchiveLimits, tell: (event: ArchiveEvent) => void) {
    this.#limits = limits
    this.#tell = tell
  }

  readonly line = (bytes: Uint8Array, at: number, textEnd: number, end: number, isStart: boolean): void => {
    if (this.isOver) return
    const isBehindBlank = this.#blank !== undefined || this.#messages === 0
    if (isStart && isBehindBlank && beginsMessage(bytes, at, textEnd)) {
      this.#begin()
    } else if (isStart && at === textEnd) {
      this.#passBlank()
      this.#blank = bytes.slice(at, end)
    } else if (this.#messages === 0) {
      this.#stop('not-an-archive', 'It does not begin with a line “From …”.')
    } else {
      this.#passBlank()
      const isQuoted = isStart && bytes[at] === greater && quotedLine.test(latin1.decode(bytes.subarray(at, textEnd)))
      this.#pass(bytes, isQuoted ? at + 1 : at, textEnd, end, isStart)
    }
  }

  flush(): void {
    this.#message?.flush()
  }

  end(): void {
    if (this.isOver) return
    if (this.#messages === 0 && this.#blank) this.#stop('not-an-archive', 'It has no line “From …”.')
    this.#message?.end()
  }

  #begin(): void {
    this.#message?.end()
    this.#blank = undefined
    this.#messages += 1
    this.#messageBytes = 0
    const { maxMessages } = this.#limits
    if (this.#messages > maxMessages) {
      this.#stop('too-large', `It has more than ${maxMessages} messages; split it.`)
      return
    }
    this.#message = new MimeReader(this.#tell)
    this.#tell({ kind: 'message', where: `message ${this.#messages}`, folder: '' })
  }

  #passBlank(): void {
    const blank = this.#blank
    this.#blank = undefined
    if (blank) this.#pass(blank, 0, 0, blank.length, true)
  }

  #pass(bytes: Uint8Array, at: number, textEnd: number, end: number, isStart: boolean): void {
    this.#messageBytes += end - at
    this.#bytes += end - at
    const { maxMessageBytes, maxBytes } = this.#limits
    if (this.#bytes > maxBytes) {
      this.#stop('too-large', `It has more than ${maxBytes} bytes; split it.`)
    } else if (this.#message && this.#messageBytes > maxMessageBytes) {
      this.#message.flush()
      this.#message = undefined
      this.#tell({ kind: 'refused', cause: 'too-large', reason: `It has more than ${maxMessageBytes} bytes.` })
    } else {
      this.#message?.line(bytes, at, textEnd, end, isStart)
    }
  }

  #stop(cause: 'not-an-archive' | 'too-large', reason: string): void {
    this.#message?.flush()
    this.isOver = true
    this.#tell({ kind: 'stopped', cause, reason })
  }
}

function beginsMessage(bytes: Uint8Array, at: number, textEnd: number): boolean {
  return bytes[at] === from[0] && fromLine.test(latin1.decode(bytes.subarray(at, Math.min(textEnd, at + 512))))
}
