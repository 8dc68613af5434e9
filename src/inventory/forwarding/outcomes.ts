import { z } from 'zod'
import { commandId, operator } from '../../commands/fields.ts'
import { asJson } from '../../commands/plain.ts'
import { type Command, CommandRefused, type Principal } from '../../federation/command.ts'
import type { CommandHandler, Federation } from '../../federation/federation.ts'
import type { OperatorId } from '../../ports/names.ts'
import { refusals } from '../refusals.ts'
import { type CommandOutcome, type CommandOutcomeParams, commandOutcome } from './methods.ts'
import type { Waiting } from './waiting.ts'

/*
 * `command.outcome`. A command waits at the server that it was given to; its client may be attached to another by now. So
 * that one asks the others of the operator, those that it has a link to. Nobody else's servers are asked, or answered.
 */

/** By which servers of one operator ask each other. No method of clients. */
export const outcomeMethod = 'server.outcome'
const question = z.strictObject({ operator, identity: z.string(), commandId })

export interface Outcomes {
  readonly command: Command<CommandOutcomeParams, CommandOutcome>
  readonly answer: CommandHandler
}

export function createOutcomes(options: {
  readonly self: OperatorId
  readonly waiting: Pick<Waiting, 'outcome'>
  readonly federation: () => Pick<Federation, 'linked' | 'requestAt'>
}): Outcomes {
  const { self, waiting, federation } = options

  async function ask(principal: Principal, commandId: string): Promise<CommandOutcome | undefined> {
    const params = { ...principal, commandId }
    const answers = await Promise.all(
      federation()
        .linked(self)
        .map(server => federation().requestAt(server, { method: outcomeMethod, params })),
    )
    return answers
      .flatMap(answer => (answer.ok ? commandOutcome.result.safeParse(answer.value) : []))
      .find(parsed => parsed.success)?.data
  }

  return {
    command: {
      spec: commandOutcome,
      async execute({ commandId }, principal) {
        try {
          return await waiting.outcome(principal, commandId)
        } catch (error) {
          if (!(error instanceof CommandRefused) || error.status !== 404) throw error
          const found = await ask(principal, commandId)
          if (found) return found
          throw error
        }
      },
    },

    async answer({ params }, from) {
      if (from.operator !== self) throw refusals.notAuthorised(`Only servers of ${self} ask this.`)
      const asked = question.safeParse(params)
      if (!asked.success) throw refusals.malformed(`What ${outcomeMethod} takes is a subscriber and a command id.`)
      const { commandId, ...principal } = asked.data
      const outcome = await waiting.outcome(principal, commandId)
      return { ok: true, value: asJson(outcome) }
    },
  }
}
