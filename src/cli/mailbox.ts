import { createReadStream, createWriteStream } from 'node:fs'
import { rename, rm, stat } from 'node:fs/promises'
import { Readable, Writable } from 'node:stream'
import { Command, Option } from 'commander'
import { z } from 'zod'
import { sessionTicket } from '../client/node.ts'
import { documentId } from '../document/names.ts'
import { operatorId } from '../ports/names.ts'
import { mailboxInspection } from './mailbox-inspection.ts'
import { atNode, type NodeOptions, withNode } from './node-session.ts'
import { Refused } from './problems.ts'
import { liveProgress } from './progress.ts'

interface Asked extends NodeOptions {
  readonly of?: string
  readonly format: 'mbox' | 'zip'
}

/** `cpns mailbox …`: mailboxes by their counts; and a user's messages as an archive that other programs read, and back. */
export function mailboxCommand(): Command {
  const exportOne = archiveCommand('export')
    .description('Writes a mailbox that you may read as an archive; to standard output, if the file is -.')
    .argument('<user>')
    .argument('<file>')
    .action(async (user: string, file: string, options: Asked) => {
      const url = await archiveUrl(user, options)
      const progress = liveProgress(user, process.stderr)
      const bytes = await download(url, file, progress.show)
      progress.clear()
      if (options.json) return (file === '-' ? console.error : console.log)(JSON.stringify({ user, file, bytes }))
      console.error(`${inMebibytes(bytes)} of ${user} are in ${file === '-' ? 'the output' : file}.`)
    })

  const importOne = archiveCommand('import')
    .description(
      'Puts into a mailbox that you may write what an archive holds and the mailbox does not. Repeated, it adds nothing.',
    )
    .argument('<user>')
    .argument('<file>')
    .action(async (user: string, file: string, options: Asked) => {
      const url = await archiveUrl(user, options)
      const progress = liveProgress(user, process.stderr)
      const report = await upload(url, file, progress.show)
      progress.clear()
      if (options.json) console.log(JSON.stringify(report))
      else console.log(`${report.added} added, ${report.present} were there, ${report.problems} problems.`)
      for (const { where, cause, reason } of report.firstProblems) console.error(`${where}: ${cause}: ${reason}`)
      if (report.problems > 0) process.exitCode = 1
    })

  const all = new Command('mailbox').description(
    'Mailboxes of users: what they count, and as archives (mbox, or .eml in a ZIP).',
  )
  for (const one of [...mailboxInspection(), exportOne, importOne]) all.addCommand(one)
  return all
}

const archiveCommand = (name: string): Command =>
  withNode(new Command(name))
    .addOption(new Option('--format <format>', 'of the archive').choices(['mbox', 'zip']).default('mbox'))
    .addOption(new Option('--of <operator>', 'the home operator of the user; left out: that of the node'))

/** With a ticket, which is good for a while. */
function archiveUrl(user: string, options: Asked): Promise<URL> {
  const owner = operatorId(options.of ?? options.operator)
  return atNode(options, async session => {
    const document = documentId({ kind: 'mailbox', owner, user })
    const { ticket } = await session.call(sessionTicket, { document })
    const base = options.url.replace(/^ws/, 'http').replace(/\/$/, '')
    const url = new URL(`${base}/v1/archive/${owner}/${encodeURIComponent(user)}`)
    url.search = String(new URLSearchParams({ format: options.format, ticket }))
    return url
  })
}

type Show = (text: string) => void

/** What is not whole does not stay. */
async function download(url: URL, file: string, show: Show): Promise<number> {
  const answer = await fetch(url)
  if (!answer.ok || !answer.body) throw await refusal(answer)
  const part = `${file}.part`
  const out = file === '-' ? process.stdout : createWriteStream(part)
  let bytes = 0
  const counting = new TransformStream<Uint8Array, Uint8Array>({
    transform(piece, controller) {
      bytes += piece.length
      show(inMebibytes(bytes))
      controller.enqueue(piece)
    },
  })
  try {
    await answer.body.pipeThrough(counting).pipeTo(Writable.toWeb(out), { preventClose: file === '-' })
    if (file !== '-') await rename(part, file)
  } catch (error) {
    if (file !== '-') await rm(part, { force: true })
    throw new Refused(`The archive did not come whole: ${reasonOf(error)}`)
  }
  return bytes
}

const importReport = z.object({
  added: z.int(),
  present: z.int(),
  problems: z.int(),
  firstProblems: z.array(z.object({ where: z.string(), cause: z.string(), reason: z.string() })),
})

async function upload(url: URL, file: string, show: Show): Promise<z.infer<typeof importReport>> {
  const of = await stat(file).catch(() => {
    throw new Refused(`There is no file ${file}.`)
  })
  async function* counted(): AsyncGenerator<Uint8Array> {
    let bytes = 0
    for await (const piece of createReadStream(file)) {
      bytes += piece.length
      show(`${inMebibytes(bytes)} of ${inMebibytes(of.size)}`)
      yield piece
    }
  }
  const sent = { method: 'POST', body: Readable.toWeb(Readable.from(counted())), duplex: 'half' } as const
  const answer = await fetch(url, sent as RequestInit).catch(error => {
    throw new Refused(`The node took the archive no further: ${reasonOf(error)}`)
  })
  if (!answer.ok) throw await refusal(answer)
  return importReport.parse(await answer.json())
}

async function refusal(answer: Response): Promise<Refused> {
  const text = await answer.text()
  return new Refused(`The node refused (${answer.status}): ${text.trim()}`)
}

const reasonOf = (error: unknown): string => {
  const cause = error instanceof Error ? (error.cause ?? error) : error
  return cause instanceof Error ? cause.message : String(cause)
}
const inMebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(1)} MiB`
