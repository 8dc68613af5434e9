import { readFileSync } from 'node:fs'

const kibibyte = 1024

/**
 * What a process holds of memory, in bytes: without pages of files, which the system may take back at any time. LevelDB maps the
 * tables that it reads, so that what is resident grows with the store. Where the system does not tell them apart, all that is resident.
 */
export function heldBytes(): number {
  try {
    const [, kibibytes] = /RssAnon:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
    if (kibibytes !== undefined) return Number(kibibytes) * kibibyte
  } catch {}
  return process.memoryUsage.rss()
}
