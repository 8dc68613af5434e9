import { Argument, Command } from 'commander'
import { bashCompletion } from './completion-bash.ts'
import { fishCompletion } from './completion-fish.ts'
import { placesOf } from './completion-places.ts'
import { zshCompletion } from './completion-zsh.ts'

const shells = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const
type Shell = keyof typeof shells
const isShell = (text: string): text is Shell => text in shells

/** `cpns completion <shell>`: a script by which a shell completes what this release of the command takes. */
export function completionCommand(): Command {
  return new Command('completion')
    .description('Prints a script that completes cpns in your shell; its first lines say how to load it.')
    .addArgument(new Argument('<shell>').choices(Object.keys(shells)))
    .action((shell: string, _options: object, command: Command) => {
      if (command.parent && isShell(shell)) console.log(shells[shell](placesOf(command.parent)))
    })
}
