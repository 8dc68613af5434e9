import type { Documents, Registers } from '../../document/documents.ts'
import type { IndexChange } from '../../ports/search-index.ts'
import { totalOf } from '../commit.ts'
import type { ObjectName } from '../fields.ts'
import { type MailboxName, partDocument } from '../names.ts'
import { asStored, completeTo, containerOf, foldersIn, userOf, type Vector, vectorOf } from '../records.ts'
import { type ChangedPart, changedIn, changedShares, inOrder, type ObjectChange } from '../sync/changes.ts'
import { indexed } from './indexed.ts'
import { type Position, pastAll, type Round } from './position.ts'

/*
 * One step of an index after its mailbox: some objects with a change that the index does not have, and where it stands with
 * them.
 *
 * A round goes through the parts that have changed, in order, a step at a time. What it puts in is what there is when it
 * comes by; what changes behind it belongs to the next round, as the round's end was fixed when it began. To put in something
 * twice does no harm.
 */

export interface Step {
  readonly changes: readonly IndexChange[]
  readonly position: Position
  /** Whether this server has not received something that the round was to put in. */
  readonly isLagging: boolean
}

/** Of one step: few enough that others wait briefly, enough that a commit of the index is worth it. */
const objectsPerStep = 500
const partsPerStep = 32

/** `position`: where the index of this life of the mailbox stands; `undefined`: it is new. */
export async function nextStep(
  name: MailboxName,
  mailbox: Registers,
  position: Position | undefined,
  { documents, now }: { readonly documents: Pick<Documents, 'read'>; readonly now: number },
): Promise<Step> {
  const from = position?.from ?? new Map<string, number>()
  const begun = position?.round
  const round: Round = begun ?? { to: vectorOf(mailbox), isLagging: false, after: undefined, done: 0 }
  const changes = begun ? [] : goneContainers(mailbox, from)
  const walked = await walk(name, mailbox, from, round, documents)
  const born = userOf(mailbox)?.born ?? ''
  const at = position?.at ?? now
  return {
    changes: [...changes, ...walked.changes],
    isLagging: walked.round.isLagging,
    position: walked.isThrough
      ? { born, at: now, from: walked.round.to, round: undefined }
      : { born, at, from, round: walked.round },
  }
}

/** Folders that were removed take with them what lay in them. */
function goneContainers(mailbox: Registers, from: Vector): IndexChange[] {
  return [...foldersIn(mailbox)].flatMap(
    ([
      container,
      {
        gone,
        o: [run, n],
      },
    ]) => (gone && n > (from.get(run) ?? 0) ? [{ kind: 'remove-container', container } as const] : []),
  )
}

interface Walked {
  readonly changes: readonly IndexChange[]
  readonly round: Round
  readonly isThrough: boolean
}

async function walk(
  name: MailboxName,
  mailbox: Registers,
  from: Vector,
  round: Round,
  documents: Pick<Documents, 'read'>,
): Promise<Walked> {
  const changes: IndexChange[] = []
  const to = new Map(round.to)
  let { after, isLagging } = round
  const walked = (isThrough: boolean): Walked => ({
    changes,
    round: { to, isLagging, after, done: round.done + changes.length },
    isThrough,
  })
  let passed = 0
  for await (const { index, parts } of changedShares(name, mailbox, from, documents, after?.container)) {
    if (index) isLagging = lowered(to, index.at, index.content, from) || isLagging
    for (const part of parts) {
      if ((round.after && inOrder(part, round.after) < 0) || containerOf(mailbox, part.container)?.gone) continue
      if (passed++ === partsPerStep) return walked(false)
      const content = await documents.read(partDocument(name, part.container, part.part))
      isLagging = lowered(to, part, content, from) || isLagging
      const last = round.after && inOrder(part, round.after) === 0 ? round.after.id : ''
      for (const change of changesIn(part, content, from, last)) {
        if (changes.length === objectsPerStep) return walked(false)
        after = { container: part.container, part: part.part, id: change.id }
        changes.push(indexChange(change, after))
      }
      after = { container: part.container, part: part.part, id: pastAll }
    }
  }
  return walked(true)
}

function indexChange(change: ObjectChange, place: ObjectName): IndexChange {
  switch (change.kind) {
    case 'gone':
      return { kind: 'remove', place }
    case 'changed':
      return { kind: 'flags', place, flags: change.flags }
    case 'created':
      return { kind: 'put', object: indexed(asStored(change.object, place, change.flags)) }
  }
}

/** What its writers have done in a part beyond `from`, however far: also what they did after the round began. */
const changesIn = ({ writers }: ChangedPart, content: Registers, from: Vector, after: string) =>
  changedIn(content, from, new Map([...writers.keys()].map(run => [run, Number.POSITIVE_INFINITY])), after)

/** A part, or an index part, that is still on its way here: a round that goes past it has less of its writers than it wanted. */
function lowered(
  to: Map<string, number>,
  { writers }: Pick<ChangedPart, 'writers'>,
  content: Registers,
  from: Vector,
): boolean {
  let isLowered = false
  for (const [run, n] of writers) {
    const wanted = Math.min(n, to.get(run) ?? 0)
    const complete = completeTo(content, run)
    if (complete >= wanted) continue
    to.set(run, Math.max(complete, from.get(run) ?? 0))
    isLowered = true
  }
  return isLowered
}

/** Objects that a mailbox says it holds: for progress, so not to the last one. */
export const objectsIn = (mailbox: Registers): number => totalOf(mailbox).objects
