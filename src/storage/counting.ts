import type { Registers } from '../document/documents.ts'
import { charsOf, goneIn, idsIn, noCounts, objectIn, type PartCounts, type Run } from './records.ts'

/* How much is in a part. */

export const together = (a: PartCounts, b: PartCounts): PartCounts => ({
  objects: a.objects + b.objects,
  bytes: a.bytes + b.bytes,
  chars: a.chars + b.chars,
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
})

/** What each writer has stored that is still there. */
export function countsOf(content: Registers): Map<Run, PartCounts> {
  const counts = new Map<Run, PartCounts>()
  for (const id of idsIn(content)) {
    const object = objectIn(content, id)
    if (!object || goneIn(content, id)) continue
    const [run] = object.o
    const { size: bytes, date } = object
    const more = { objects: 1, bytes, chars: charsOf(content, id), from: date, to: date }
    counts.set(run, together(counts.get(run) ?? noCounts, more))
  }
  return counts
}
