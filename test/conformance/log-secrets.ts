import { openNodeFolder } from '../../src/cli/node-folder.ts'
import { secretsOf } from '../../src/operations/support/secrets.ts'

/*
 * What must not stand in a log: texts as they are, and bytes however they are written.
 */

const encodings = ['base64url', 'base64', 'hex'] as const
/** What is shorter would be found in words that are none. */
const shortest = 12

/** The ways to write a secret that is a text, or bytes, or the one as the other. */
export function waysToWrite(secret: string | Uint8Array): string[] {
  const bytes = typeof secret === 'string' ? Buffer.from(secret, 'base64url') : Buffer.from(secret)
  const written = encodings.map(encoding => bytes.toString(encoding).replace(/=+$/, ''))
  return [...(typeof secret === 'string' ? [secret] : []), ...written].filter(({ length }) => length >= shortest)
}

/** All texts in the files of a server's folder that are for its owner alone. */
export async function secretsOfFolder(config: string): Promise<readonly string[]> {
  const { configuration, at } = await openNodeFolder(config)
  return secretsOf(configuration, at)
}

/** @throws when one of them is in the log, and says at which line, without showing the secret */
export function assertNoneIn(log: readonly object[], secrets: Iterable<string | Uint8Array>, whose: string): void {
  const written = [...new Set([...secrets].flatMap(waysToWrite))]
  for (const line of log) {
    const text = JSON.stringify(line)
    if (written.some(secret => text.includes(secret))) {
      throw new Error(`The log of ${whose} has a secret at ${text.slice(0, 60)}…`)
    }
  }
}
