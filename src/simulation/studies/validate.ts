import { readdir, readFile } from 'node:fs/promises'
import { findPackageJSON } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import { parse, YAMLParseError } from 'yaml'
import { z } from 'zod'
import type { Production } from '../production.ts'
import { amnesiaRows } from './amnesia-study.ts'
import { type StudyDescription, studyDescription } from './description.ts'
import { protocolRows, type StudyContext } from './protocol-study.ts'
import type { Row, Verdict } from './row.ts'

export interface ValidationOptions {
  readonly production: Production
  /** Descriptions to run, in this order. Default: all that come with this package. */
  readonly files?: readonly string[]
  readonly progress?: (progress: ValidationProgress) => void
  /** Of the runs that the descriptions ask for, at least one of each: less than 1 for a quick look. Default: 1. */
  readonly share?: number
}

export interface ValidationProgress {
  readonly study: string
  readonly doing: string
  /** From 0 to 1, of this study. */
  readonly done: number
  /** Which study, from 1, and of how many. */
  readonly number: number
  readonly of: number
}

/** A file that is no description of a study; the message names the places. */
export class BadDescription extends Error {
  override readonly name = 'BadDescription'
}

/** Where the descriptions lie that come with this package, whatever file of it this has become. */
export const validationFolder = join(dirname(findPackageJSON(import.meta.url) ?? ''), 'examples/simulation/validate')

/** The published results that we reproduce, one row after the other. @throws {BadDescription} {UnusableDescription} {StudyFailed} */
export async function* runValidation(options: ValidationOptions): AsyncGenerator<Row> {
  const { production, progress, share = 1, files = await ownFiles() } = options
  // All are read before the first one runs: a typing error in the last shows at once.
  const descriptions = await Promise.all(files.map(async file => ({ file, description: await readDescription(file) })))
  for (const [index, { file, description }] of descriptions.entries()) {
    const place = { study: description.title, number: index + 1, of: descriptions.length }
    const context: StudyContext = {
      production,
      file: resolve(file),
      share,
      progress: (doing, done) => progress?.({ ...place, doing, done }),
    }
    yield* rowsOf(description, context)
  }
}

function rowsOf(description: StudyDescription, context: StudyContext): AsyncGenerator<Row> {
  switch (description.study) {
    case 'protocol':
      return protocolRows(description, context)
    case 'amnesia':
      return amnesiaRows(description, context)
  }
}

/** Whether a row lets the validation pass. An undecided one does: it says that more runs are needed, not that something is wrong. */
export const passes = (verdict: Verdict): boolean => verdict !== 'differs'

/** @throws {BadDescription} */
export async function readDescription(file: string): Promise<StudyDescription> {
  const text = await readFile(file, 'utf8')
  try {
    return studyDescription.parse(parse(text))
  } catch (error) {
    if (error instanceof z.ZodError) throw new BadDescription(`${file}:\n${z.prettifyError(error)}`, { cause: error })
    if (error instanceof YAMLParseError) throw new BadDescription(`${file}: ${error.message}`, { cause: error })
    throw error
  }
}

async function ownFiles(): Promise<readonly string[]> {
  const names = await readdir(validationFolder)
  return names
    .filter(name => name.endsWith('.yaml'))
    .sort()
    .map(name => join(validationFolder, name))
}
