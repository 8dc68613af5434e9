import { Refused } from './problems.ts'

/*
 * Passphrases come from the environment: flags are seen by whoever lists processes, and a file of settings is copied.
 */

/** What the key of the subscribers is locked by, if it is. */
export const passphrase = (): string | undefined => process.env.CPNS_PASSPHRASE

const shortest = 12

/** What it is to be locked by from now on. @throws {Refused} when there is none, or hardly one. */
export function newPassphrase(): string {
  const chosen = process.env.CPNS_NEW_PASSPHRASE ?? process.env.CPNS_PASSPHRASE
  if (chosen === undefined) throw new Refused('Give the passphrase in the environment, as CPNS_PASSPHRASE.')
  if (chosen.length < shortest) throw new Refused(`A passphrase has at least ${shortest} characters.`)
  return chosen
}
