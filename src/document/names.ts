import { type DocumentId, InvalidName, type OperatorId, operatorId } from '../ports/names.ts'

/** A part of a document id: PN ids, user ids, conversation ids. */
const segmentPattern = /^[A-Za-z0-9][A-Za-z0-9._~@+-]{0,127}$/

/** What a document's id says about it. The owner alone writes it. */
export type DocumentName =
  | { readonly kind: 'pn'; readonly owner: OperatorId; readonly pnId: string }
  | {
      readonly kind: 'visit'
      readonly owner: OperatorId
      readonly home: OperatorId
      readonly pnId: string
    }
  | {
      readonly kind: 'mailbox' | 'devices' | 'invitations' | 'channels'
      readonly owner: OperatorId
      readonly user: string
    }
  | {
      readonly kind: 'conversation'
      readonly owner: OperatorId
      readonly user: string
      readonly conversation: string
      readonly part: number
    }
  | { readonly kind: 'directory' | 'policy'; readonly owner: OperatorId }

/** Whether `text` may stand between two slashes of a document id. */
export const isSegment = (text: string): boolean => segmentPattern.test(text)

/** @throws {InvalidName} when a part of the name may not stand in an id. */
export function documentId(name: DocumentName): DocumentId {
  return parsed(pathOf(name)).id
}

function pathOf(name: DocumentName): string {
  switch (name.kind) {
    case 'pn':
      return `pn/${name.owner}/${name.pnId}`
    case 'visit':
      return `visit/${name.owner}/${name.home}/${name.pnId}`
    case 'mailbox':
    case 'devices':
    case 'invitations':
    case 'channels':
      return `${name.kind}/${name.owner}/${name.user}`
    case 'conversation': {
      const part = name.part === 0 ? '' : `/${name.part}`
      return `conversation/${name.owner}/${name.user}/${name.conversation}${part}`
    }
    case 'directory':
    case 'policy':
      return `${name.kind}/${name.owner}`
  }
}

/** @throws {InvalidName} when `text` is not the id of a document. */
export function parseDocumentId(text: string): DocumentName {
  return parsed(text).name
}

/** @throws {InvalidName} when `text` is not the id of a document. */
export const asDocumentId = (text: string): DocumentId => parsed(text).id

interface Parsed {
  readonly id: DocumentId
  readonly name: DocumentName
}

/** What is done with a document looks at its name several times; half a megabyte spares taking it to pieces each time. */
const lately = new Map<string, Parsed>()
const parsedRemembered = 1_024

function parsed(text: string): Parsed {
  const known = lately.get(text)
  if (known) return known
  const name = nameOf(text)
  if (name && pathOf(name) === text) {
    const parsed = { id: text as DocumentId, name }
    if (lately.size >= parsedRemembered) lately.clear()
    lately.set(text, parsed)
    return parsed
  }
  throw new InvalidName(`"${text.slice(0, 200)}" is not a document; ids look like pn/a.example/home.`)
}

function nameOf(text: string): DocumentName | undefined {
  const [kind, owner, ...rest] = text.split('/')
  if (owner === undefined || !rest.every(isSegment)) return undefined
  const [first, second, third] = rest
  switch (kind) {
    case 'pn':
      if (first === undefined || rest.length !== 1) return undefined
      return { kind, owner: operatorId(owner), pnId: first }
    case 'visit':
      if (first === undefined || second === undefined || rest.length !== 2) return undefined
      return {
        kind,
        owner: operatorId(owner),
        home: operatorId(first),
        pnId: second,
      }
    case 'mailbox':
    case 'devices':
    case 'invitations':
    case 'channels':
      if (first === undefined || rest.length !== 1) return undefined
      return { kind, owner: operatorId(owner), user: first }
    case 'conversation':
      if (first === undefined || second === undefined || rest.length > 3) return undefined
      if (third !== undefined && !/^[1-9][0-9]{0,8}$/.test(third)) return undefined
      return {
        kind,
        owner: operatorId(owner),
        user: first,
        conversation: second,
        part: Number(third ?? 0),
      }
    case 'directory':
    case 'policy':
      return rest.length === 0 ? { kind, owner: operatorId(owner) } : undefined
    default:
      return undefined
  }
}

/** The operator that alone writes the document. */
export function ownerOf(document: DocumentId): OperatorId {
  const from = document.indexOf('/') + 1
  const to = document.indexOf('/', from)
  return document.slice(from, to < 0 ? undefined : to) as OperatorId
}
