import type { z } from 'zod'
import type { Clock } from '../../ports/clock.ts'
import type { ServerId } from '../../ports/names.ts'
import type { ReplicaWrite } from '../../ports/replica-store.ts'
import type { Content, ObjectName } from '../../storage/fields.ts'
import type { Outcome } from '../../storage/methods/objects.ts'
import { mailboxSync } from '../../storage/methods/sync.ts'
import type { MailboxName } from '../../storage/names.ts'
import { CommandPending, RequestRefused } from '../errors.ts'
import { isForGood } from '../patience.ts'
import type { Session } from '../session.ts'
import { complete } from './complete.ts'
import type { Refusal, Tell } from './events.ts'
import { type LocalChange, objectsOf, tellingOf } from './local-changes.ts'
import { isRicher } from './objects.ts'
import type { Pending } from './pending.ts'
import { type Applied, nameOf, type Replica } from './replica.ts'
import { keys } from './replica-state.ts'

/*
 * One synchronisation: first the server is told what the user has done here, then it tells what has changed. What comes is
 * kept page by page with the place where the next one begins, so that it goes on there after a cut, at whichever server. In the
 * end what came with less than is wanted now is completed.
 *
 * A change is forgotten when a sync has ended that began, at the server which took it, after it was taken: only then does
 * what servers tell hold it. If another server is there before, it is told the change as well. Nor is a refusal final before;
 * and that something is unknown is not, while this device knows it: that server has not heard of it yet.
 */

export interface SyncOptions {
  readonly session: Session
  /** The way for commands: as `session`, or with a proof for the home operator. */
  readonly commands: Pick<Session, 'call'>
  /** It is another operator's servers that pass them on: what they tell holds them a little later. */
  readonly arePassedOn: boolean
  readonly clock: Pick<Clock, 'elapsed'>
  readonly mailbox: MailboxName
  readonly device: string
  /** How much of each object, now: asked before each page. */
  readonly content: () => Content
  /** Objects in one page. */
  readonly pageSize: number
  readonly replica: Replica
  readonly pending: Pending
  readonly taken: Taken
  readonly turn: <T>(work: () => Promise<T>) => Promise<T>
  readonly tell: Tell
}

/** Changes that a server has answered to; lives as long as the store is open. */
export type Taken = Map<LocalChange, Taking>

interface Taking {
  readonly server: ServerId
  /** Before then what the server tells may not hold it. */
  readonly settledMs: number
  /** Where it has put things. */
  readonly placed: readonly ObjectName[]
  readonly refusals: readonly Refusal[]
}

export interface SyncResult {
  /** Objects that came, and pages in which they came. */
  readonly received: number
  readonly pages: number
  /** Objects that were here in part, and are complete now. */
  readonly completed: number
  /** The server does not have everything yet that it knows of. */
  readonly isLagging: boolean
  /** A change that the home operator cannot take now, and why; it waits, with those after it. */
  readonly held: Error | undefined
  /** Changes that a server has, and does not tell of yet. */
  readonly isSettled: boolean
}

/** What another operator has decided is here after so long, if all goes well; later it shows with the next sync. */
const passedOnMs = 2_000
/** So many flag changes are told at once: they carry their times, so that their order is no matter. */
const atOnce = 16

/** @throws what calls and the store throw; what was done by then is kept, and the next one goes on from there */
export async function synchronise(options: SyncOptions): Promise<SyncResult> {
  const held = await tellChanges(options)
  await gaveUpCourse(options)
  const resumed = options.replica.state.course ? await pull(options) : undefined
  const { received, pages, isLagging } = await pull(options)
  return {
    received: received + (resumed?.received ?? 0),
    pages: pages + (resumed?.pages ?? 0),
    completed: await complete(options),
    isLagging,
    held,
    isSettled: options.taken.size === 0,
  }
}

/** @returns why not all could be told */
async function tellChanges(options: SyncOptions): Promise<Error | undefined> {
  const { pending, taken, session } = options
  const isTakenHere = (change: LocalChange) => {
    const server = serverOf(session)
    return server !== undefined && taken.get(change)?.server === server
  }
  for (const group of groupsOf(pending.changes.filter(change => !isTakenHere(change)))) {
    const outcomes = await Promise.allSettled(group.map(change => tellChange(options, change)))
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    const held = outcomes.find(outcome => outcome.status === 'fulfilled' && outcome.value)
    if (held?.status === 'fulfilled') return held.value
  }
  return undefined
}

