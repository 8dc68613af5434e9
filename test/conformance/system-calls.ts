import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A write or a flush, in the order in which the kernel finished them. */
export type SystemCall =
  | { readonly kind: 'write'; readonly fd: number; readonly data: string }
  | { readonly kind: 'flush'; readonly fd: number }

export const straceIsThere = (): boolean => spawnSync('strace', ['-V']).status === 0

/** Runs a program so that its writes and flushes are recorded, whole, threads included. */
export const straceTo = (file: string): string[] => [
  'strace',
  '-f',
  '-qq',
  '--seccomp-bpf',
  '-s',
  '1048576',
  '-e',
  'trace=fdatasync,fsync,write,writev,pwrite64,sendto,sendmsg',
  '-o',
  file,
]

/**
 * Reads what strace recorded, in an order that proves what it is used for: a write stands where it began, since then its
 * bytes may leave; a flush stands where it returned, since only then they are safe.
 */
export function readSystemCalls(file: string): SystemCall[] {
  const flushing = new Map<string, number>()
  const calls: SystemCall[] = []
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const [, thread, text] = /^(\d+)\s+(.*)$/.exec(line) ?? []
    if (thread === undefined || text === undefined) continue
    if (/^<\.\.\. (fdatasync|fsync) resumed>\) += 0$/.test(text)) {
      const fd = flushing.get(thread)
      if (fd !== undefined) calls.push({ kind: 'flush', fd })
      continue
    }
    const [, name, fd, rest] = /^(\w+)\((\d+)(.*)$/.exec(text) ?? []
    if (name === undefined || rest === undefined) continue
    if (name !== 'fdatasync' && name !== 'fsync') calls.push({ kind: 'write', fd: Number(fd), data: rest })
    else if (rest.endsWith('<unfinished ...>')) flushing.set(thread, Number(fd))
    else if (/= 0$/.test(rest)) calls.push({ kind: 'flush', fd: Number(fd) })
  }
  return calls
}
