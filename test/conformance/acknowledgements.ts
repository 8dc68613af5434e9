import type { SystemCall } from './system-calls.ts'

/** Something that a server has promised to keep, by answering. */
export interface Acknowledgement {
  /** For whoever reads that it was broken. */
  readonly what: string
  /** Texts that only the answer has, all of them. */
  readonly said: readonly string[]
  /** Bytes that only the stored batch has, all of them. */
  readonly stored: readonly Buffer[]
}

/** The acknowledgements that were written to a socket before what they promise was safe, each with what is wrong. */
export function broken(acknowledgements: readonly Acknowledgement[], calls: readonly SystemCall[]): string[] {
  const batches = batchesIn(calls)
  const answers = writes(calls).filter(({ target }) => target.startsWith('socket:'))

  return acknowledgements.flatMap(({ what, said, stored }) => {
    const answer = answers.find(({ data }) => said.every(text => data.includes(text)))
    if (!answer) return `${what}: no write to a socket says so.`
    const batch = batches.find(({ bytes }) => stored.every(part => bytes.includes(part)))
    if (!batch) return `${what}: nothing in the journal says so.`
    const flush = calls.find(
      ({ kind, target, began, done }) =>
        kind === 'flush' && target === batch.journal && began > batch.written && done < answer.began,
    )
    if (flush) return []
    return `${what}: acknowledged at line ${answer.began}, without a flush after line ${batch.written}, where it was written.`
  })
}

type Write = SystemCall & { readonly kind: 'write' }
const writes = (calls: readonly SystemCall[]): Write[] => calls.filter(call => call.kind === 'write')

/** What LevelDB stores or loses as one. */
interface Batch {
  /** The file's path. */
  readonly journal: string
  readonly bytes: Buffer
  /** Where in the trace all of it had been written. */
  readonly written: number
}

const journalName = /\/\d+\.log$/

function batchesIn(calls: readonly SystemCall[]): Batch[] {
  const byJournal = Map.groupBy(
    writes(calls).filter(({ target }) => journalName.test(target)),
    ({ target }) => target,
  )
  return [...byJournal].flatMap(([journal, writes]) => batchesOf(journal, writes))
}

const blockBytes = 32 * 1024
/** Checksum (4), length (2), type (1). */
const headerBytes = 7
/** Types of fragments that end a batch: all of it, or its last part. */
const whole = 1
const end = 4

/** Puts together what LevelDB's journal has in fragments, none of which crosses the end of a block. */
function batchesOf(journal: string, writes: readonly Write[]): Batch[] {
  const content = Buffer.concat(writes.map(({ data }) => data))
  const batches: Batch[] = []
  let parts: Buffer[] = []
  let at = 0
  while (at + headerBytes <= content.length) {
    const left = blockBytes - (at % blockBytes)
    if (left < headerBytes) {
      at += left
      continue
    }
    const type = content[at + 6]
    const next = at + headerBytes + content.readUInt16LE(at + 4)
    parts.push(content.subarray(at + headerBytes, next))
    at = next
    if (type !== whole && type !== end) continue
    batches.push({ journal, bytes: Buffer.concat(parts), written: writtenUpTo(at, writes) })
    parts = []
  }
  return batches
}

/** Where the bytes of a file up to `offset` had all been written. */
function writtenUpTo(offset: number, writes: readonly Write[]): number {
  let from = 0
  let written = 0
  for (const { data, done } of writes) {
    if (from >= offset) break
    written = Math.max(written, done)
    from += data.length
  }
  return written
}
