import { readFileSync } from 'node:fs'

const kibibyte = 1024

/**
 * What this process holds of memory, in bytes: without pages of files, which the system may take back at any time. LevelDB maps the
 * tables that it reads, so that what is resident grows with the store. Where the system does not tell them apart, all that is resident.
 */
export const heldBytes = (): number =>
  process.platform === 'linux' ? anonymousBytes(process.pid) : process.memoryUsage.rss()

/** The same of any process, by the accounts of Linux. @throws when there is none of that number */
export function anonymousBytes(pid: number): number {
  const [, kibibytes] = /RssAnon:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kibibytes) * kibibyte
}
