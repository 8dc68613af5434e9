import type { Command, CommandOptions, Principal } from '../federation/command.ts'
import type { Durability } from '../federation/durability.ts'
import type { CommandAnswer, CommandProof, Federation } from '../federation/federation.ts'
import { commandRefusals } from './refusals.ts'

/** What a command is executed with, beside its parameters. */
export interface Given {
  readonly principal: Principal
  readonly proof?: CommandProof | undefined
  readonly options?: CommandOptions | undefined
}

/**
 * Executes a command; where its caller wants what it writes replicated, waits for that, within its time, and answers who holds it
 * beside the result. Every command goes through here, whatever it came on. Repeated with its id, it writes nothing more, and
 * answers who holds it by then.
 *
 * @throws {CommandRefused} what the command throws; that it changes no documents. Never for what was not reached: it is written.
 */
export async function executeDurably<Params>(
  command: Command<Params>,
  params: Params,
  { principal, proof, options = {} }: Given,
  { replicated }: Pick<Federation, 'replicated'>,
): Promise<unknown> {
  const { durability: wish } = options
  if (!wish) return command.execute(params, principal, proof, options)
  if (!command.concern) throw commandRefusals.nothingToReplicate(command.spec.method)
  let elsewhere: Durability | undefined
  const heldElsewhere = (said: Durability) => {
    elsewhere = said
  }
  const result = await command.execute(params, principal, proof, { ...options, heldElsewhere })
  return { result, durability: elsewhere ?? (await replicated(command.concern(params, principal), wish)) }
}

/**
 * What an answer of the operator that has executed a command says of who holds it, if that was asked for.
 * @throws {CommandRefused} when it says nothing of that
 */
export function passOn(
  answer: Extract<CommandAnswer, { readonly ok: true }>,
  executor: Federation['operator'],
  { durability, heldElsewhere }: CommandOptions,
): void {
  if (!durability) return
  if (!answer.durability) throw commandRefusals.badAnswer(executor)
  heldElsewhere?.(answer.durability)
}
