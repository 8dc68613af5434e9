import { z } from 'zod'
import { asJson } from '../../commands/plain.ts'
import type { Documents, Json, Registers } from '../../document/documents.ts'
import { documentId } from '../../document/names.ts'
import { Allowances } from '../../federation/allowances.ts'
import type { Command } from '../../federation/command.ts'
import type { CommandHandler } from '../../federation/federation.ts'
import type { Clock } from '../../ports/clock.ts'
import type { KeySource } from '../../ports/key-source.ts'
import type { DocumentId, OperatorId } from '../../ports/names.ts'
import { asRefusal } from '../dispatch.ts'
import type { Notices } from '../notices/notices.ts'
import { refusals } from '../refusals.ts'
import { deliverMethod, type Letter, letter } from './letter.ts'
import { type InvitationLimits, longestInvitationMs } from './limits.ts'
import { type PnInvitationsParams, type PnInvitationsResult, pnInvitations, pnInvited } from './methods.ts'
import { invitationRefusals } from './refusals.ts'

/*
 * The invitations that an operator's own subscribers have: one document for each who was ever invited,
 * `invitations/<operator>/<identity>`, which only that operator's servers hold. So an invitee sees them at any of these,
 * also where its operator knows nothing else of the PN.
 *
 * What lies there came from other operators, who may be a nuisance: each may bring so many a second, only for PNs of its
 * own, to subscribers that there are, and so many at once to any of them, for thirty days at most. Whether an invitation still holds, its home says
 * when it is answered.
 */

export interface Inbox {
  /** Takes a letter of this operator's own. @throws {CommandRefused} 404, 409, 503 */
  take(letter: Letter): Promise<void>
  /** Takes those that other operators bring. */
  readonly receive: CommandHandler
  readonly query: Command<PnInvitationsParams, PnInvitationsResult>
}

export interface InboxOptions {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'read' | 'write'>
  readonly keys: KeySource
  readonly notices: Notices
  readonly clock: Clock
  readonly limits: InvitationLimits
}

const inboxOf = (owner: OperatorId, user: string): DocumentId => documentId({ kind: 'invitations', owner, user })
const keyOf = ({ home, pnId, invitation }: Letter): string => `invitation/${home}/${pnId}/${invitation}`
const opened = letter.omit({ identity: true, state: true })

export function createInbox({ self, documents, keys, notices, clock, limits }: InboxOptions): Inbox {
  const ofOperators = new Allowances(clock, limits.lettersPerSecond, limits.lettersBurst)

  async function take(given: Letter): Promise<void> {
    const pne = { operator: self, pneId: given.identity }
    const subscriber = await keys.find(given.identity).catch(() => {
      throw refusals.keySource()
    })
    if (!subscriber) throw refusals.pneUnknown(pne)
    const isNew = await documents
      .write(inboxOf(self, given.identity), (registers, now) => {
        const writes = filed(given, registers, now, limits, () => invitationRefusals.inboxFull(pne))
        return { writes, answer: writes.some(({ key }) => key === keyOf(given)) }
      })
      .catch(asRefusal)
    const { home, pnId, invitation, identity } = given
    if (isNew) notices.tell({ operator: self, identity }, pnInvited, { home, pnId, invitation })
  }

  return {
    take,

    async receive({ params }, from) {
      const waitMs = ofOperators.take(from.operator)
      if (waitMs > 0) throw refusals.tooManyOfOperator(waitMs)
      const parsed = letter.safeParse(params)
      if (!parsed.success) throw refusals.malformed(`What ${deliverMethod} takes is an invitation.`)
      if (parsed.data.home !== from.operator) {
        throw refusals.notAuthorised(`${from.operator} invites to its own Personal Networks only.`)
      }
      await take(parsed.data)
      return { ok: true, value: {} }
    },

    query: {
      spec: pnInvitations,
      async execute(_, { operator, identity }) {
        if (operator !== self) throw refusals.elsewhere(operator)
        const registers = await documents.read(inboxOf(self, identity))
        return { invitations: openIn(registers, clock.now()) }
      },
    },
  }
}

/** What files a letter, and clears away what has expired. What was closed stays closed. @throws what `full` makes */
function filed(given: Letter, registers: Registers, now: number, limits: InvitationLimits, full: () => Error) {
  const expired = [...registers.entries('invitation/')].flatMap(([key, { value }]) =>
    value !== null && endOf(value) <= now ? [{ key, value: null }] : [],
  )
  const key = keyOf(given)
  const present = registers.get(key)?.value
  const { identity: _, state, ...shown } = given
  const expires = Math.min(given.expires, now + longestInvitationMs)
  if (expires <= now || isClosed(present)) return expired
  if (state === 'closed') return [...expired, { key, value: { expires, closed: true } }]
  if (present !== undefined && present !== null) return expired

  const open = openIn(registers, now)
  const ofThisHome = open.filter(({ home }) => home === given.home)
  if (open.length >= limits.maxOpen || ofThisHome.length >= limits.maxOpenFromOne) throw full()
  const value = asJson({ ...shown, expires })
  return [...expired, { key, value }]
}

const ended = z.object({ expires: z.number() })
const closed = z.object({ closed: z.literal(true) })
const endOf = (value: Json): number => ended.safeParse(value).data?.expires ?? 0
const isClosed = (value: Json | undefined): boolean => closed.safeParse(value).success

const openIn = (registers: Registers, now: number): PnInvitationsResult['invitations'] =>
  [...registers.entries('invitation/')].flatMap(([, { value }]) => {
    const parsed = opened.safeParse(value)
    return parsed.success && now < parsed.data.expires ? [parsed.data] : []
  })
