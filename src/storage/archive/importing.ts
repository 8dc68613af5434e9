import { CommandRefused } from '../../federation/command.ts'
import type { Reach } from '../authority.ts'
import { deposit } from '../depositing.ts'
import type { Flag } from '../fields.ts'
import { depositedFrom, derivedId, isFolder, type MailboxName } from '../names.ts'
import { type Media, type NewObject, newObject, type StoredObject } from '../objects.ts'
import {
  ArchiveDamaged,
  type ArchivedObject,
  type ArchiveProblem,
  type ForeignMessage,
  type Imported,
} from './archived.ts'
import { createFolders } from './folders.ts'
import type { ArchivesOptions } from './mailbox-archives.ts'
import { foreignMedia, keepMedia } from './media.ts'

/*
 * How what an archive holds comes into a mailbox: each object under the name that it had, each message of another program under
 * one that follows from what it is. So whatever is there already is known by its name, and an import repeated adds nothing.
 */

export interface ImportReport {
  readonly added: number
  /** Those that were there. */
  readonly present: number
  /** How many, and the first hundred of them. */
  readonly problems: number
  readonly firstProblems: readonly ArchiveProblem[]
}

export interface Importing extends ArchivesOptions {
  readonly name: MailboxName
  readonly reach: Reach
}

const shownProblems = 100
/** Objects that go into one commit. */
const batchSize = 64

interface Ready {
  readonly where: string
  readonly object: NewObject
  readonly flags: readonly Flag[]
  readonly folder?: string
  readonly id: string
  readonly copyOf?: string
}

/** @throws whatever the mailbox fails with */
export async function importing(options: Importing, archive: AsyncIterable<Imported>): Promise<ImportReport> {
  const { name, writers, policy, crypto } = options
  const folders = createFolders(options)
  const report = { added: 0, present: 0, problems: 0, firstProblems: [] as ArchiveProblem[] }
  const problem = (found: ArchiveProblem) => {
    report.problems += 1
    if (report.firstProblems.length < shownProblems) report.firstProblems.push(found)
  }
  const leftOut = (where: string, reason: string) => problem({ cause: 'left-out', where, reason })
  let batch: Ready[] = []

  for await (const found of archive) {
    if (found.kind === 'problem') {
      problem(found.problem)
      continue
    }
    const ready = await madeReady(found).catch(error => refused(found.where, error))
    if (ready === 'full') break
    if (ready) batch.push(ready)
    if (batch.length >= batchSize && !(await stored())) return report
  }
  await stored()
  return report

  /** @returns whether there is room for more */
  async function stored(): Promise<boolean> {
    const objects = batch
    batch = []
    if (objects.length === 0) return true
    return writers.change(name, 'import', async edit => {
      for (const { where, object, flags, ...rest } of objects) {
        try {
          const flaggings = flags.map(flag => ({ flag, on: true }))
          const { created } = await deposit(edit, { object, flags: flaggings, ...rest }, policy, crypto)
          report[created ? 'added' : 'present'] += 1
        } catch (error) {
          if (refused(where, error) === 'full') return false
        }
      }
      return true
    })
  }

  /** Says why one object is not stored. @throws what is no such reason */
  function refused(where: string, error: unknown): 'full' | undefined {
    if (error instanceof ArchiveDamaged) problem(error.problem)
    else if (error instanceof CommandRefused && error.status < 500) leftOut(where, error.message)
    else throw error
    return error instanceof CommandRefused && error.reason === 'QUOTA_EXCEEDED' ? 'full' : undefined
  }

  async function madeReady(found: Exclude<Imported, { kind: 'problem' }>): Promise<Ready | undefined> {
    const { where } = found
    return found.kind === 'object' ? own(found.archived, where) : foreign(found.message, where)
  }

  async function own({ object: archived, folder: title, media }: ArchivedObject, where: string) {
    const { container, part: _part, id, size: _size, stored: _stored, copyOf, flags, ...said } = archived
    const object = acceptable(said, where)
    if (!object) return undefined
    for await (const one of media) if (one.bytes) await keepMedia(options, one.media, one.bytes, where)
    const folder = isFolder(container) ? await folders.like(container, title ?? container) : undefined
    return {
      where,
      object,
      flags,
      id,
      ...(folder !== undefined && { folder }),
      ...(copyOf !== undefined && { copyOf }),
    }
  }

  async function foreign({ head, folder: path, content }: ForeignMessage, where: string) {
    const { flags, ...said } = head
    let text: string | undefined
    const media: Media[] = []
    for await (const part of content) {
      if (part.kind === 'text') text = part.text
      else {
        const kept = await foreignMedia(options, part)
        if (kept) media.push(kept)
        else leftOut(where, `A part of type ${part.type} is too large, or media cannot be stored here.`)
      }
    }
    const full = { ...said, ...(text !== undefined && { text }), ...(media.length > 0 && { media }) }
    const object = acceptable(full, where)
    if (!object) return undefined
    const folder = await folders.called(path === '' ? 'Imported' : path)
    const id = derivedId(crypto, depositedFrom(object, ['archive', JSON.stringify(object)], folder))
    return { where, object, flags, folder, id }
  }

  function acceptable(said: Partial<StoredObject>, where: string): NewObject | undefined {
    const parsed = newObject.safeParse(said)
    const [issue] = parsed.error?.issues ?? []
    if (!parsed.success) problem({ cause: 'malformed', where, reason: `${issue?.path.join('.')}: ${issue?.message}` })
    else if (!options.reach.sees(parsed.data))
      leftOut(where, 'It is of none of the addresses that the caller has to do with.')
    else return parsed.data
    return undefined
  }
}