/** Flag changes that follow one another go together, everything else alone. */
function* groupsOf(changes: readonly LocalChange[]): Generator<readonly LocalChange[]> {
  let group: LocalChange[] = []
  for (const change of changes) {
    const fits = change.kind === 'flag' && group.every(({ kind }) => kind === 'flag') && group.length < atOnce
    if (!fits && group.length > 0) {
      yield group
      group = []
    }
    group.push(change)
  }
  if (group.length > 0) yield group
}

/** @returns why it has to wait, if it has to */
async function tellChange(options: SyncOptions, change: LocalChange): Promise<Error | undefined> {
  const { session, commands, arePassedOn, clock, mailbox, device, taken } = options
  const say = tellingOf(change, mailbox, device, await whereNow(options, change))
  const before = serverOf(session)
  const take = (placed: readonly ObjectName[], refusals: readonly Refusal[]): undefined => {
    const server = serverOf(session)
    if (server === undefined || server !== before) return
    taken.set(change, { server, settledMs: clock.elapsed() + (arePassedOn ? passedOnMs : 0), placed, refusals })
  }
  try {
    const { outcomes, placed } = await say(commands)
    return take(placed, refusalsIn(outcomes))
  } catch (error) {
    if (error instanceof CommandPending) return error
    if (!(error instanceof RequestRefused)) throw error
    return isForGood(error) ? take([], [{ of: 'change', error }]) : error
  }
}

const refusalsIn = (outcomes: readonly Outcome[]): readonly Refusal[] =>
  outcomes.filter(({ code }) => code >= 400).map(({ id, code, reason }) => ({ of: 'object', id, status: code, reason }))

/** Where the objects of a change lie now: where they did, or were put, or were told to be. */
async function whereNow({ replica, taken, turn }: SyncOptions, change: LocalChange): Promise<readonly ObjectName[]> {
  const objects = objectsOf(change)
  const told = Map.groupBy(await turn(() => replica.objects(objects.map(({ id }) => id))), ({ id }) => id)
  const placed = new Map([...taken.values()].flatMap(({ placed }) => placed.map(name => [name.id, name])))
  return objects.map(name => {
    const known = told.get(name.id) ?? []
    const here = known.find(({ container }) => container === name.container)
    return nameOf(here ?? placed.get(name.id) ?? known[0] ?? name)
  })
}

const removals = (changes: readonly LocalChange[]): ReplicaWrite[] =>
  changes.map(({ seq }) => ({ key: keys.change(seq), value: undefined }))

const serverOf = ({ state }: Session): ServerId | undefined => (state.kind === 'connected' ? state.server : undefined)

type SyncPage = z.infer<typeof mailboxSync.result>

interface Pulled {
  readonly received: number
  readonly pages: number
  readonly isLagging: boolean
}

/** Asks for pages until there are no more. */
async function pull(options: SyncOptions): Promise<Pulled> {
  const { replica, session, clock, tell } = options
  const isResumed = replica.state.course !== undefined
  const [server, beganMs] = [serverOf(session), clock.elapsed()]
  let isOfServer = !isResumed && server !== undefined
  let received = 0
  for (let pages = 1; ; pages++) {
    const { page, content } = await ask(options)
    isOfServer &&= pages > 1 || serverOf(session) === server
    const isLast = page.cursor === undefined
    const answered = isLast && isOfServer ? answeredBy(options, server, beganMs) : []
    await takeIn(options, page, content, answered)
    received += page.created.length + page.changed.length
    tell({ kind: 'sync.progress', received, pages })
    if (isLast) return { received, pages, isLagging: page.lagging }
    if (await gaveUpCourse(options)) {
      const rest = await pull(options)
      return { ...rest, received: received + rest.received, pages: pages + rest.pages }
    }
  }
}

/** What was begun where data costs nothing is not gone on with where it does: the sync begins again, with less. */
async function gaveUpCourse({ replica, content, turn }: SyncOptions): Promise<boolean> {
  const { course } = replica.state
  if (!course || !isRicher(course.content, content())) return false
  await turn(() => replica.write({ course: undefined }))
  return true
}

/** Changes that this server had answered to before it told what has changed. */
const answeredBy = ({ pending, taken }: SyncOptions, server: ServerId | undefined, beganMs: number) =>
  pending.changes.filter(change => {
    const taking = taken.get(change)
    return taking?.server === server && taking !== undefined && taking.settledMs <= beganMs
  })

