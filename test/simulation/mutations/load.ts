import { readFileSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Edit } from './mutations.ts'

const src = join(import.meta.dirname, '../../../src')

/** From now on modules are loaded with these edits. @throws {Error} when a text to be replaced does not stand there once */
export function mutate(edits: readonly Edit[]): void {
  const texts = new Map<string, string>()
  for (const { file, from, to } of edits) {
    const path = join(src, file)
    const text = texts.get(path) ?? readFileSync(path, 'utf8')
    if (text.split(from).length !== 2)
      throw new Error(`${file} does not hold this once, and is to be mutated:\n${from}`)
    texts.set(
      path,
      text.replace(from, () => to),
    )
  }
  registerHooks({
    load(url, context, nextLoad) {
      const text = url.startsWith('file:') ? texts.get(fileURLToPath(url)) : undefined
      return text === undefined
        ? nextLoad(url, context)
        : { format: 'module-typescript', source: text, shortCircuit: true }
    },
  })
}
