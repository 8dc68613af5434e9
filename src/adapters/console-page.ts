import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

/*
 * The files of the web console. In the package its program lies bundled beside its page; run from source it is bundled when it
 * is first asked for, by the same settings.
 */

/** Those that are served as they are. */
export const consoleFiles = ['index.html', 'page.css', 'icon.svg'] as const
export type ConsoleFile = (typeof consoleFiles)[number] | 'page.js'

/** The program cannot be made: it was not built, and what builds it is not installed. */
export class ConsoleNotBuilt extends Error {
  override readonly name = 'ConsoleNotBuilt'
}

const folder = new URL('../operations/console/page/', import.meta.url)
const isSource = import.meta.url.endsWith('.ts')

let program: Promise<Uint8Array> | undefined

/** @throws {ConsoleNotBuilt} */
export async function consolePage(file: ConsoleFile): Promise<Uint8Array> {
  if (file !== 'page.js' || !isSource) return readFile(new URL(file, folder))
  program ??= bundled()
  return program
}

async function bundled(): Promise<Uint8Array> {
  const { build } = await import('esbuild').catch(cause => {
    throw new ConsoleNotBuilt(
      'The console is not built: run npm ci with the development dependencies, or npm run build.',
      { cause },
    )
  })
  const { outputFiles } = await build({ ...consoleBuild(fileURLToPath(new URL('page.ts', folder))), write: false })
  const [script] = outputFiles ?? []
  if (!script) throw new ConsoleNotBuilt('The console has no program.')
  return script.contents
}

/** How the program is bundled, wherever that is done. */
export const consoleBuild = (entry: string) => ({
  entryPoints: [entry],
  bundle: true,
  minify: true,
  format: 'esm' as const,
  platform: 'browser' as const,
  target: 'es2024',
  logLevel: 'silent' as const,
})