/** Keeps what a page tells, with where the next one begins. */
async function takeIn(
  options: SyncOptions,
  page: SyncPage,
  asked: Content,
  answered: readonly LocalChange[],
): Promise<void> {
  const { replica, taken, turn, tell } = options
  const { state } = replica
  const isReset = page.kind === 'reset'
  const beginsAnew = isReset && state.course?.isReset !== true
  const beginsFull = beginsAnew || (!state.course && state.token === undefined)
  const isFull = beginsFull || state.course?.isFull === true
  if (beginsAnew) tell({ kind: 'reset' })
  const generation = beginsFull ? state.generation + 1 : state.generation
  const { cursor, token } = page
  const content = state.course?.content ?? asked
  const refused = answered.filter(change => taken.get(change)?.refusals.length)
  const ended = answered.filter(change => !refused.includes(change))

  await turn(async () => {
    let applied: Applied
    if (cursor !== undefined)
      applied = await replica.apply(page, { generation, course: { cursor, content, isFull, isReset } })
    else if (!isFull) applied = await replica.apply(page, { course: undefined, token }, removals(ended))
    else {
      // Kept with the place where this page began: until what did not come is gone, it is not the end.
      const last = await replica.apply(page, { generation })
      applied = together(last, await replica.sweep({ course: undefined, token }, removals(ended)))
    }
    forget(options, ended)
    const isNews = ended.length > 0 || Object.values(applied).some(({ length }) => length > 0)
    if (isNews) tell({ kind: 'changed', ...applied })
    for (const change of refused) await takeBack(options, change, page.lagging)
  })
}

function forget({ pending, taken }: SyncOptions, changes: readonly LocalChange[]): void {
  if (changes.length === 0) return
  pending.forget(new Set(changes))
  for (const change of changes) taken.delete(change)
}

/** A change that was refused will never be; unless the server lags: then it, or another one, is told again. */
async function takeBack(options: SyncOptions, change: LocalChange, isLagging: boolean): Promise<void> {
  const { replica, taken, tell } = options
  const refusals = taken.get(change)?.refusals ?? []
  if (isLagging || (await areKnownHere(replica, change, refusals))) {
    taken.delete(change)
    return
  }
  await replica.write({}, removals([change]))
  forget(options, [change])
  for (const why of refusals) if (!isMoot(change, why)) tell({ kind: 'refused', change, why })
  tell({ kind: 'changed', ...nothing })
}

/** Whether something of what a server did not know is known to this device. */
async function areKnownHere(replica: Replica, change: LocalChange, refusals: readonly Refusal[]): Promise<boolean> {
  const unknown = refusals.filter(why => (why.of === 'change' ? why.error.status : why.status) === 404)
  if (unknown.length === 0) return false
  const ids = unknown.flatMap(why => (why.of === 'object' ? why.id : []))
  if ((await replica.objects(ids)).length > 0) return true
  const folder = change.kind === 'create-folder' ? change.parent : 'folder' in change ? change.folder : undefined
  return unknown.some(({ of }) => of === 'change') && folder !== undefined && replica.containers.has(folder)
}

const nothing: Applied = { created: [], changed: [], left: [], vanished: [], containers: [] }

/** What is gone needs no flag, and is gone. */
const isMoot = ({ kind }: LocalChange, why: Refusal): boolean =>
  why.of === 'object' && why.status === 404 && (kind === 'flag' || kind === 'expunge')

const together = (one: Applied, other: Applied): Applied => ({
  created: one.created,
  changed: one.changed,
  left: one.left,
  vanished: [...one.vanished, ...other.vanished],
  containers: [...new Set([...one.containers, ...other.containers])],
})

/** The next page: where the last one ended, or of what is new since the last sync. */
async function ask(options: SyncOptions): Promise<{ readonly page: SyncPage; readonly content: Content }> {
  const { session, mailbox, device, pageSize, replica, turn } = options
  const { course, token, scope } = replica.state
  const common = { ...mailbox, device, scope, limit: pageSize }
  const anew = async () => {
    const content = options.content()
    const since = token === undefined ? {} : { token }
    return { page: await session.call(mailboxSync, { ...common, content, ...since }), content }
  }
  if (!course) return anew()
  const { content, cursor } = course
  try {
    return { page: await session.call(mailboxSync, { ...common, content, cursor }), content }
  } catch (error) {
    if (!(error instanceof RequestRefused) || (error.status !== 400 && error.status !== 409)) throw error
    // This cursor leads nowhere any more: the sync begins again.
    await turn(() => replica.write({ course: undefined }))
    return anew()
  }
}
