import type { Attribute, IndexedObject, TextField, Word } from '../../ports/search-index.ts'
import type { AttributeName } from '../methods/search.ts'
import { isFolder } from '../names.ts'
import type { StoredObject } from '../objects.ts'
import { wordsOf } from './words.ts'

/*
 * What the index is told of a stored object.
 */

export function indexed(object: StoredObject): IndexedObject {
  const { container, part, id, date, size, from, flags } = object
  return { container, part, id, date, size, from, attributes: attributesOf(object), flags, words: textsOf(object) }
}

function attributesOf(object: StoredObject): Attribute[] {
  const media = object.media ?? []
  const said: Readonly<Record<AttributeName, readonly (string | undefined)[]>> = {
    type: [object.type],
    direction: [object.direction],
    from: [object.from],
    to: object.to,
    participant: participantsOf(object).map(({ address }) => address),
    container: [object.container],
    kind: [isFolder(object.container) ? 'folder' : 'conversation'],
    contentType: [object.contentType, ...media.map(({ type }) => type)].flatMap(type => [type, familyOf(type)]),
    conversationId: [object.conversationId],
    contributionId: [object.contributionId],
    inReplyToContributionId: [object.inReplyToContributionId],
    imdnMessageId: [object.imdnMessageId],
    correlator: [object.correlator],
    media: media.map(({ hash }) => hash),
    has: [media.length > 0 ? 'media' : undefined, object.link ? 'link' : undefined],
  }
  return Object.entries(said).flatMap(([name, values]) =>
    [...new Set(values)].filter(value => value !== undefined).map(value => [name, value] as const),
  )
}

/** `image/png` is found as `image/*` too. */
const familyOf = (type: string): string => `${type.slice(0, type.indexOf('/'))}/*`

function participantsOf({
  session,
  groupState,
}: StoredObject): { readonly name?: string | undefined; address: string }[] {
  return [...(session?.participants ?? []).map(address => ({ address })), ...(groupState?.participants ?? [])]
}

/** Several texts of one field stand one after the other. */
function textsOf(object: StoredObject): Record<TextField, Word[]> {
  const { subject = '', text = '', from, to, media = [] } = object
  const participants = participantsOf(object).flatMap(({ name = '', address }) => [name, address])
  return {
    subject: wordsOf(subject),
    text: wordsOf(text),
    addresses: [...new Set([from, ...to, ...participants])].flatMap(wordsOf),
    media: media.flatMap(({ name = '' }) => wordsOf(name)),
  }
}
