import { z } from 'zod'
import { segment } from '../commands/fields.ts'
import { commandRefusals as refusals } from '../commands/refusals.ts'
import type { Documents } from '../document/documents.ts'
import { parseDocumentId } from '../document/names.ts'
import type { CommandHandler, Federation } from '../federation/federation.ts'
import type { Cancel, Clock } from '../ports/clock.ts'
import type { IndexRecord } from '../ports/log-store.ts'
import type { DocumentId, LogId, OperatorId, ServerId } from '../ports/names.ts'
import type { Telemetry } from '../ports/telemetry.ts'
import type { MailboxGrants } from './entitlement.ts'
import { mailboxDocument } from './names.ts'
import { grantsOf, isLiving } from './records.ts'

/*
 * Whether grants still stand by which mailboxes of other operators are held here. A revoked grant is a register of the mailbox
 * document, of which the grantee is sent nothing any more: who was away then would hold what it has until the grant's time is up. So it
 * asks the home operator whenever a link comes up, and each hour. The answer follows from the documents alone: a server that has
 * all that the asker has of the mailbox document, and finds no grant in it, knows that there is none; one that lacks something says nothing.
 */

/** No method of clients. */
export const standingMethod = 'server.grantsStanding'

const askEveryMs = 3_600_000
/** Mailboxes in one question, and logs of each: a document has fewer, as every compaction ends the earlier ones. */
const askedAtOnce = 64
const maxLogs = 64

const held = z.strictObject({
  user: segment,
  /** How far the asker has come in each log of the mailbox document. Their names are random: who knows none was never given any. */
  heads: z
    .array(z.tuple([z.string().max(64), z.int().min(1)]))
    .min(1)
    .max(maxLogs),
})
const question = z.strictObject({ held: z.array(held).max(askedAtOnce) })
/** Users in whose mailboxes the asker has no grant any more. */
const answer = z.object({ ended: z.array(z.string()).max(askedAtOnce) })
type Held = z.infer<typeof held>

export interface Standing {
  join(federation: Federation): void
  stop(): void
}

export function createStanding(options: {
  readonly self: OperatorId
  readonly grants: Pick<MailboxGrants, 'heldOf' | 'end'>
  readonly documents: Pick<Documents, 'index' | 'read'>
  readonly clock: Clock
  readonly telemetry: Telemetry
}): Standing {
  const { self, grants, documents, clock, telemetry } = options
  let cancel: Cancel = () => {}
  let unsubscribe: Cancel = () => {}
  let isStopped = false

  async function ask(federation: Federation, server: ServerId, operator: OperatorId): Promise<void> {
    const mailboxes = grants.heldOf(operator)
    for (let at = 0; at < mailboxes.length && !isStopped; at += askedAtOnce)
      await askFor(federation, server, mailboxes.slice(at, at + askedAtOnce))
  }

  async function askFor(federation: Federation, server: ServerId, mailboxes: readonly DocumentId[]): Promise<void> {
    const byUser = new Map(mailboxes.map(mailbox => [userIn(mailbox), mailbox]))
    const asked: Held[] = []
    for (const [user, mailbox] of byUser) {
      const heads = headsOf(await documents.index(mailbox))
      if (heads.length > 0 && heads.length <= maxLogs) asked.push({ user, heads })
    }
    const said = await federation.requestAt(server, { method: standingMethod, params: { held: asked } })
    const parsed = said.ok ? answer.safeParse(said.value) : undefined
    for (const user of parsed?.data?.ended ?? []) {
      const mailbox = byUser.get(user)
      if (!mailbox) continue
      telemetry.log('info', 'storage.grant.ended', { document: mailbox })
      await grants.end(mailbox)
    }
  }

  function askInBackground(federation: Federation, server: ServerId, operator: OperatorId): void {
    if (operator === self) return
    ask(federation, server, operator).catch(error => {
      telemetry.log('warn', 'storage.grant.not-asked', { operator, message: String(error) })
    })
  }

  /** One of the servers of each operator that there is a link to. */
  function askEach(federation: Federation): void {
    const servers = new Map(
      federation.links().map(({ operator, server, state }) => [state === 'up' ? operator : self, server]),
    )
    for (const [operator, server] of servers) askInBackground(federation, server, operator)
    cancel = clock.after(askEveryMs, () => askEach(federation))
  }

  return {
    join(federation) {
      federation.handle(standingMethod, standingHandler({ self, documents, clock }))
      unsubscribe = federation.subscribe(({ type, server, operator }) => {
        if (type === 'up') askInBackground(federation, server, operator)
      })
      cancel = clock.after(askEveryMs, () => askEach(federation))
    },

    stop() {
      isStopped = true
      unsubscribe()
      cancel()
    },
  }
}

/** Answers about mailboxes of this operator, to whoever asks of its own grants. */
function standingHandler(options: {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'index' | 'read'>
  readonly clock: Pick<Clock, 'now'>
}): CommandHandler {
  const { self, documents, clock } = options

  async function hasEnded({ user, heads }: Held, grantee: OperatorId): Promise<boolean> {
    const mailbox = mailboxDocument({ operator: self, user })
    const index = await documents.index(mailbox)
    if (!index || !holdsAll(index, heads)) return false
    const content = await documents.read(mailbox)
    const isGranted = ({ operator, expires }: { readonly operator: OperatorId; readonly expires: number }) =>
      operator === grantee && expires > clock.now()
    return !isLiving(content) || ![...grantsOf(content)].some(isGranted)
  }

  return async ({ params }, from) => {
    const { success, data } = question.safeParse(params)
    if (!success) throw refusals.malformed(`${standingMethod} takes users, with how far each mailbox is held.`)
    const ended: string[] = []
    for (const one of data.held) if (await hasEnded(one, from.operator)) ended.push(one.user)
    return { ok: true, value: { ended } }
  }
}

const headsOf = (index: IndexRecord | undefined): [log: LogId, length: number][] =>
  (index?.heads ?? []).filter(({ length }) => length > 0).map(({ log, length }) => [log, length])

/** Whether all that another has is here too, or was copied and dropped. */
const holdsAll = ({ heads, superseded }: IndexRecord, others: Held['heads']): boolean =>
  others.every(
    ([log, length]) =>
      heads.some(head => head.log === log && head.length >= length) ||
      superseded.some(dead => dead.log === log && dead.seq >= length - 1),
  )

function userIn(mailbox: DocumentId): string {
  const name = parseDocumentId(mailbox)
  if (name.kind !== 'mailbox') throw new Error(`${mailbox} is no mailbox.`)
  return name.user
}
