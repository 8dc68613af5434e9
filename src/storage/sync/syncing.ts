import serialize from 'canonicalize'
import type { z } from 'zod'
import { framed, toBase64url } from '../../commands/framing.ts'
import type { Documents, Registers } from '../../document/documents.ts'
import type { Clock } from '../../ports/clock.ts'
import type { Crypto } from '../../ports/crypto.ts'
import type { Reach } from '../authority.ts'
import type { Content, ObjectName, Scope } from '../fields.ts'
import { changedIndexParts, saidOf } from '../index-parts.ts'
import type { mailboxSync } from '../methods/sync.ts'
import { isFolder, type MailboxName, mailboxDocument, partDocument } from '../names.ts'
import type { ShownObject } from '../objects.ts'
import type { StoragePolicy } from '../policy.ts'
import { asStored, type ContainerRecord, containerOf, userOf, type Vector, vectorOf } from '../records.ts'
import { refusals } from '../refusals.ts'
import { shown } from '../showing.ts'
import {
  type ChangedPart,
  type ChangedShare,
  changedContainers,
  changedIn,
  changedShares,
  inOrder,
  isComplete,
  type ObjectChange,
  reachable,
} from './changes.ts'
import { reachedAt, vectorFrom } from './horizon.ts'
import { isContainerInScope, isInScope, mayHaveLeft } from './scope.ts'
import { type Ahead, decodeCursor, decodeToken, encodeCursor, encodeToken, type SyncToken } from './token.ts'

/*
 * A synchronisation: what has changed since a token, a page at a time. Every page is computed anew from what the documents
 * say; nothing of a sync is remembered, so it goes on after a cut, and at another server.
 */

export type SyncParams = z.infer<typeof mailboxSync.params>
export type SyncPage = z.infer<typeof mailboxSync.result>

export interface SyncOptions {
  readonly documents: Pick<Documents, 'read'>
  readonly clock: Pick<Clock, 'now'>
  readonly crypto: Pick<Crypto, 'sha256'>
  readonly policy: StoragePolicy
  /** Of the caller. */
  readonly reach: Reach
}

const defaultPage = 500
/** A page ends before it is larger than a frame should be. */
const maxPageChars = 512 * 1024

interface Course {
  readonly born: string
  readonly from: SyncToken | undefined
  readonly isReset: boolean
  readonly cursor: ReturnType<typeof decodeCursor>
}

/** @throws {CommandRefused} CURSOR_OF_OTHER, USER_UNKNOWN */
export async function sync(
  name: MailboxName,
  mailbox: Registers,
  { token, cursor, scope = {}, content = 'full', limit = defaultPage }: SyncParams,
  options: SyncOptions,
): Promise<SyncPage> {
  const question = toBase64url(
    options.crypto.sha256(framed(mailboxDocument(name), serialize({ scope, content }) ?? '')).slice(0, 12),
  )
  const course = courseOf(name, mailbox, token, cursor, question, options)
  const from = course.from ? vectorFrom(mailbox, course.from.reached) : nowhere
  const begun = course.cursor && { to: vectorFrom(mailbox, course.cursor.to), isLagging: course.cursor.isLagging }
  if (begun && !knows(vectorOf(mailbox), begun.to)) throw refusals.lagging()
  const page = new Page(limit, content)

  const asked: Asked = { name, mailbox, from, scope, options }
  const foreseen = begun ? undefined : await foresee(asked)
  const { to, isLagging } = begun ?? reachable(mailbox, from, foreseen?.read ?? [])
  const after = course.cursor?.after
  const lastContainer =
    after === undefined || typeof after === 'string' ? await tellContainers(page, asked, to, after) : undefined
  const last =
    lastContainer ?? (await fill(page, asked, to, typeof after === 'string' ? undefined : after, foreseen?.shares))
  if (!options.reach.isWhole) await page.nameContainers(asked)
  const told = { kind: course.isReset ? ('reset' as const) : ('page' as const), ...page.told() }
  const { born, isReset } = course
  const issued = options.clock.now()
  const reached = reachedAt(mailbox, to, issued, options.policy)
  if (last) {
    const next = { born, from: course.from, to: reached, question, after: last, isReset, isLagging }
    return { ...told, cursor: encodeCursor(next), lagging: isLagging }
  }
  const ahead = course.from && aheadOf(to, from, course.from.ahead, issued)
  return { ...told, token: encodeToken({ born, issued, reached, ahead }), lagging: isLagging || ahead !== undefined }
}

const nowhere: Vector = new Map()

