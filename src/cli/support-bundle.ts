import { open, stat } from 'node:fs/promises'
import { Command, InvalidArgumentError, Option } from 'commander'
import { exists, readText, writeSecret } from '../adapters/files.ts'
import { thisHost } from '../adapters/host.ts'
import { supportBundle } from '../operations/support/bundle.ts'
import { configOption, jsonOption, setOption } from './options.ts'
import { patientOf } from './patient.ts'
import { Refused } from './problems.ts'

interface Options {
  readonly config: string
  readonly set: Readonly<Record<string, string>>
  readonly out: string
  readonly log?: string
  readonly lines: number
  readonly json?: true
}

/** `cpns support-bundle`: a file for whoever helps, without keys, content or names of users. */
export function supportBundleCommand(): Command {
  return new Command('support-bundle')
    .description(
      'Writes settings, status, what the doctor finds, versions and the end of the log into one file, without secrets. Read it before you send it.',
    )
    .addOption(configOption())
    .addOption(setOption())
    .addOption(new Option('--out <file>', 'where to, as JSON; - for standard output').default('cpns-support.json'))
    .addOption(new Option('--log <file>', 'where the log of the server goes, if it is in a file'))
    .addOption(new Option('--lines <number>', 'of the log, the latest').argParser(linesOf).default(1_000))
    .addOption(jsonOption())
    .action(async ({ config, set, out, log, lines, json }: Options) => {
      if (out !== '-' && (await exists(out))) throw new Refused(`${out} is there already; choose another file.`)
      const ending = log === undefined ? [] : await endOf(log, lines)
      const bundle = await supportBundle(patientOf({ config, set }), await readText(config), thisHost(), ending)
      const text = JSON.stringify(bundle, undefined, 2)
      if (out === '-') return console.log(text)
      await writeSecret(out, `${text}\n`)
      if (json) return console.log(JSON.stringify({ file: out, lines: bundle.log.length }))
      console.log(`${out} has ${bundle.log.length} lines of the log. Read it before you send it.`)
    })
}

/** A log may be as long as a disk: no more of it is read than so many lines can take. */
const longestLineBytes = 4_096

async function endOf(path: string, lines: number): Promise<string[]> {
  const found = await stat(path).catch(() => undefined)
  if (!found?.isFile()) throw new Refused(`${path} is no file. Leave --log out if the log goes to the journal.`)
  const bytes = Math.min(found.size, lines * longestLineBytes)
  const file = await open(path)
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, found.size - bytes)
    const text = buffer
      .subarray(0, bytesRead)
      .toString('utf8')
      .split('\n')
      .filter(line => line !== '')
    return text.slice(-lines)
  } finally {
    await file.close()
  }
}

const mostLines = 100_000

function linesOf(text: string): number {
  const lines = Number(text)
  if (/^\d{1,6}$/.test(text) && lines <= mostLines) return lines
  throw new InvalidArgumentError(`expected a number up to ${mostLines}`)
}
