import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as Guard from '../../../src/document/guard.ts'

/*
 * The guard with one rule left out: its sources are copied with one call of `refuse` replaced by nothing. So a rule that
 * no attack needs is found, and so is a rule that somebody adds without an attack.
 */

export interface RuleLeftOut {
  readonly refusal: string
  /** Where the rule stands. */
  readonly place: string
  readonly guardUpdate: typeof Guard.guardUpdate
}

const folder = new URL('../../../src/document/', import.meta.url)
const sources = ['guard.ts', 'strict-reader.ts']
const rule = /\b(?:refuse|unreadable)\('([^']+)'\)/g

/** Every guard that lacks one rule, and a function that removes what was written for them. */
export async function guardsWithoutOneRule(): Promise<{ guards: RuleLeftOut[]; remove: () => Promise<void> }> {
  const parent = await mkdtemp(join(tmpdir(), 'cpns-guard-'))
  const guards: RuleLeftOut[] = []
  for (const source of sources) {
    const code = await readFile(new URL(source, folder), 'utf8')
    for (const { 0: call, 1: refusal = '', index } of code.matchAll(rule)) {
      const line = code.slice(0, index).split('\n').length
      const changed = `${code.slice(0, index)}void 0${code.slice(index + call.length)}`
      const variant = await write(join(parent, `without-${guards.length}-`), source, changed)
      guards.push({ refusal, place: `${source}:${line}`, guardUpdate: variant.guardUpdate })
    }
  }
  return { guards, remove: () => rm(parent, { recursive: true }) }
}

/** Writes both sources, one of them changed, where they find what they import, and imports them. */
async function write(prefix: string, changed: string, code: string): Promise<typeof Guard> {
  const place = await mkdtemp(prefix)
  for (const source of sources) {
    const original = source === changed ? code : await readFile(new URL(source, folder), 'utf8')
    const found = original.replace(`'./registers-view.ts'`, `'${new URL('registers-view.ts', folder)}'`)
    await writeFile(join(place, source), found)
  }
  return (await import(pathToFileURL(join(place, 'guard.ts')).href)) as typeof Guard
}
