import { Command, CommanderError } from 'commander'
import { version } from '../adapters/release.ts'
import { backupCommand } from './backup.ts'
import { benchCommand } from './bench.ts'
import { completionCommand } from './completion.ts'
import { configCommand } from './config.ts'
import { doctorCommand } from './doctor.ts'
import { documentCommand } from './document.ts'
import { drainCommand } from './drain.ts'
import { eventsCommand } from './events.ts'
import { withExamples } from './examples.ts'
import { initCommand } from './init.ts'
import { limitsCommand } from './limits.ts'
import { logLevelCommand } from './log-level.ts'
import { mailboxCommand } from './mailbox.ts'
import { manifestCommand } from './manifest.ts'
import { peerCommand } from './peer.ts'
import { pnCommand } from './pn.ts'
import { policyCommand } from './policy.ts'
import { isExpected } from './problems.ts'
import { reloadCommand } from './reload.ts'
import { restoreCommand } from './restore.ts'
import { secretCommand } from './secret.ts'
import { simulateCommand } from './simulate.ts'
import { startCommand } from './start.ts'
import { statusCommand } from './status.ts'
import { subscriberCommand } from './subscriber.ts'
import { supportBundleCommand } from './support-bundle.ts'
import { tokenCommand } from './token.ts'
import { traceCommand } from './trace.ts'
import { userCommand } from './user.ts'
import { verifyCommand } from './verify.ts'

/*
 * The `cpns` command and all that stand below it. Exit codes: 0 done, 1 refused or failed with a message that says what to do,
 * 2 wrong usage, 70 a fault of the program itself, 75 the disk of a server has failed: it is to be started again.
 */

export function cpnsProgram(): Command {
  const program = new Command('cpns')
    .description('A peer-to-peer CPNS server: install it, trust other operators, serve clients.')
    .version(version)
    .showSuggestionAfterError()
    .showHelpAfterError('(cpns --help lists the commands)')
    // An option behind the name of a sub-command is that one's, also where the command before it has one of the same name.
    .enablePositionalOptions()
    .exitOverride()
  for (const command of [
    initCommand(),
    startCommand(),
    configCommand(),
    doctorCommand(),
    statusCommand(),
    limitsCommand(),
    backupCommand(),
    restoreCommand(),
    verifyCommand(),
    drainCommand(),
    reloadCommand(),
    logLevelCommand(),
    eventsCommand(),
    traceCommand(),
    peerCommand(),
    manifestCommand(),
    subscriberCommand(),
    secretCommand(),
    tokenCommand(),
    userCommand(),
    mailboxCommand(),
    pnCommand(),
    documentCommand(),
    policyCommand(),
    supportBundleCommand(),
    simulateCommand(),
    benchCommand(),
    completionCommand(),
  ]) {
    program.addCommand(inherit(command, program, [command.name()]))
  }
  return program
}

/** Sub-commands built apart do not take over their parent's settings by themselves. */
function inherit(command: Command, program: Command, words: readonly string[]): Command {
  command.copyInheritedSettings(program)
  withExamples(command, words)
  for (const child of command.commands) inherit(child as Command, program, [...words, child.name()])
  return command
}

/** Says what went wrong, unless commander has, and answers with what the process is to exit. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  if (isExpected(error)) {
    console.error(error.message)
    return 1
  }
  console.error(error)
  return 70
}
