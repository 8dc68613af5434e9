import { framed, toBase64url } from '../commands/framing.ts'
import { documentId, isSegment, parseDocumentId } from '../document/names.ts'
import type { Crypto } from '../ports/crypto.ts'
import type { DocumentId, OperatorId } from '../ports/names.ts'

/*
 * What documents, containers and objects of a mailbox are called.
 */

/** A user's mailbox at its home operator. */
export interface MailboxName {
  readonly operator: OperatorId
  readonly user: string
}

export const mailboxDocument = ({ operator, user }: MailboxName): DocumentId =>
  documentId({ kind: 'mailbox', owner: operator, user })

export const partDocument = ({ operator, user }: MailboxName, container: string, part: number): DocumentId =>
  documentId({ kind: 'conversation', owner: operator, user, conversation: container, part })

/** All documents of a mailbox: ids, and the beginning of those of its parts. */
export const mailboxDocuments = (name: MailboxName): readonly string[] => [
  mailboxDocument(name),
  documentId({ kind: 'devices', owner: name.operator, user: name.user }),
  `conversation/${name.operator}/${name.user}/`,
]

export const directoryDocument = (operator: OperatorId): DocumentId =>
  documentId({ kind: 'directory', owner: operator })

/** The mailbox that a document belongs to; `undefined` if it belongs to none. */
export function mailboxOf(document: DocumentId): MailboxName | undefined {
  const name = parseDocumentId(document)
  return name.kind === 'mailbox' || name.kind === 'conversation' || name.kind === 'devices'
    ? { operator: name.owner, user: name.user }
    : undefined
}

/** Longer Conversation-IDs, and those with other characters, are called by their hash. */
const longestPlainId = 120

/** The container of a conversation, where it is not called by a hash. */
export function plainContainer(conversationId: string): string | undefined {
  const plain = `c-${conversationId}`
  return conversationId.length <= longestPlainId && isSegment(plain) ? plain : undefined
}

export const hashedContainer = (hash: Uint8Array): string => `h-${toBase64url(hash)}`

export const conversationContainer = (conversationId: string, crypto: Pick<Crypto, 'sha256'>): string =>
  plainContainer(conversationId) ?? hashedContainer(crypto.sha256(framed(...conversationFrom(conversationId))))

export const isFolder = (container: string): boolean => container.startsWith('f-')

/** 128 bits: nobody meets another object's name by chance. */
const idBytes = 16

export const idOf = (hash: Uint8Array): string => toBase64url(hash.slice(0, idBytes))

/**
 * The name of an object, folder or copy: a function of what it is from, so that the same message, or the same command, makes the
 * same object wherever it arrives; and a client knows its name before any server does.
 */
export const derivedId = (crypto: Pick<Crypto, 'sha256'>, from: readonly string[]): string =>
  idOf(crypto.sha256(framed(...from)))

/** A command is of whoever gave it. */
export const commandFrom = (operator: OperatorId, identity: string, commandId: string): readonly string[] => [
  operator,
  identity,
  commandId,
]

export const conversationFrom = (conversationId: string): readonly string[] => ['conversation', conversationId]

/** What is deposited is from its IMDN-Message-ID, or else from the command, in its conversation and direction. */
export function depositedFrom(
  {
    imdnMessageId,
    conversationId,
    direction,
  }: { readonly imdnMessageId?: string | undefined; readonly conversationId: string; readonly direction: string },
  command: readonly string[],
  folder: string | undefined,
): readonly string[] {
  const place = folder ?? conversationId
  return imdnMessageId === undefined ? ['command', place, ...command] : ['imdn', place, direction, imdnMessageId]
}

export const copiedFrom = (
  { container, id }: { readonly container: string; readonly id: string },
  folder: string,
  command: readonly string[],
): readonly string[] => ['copy', folder, ...command, container, id]

export const folderFrom = (command: readonly string[]): readonly string[] => ['folder', ...command]
