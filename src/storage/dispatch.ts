import { z } from 'zod'
import { passOn } from '../commands/durably.ts'
import { refusedBy } from '../commands/foreign-refusal.ts'
import { asJson } from '../commands/plain.ts'
import type { ProofCheck } from '../commands/proofs.ts'
import { asCommandRefusal } from '../commands/refusals.ts'
import type { Documents } from '../document/documents.ts'
import { DocumentFull } from '../document/limits.ts'
import type { Command, MethodSpec, Principal } from '../federation/command.ts'
import type { CommandHandler, Federation } from '../federation/federation.ts'
import type { Concern } from '../federation/lacking.ts'
import type { OperatorId } from '../ports/names.ts'
import { directoryDocument, type MailboxName, mailboxDocument, mailboxDocuments } from './names.ts'
import { refusals } from './refusals.ts'

/*
 * Where a command of message storage is executed. What changes a mailbox: at its home operator, brought there with the client's
 * own proof by whoever it is attached to. What reads one: at any server that holds it.
 */

/** A method with what executes it here. */
export interface Procedure<Params, Result> {
  readonly spec: MethodSpec<Params, Result>
  /** `operator`: about this operator's users and directory; it is not forwarded. */
  readonly kind: 'change' | 'read' | 'operator'
  /** Of an operator's: it writes nothing. */
  readonly isQuery?: true
  execute(params: Params, principal: Principal): Promise<Result>
}

export interface DispatchOptions {
  readonly self: OperatorId
  readonly documents: Pick<Documents, 'index'>
  readonly proofs: ProofCheck
  readonly federation: () => Federation
}

/** The mailbox that a command is about: all but those of an operator name it. */
const mailboxIn = (params: unknown): MailboxName => params as MailboxName

export function commandOf<Params, Result>(
  procedure: Procedure<Params, Result>,
  { self, documents, proofs, federation }: DispatchOptions,
): Command<Params, Result> {
  const { spec, kind, execute } = procedure
  return {
    spec,
    ...(kind !== 'read' && !procedure.isQuery && { concern: concernOf(kind, self) }),
    async execute(params, principal, proof, given = {}) {
      const isHere =
        kind === 'operator' ||
        mailboxIn(params).operator === self ||
        (kind === 'read' && (await documents.index(mailboxDocument(mailboxIn(params)))) !== undefined)
      if (isHere) return execute(params, principal).catch(asRefusal)
      const { operator: executor } = mailboxIn(params)
      if (kind === 'read' || proof?.executor !== executor) throw refusals.elsewhere(executor)
      const { durability } = given
      const command = { method: spec.method, params: asJson(params), proof, ...(durability && { durability }) }
      await proofs.checkOwn(command, proof)
      const answer = await federation().request(executor, command)
      if (!answer.ok) throw refusedBy(answer)
      passOn(answer, executor, given)
      const result = spec.result.safeParse(answer.value)
      if (!result.success) throw refusals.badAnswer(executor)
      return result.data
    },
  }
}

/** What changes a mailbox may write in all of its documents; what the operator does for its users, in the directory, too. */
const concernOf =
  (kind: 'change' | 'operator', self: OperatorId) =>
  (params: unknown): Concern => {
    if (kind === 'change') return mailboxDocuments(mailboxIn(params))
    const { user } = ofUser.parse(params)
    return [directoryDocument(self), ...(user === undefined ? [] : mailboxDocuments({ operator: self, user }))]
  }
const ofUser = z.object({ user: z.string().optional() })

/** The procedure as other operators' servers bring it: with a proof, or not at all. */
export function handlerOf<Params, Result>(
  { spec, execute }: Procedure<Params, Result>,
  { self, proofs }: DispatchOptions,
): CommandHandler {
  return async (command, from) => {
    const parsed = spec.params.safeParse(command.params)
    if (!parsed.success) throw refusals.malformed(`The parameters of ${spec.method} are not what they should be.`)
    const name = mailboxIn(parsed.data)
    if (!command.proof || name.operator !== self) throw refusals.elsewhere(name.operator)
    const principal = await proofs.check(command, command.proof, from.operator)
    if (command.proof.document !== mailboxDocument(name)) throw refusals.proofRefused('is for another document')
    const value = asJson(await execute(parsed.data, principal).catch(asRefusal))
    return { ok: true, value, concern: mailboxDocuments(name) }
  }
}

/** @throws what it was, or the refusal that says it to a client. */
function asRefusal(error: unknown): never {
  if (error instanceof DocumentFull) throw refusals.mailboxFull()
  return asCommandRefusal(error)
}
