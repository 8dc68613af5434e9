import type { Flag } from '../fields.ts'
import type { MailHeaders } from './mail-headers.ts'

/*
 * Flags as mail programs write them into files: Status and X-Status with one letter each (mutt, Dovecot, UW IMAP), X-Keywords
 * for the others. Of Thunderbird and of Google Takeout theirs are read.
 */

const letters = { A: '\\Answered', F: '\\Flagged', D: '\\Deleted', T: '\\Draft' } as const satisfies Record<
  string,
  Flag
>
const keywords = {
  $Forwarded: '$Forwarded',
  $MDNSent: '$MDNSent',
  'read-report-sent': '\\read-report-sent',
} as const satisfies Record<string, Flag>
const mozillaBits: readonly (readonly [bit: number, flag: Flag])[] = [
  [0x0001, '\\Seen'],
  [0x0002, '\\Answered'],
  [0x0004, '\\Flagged'],
  [0x0008, '\\Deleted'],
  [0x1000, '$Forwarded'],
]
const order: readonly Flag[] = [
  '\\Seen',
  '\\Answered',
  '\\Flagged',
  '\\Deleted',
  '\\Draft',
  '$Forwarded',
  '$MDNSent',
  '\\read-report-sent',
]

export function flagHeaders(flags: readonly Flag[]): readonly (readonly [name: string, value: string])[] {
  const named = (names: Readonly<Record<string, Flag>>) =>
    Object.entries(names).flatMap(([name, flag]) => (flags.includes(flag) ? [name] : []))
  const status = named(letters).join('')
  const others = named(keywords).join(' ')
  return [
    ['Status', flags.includes('\\Seen') ? 'RO' : 'O'],
    ...(status === '' ? [] : [['X-Status', status] as const]),
    ...(others === '' ? [] : [['X-Keywords', others] as const]),
  ]
}

export function flagsOf(headers: MailHeaders): Flag[] {
  const found = new Set<Flag>()
  const status = headers.all('Status').join('')
  if (status.includes('R')) found.add('\\Seen')
  for (const [letter, flag] of Object.entries(letters))
    if (headers.all('X-Status').join('').includes(letter)) found.add(flag)
  const words = new Set(
    headers
      .all('X-Keywords')
      .join(' ')
      .split(/[\s,]+/),
  )
  for (const [word, flag] of Object.entries(keywords)) if (words.has(word)) found.add(flag)
  const mozilla = Number.parseInt(headers.raw('X-Mozilla-Status') ?? '0', 16)
  for (const [bit, flag] of mozillaBits) if ((mozilla & bit) !== 0) found.add(flag)
  const gmail = headers.text('X-Gmail-Labels')?.split(',')
  if (gmail && !gmail.includes('Unread')) found.add('\\Seen')
  if (gmail?.includes('Starred')) found.add('\\Flagged')
  return order.filter(flag => found.has(flag))
}
