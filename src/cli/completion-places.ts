import { type Command, Help, type Option } from 'commander'

/*
 * What may come next at each place of a command line: read off the commands themselves, so that nothing has to be kept in step.
 */

/** What an option takes: nothing, something that a shell does not know (it may be a file), or one of these. */
export type Taken = 'nothing' | 'anything' | readonly string[]

export interface Completed {
  readonly name: string
  readonly description: string
}

/** A command, and what may stand behind it. */
export interface Place {
  /** The words that lead to it, each after a blank; empty for the program itself. */
  readonly path: string
  readonly commands: readonly Completed[]
  readonly options: readonly (Completed & { readonly takes: Taken })[]
  /** What its arguments may be, where that is known. */
  readonly words: readonly string[]
}

export function placesOf(command: Command, path = ''): readonly Place[] {
  const options = new Help().visibleOptions(command).flatMap(optionNames)
  const here: Place = {
    ...{ path, options },
    commands: command.commands.map(child => ({ name: child.name(), description: child.description() })),
    words: command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
  }
  return [here, ...command.commands.flatMap(child => placesOf(child, `${path} ${child.name()}`))]
}

function optionNames(option: Option): Place['options'] {
  const { long, short, description, argChoices, required, optional } = option
  const takes = required || optional ? (argChoices ?? 'anything') : 'nothing'
  return [long, short].flatMap(name => (name ? [{ name, description, takes }] : []))
}