/** Whether a server that has come to `here` has heard of all that leads to `to`. */
const knows = (here: Vector, to: Vector): boolean => [...to].every(([run, n]) => n <= (here.get(run) ?? 0))

/**
 * What a client was told that this answer cannot speak of: it is told of it again, as what came instead may be older. That
 * it was told stays known, so that it is not taken for complete.
 */
function aheadOf(to: Vector, from: Vector, before: Ahead | undefined, now: number): Ahead | undefined {
  const vector = new Map<string, number>()
  for (const [run, n] of [...(before?.vector ?? []), ...from])
    if (n > (to.get(run) ?? 0)) vector.set(run, Math.max(n, vector.get(run) ?? 0))
  return vector.size > 0 ? { since: before?.since ?? now, vector } : undefined
}

function courseOf(
  name: MailboxName,
  mailbox: Registers,
  token: string | undefined,
  cursor: string | undefined,
  question: string,
  { clock, policy }: SyncOptions,
): Course {
  const born = userOf(mailbox)?.born
  if (born === undefined) throw refusals.userUnknown(name)
  if (cursor !== undefined) {
    const found = decodeCursor(cursor)
    if (found?.question !== question) throw refusals.cursorOfOther()
    if (found.isOfEarlierOrder && found.born === born)
      return { born, from: found.from, isReset: found.isReset, cursor: undefined }
    if (found.born === born) return { born, from: found.from, isReset: found.isReset, cursor: found }
    return { born, from: undefined, isReset: true, cursor: undefined }
  }
  if (token === undefined) return { born, from: undefined, isReset: false, cursor: undefined }
  const found = decodeToken(token)
  const isGood =
    found !== undefined &&
    found.born === born &&
    found.issued + policy.tokenMs > clock.now() &&
    !isLost(mailbox, found, clock.now(), policy)
  return { born, from: isGood ? found : undefined, isReset: !isGood, cursor: undefined }
}

/** Whether nobody will ever bring what the token speaks of: who had it has lost it. */
const isLost = (mailbox: Registers, { ahead }: SyncToken, now: number, { offlineMs }: StoragePolicy): boolean =>
  ahead !== undefined && ahead.since + offlineMs <= now && !knows(vectorOf(mailbox), ahead.vector)

/** So many parts are looked into before the first page, to say how far this server can tell; with more it says so on the way. */
const foreseenParts = 64

/** What a page is asked for. */
interface Asked {
  readonly name: MailboxName
  readonly mailbox: Registers
  readonly from: Vector
  readonly scope: Scope
  readonly options: SyncOptions
}

const isWanted = ({ mailbox, scope }: Asked, { container }: ChangedPart): boolean =>
  isContainerInScope(container, scope) && !containerOf(mailbox, container)?.gone

/** What has changed, and what of it is here; `undefined` if it is too much to be looked into at once. */
interface Foreseen {
  readonly shares: readonly ChangedShare[]
  readonly read: readonly { readonly at: Pick<ChangedPart, 'writers'>; readonly content: Registers }[]
}

async function foresee(asked: Asked): Promise<Foreseen | undefined> {
  const { name, mailbox, from, options } = asked
  const { documents } = options
  const shares: ChangedShare[] = []
  const parts: ChangedPart[] = []
  if (changedIndexParts(mailbox, from).length > foreseenParts) return undefined
  for await (const share of changedShares(name, mailbox, from, documents)) {
    shares.push(share)
    parts.push(...share.parts.filter(part => isWanted(asked, part)))
    if (parts.length > foreseenParts) return undefined
  }
  const read: Foreseen['read'][number][] = shares.flatMap(({ index }) => index ?? [])
  for (const at of parts) read.push({ at, content: await documents.read(partDocument(name, at.container, at.part)) })
  return { shares, read }
}

/**
 * Tells of containers, in order, before any of what is in them; answers the last one, if there are more. Who sees
 * some objects only is told of the containers of those, with them: with whom else there are conversations is not for it.
 */
async function tellContainers(
  page: Page,
  { name, mailbox, from, scope, options }: Asked,
  to: Vector,
  after: string | undefined,
): Promise<string | undefined> {
  const { isWhole } = options.reach
  let last: string | undefined
  for await (const { index, containers } of changedContainers(name, mailbox, from, options.documents, after)) {
    if (index && !isComplete(index.at, index.content, to)) throw refusals.lagging()
    for (const [container, record] of containers) {
      const [run, n] = record.o
      const isTold = isWhole || (record.gone && isFolder(container))
      if (!isTold || n > (to.get(run) ?? 0) || !isContainerInScope(container, scope)) continue
      if (page.isFullOfContainers) return last
      if (record.gone) page.vanish(container)
      else page.name(changedContainer(container, record))
      last = container
    }
  }
  return undefined
}

