import { addressParser, decodeWords } from 'postal-mime'
import { address } from '../fields.ts'
import { contentType, maxTextBytes } from '../objects.ts'
import type { ForeignContent, ForeignHead, ForeignMessage } from './archived.ts'
import type { EventCursor } from './events.ts'
import { flagsOf } from './flag-headers.ts'
import { readMailDate } from './mail-date.ts'
import { decoderOf, type MailHeaders } from './mail-headers.ts'
import { leafBytes, nextLeaf } from './read-parts.ts'

/*
 * A message that another program wrote, as well as it can be had: the first plain text of it as text, every other part as
 * media, nothing thrown away; a message within it is one media.
 */

/** Of a message that says no sender that a CPM address could be. */
const unknownSender = 'unknown@invalid'
const maxAddresses = 256

export function readForeign(
  cursor: EventCursor,
  root: MailHeaders,
  isLeaf: boolean,
  { where, folder }: { readonly where: string; readonly folder: string },
): ForeignMessage {
  return { folder, head: headOf(root), content: contentOf(cursor, isLeaf ? root : undefined, where) }
}

function headOf(headers: MailHeaders): ForeignHead {
  const messageId = idIn(headers.raw('IMDN-Message-ID')) ?? idIn(headers.raw('Message-ID'))
  const thread = idIn(headers.raw('References')) ?? idIn(headers.raw('In-Reply-To')) ?? messageId
  const optional = {
    subject: line(headers.text('Subject'), 512),
    contributionId: line(headers.text('Contribution-ID'), 128),
    inReplyToContributionId: line(headers.text('InReplyTo-Contribution-ID'), 128),
    imdnMessageId: messageId,
    context: line(headers.text('Message-Context'), 64),
    correlator: line(headers.text('Message-Correlator'), 512),
  }
  const type = contentType.safeParse(headers.structured('Content-Type').value)
  return {
    type: 'message',
    direction: /^(sent|out)/i.test(headers.raw('Message-Direction') ?? '') ? 'out' : 'in',
    date: readMailDate(headers.raw('Date')) ?? 0,
    from: addressesIn(headers, 'From')[0] ?? addressesIn(headers, 'Sender')[0] ?? unknownSender,
    to: [...addressesIn(headers, 'To'), ...addressesIn(headers, 'Cc')].slice(0, maxAddresses),
    conversationId: line(headers.text('Conversation-ID'), 128) ?? thread ?? 'imported',
    contentType: type.success ? type.data : 'text/plain',
    flags: flagsOf(headers),
    ...Object.fromEntries(Object.entries(optional).filter(([, text]) => text !== undefined)),
  }
}

/** The first id of a header that has some, in angle brackets or bare. */
const idIn = (value: string | undefined): string | undefined =>
  line(/<([^<>\s]+)>/.exec(value ?? '')?.[1] ?? value?.trim().split(/\s/)[0], 128)

/** As much of a text as a field can hold. */
function line(text: string | undefined, maxLength: number): string | undefined {
  const clean = (text ?? '')
    .replace(/\p{Cc}+/gu, ' ')
    .slice(0, maxLength)
    .toWellFormed()
    .trim()
  return clean === '' ? undefined : clean
}

function addressesIn(headers: MailHeaders, name: string): string[] {
  return headers.all(name).flatMap(value => parsed(value).flatMap(given => canonical(given) ?? []))
}

function parsed(value: string): string[] {
  const uris = [...value.matchAll(/<((?:tel|sip):[^<>]*)>/gi)].map(([, uri = '']) => uri)
  if (uris.length > 0) return uris
  try {
    return addressParser(value, { flatten: true }).flatMap(({ address }) => address ?? [])
  } catch {
    return []
  }
}

/** Hosts in lower case, numbers without what is put between their digits. */
function canonical(given: string): string | undefined {
  const [, user, host] = /^(.*)@([^@]*)$/.exec(given.trim()) ?? []
  const number = given.replace(/^tel:/i, '').replace(/[\s().-]/g, '')
  const parsed = address.safeParse(user === undefined ? `tel:${number}` : `${user}@${host?.toLowerCase()}`)
  return parsed.success ? parsed.data : undefined
}

async function* contentOf(
  cursor: EventCursor,
  root: MailHeaders | undefined,
  where: string,
): AsyncGenerator<ForeignContent> {
  let hasText = false
  for (let leaf = root ?? (await nextLeaf(cursor, where)); leaf; leaf = await nextLeaf(cursor, where)) {
    const { value, parameters } = leaf.structured('Content-Type')
    const disposition = leaf.structured('Content-Disposition')
    const isText = (value === 'text/plain' || value === '') && disposition.value !== 'attachment'
    const bytes = leafBytes(cursor, leaf, where)
    if (isText && !hasText) {
      hasText = true
      yield await textOf(bytes, parameters.get('charset') ?? 'utf-8')
      continue
    }
    const type = contentType.safeParse(value)
    const name = line(decodeWords(disposition.parameters.get('filename') ?? parameters.get('name') ?? ''), 255)
    yield {
      kind: 'media',
      type: type.success ? type.data : 'application/octet-stream',
      ...(name !== undefined && { name }),
      bytes,
    }
  }
}

/** As text if an object can hold it, else as media, in UTF-8. */
async function textOf(bytes: AsyncGenerator<Uint8Array>, charset: string): Promise<ForeignContent> {
  const decoded = inUtf8(bytes, charset)
  const pieces: Uint8Array[] = []
  let sizeBytes = 0
  while (sizeBytes <= maxTextBytes) {
    const { value, done } = await decoded.next()
    if (done) return { kind: 'text', text: new TextDecoder().decode(Buffer.concat(pieces)).replace(/\r\n/g, '\n') }
    pieces.push(value)
    sizeBytes += value.length
  }
  return { kind: 'media', type: 'text/plain', name: 'message.txt', bytes: behind(pieces, decoded) }
}

async function* inUtf8(bytes: AsyncIterable<Uint8Array>, charset: string): AsyncGenerator<Uint8Array> {
  const decoder = decoderOf(charset)
  const encoder = new TextEncoder()
  for await (const piece of bytes) yield encoder.encode(decoder.decode(piece, { stream: true }))
  yield encoder.encode(decoder.decode())
}

async function* behind(first: readonly Uint8Array[], rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* first
  yield* rest
}
