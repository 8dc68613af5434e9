import { lstatSync, mkdirSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { homedir } from 'node:os'
import { isAbsolute, join } from 'node:path'

/**
 * Keeps what V8 makes of the program's text, so that the next start need not make it again: that is a third of the time that a start takes. It
 * lies in the user's own folder of caches (`XDG_CACHE_HOME`, else `~/.cache`), or where `NODE_COMPILE_CACHE` says. What is
 * there is run: so not below a folder for everybody, as Node would have it, and not in one that others may write to. Without
 * such a folder nothing is kept, and nothing is wrong. Nor is anything kept of a program that is run from source.
 */
export function keepCompiledCode(): void {
  if (process.env.NODE_COMPILE_CACHE !== undefined || import.meta.url.endsWith('.ts')) return
  const folder = ownCacheFolder()
  if (folder !== undefined) enableCompileCache(folder)
}

/** Writes it now: else it is written when the process exits by itself, which one that is killed never does. */
export const storeCompiledCode = (): void => flushCompileCache()

/** A folder that only this user can write to. */
function ownCacheFolder(): string | undefined {
  const { XDG_CACHE_HOME: given = '' } = process.env
  try {
    const folder = join(isAbsolute(given) ? given : join(homedir(), '.cache'), 'cpns')
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    const { mode, uid } = lstatSync(folder)
    const isOwn = uid === process.getuid?.() && (mode & 0o022) === 0
    return isOwn ? folder : undefined
  } catch {
    return undefined
  }
}