function changedContainer(container: string, { name, parent }: ContainerRecord): SyncPage['containers'][number] {
  const kind = isFolder(container) ? 'folder' : 'conversation'
  return { container, kind, name, ...(parent !== undefined && { parent }) }
}

/** Fills a page; answers the last object that went in, if there are more. */
async function fill(
  page: Page,
  asked: Asked,
  to: Vector,
  after: ObjectName | undefined,
  foreseen: readonly ChangedShare[] | undefined,
): Promise<ObjectName | undefined> {
  const { name, mailbox, from, scope, options } = asked
  const shares = foreseen ?? changedShares(name, mailbox, from, options.documents, after?.container)
  let last: ObjectName | undefined
  const toldOf = { scope, reach: options.reach, isFirst: from === nowhere }
  for await (const { index, parts } of shares) {
    if (index && !isComplete(index.at, index.content, to)) throw refusals.lagging()
    for (const at of parts) {
      if (!isWanted(asked, at) || (after && inOrder(at, after) < 0)) continue
      const content = await options.documents.read(partDocument(name, at.container, at.part))
      if (!isComplete(at, content, to)) throw refusals.lagging()
      const isSame = after !== undefined && inOrder(at, after) === 0
      for (const change of changedIn(content, from, to, isSame ? after.id : '')) {
        const object = { container: at.container, part: at.part, id: change.id }
        const tell = telling(object, change, toldOf)
        if (!tell) continue
        if (page.isFull) return last
        tell(page)
        last = object
      }
    }
  }
  return undefined
}

/** How a page tells of a change; `undefined`: not at all. Who begins has nothing that could be gone, or leave. */
function telling(
  name: ObjectName,
  change: ObjectChange,
  { scope, reach, isFirst }: { readonly scope: Scope; readonly reach: Reach; readonly isFirst: boolean },
): ((page: Page) => void) | undefined {
  if (change.kind === 'gone') {
    const { to } = change.gone
    return isFirst ? undefined : page => page.vanished.push({ ...name, ...(to && { to }) })
  }
  const object = asStored(change.object, name, change.flags)
  if (!reach.sees(object)) return undefined
  if (isInScope(object, scope)) return page => page.add(change.kind, object)
  // What a client never had does not leave.
  if (isFirst || !change.isFlagged || !mayHaveLeft(object, scope)) return undefined
  return page => page.left.push({ ...name, flags: object.flags })
}

/** One page, as far as it is filled. */
class Page {
  readonly #limit: number
  readonly #content: Content
  readonly created: ShownObject[] = []
  readonly changed: ShownObject[] = []
  readonly left: SyncPage['left'] = []
  readonly vanished: SyncPage['vanished'] = []
  readonly containers: SyncPage['containers'] = []
  readonly vanishedContainers: string[] = []
  #chars = 0

  constructor(limit: number, content: Content) {
    this.#limit = limit
    this.#content = content
  }

  get isFull(): boolean {
    const { created, changed, left, vanished } = this
    const objects = created.length + changed.length + left.length + vanished.length
    return objects >= this.#limit || this.#chars >= maxPageChars
  }

  get isFullOfContainers(): boolean {
    const { containers, vanishedContainers } = this
    return containers.length + vanishedContainers.length >= this.#limit || this.#chars >= maxPageChars
  }

  name(container: SyncPage['containers'][number]): void {
    this.#chars += 128 + container.container.length + container.name.length
    this.containers.push(container)
  }

  vanish(container: string): void {
    this.#chars += container.length
    this.vanishedContainers.push(container)
  }

  add(kind: 'created' | 'changed', object: Parameters<typeof shown>[0]): void {
    const given = shown(object, this.#content)
    // Names, headers and flags, and what is of any length.
    this.#chars += 512 + (('text' in given && given.text?.length) || 0)
    this[kind].push(given)
  }

  /** Says what the containers of the page's objects are called. */
  async nameContainers({ name, mailbox, options }: Asked): Promise<void> {
    for (const container of new Set([...this.created, ...this.changed].map(({ container }) => container))) {
      const record = containerOf(await saidOf(name, mailbox, container, options.documents), container)
      if (record && !record.gone) this.containers.push(changedContainer(container, record))
    }
  }

  told() {
    const { created, changed, left, vanished, containers, vanishedContainers } = this
    return { created, changed, left, vanished, containers, vanishedContainers }
  }
}
