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

export function conversationContainer(conversationId: string, crypto: Pick<Crypto, 'sha256'>): string {
  const plain = `c-${conversationId}`
  if (conversationId.length <= longestPlainId && isSegment(plain)) return plain
  return `h-${toBase64url(crypto.sha256(framed('conversation', conversationId)))}`
}

export const isFolder = (container: string): boolean => container.startsWith('f-')

/** 128 bits: nobody meets another object's name by chance. */
const idBytes = 16

/**
 * The name of an object, folder or copy: a function of what it is of, so that the same message, or the same command, makes the
 * same object wherever it arrives.
 */
export const derivedId = (crypto: Pick<Crypto, 'sha256'>, ...of: readonly string[]): string =>
  toBase64url(crypto.sha256(framed(...of)).slice(0, idBytes))
