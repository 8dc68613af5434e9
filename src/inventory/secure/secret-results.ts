import type { Command } from '../../federation/command.ts'
import type { CommandHandler } from '../../federation/federation.ts'
import type { OperatorId } from '../../ports/names.ts'
import type { Procedure } from '../procedure.ts'
import { secureRefusals } from './refusals.ts'

/*
 * Results with a secret in them, such as the content key of a service group. They go to the subscriber itself, at its own
 * operator: in its secure session, or on a connection on which it has authenticated, which is as private. Never to whoever
 * carries a proof: a proof lets a gateway or another operator deliver a command, and what comes back would be theirs to read.
 *
 * An operator that vouches for its own subscriber is given the result, and gives it on by the same rule.
 */

/** The command, for the subscriber itself alone where its result is secret: its callers get 403 else. */
export const secretly = <Params, Result>(
  self: OperatorId,
  { secretResult }: Pick<Procedure<Params, Result>, 'secretResult'>,
  command: Command<Params, Result>,
): Command<Params, Result> =>
  secretResult
    ? {
        ...command,
        async execute(params, principal, proof, ...more) {
          if (proof !== undefined || principal.operator !== self) throw secureRefusals.secretResult()
          return command.execute(params, principal, proof, ...more)
        },
      }
    : command

/** The handler, for what other operators vouch for alone where its result is secret. */
export const vouchedFor = <Params, Result>(
  { secretResult }: Pick<Procedure<Params, Result>, 'secretResult'>,
  handler: CommandHandler,
): CommandHandler =>
  secretResult
    ? async (command, from) => {
        if (command.proof !== undefined) throw secureRefusals.secretResult()
        return handler(command, from)
      }
    : handler
