import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** A write or a flush, as a trace tells of it. Places are line numbers. */
export type SystemCall = {
  /** What the descriptor stands for: a path, or such as `socket:[4711]`. */
  readonly target: string
  /** From here on a write may have an effect; a flush covers what had been written before. */
  readonly began: number
  /** Here it had returned, having done all it was asked to; infinity if it never did. */
  readonly done: number
} & Action

type Action = { readonly kind: 'write'; readonly data: Buffer } | { readonly kind: 'flush' }

export const straceIsThere = (): boolean => spawnSync('strace', ['-V']).status === 0

/** Runs a program so that its writes and flushes are recorded: of all threads, whole, in hexadecimal. */
export const straceTo = (file: string): string[] => [
  'strace',
  '-f',
  '-qq',
  '-y',
  '-xx',
  '--seccomp-bpf',
  '-s',
  `${maxBytes}`,
  '-e',
  'trace=fdatasync,fsync,write,writev,pwrite64,sendto,sendmsg',
  '-o',
  file,
]
const maxBytes = 1024 * 1024

/** @throws when the file cannot be read, or holds calls that were not recorded whole. */
export const readSystemCalls = (file: string): SystemCall[] => parseSystemCalls(readFileSync(file, 'utf8'))

/**
 * strace holds a thread where a call begins and where it returns, and writes its line before the thread goes on. So what
 * happened because a call had returned stands below it, and nothing can happen by a call above the line where it begins.
 */
export function parseSystemCalls(trace: string): SystemCall[] {
  const calls: SystemCall[] = []
  const unfinished = new Map<string, { readonly began: number; readonly text: string }>()
  for (const [place, line] of trace.split('\n').entries()) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (text.endsWith('<unfinished ...>')) unfinished.set(thread, { began: place, text })
    else if (text.startsWith('<... ')) {
      const begun = unfinished.get(thread)
      unfinished.delete(thread)
      if (begun) calls.push(...callIn(begun.text, begun.began, place, resultIn(text)))
    } else calls.push(...callIn(text, place, place, resultIn(text)))
  }
  for (const { text, began } of unfinished.values()) calls.push(...callIn(text, began, began, undefined))
  return calls.sort((a, b) => a.began - b.began)
}

/** One call, or none if the line tells of something else. */
function callIn(text: string, began: number, returned: number, result: number | undefined): SystemCall[] {
  const [, name, target, rest] = /^(\w+)\(\d+<([^>]*)>(.*)$/.exec(text) ?? []
  if (name === undefined || target === undefined || rest === undefined) return []
  const about = { target: bytesIn(target).toString(), began }
  if (name === 'fdatasync' || name === 'fsync') {
    return [{ ...about, kind: 'flush', done: result === 0 ? returned : Number.POSITIVE_INFINITY }]
  }
  if (rest.includes('"...')) throw new Error(`A write of more than ${maxBytes} bytes was not recorded whole.`)
  const strings =
    name === 'writev' || name === 'sendmsg' ? rest.matchAll(/iov_base="([^"]*)"/g) : [/"([^"]*)"/.exec(rest)]
  const data = Buffer.concat([...strings].map(string => bytesIn(string?.[1] ?? '')))
  return [{ ...about, kind: 'write', data, done: result === data.length ? returned : Number.POSITIVE_INFINITY }]
}

const resultIn = (text: string): number | undefined => {
  const [, result] = /= (-?\d+)[^=]*$/.exec(text) ?? []
  return result === undefined ? undefined : Number(result)
}

const bytesIn = (escaped: string): Buffer => Buffer.from(escaped.replaceAll('\\x', ''), 'hex')
