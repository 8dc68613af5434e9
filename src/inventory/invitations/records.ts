import { z } from 'zod'
import { asJson } from '../../commands/plain.ts'
import type { Json, Register, Registers } from '../../document/documents.ts'
import { isSegment } from '../../document/names.ts'
import { isOperatorId, type OperatorId } from '../../ports/names.ts'
import type { Pne } from '../fields.ts'
import { invitationRole } from './methods.ts'

/*
 * What the home document says of invitations:
 *
 *   invitation/<id>          who is invited as what, until when; and whether that was withdrawn
 *   invitation-answer/<id>   what the invitee has said
 *
 * An answer is a register of its own and counts once it is there: an invitation that was accepted at one server and
 * withdrawn at another, which did not know, was accepted. The message that goes with an invitation is for the invitee
 * alone, and is not here.
 */

const time = z.int().min(0).max(8.64e15)
const epoch = z.int().min(1)
const command = z.string().min(1).max(64)
const invitationRecord = z.object({
  epoch,
  operator: z.custom<OperatorId>(value => typeof value === 'string' && isOperatorId(value)),
  identity: z.string().refine(isSegment),
  role: invitationRole,
  by: z.string().min(1).max(400),
  expires: time,
  state: z.enum(['open', 'withdrawn']),
  /** The last command on it: by it a repetition is known. */
  command,
})
const answerRecord = z.object({ epoch, answer: z.enum(['accepted', 'declined']), command })

export type InvitationRecord = z.infer<typeof invitationRecord>
export type AnswerRecord = z.infer<typeof answerRecord>

export const invitationKeys = {
  invitation: (id: string) => `invitation/${id}`,
  answer: (id: string) => `invitation-answer/${id}`,
} as const

/** One invitation at one moment. */
export interface Invitation {
  readonly id: string
  readonly record: InvitationRecord
  readonly answer: AnswerRecord | undefined
  readonly state: 'open' | 'withdrawn' | 'expired' | 'accepted' | 'declined'
}

/** The invitation of an epoch, if there is one. Never throws for what the document contains. */
export function invitationIn(home: Registers, id: string, epoch: number, at: number): Invitation | undefined {
  const record = read(invitationRecord, home.get(invitationKeys.invitation(id)))
  if (!record || record.epoch !== epoch) return undefined
  const answer = read(answerRecord, home.get(invitationKeys.answer(id)))
  const counts = answer?.epoch === epoch ? answer : undefined
  const unanswered = record.state === 'withdrawn' ? 'withdrawn' : at < record.expires ? 'open' : 'expired'
  return { id, record, answer: counts, state: counts?.answer ?? unanswered }
}

/** All of an epoch. */
export function invitationsIn(home: Registers, epoch: number, at: number): Invitation[] {
  return idsIn(home).flatMap(id => invitationIn(home, id, epoch, at) ?? [])
}

/** Keys of what can never count again: invitations of earlier epochs, and those that ended some time ago. */
export function invitationLeftovers(home: Registers, epoch: number, now: number, keptMs: number): string[] {
  const past = (id: string) => {
    const found = invitationIn(home, id, epoch, now)
    return !found || found.record.expires + keptMs <= now
  }
  return idsIn(home)
    .filter(past)
    .flatMap(id => [invitationKeys.invitation(id), invitationKeys.answer(id)])
    .filter(key => (home.get(key)?.value ?? null) !== null)
}

const idsIn = (home: Registers): string[] =>
  [...home.entries('invitation/')].flatMap(([key, { value }]) =>
    value === null ? [] : [key.slice('invitation/'.length)],
  )

export const inviteeOf = ({ record }: Invitation): Pne => ({ operator: record.operator, pneId: record.identity })

function read<T>(schema: z.ZodType<T>, register: Register | undefined): T | undefined {
  const parsed = schema.safeParse(register?.value)
  return parsed.success ? parsed.data : undefined
}

/** A record as a register's value. */
export const asInvitationValue = (record: InvitationRecord | AnswerRecord): Json => asJson(record)
