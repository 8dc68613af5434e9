import type { z } from 'zod'
import { type StoredObject, storedObject } from '../objects.ts'
import { flagHeaders, flagsOf } from './flag-headers.ts'
import { headerAddresses, headerText, readHeaderAddresses } from './header-values.ts'
import { mailDate } from './mail-date.ts'
import type { MailHeaders } from './mail-headers.ts'

/*
 * A stored object as the headers of a message: those of CPM and of mail for everything that they have a name for, and
 * `X-CPNS-Object` for the rest. What has more than one line or value of its own (media, links, sessions, group state) is the
 * `details`, a part in JSON.
 */

/** Headers whose text is that of a field. */
const textHeaders = [
  ['Subject', 'subject'],
  ['Conversation-ID', 'conversationId'],
  ['Contribution-ID', 'contributionId'],
  ['InReplyTo-Contribution-ID', 'inReplyToContributionId'],
  ['IMDN-Message-ID', 'imdnMessageId'],
  ['Message-Context', 'context'],
  ['Message-Correlator', 'correlator'],
] as const

export const objectHeader = 'X-CPNS-Object'
export const folderHeader = 'X-CPNS-Folder'
/** What a part of the message is: `text`, `details`, `media`, or `absent`: a media whose bytes are not here. */
export const partHeader = 'X-CPNS-Part'
const version = '1'

export const details = storedObject.pick({ media: true, link: true, session: true, groupState: true })
export type Details = z.infer<typeof details>

/** `undefined`: there is nothing to say. */
export function detailsOf({ media, link, session, groupState }: StoredObject): Details | undefined {
  const found = {
    ...(media && { media }),
    ...(link && { link }),
    ...(session && { session }),
    ...(groupState && { groupState }),
  }
  return Object.keys(found).length === 0 ? undefined : found
}

/** `name: value`, folded where it must be. */
export function ownHeaders(object: StoredObject, folder: string | undefined, lineEnd: string): string[] {
  const texts = textHeaders.flatMap(([name, field]) => {
    const text = object[field]
    return text === undefined ? [] : [`${name}: ${headerText(text, lineEnd)}`]
  })
  return [
    `From: ${headerAddresses([object.from], lineEnd)}`,
    ...(object.to.length === 0 ? [] : [`To: ${headerAddresses(object.to, lineEnd)}`]),
    `Date: ${mailDate(object.date)}`,
    ...texts,
    `Message-ID: <${object.id}@cpns.invalid>`,
    `Message-Direction: ${object.direction === 'in' ? 'received' : 'sent'}`,
    ...flagHeaders(object.flags).map(([name, value]) => `${name}: ${value}`),
    `${objectHeader}: ${version}; ${rest(object).join(`;${lineEnd} `)}`,
    ...(folder === undefined ? [] : [`${folderHeader}: ${headerText(folder, lineEnd)}`]),
  ]
}

const rest = (object: StoredObject): string[] => [
  `container=${object.container}`,
  `part=${object.part}`,
  `id=${object.id}`,
  `type=${object.type}`,
  `content=${object.contentType}`,
  `date=${object.date}`,
  `stored=${object.stored}`,
  `size=${object.size}`,
  ...(object.copyOf === undefined ? [] : [`copy-of=${object.copyOf}`]),
]

/** Whether an export of ours wrote it. */
export const isOwn = (headers: MailHeaders): boolean => headers.raw(objectHeader) !== undefined

/** The object, of which only the headers have been read. What they lack or have too much shows when it is validated. */
export function readOwnHeaders(headers: MailHeaders): Readonly<Record<string, unknown>> {
  const [given, ...pairs] = (headers.raw(objectHeader) ?? '').split(';').map(text => text.trim())
  if (given !== version) throw new TypeError(`it is of version ${given}, and ${version} is read here`)
  const values = new Map(pairs.map(pair => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
  const texts = textHeaders.flatMap(([name, field]) => {
    const text = headers.text(name)
    return text === undefined ? [] : [[field, text] as const]
  })
  return {
    ...Object.fromEntries(texts),
    from: readHeaderAddresses(headers.raw('From'))[0],
    to: readHeaderAddresses(headers.raw('To')),
    direction: headers.raw('Message-Direction') === 'sent' ? 'out' : 'in',
    flags: flagsOf(headers),
    container: values.get('container'),
    id: values.get('id'),
    type: values.get('type'),
    contentType: values.get('content'),
    part: Number(values.get('part')),
    date: Number(values.get('date')),
    stored: Number(values.get('stored')),
    size: Number(values.get('size')),
    ...(values.has('copy-of') && { copyOf: values.get('copy-of') }),
  }
}
