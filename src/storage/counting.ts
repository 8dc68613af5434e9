import type { Registers, RegisterWrite } from '../document/documents.ts'
import type { PartRef } from './commit.ts'
import {
  additionsOf,
  charsOf,
  goneIn,
  idsIn,
  keys,
  noCounts,
  objectIn,
  type PartCounts,
  type Run,
  written,
} from './records.ts'

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

/** What all writers that a document names should have said there of a part, where that is something else. */
export function corrected(said: Registers, at: PartRef, counts: ReadonlyMap<Run, PartCounts>): RegisterWrite[] {
  const writes: RegisterWrite[] = []
  for (const { container, part, run, ...before } of additionsOf(said, at.container)) {
    if (part !== at.part) continue
    const { objects, bytes, chars, from, to } = counts.get(run) ?? noCounts
    if (before.objects === objects && before.bytes === bytes && before.chars === chars) continue
    // What was there may be deposited once more: the times stay as wide as they were.
    const record = { objects, bytes, chars, from: Math.min(before.from, from), to: Math.max(before.to, to) }
    writes.push(written(keys.count(container, part, run), record))
  }
  return writes
}
